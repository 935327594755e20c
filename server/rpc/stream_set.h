#ifndef CRR_SERVER_RPC_STREAM_SET_H_
#define CRR_SERVER_RPC_STREAM_SET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "server/core/refusal.h"

namespace crr {

// The open streams of a service, so that a server that stops can tell them to
// move. Thread-safe.
class StreamSet {
 public:
  using Close = std::function<void(const absl::Status&)>;

  explicit StreamSet(size_t max) : max_(max) {}

  // Returns the number to remove it by. Closed at once when draining, and when
  // there are as many as may be.
  int64_t Add(Close close) {
    absl::Status why = Draining();
    {
      MutexLock lock(mu_);
      if (!draining_ && closers_.size() < max_) {
        closers_.emplace(next_, std::move(close));
        return next_++;
      }
      if (!draining_) {
        why = Refuse({.reason = "OVERLOADED",
                      .description = "too many streams are open"});
      }
    }
    close(why);
    return 0;
  }

  void Remove(int64_t number) {
    MutexLock lock(mu_);
    closers_.erase(number);
  }

  void CloseAll() {
    std::map<int64_t, Close> closers;
    {
      MutexLock lock(mu_);
      draining_ = true;
      closers.swap(closers_);
    }
    for (const auto& [number, close] : closers) close(Draining());
  }

 private:
  const size_t max_;
  Mutex mu_;
  int64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  std::map<int64_t, Close> closers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_STREAM_SET_H_
