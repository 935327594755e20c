#include "client/copier/lease_guard.h"

namespace crr {

LeaseGuard::LeaseGuard(const Clock& clock, LeaseTerms terms, Ticks sent)
    : clock_(clock), terms_(terms), sent_(sent) {}

void LeaseGuard::Renew(LeaseTerms terms, Ticks sent) {
  MutexLock lock(mu_);
  if (sent < sent_) return;
  terms_ = terms;
  sent_ = sent;
}

void LeaseGuard::Lose() {
  MutexLock lock(mu_);
  lost_ = true;
}

bool LeaseGuard::lost() const {
  MutexLock lock(mu_);
  return lost_;
}

bool LeaseGuard::MayCommit() const {
  MutexLock lock(mu_);
  return !lost_ && clock_.Now() < Deadline();
}

bool LeaseGuard::StartAllowed() const {
  MutexLock lock(mu_);
  return !lost_ && clock_.Now() + terms_.commit_bound < Deadline();
}

Ticks LeaseGuard::Deadline() const {
  return sent_ + (terms_.ttl * 995 / 1000 - terms_.margin);
}

}  // namespace crr
