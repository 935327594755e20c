#include "client/copier/lease_link.h"

#include <algorithm>
#include <utility>

namespace crr {

LeaseLink::LeaseLink(v1::Lease lease, const Clock& clock, LeaseTerms terms,
                     Ticks sent, SendFunction send)
    : lease_(std::move(lease)),
      clock_(clock),
      send_(std::move(send)),
      guard_(clock, terms, sent) {}

void LeaseLink::Renew(LeaseTerms terms, Ticks sent) {
  guard_.Renew(terms, sent);
  Ring();
}

void LeaseLink::Deliver(v1::Segment segment) {
  MutexLock lock(mu_);
  news_.segments.push_back(std::move(segment));
  rung_ = true;
  changed_.NotifyAll();
}

void LeaseLink::Deliver(v1::CheckpointAck ack) {
  MutexLock lock(mu_);
  news_.ack = std::move(ack);
  rung_ = true;
  changed_.NotifyAll();
}

void LeaseLink::Drain(absl::string_view reason, Ticks until) {
  MutexLock lock(mu_);
  if (!drain_reason_.has_value()) {
    drain_reason_ = std::string(reason);
    drain_until_ = until;
  }
  drain_until_ = std::min(drain_until_, until);
  rung_ = true;
  changed_.NotifyAll();
}

void LeaseLink::Lose() {
  guard_.Lose();
  Ring();
}

void LeaseLink::Send(v1::Checkpoint checkpoint) {
  checkpoint.set_unit(lease_.unit());
  checkpoint.set_token(lease_.token());
  v1::SessionRequest request;
  *request.mutable_checkpoint() = std::move(checkpoint);
  send_(std::move(request));
}

void LeaseLink::Send(v1::Trouble trouble) {
  trouble.set_unit(lease_.unit());
  trouble.set_token(lease_.token());
  v1::SessionRequest request;
  *request.mutable_trouble() = std::move(trouble);
  send_(std::move(request));
}

LeaseLink::News LeaseLink::Wait(absl::Duration timeout) {
  const Ticks end =
      clock_.Now() + std::clamp(timeout, absl::ZeroDuration(), absl::Hours(1));
  MutexLock lock(mu_);
  while (!rung_) {
    const absl::Duration left = end - clock_.Now();
    if (left <= absl::ZeroDuration()) break;
    changed_.WaitFor(mu_, left);
  }
  rung_ = false;
  return std::exchange(news_, News());
}

std::optional<std::string> LeaseLink::draining() const {
  MutexLock lock(mu_);
  return drain_reason_;
}

void LeaseLink::Ring() {
  MutexLock lock(mu_);
  rung_ = true;
  changed_.NotifyAll();
}

absl::Status LeaseLink::MayGoOn() const {
  MutexLock lock(mu_);
  return MayGoOnLocked();
}

absl::Status LeaseLink::Pause(absl::Duration delay) {
  const Ticks end = clock_.Now() + delay;
  MutexLock lock(mu_);
  for (;;) {
    absl::Status status = MayGoOnLocked();
    absl::Duration left = end - clock_.Now();
    if (!status.ok() || left <= absl::ZeroDuration()) return status;
    if (drain_reason_.has_value()) {
      left = std::min(left, drain_until_ - clock_.Now());
    }
    changed_.WaitFor(mu_, left);
  }
}

absl::Status LeaseLink::MayGoOnLocked() const {
  if (guard_.lost()) return absl::AbortedError("the lease is lost");
  if (drain_reason_.has_value() && clock_.Now() >= drain_until_) {
    return absl::CancelledError("the lease was asked for");
  }
  return absl::OkStatus();
}

}  // namespace crr
