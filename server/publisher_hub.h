#ifndef CRR_SERVER_PUBLISHER_HUB_H_
#define CRR_SERVER_PUBLISHER_HUB_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/core/progress.h"
#include "storage/publisher_table.h"

namespace crr {

// The named publishers that have attached to this process, and up to where each
// says that it has published everything. Not stored: after a restart nothing is
// known until they come back and say it again. Thread-safe.
class PublisherHub {
 public:
  // Why a stream must end.
  enum class End { kTakenOver, kStoreChanged, kForgotten };

  // A stream of `publisher` is open; `end` is called, outside of any lock, when
  // another one replaces it, or when it must come again and look anew. Returns
  // the number to detach with. What it said before counts on only if it speaks
  // for the same scope in the same epoch.
  int64_t Attach(const Publisher& publisher, std::function<void(End)> end);
  // Nothing happens when another stream took over meanwhile.
  void Detach(const std::string& publisher, int64_t attachment);
  // Every batch that came before this word must be committed.
  void CompleteThrough(const std::string& publisher, int64_t attachment,
                       absl::Time time);

  // Its last such word of the stream `attachment`; nullopt when it has said
  // nothing.
  std::optional<absl::Time> LastWord(const std::string& publisher,
                                     int64_t attachment) const;

  // A region's store is another one now: what publishers said of completeness
  // may have been said of the old one. Everybody starts anew.
  void ForgetAll();

  // The publisher is deleted: what it said counts no more, and a stream that
  // it opened meanwhile must come again, to be registered anew.
  void Forget(const std::string& publisher);

  // InfinitePast for a publisher that has said nothing. One that detached
  // keeps its last word: it stays true, and time stands still for it.
  Watermarks watermarks() const;
  std::set<std::string> attached() const;

 private:
  struct Entry {
    int64_t attachment = 0;  // 0: detached.
    PublisherScope scope;
    int64_t epoch = 0;
    std::function<void(End)> end;
    absl::Time complete_through = absl::InfinitePast();
  };
  mutable Mutex mu_;
  int64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_SERVER_PUBLISHER_HUB_H_
