#ifndef CRR_SERVER_RPC_STREAM_H_
#define CRR_SERVER_RPC_STREAM_H_

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/rpc/status_convert.h"

namespace crr {

// A bidirectional stream of the callback API, tamed (gRFC L67): one read and
// one write under way at most, Finish exactly once and after the last write,
// a bounded outbox whose urgent messages go first.
//
// A peer that does not read is told so and, since it will not hear that either,
// cut off: when its outbox is full, or when it takes nothing for `stall_max`
// while more is to be said to it. That is time of the network, not of our
// clocks.
//
// Whoever answers later (a database thread, the lease loop) keeps a shared_ptr:
// a stream that is gone takes messages and does nothing with them. Thread-safe.
template <typename Request, typename Response>
class Stream : public grpc::ServerBidiReactor<Request, Response>,
               public std::enable_shared_from_this<Stream<Request, Response>> {
 public:
  Stream(grpc::CallbackServerContext* context, absl::Duration stall_max)
      : context_(context),
        stall_max_(absl::ToChronoNanoseconds(stall_max)) {}

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
    const auto bytes = static_cast<int64_t>(message.ByteSizeLong());
    MutexLock lock(mu_);
    if (final_) return;
    if (waiting() >= limits::kStreamOutboxMax || Stalled()) {
      GiveUp();
    } else {
      (urgent ? urgent_ : ordinary_).push_back({std::move(message), bytes});
      Count(bytes);
    }
    MaybeWrite();
  }

  // Ends the stream after what is queued. Only the first call counts.
  void Close(const absl::Status& status) {
    MutexLock lock(mu_);
    if (final_) return;
    End(ToGrpcStatus(status));
    MaybeWrite();
  }

  void CloseIfStalled() {
    MutexLock lock(mu_);
    if (!final_ && Stalled()) GiveUp();
  }

  void OnReadDone(bool ok) final {
    if (ok) {
      {
        // What comes after the end was decided is not heard, nor read on.
        MutexLock lock(mu_);
        if (final_) return;
      }
      // What a large message took is given back once it was heard.
      Request request;
      request.Swap(&request_);
      OnMessage(request);
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
      DropQueued();
      if (!final_) final_ = grpc::Status::CANCELLED;
    }
    Count(-response_.bytes);
    response_ = {};  // A stream that says no more keeps nothing.
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
  // `waiting_bytes_` changed by so much.
  virtual void OnQueued(int64_t /*bytes*/) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {}

  void NextRead() {
    MutexLock lock(mu_);
    if (finished_) return;
    this->StartRead(&request_);
  }

  size_t waiting() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return urgent_.size() + ordinary_.size();
  }

  Mutex mu_;
  // Of what waits to be sent, and of the write under way.
  int64_t waiting_bytes_ ABSL_GUARDED_BY(mu_) = 0;

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct Queued {
    Response message;
    int64_t bytes = 0;
  };

  bool Stalled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return write_in_flight_ && SteadyClock::now() - write_begun_ >= stall_max_;
  }

  void Count(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    waiting_bytes_ += bytes;
    OnQueued(bytes);
  }

  void DropQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    int64_t bytes = 0;
    for (const auto* queue : {&urgent_, &ordinary_}) {
      for (const Queued& queued : *queue) bytes += queued.bytes;
    }
    urgent_.clear();
    ordinary_.clear();
    Count(-bytes);
  }

  // What the peer misses is durable.
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    DropQueued();
    End(ToGrpcStatus(
        Refuse({.reason = "OVERLOADED",
                .description = "the peer does not read its messages"})));
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    final_ = std::move(status);
    if (!write_in_flight_) return;
    // Finish waits for that write, and the peer may never let it end.
    const auto left = stall_max_ - (SteadyClock::now() - write_begun_);
    cut_off_.Set(std::chrono::system_clock::now() +
                     std::chrono::duration_cast<std::chrono::microseconds>(
                         std::max(left, left.zero())),
                 [weak = this->weak_from_this()](bool is_time) {
                   const auto stream = weak.lock();
                   if (is_time && stream != nullptr) stream->CutOff();
                 });
  }

  void CutOff() {
    {
      MutexLock lock(mu_);
      if (finished_) return;
      cutting_off_ = true;  // The context lives on until Finish.
    }
    context_->TryCancel();
    MutexLock lock(mu_);
    cutting_off_ = false;
    MaybeWrite();
  }

  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (write_in_flight_ || finished_) return;
    std::deque<Queued>& queue = urgent_.empty() ? ordinary_ : urgent_;
    if (!queue.empty()) {
      response_ = std::move(queue.front());
      queue.pop_front();
      write_in_flight_ = true;
      write_begun_ = SteadyClock::now();
      this->StartWrite(&response_.message);
    } else if (final_ && !cutting_off_) {
      finished_ = true;
      this->Finish(*final_);
    }
  }

  grpc::CallbackServerContext* const context_;  // Gone after Finish.
  const SteadyClock::duration stall_max_;
  Request request_;  // Of the read under way.
  Queued response_;  // Of the write under way.
  std::shared_ptr<Stream> self_;
  std::deque<Queued> urgent_ ABSL_GUARDED_BY(mu_);
  std::deque<Queued> ordinary_ ABSL_GUARDED_BY(mu_);
  bool write_in_flight_ ABSL_GUARDED_BY(mu_) = false;
  SteadyClock::time_point write_begun_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::Status> final_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Alarm cut_off_ ABSL_GUARDED_BY(mu_);
  bool cutting_off_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_STREAM_H_
