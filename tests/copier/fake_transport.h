#ifndef CRR_TESTS_COPIER_FAKE_TRANSPORT_H_
#define CRR_TESTS_COPIER_FAKE_TRANSPORT_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/session_stream.h"

namespace crr::test {

// One stream, with the test as its server. Thread-safe.
class FakeStream {
 public:
  // For the server.

  // The next message; empty when none comes, or the stream was cancelled.
  v1::SessionRequest Next() {
    MutexLock lock(mu_);
    const Ticks end = Clock::Real().Now() + absl::Seconds(30);
    while (requests_.empty() && !cancelled_ && Clock::Real().Now() < end) {
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
    if (requests_.empty()) return {};
    v1::SessionRequest next = std::move(requests_.front());
    requests_.pop_front();
    return next;
  }
  // The next one that is no heartbeat; those are answered.
  v1::SessionRequest NextButHeartbeats() {
    for (;;) {
      v1::SessionRequest next = Next();
      if (!next.has_heartbeat()) return next;
      AnswerHeartbeat(next.heartbeat());
    }
  }
  void AnswerHeartbeat(const v1::Heartbeat& heartbeat) {
    v1::SessionResponse response;
    response.mutable_heartbeat_ack()->set_number(heartbeat.number());
    Send(std::move(response));
  }
  void Send(v1::SessionResponse response) {
    MutexLock lock(mu_);
    responses_.push_back(std::move(response));
    changed_.NotifyAll();
  }
  void End(StreamEnd end) {
    MutexLock lock(mu_);
    end_ = std::move(end);
    changed_.NotifyAll();
  }
  void Break() { End({.status = absl::UnavailableError("broken")}); }
  // Waits for the copier to give the stream up.
  bool WaitCancelled() {
    MutexLock lock(mu_);
    const Ticks end = Clock::Real().Now() + absl::Seconds(30);
    while (!cancelled_ && Clock::Real().Now() < end) {
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
    return cancelled_;
  }

 private:
  friend class FakeStreamClient;

  Mutex mu_;
  CondVar changed_;
  std::deque<v1::SessionRequest> requests_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::SessionResponse> responses_ ABSL_GUARDED_BY(mu_);
  std::optional<StreamEnd> end_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

// The copier's end of it.
class FakeStreamClient final : public SessionStream {
 public:
  explicit FakeStreamClient(std::shared_ptr<FakeStream> stream)
      : stream_(std::move(stream)) {}

  bool Write(const v1::SessionRequest& request) override {
    MutexLock lock(stream_->mu_);
    if (stream_->end_.has_value() || stream_->cancelled_) return false;
    stream_->requests_.push_back(request);
    stream_->changed_.NotifyAll();
    return true;
  }
  void WritesDone() override {}
  bool Read(v1::SessionResponse* response) override {
    MutexLock lock(stream_->mu_);
    while (stream_->responses_.empty() && !stream_->end_.has_value() &&
           !stream_->cancelled_) {
      stream_->changed_.Wait(stream_->mu_);
    }
    if (stream_->responses_.empty() || stream_->cancelled_) return false;
    *response = std::move(stream_->responses_.front());
    stream_->responses_.pop_front();
    return true;
  }
  void Cancel() override {
    MutexLock lock(stream_->mu_);
    stream_->cancelled_ = true;
    stream_->changed_.NotifyAll();
  }
  StreamEnd Finish() override {
    MutexLock lock(stream_->mu_);
    return stream_->end_.value_or(
        StreamEnd{.status = absl::CancelledError("given up")});
  }

 private:
  const std::shared_ptr<FakeStream> stream_;
};

// Thread-safe.
class FakeTransport final : public SessionTransport {
 public:
  std::unique_ptr<SessionStream> Open() override {
    MutexLock lock(mu_);
    all_.push_back(std::make_shared<FakeStream>());
    if (superseded_) Supersede(*all_.back());
    opened_.push_back(all_.back());
    changed_.NotifyAll();
    return std::make_unique<FakeStreamClient>(all_.back());
  }
  // The next stream that the copier opens; null when it opens none.
  std::shared_ptr<FakeStream> Accept() {
    MutexLock lock(mu_);
    const Ticks end = Clock::Real().Now() + absl::Seconds(30);
    while (opened_.empty() && Clock::Real().Now() < end) {
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
    if (opened_.empty()) return nullptr;
    std::shared_ptr<FakeStream> stream = std::move(opened_.front());
    opened_.pop_front();
    return stream;
  }
  // Ends every stream, now and later, so that the session is over for good.
  void SupersedeAll() {
    MutexLock lock(mu_);
    superseded_ = true;
    for (const auto& stream : all_) Supersede(*stream);
  }

 private:
  static void Supersede(FakeStream& stream) {
    stream.End({.status = absl::AbortedError("superseded"),
                .reason = "SESSION_SUPERSEDED",
                .retry_delay = {}});
  }

  Mutex mu_;
  CondVar changed_;
  bool superseded_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::shared_ptr<FakeStream>> all_ ABSL_GUARDED_BY(mu_);
  std::deque<std::shared_ptr<FakeStream>> opened_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr::test

#endif  // CRR_TESTS_COPIER_FAKE_TRANSPORT_H_
