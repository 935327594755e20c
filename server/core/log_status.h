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

  // Below, rules that a user has stopped (PAUSED, CLOSING) do not count: nobody
  // waits for them. Nor do changes that say nothing of their time.
  struct OldLog {
    std::string rule;
    absl::Time oldest_event;
    std::optional<absl::Time> last_sync_time;
  };
  // Those with the oldest unfinished changes, oldest first.
  std::vector<OldLog> oldest;

  // Oldest unfinished change of an object of at most 2 MiB (or of unknown
  // size): seed 2 promises such objects within ten minutes.
  std::optional<absl::Time> oldest_small_event;

  struct FullLog {
    std::string rule;
    int64_t bytes = 0;
  };
  // Of all rules, the longest logs, longest first: a full one is dropped,
  // whatever the state of the rule.
  std::vector<FullLog> fullest;

  int64_t publishers = 0;  // Registered.
};

// Looks at rules with something in their log only, at a cost that does not grow
// with how much that is: about 3 us a rule. At most `rules_max` rules are named
// in each list. `watermarks` as in ProgressOf.
LogStatus LogStatusOf(ReadTransaction& txn, const Watermarks& watermarks,
                      int rules_max);

}  // namespace crr

#endif  // CRR_SERVER_CORE_LOG_STATUS_H_
