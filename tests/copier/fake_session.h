#ifndef CRR_TESTS_COPIER_FAKE_SESSION_H_
#define CRR_TESTS_COPIER_FAKE_SESSION_H_

#include <deque>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/lease_link.h"
#include "crr/v1/copier_service.pb.h"

namespace crr::test {

// The session of one lease, played by a test: takes what the runner sends, and
// answers when the test says so. Thread-safe.
class FakeSession {
 public:
  // `sent`: what the lease counts from.
  FakeSession(v1::Lease lease, Ticks sent)
      : link_(std::move(lease), Clock::Real(), kTerms, sent,
              [this](v1::SessionRequest request) {
                MutexLock lock(mu_);
                sent_.push_back(std::move(request));
                changed_.NotifyAll();
              }) {}

  static constexpr LeaseTerms kTerms{.ttl = absl::Minutes(10),
                                     .margin = absl::Seconds(2),
                                     .commit_bound = absl::Seconds(2)};

  LeaseLink& link() { return link_; }

  // The next message of the runner; fails the test's assertions by being empty
  // when none comes.
  v1::SessionRequest Next() {
    MutexLock lock(mu_);
    const Ticks end = Clock::Real().Now() + absl::Seconds(30);
    while (sent_.empty() && Clock::Real().Now() < end) {
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
    if (sent_.empty()) return {};
    v1::SessionRequest next = std::move(sent_.front());
    sent_.pop_front();
    return next;
  }
  v1::Checkpoint NextCheckpoint() { return Next().checkpoint(); }
  bool NothingSent() {
    MutexLock lock(mu_);
    return sent_.empty();
  }

  void Answer(const v1::Checkpoint& checkpoint,
              v1::CheckpointAck::Result result) {
    v1::CheckpointAck ack;
    ack.set_unit(checkpoint.unit());
    ack.set_token(checkpoint.token());
    ack.set_result(result);
    *ack.mutable_cursor() = checkpoint.to();
    ack.set_complete(result == v1::CheckpointAck::RECORDED &&
                     checkpoint.complete());
    link_.Deliver(std::move(ack));
  }
  void Record(const v1::Checkpoint& checkpoint) {
    Answer(checkpoint, v1::CheckpointAck::RECORDED);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::deque<v1::SessionRequest> sent_ ABSL_GUARDED_BY(mu_);
  LeaseLink link_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_COPIER_FAKE_SESSION_H_
