#include "server/core/log_status.h"

#include "server/core/change_log.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "storage/publisher_table.h"
#include "storage/segment_table.h"

namespace crr {

LogStatus LogStatusOf(ReadTransaction& txn, const Watermarks& watermarks,
                      int rules_max) {
  LogStatus status;
  for (const segment_table::StateTotal& total : segment_table::Totals(txn)) {
    status.by_state[static_cast<RuleState>(total.rule_state)] = {
        total.rules, total.changes, total.bytes};
  }
  for (const auto& log :
       segment_table::OldestOfRules(txn, UnknownEventTime(), rules_max)) {
    if (const auto rule = rule_table::Get(txn, log.rule_uid)) {
      status.oldest.push_back(
          {.rule = NameOfRule(*rule),
           .oldest_event = log.oldest_event,
           .last_sync_time = SyncTimeOf(txn, *rule, watermarks).time});
    }
  }
  status.oldest_small_event =
      segment_table::OldestSmallEvent(txn, UnknownEventTime(),
                                      limits::kSmallObjectBytes);
  for (const auto& log : segment_table::FullestLogs(txn, rules_max)) {
    if (const auto rule = rule_table::Get(txn, log.rule_uid)) {
      status.fullest.push_back({NameOfRule(*rule), log.bytes});
    }
  }
  status.publishers = publisher_table::Count(txn);
  return status;
}

}  // namespace crr
