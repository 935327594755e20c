#include "server/core/units.h"

#include "server/core/limits.h"
#include "storage/bucket_table.h"
#include "storage/segment_table.h"
#include "storage/server_table.h"

namespace crr {

WorkEvents AddUnit(Transaction& txn, Unit unit) {
  unit.id = TakeUnitId(txn);
  unit_table::Insert(txn, unit);
  WorkEvents events;
  events.added.push_back(DescribeUnit(txn, unit));
  return events;
}

WorkEvents RemoveUnit(Transaction& txn, const Unit& unit) {
  unit_table::Delete(txn, unit.id);
  rule_table::ClearConditions(txn, unit.rule_uid, unit.id);
  WorkEvents events;
  events.removed.push_back(unit.id);
  return events;
}

WorkEvents AddChangesUnits(Transaction& txn, const Rule& rule) {
  WorkEvents events;
  const auto lowest = segment_table::LowestPartition(txn, rule.uid);
  if (!lowest) return events;
  const bool draining = *lowest < rule.first_partition;
  const int64_t begin = draining ? *lowest : rule.first_partition;
  const int64_t end =
      draining ? rule.first_partition : begin + rule.partitions;
  for (int64_t partition = begin; partition < end; ++partition) {
    const auto first =
        segment_table::FirstSequence(txn, rule.uid, partition);
    if (!first || unit_table::FindSingle(txn, rule.uid, UnitKind::kChanges,
                                         partition)) {
      continue;
    }
    events.Add(AddUnit(txn, {.rule_uid = rule.uid,
                             .kind = UnitKind::kChanges,
                             .partition = partition,
                             .cursor = {.sequence = *first - 1, .key = ""}}));
  }
  return events;
}

int64_t LeaseBoundOf(const Rule& rule) {
  if (rule.max_leases != 0 || rule.max_bytes_per_second == 0) {
    return rule.max_leases;
  }
  return limits::kDefaultLeasesOfLimitedRule;
}

UnitInfo DescribeUnit(ReadTransaction& txn, const Unit& unit) {
  UnitInfo info{.unit_id = unit.id,
                .rule_uid = unit.rule_uid,
                .kind = unit.kind,
                .partition = unit.partition,
                .attempts = unit.attempts,
                .max_leases = 0,
                .source_region = "",
                .destination_region = "",
                .cursor_sequence = unit.cursor.sequence,
                .log_end = unit.cursor.sequence};
  if (const auto rule = rule_table::Get(txn, unit.rule_uid)) {
    info.max_leases = LeaseBoundOf(*rule);
    if (const auto bucket = bucket_table::Get(txn, rule->source)) {
      info.source_region = bucket->region;
    }
    if (const auto bucket = bucket_table::Get(txn, rule->destination)) {
      info.destination_region = bucket->region;
    }
  }
  if (unit.kind == UnitKind::kChanges) {
    info.log_end =
        segment_table::LastSequence(txn, unit.rule_uid, unit.partition)
            .value_or(unit.cursor.sequence);
  }
  return info;
}

}  // namespace crr
