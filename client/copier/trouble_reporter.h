#ifndef CRR_CLIENT_COPIER_TROUBLE_REPORTER_H_
#define CRR_CLIENT_COPIER_TROUBLE_REPORTER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "client/copier/lease_link.h"

namespace crr {

// Tells the control plane of what keeps failing under one lease: from the
// second failure of one thing on, and not more often than the interval.
// Thread-compatible.
class TroubleReporter {
 public:
  TroubleReporter(LeaseLink& link, const Clock& clock, absl::Duration interval)
      : link_(link), clock_(clock), interval_(interval), next_(clock.Now()) {}

  // `key` failed for the `failures`th time in a row.
  void Failed(absl::string_view key, int failures, const absl::Status& status);
  // A checkpoint was recorded, which wipes what was reported: what still fails
  // may be reported again at once.
  void Wiped() { next_ = clock_.Now(); }

 private:
  LeaseLink& link_;
  const Clock& clock_;
  const absl::Duration interval_;
  Ticks next_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_TROUBLE_REPORTER_H_
