#ifndef CRR_SERVER_RPC_STREAM_H_
#define CRR_SERVER_RPC_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/rpc/status_convert.h"

namespace crr {

// A bidirectional stream of the callback API, tamed (gRFC L67): one read and
// one write under way at most, Finish exactly once and after the last write,
// a bounded outbox whose urgent messages go first.
//
// Whoever answers later (a database thread, the lease loop) keeps a shared_ptr:
// a stream that is gone takes messages and does nothing with them. Thread-safe.
template <typename Request, typename Response>
class Stream : public grpc::ServerBidiReactor<Request, Response>,
               public std::enable_shared_from_this<Stream<Request, Response>> {
 public:
  // Makes a stream that lives until gRPC is done with it, and longer while
  // others hold it.
  template <typename Derived, typename... Args>
  static Derived* Make(Args&&... args) {
    auto stream = std::make_shared<Derived>(std::forward<Args>(args)...);
    Stream& base = *stream;
    base.self_ = stream;
    base.OnStart();
    base.NextRead();
    return stream.get();
  }

  void Send(Response message, bool urgent) {
    MutexLock lock(mu_);
    if (final_) return;
    if (urgent_.size() + ordinary_.size() >= limits::kStreamOutboxMax) {
      // A peer that does not read; what it misses is durable.
      urgent_.clear();
      ordinary_.clear();
      final_ = ToGrpcStatus(
          Refuse({.reason = "OVERLOADED",
                  .description = "the peer does not read its messages"}));
    } else {
      (urgent ? urgent_ : ordinary_).push_back(std::move(message));
    }
    MaybeWrite();
  }

  // Ends the stream after what is queued. Only the first call counts.
  void Close(const absl::Status& status) {
    MutexLock lock(mu_);
    if (final_) return;
    final_ = ToGrpcStatus(status);
    MaybeWrite();
  }

  void OnReadDone(bool ok) final {
    if (ok) {
      {
        // What comes after the end was decided is not heard, nor read on.
        MutexLock lock(mu_);
        if (final_) return;
      }
      OnMessage(request_);
      return;
    }
    // 1.51 shows a message that cannot be parsed as an orderly end, so an end
    // counts as orderly only after `finish`.
    Close(Refuse({.reason = "MALFORMED_MESSAGE",
                  .description = "the stream ended, or broke, before finish"}));
  }

  void OnWriteDone(bool ok) final {
    MutexLock lock(mu_);
    write_in_flight_ = false;
    if (!ok) {
      urgent_.clear();
      ordinary_.clear();
      if (!final_) final_ = grpc::Status::CANCELLED;
    }
    MaybeWrite();
  }

  void OnCancel() final { Close(absl::CancelledError("the peer is gone")); }

  void OnDone() final {
    OnEnd();
    // Others may hold the stream still; gRPC does not.
    const auto self = std::move(self_);
  }

 protected:
  // Called once, before anything is read; others may be told of this now.
  virtual void OnStart() = 0;
  // A message came. The next one is read after NextRead.
  virtual void OnMessage(const Request& request) = 0;
  // The stream is over; called once.
  virtual void OnEnd() = 0;

  void NextRead() {
    MutexLock lock(mu_);
    if (finished_) return;
    this->StartRead(&request_);
  }

 private:
  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (write_in_flight_ || finished_) return;
    std::deque<Response>& queue = urgent_.empty() ? ordinary_ : urgent_;
    if (!queue.empty()) {
      response_ = std::move(queue.front());
      queue.pop_front();
      write_in_flight_ = true;
      this->StartWrite(&response_);
    } else if (final_) {
      finished_ = true;
      this->Finish(*final_);
    }
  }

  Request request_;    // Of the read under way.
  Response response_;  // Of the write under way.
  std::shared_ptr<Stream> self_;
  Mutex mu_;
  std::deque<Response> urgent_ ABSL_GUARDED_BY(mu_);
  std::deque<Response> ordinary_ ABSL_GUARDED_BY(mu_);
  bool write_in_flight_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<grpc::Status> final_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_STREAM_H_
