#ifndef CRR_CLIENT_CRRCTL_WATCH_H_
#define CRR_CLIENT_CRRCTL_WATCH_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"

namespace crr {

struct WatchOptions {
  std::string rule;  // buckets/{bucket}/rules/{rule}
  // End as soon as IsSynced (progress_view.h), counted from the call's start.
  bool until_synced = false;
  // Draw in place; otherwise a line for each change.
  bool terminal = false;
  // Waits between two looks at the rule; false ends the watch.
  std::function<bool()> pause;
};

// Shows how far a rule has come until the rule is gone, across restarts of the
// server. Statuses: NOT_FOUND there never was such a rule, or it went
// before it was in step and `until_synced` was asked for; CANCELLED `pause`
// said no; others as the first call's.
absl::Status WatchRule(Control& control, const WatchOptions& options,
                       const Clock& clock, const Console& console);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_WATCH_H_
