#ifndef CRR_CLIENT_CRRCTL_PROGRESS_VIEW_H_
#define CRR_CLIENT_CRRCTL_PROGRESS_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "crr/v1/replication_service.pb.h"

namespace crr {

// A rule's progress as text. Functions of their arguments alone.

// One line for pipes, such as
//   historical 42.0% 2100/5000 live pending=3 last_sync=unknown(NO_PUBLISHER)
//   applied=7 filtered=0 resync=0 failed=0 verification=- state=ACTIVE
//   conditions=-
// "historical off" when the rule does not replicate it; a "+" after the total
// while the source is still being listed. A verification shows its score, with
// a "+" while it is under way.
std::string ProgressLine(const v1::RuleProgress& progress);

// Lines for a terminal, none longer than `columns`: the rule, a bar for what
// was there before it, what came since, the latest verification, and a line for
// each condition.
// `bytes_per_second` is shown while historical work is open.
std::vector<std::string> ProgressFrame(const v1::RuleProgress& progress,
                                       std::optional<double> bytes_per_second,
                                       size_t columns);

// Whether everything written at the source before `since` is at the
// destination and nothing is on its way: historical work is complete or was
// not asked for, no change is pending, and `last_sync_time` is known and not
// before `since`.
bool IsSynced(const v1::RuleProgress& progress, absl::Time since);

// How fast a counter rises, smoothed over a few seconds. Thread-compatible.
class RateMeter {
 public:
  // Returns the rate per second; nullopt before the second call.
  std::optional<double> Update(Ticks now, int64_t value);

 private:
  std::optional<Ticks> last_time_;
  int64_t last_value_ = 0;
  std::optional<double> rate_;
};

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_PROGRESS_VIEW_H_
