#ifndef CRR_CLIENT_COPIER_LEASE_LINK_H_
#define CRR_CLIENT_COPIER_LEASE_LINK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/lease_guard.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// One held lease, between the session and the lease's runner with its slots:
// mail in both directions, one bell for everything that a runner waits for, and
// the two ways in which a lease ends. *Draining*: it was asked for; settle what
// is in flight, report, and give it back. *Lost*: it is another's; stop at once
// and say nothing. Thread-safe.
class LeaseLink {
 public:
  using SendFunction = std::function<void(v1::SessionRequest)>;

  // `sent`: before the message that last renewed the session. `send` must be
  // callable from any thread.
  LeaseLink(v1::Lease lease, const Clock& clock, LeaseTerms terms, Ticks sent,
            SendFunction send);

  const v1::Lease& lease() const { return lease_; }
  const LeaseGuard& guard() const { return guard_; }

  // For the session.
  void Renew(LeaseTerms terms, Ticks sent);
  void Deliver(v1::Segment segment);
  void Deliver(v1::CheckpointAck ack);
  // Objects in flight may go on until `until`. The first reason and the
  // earliest time stand.
  void Drain(absl::string_view reason, Ticks until);
  void Lose();

  // For the runner. Unit and token are filled in.
  void Send(v1::Checkpoint checkpoint);
  void Send(v1::Trouble trouble);
  struct News {
    std::vector<v1::Segment> segments;
    std::optional<v1::CheckpointAck> ack;
  };
  // Waits for mail, a ring, a renewal or the lease's end, or for `timeout`.
  // The first call returns at once.
  News Wait(absl::Duration timeout);
  // Why the lease was asked for; absent while it was not.
  std::optional<std::string> draining() const;
  bool lost() const { return guard_.lost(); }

  // For slots.
  void Ring();
  // OK while an object in flight may go on; ABORTED when the lease is lost,
  // CANCELLED when the time to drain is up.
  absl::Status MayGoOn() const;
  // Whether a write may be made visible now.
  bool MayCommit() const { return MayGoOn().ok() && guard_.MayCommit(); }
  // Waits for `delay`, or for less when MayGoOn ceases to be OK, and returns
  // MayGoOn.
  absl::Status Pause(absl::Duration delay);

 private:
  absl::Status MayGoOnLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const v1::Lease lease_;
  const Clock& clock_;
  const SendFunction send_;
  LeaseGuard guard_;
  mutable Mutex mu_;
  CondVar changed_;
  News news_ ABSL_GUARDED_BY(mu_);
  bool rung_ ABSL_GUARDED_BY(mu_) = true;
  std::optional<std::string> drain_reason_ ABSL_GUARDED_BY(mu_);
  Ticks drain_until_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_LEASE_LINK_H_
