#include "server/core/ledger.h"

#include "absl/strings/str_cat.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"
#include "storage/segment_table.h"

namespace crr {

Ledger LedgerOf(ReadTransaction& txn, int64_t rule_uid) {
  const RuleCounters counters = rule_table::GetCounters(txn, rule_uid);
  const ObjectWorkTotals objects = object_work_table::Totals(txn, rule_uid);
  const int64_t in_segments = segment_table::Summarize(txn, rule_uid).pending;
  Ledger ledger{
      .published = counters.published,
      .applied = counters.applied,
      .collapsed = counters.collapsed,
      .resync = counters.resync,
      .pending = in_segments + objects.pending,
      .failed = counters.failed,
      .logged = counters.logged,
      .in_segments = in_segments,
      .apart = counters.apart,
      .retrying = objects.pending,
      .dead = objects.failed};
  for (const auto& [reason, changes] :
       rule_table::GetFiltered(txn, rule_uid)) {
    ledger.filtered += changes;
  }
  return ledger;
}

std::string ToText(const Ledger& ledger) {
  return absl::StrCat("published ", ledger.published, ", applied ",
                      ledger.applied, ", collapsed ", ledger.collapsed,
                      ", filtered ", ledger.filtered, ", resync ",
                      ledger.resync, ", pending ", ledger.pending, ", failed ",
                      ledger.failed, ", logged ", ledger.logged,
                      ", in segments ", ledger.in_segments, ", apart ",
                      ledger.apart, ", retried ", ledger.retrying,
                      ", dead letters ", ledger.dead);
}

}  // namespace crr
