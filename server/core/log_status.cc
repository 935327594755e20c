#include "server/core/log_status.h"

#include "server/core/names.h"
#include "storage/segment_table.h"

namespace crr {

LogStatus LogStatusOf(ReadTransaction& txn, const Watermarks& watermarks,
                      int rules_max, absl::Time now) {
  LogStatus status;
  for (const segment_table::StateTotal& total : segment_table::Totals(txn)) {
    status.by_state[static_cast<RuleState>(total.rule_state)] = {
        total.rules, total.changes, total.bytes};
  }
  for (const segment_table::OldestLog& log :
       segment_table::OldestLogs(txn, rules_max)) {
    const auto rule = rule_table::Get(txn, log.rule_uid);
    if (!rule) continue;
    status.oldest.push_back(
        {.name = NameOfRule(*rule),
         .oldest_event = log.oldest_event,
         .last_sync_time =
             ProgressOf(txn, *rule, watermarks, now).live.last_sync_time});
  }
  status.oldest_small_event = segment_table::OldestSmallEvent(txn);
  return status;
}

}  // namespace crr
