#ifndef CRR_CLIENT_COPIER_LEASE_GUARD_H_
#define CRR_CLIENT_COPIER_LEASE_GUARD_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace crr {

// What the server said of all leases of a session.
struct LeaseTerms {
  absl::Duration ttl;
  absl::Duration margin;        // Stop writing so long before the end.
  absl::Duration commit_bound;  // The last step of a write may take so long.
};

// Fences a lease on the holder's side: says whether it still holds, without
// asking anyone.
//
// The time to live counts from before the message was sent that the server
// answered, on the boot-time clock, less 0.5 % for clocks that run at different
// speeds and less the margin. So a write that was allowed here ends before the
// server gives the work to another.
//
// Thread-safe.
class LeaseGuard {
 public:
  // `sent`: before the message that last renewed the session.
  LeaseGuard(const Clock& clock, LeaseTerms terms, Ticks sent);

  // Renews from `sent`; an older one than before changes nothing.
  void Renew(LeaseTerms terms, Ticks sent);
  // Ends the lease for good: the server has said so.
  void Lose();

  bool lost() const;
  // Whether a write may be made visible now.
  bool MayCommit() const;
  // Whether there is time for a write to begin: its commit would not come too
  // late at once.
  bool StartAllowed() const;

 private:
  Ticks Deadline() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  mutable Mutex mu_;
  LeaseTerms terms_ ABSL_GUARDED_BY(mu_);
  Ticks sent_ ABSL_GUARDED_BY(mu_);
  bool lost_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_LEASE_GUARD_H_
