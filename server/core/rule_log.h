#ifndef CRR_SERVER_CORE_RULE_LOG_H_
#define CRR_SERVER_CORE_RULE_LOG_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "server/core/change_log.h"
#include "server/core/work_events.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"

namespace crr {

// Takes what a rule wants of a batch: into its log or, when that would pass
// `log_bytes_max` or is being dropped (resync.h), into the count of what a full
// compare stands for. Adds to `counters` where the changes went, and splits the
// log of a rule that is hot.
void LogChanges(Transaction& txn, const Rule& rule,
                const std::vector<const PublishedChange*>& changes,
                int64_t log_bytes_max, absl::Time now, RuleCounters& counters,
                WorkEvents& events);

}  // namespace crr

#endif  // CRR_SERVER_CORE_RULE_LOG_H_
