#ifndef CRR_SERVER_CORE_LOG_STATUS_H_
#define CRR_SERVER_CORE_LOG_STATUS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/progress.h"
#include "storage/transaction.h"

namespace crr {

// The logs of all rules, for operators.
struct LogStatus {
  struct Total {
    int64_t rules = 0;    // With something in their log.
    int64_t changes = 0;  // Logged and not yet settled.
    int64_t bytes = 0;
  };
  std::map<RuleState, Total> by_state;

  struct RuleLog {
    std::string name;
    absl::Time oldest_event;
    std::optional<absl::Time> last_sync_time;
  };
  // Those with the oldest unfinished changes, oldest first.
  std::vector<RuleLog> oldest;

  // Oldest unfinished change of an object of at most 2 MiB (or of unknown
  // size): seed 2 promises such objects within ten minutes.
  std::optional<absl::Time> oldest_small_event;
};

// Looks at rules with something in their log only. At most `rules_max` rules
// are named. `watermarks` as in ProgressOf.
LogStatus LogStatusOf(ReadTransaction& txn, const Watermarks& watermarks,
                      int rules_max, absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_LOG_STATUS_H_
