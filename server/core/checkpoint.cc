#include "server/core/checkpoint.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "server/core/checkpoint_sense.h"
#include "server/core/limits.h"
#include "server/core/probe_result.h"
#include "server/core/resync.h"
#include "server/core/units.h"
#include "server/core/verification.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"
#include "storage/segment_table.h"
#include "storage/verification_table.h"

namespace crr {
namespace {

// Objects that this checkpoint settles, those that leave the lane included.
int64_t ObjectsOf(const Checkpoint& cp) {
  return cp.applied + Sum(cp.filtered) +
         static_cast<int64_t>(cp.failed.size());
}

// Takes what leaves the lane over.
WorkEvents Fold(Transaction& txn, const Rule& rule, const Checkpoint& cp,
                const ObjectOrigin& origin, absl::Time now) {
  WorkEvents events;
  for (const ObjectFailure& failure : cp.failed) {
    events.Add(FoldObject(txn, rule, failure, origin, now));
  }
  return events;
}

WorkEvents ApplyChanges(Transaction& txn, const Unit& unit, const Rule& rule,
                        const Checkpoint& cp, absl::Time now) {
  WorkEvents events;
  if (!cp.failed.empty()) {
    // Which of the interval's changes they are is not known here; its oldest
    // event is not after any of them.
    events = Fold(txn, rule, cp,
                  {.oldest_event = segment_table::OldestEventIn(
                       txn, rule.uid, unit.partition, cp.from.sequence,
                       cp.to.sequence)},
                  now);
  }
  rule_table::AddFiltered(txn, rule.uid, cp.filtered);
  rule_table::AddCounters(
      txn, rule.uid,
      {.applied = cp.applied,
       .collapsed = cp.collapsed,
       .logged = cp.from.sequence - cp.to.sequence,
       .log_bytes = -segment_table::DeleteThrough(
           txn, rule.uid, unit.partition, cp.to.sequence)});
  if (rule.partitions == 1 && unit.partition == rule.first_partition) {
    return events;
  }
  // The log of a rule that has grown.
  const auto lowest = segment_table::LowestPartition(txn, rule.uid);
  if (!lowest && rule.partitions > 1) {
    // Nothing is left whose order counts: one log is enough again.
    rule_table::SetPartitions(txn, rule.uid,
                              rule.first_partition + rule.partitions, 1);
  } else if (lowest && unit.partition < rule.first_partition &&
             *lowest >= rule.first_partition) {
    events.Add(AddChangesUnits(txn, rule));
  }
  return events;
}

WorkEvents ApplyRange(Transaction& txn, const Unit& unit, const Rule& rule,
                      const Checkpoint& cp, absl::Time now) {
  RuleCounters delta{.historical_done = cp.applied + Sum(cp.filtered),
                     .historical_skipped = Sum(cp.filtered),
                     .historical_bytes = cp.bytes};
  if (cp.complete) {
    // A range's total becomes what was visited.
    delta.historical_total = unit.visited + ObjectsOf(cp) - unit.listed;
  }
  rule_table::AddCounters(txn, rule.uid, delta);
  return Fold(txn, rule, cp, {.historical = true}, now);
}

void ApplyComparison(Transaction& txn, const Rule& rule, const Checkpoint& cp) {
  std::map<std::string, int64_t> differences;
  std::vector<std::pair<std::string, std::string>> samples;
  for (const ObjectFailure& failure : cp.failed) {
    ++differences[failure.reason];
    samples.emplace_back(failure.key, failure.reason);
  }
  if (cp.compared->foreign > 0) differences["FOREIGN"] = cp.compared->foreign;
  for (const std::string& key : cp.compared->foreign_keys) {
    samples.emplace_back(key, "FOREIGN");
  }
  verification_table::Add(
      txn, rule.uid,
      cp.compared->equal + cp.compared->foreign +
          static_cast<int64_t>(cp.failed.size()),
      cp.compared->equal, differences, samples,
      limits::kVerificationSamplesMax);
}

bool IsHistorical(const Unit& unit) {
  return unit.kind == UnitKind::kBackfill ||
         (unit.kind == UnitKind::kInventory &&
          unit.partition != kVerificationInventory);
}

WorkEvents AddRanges(Transaction& txn, const Unit& unit,
                     const Checkpoint& cp) {
  WorkEvents events;
  const bool verify = unit.partition == kVerificationInventory;
  RuleCounters delta;
  std::string start = cp.from.key;
  const auto add = [&](const std::string& end, int64_t objects) {
    events.Add(AddUnit(
        txn, {.rule_uid = unit.rule_uid,
              .kind = verify ? UnitKind::kVerify : UnitKind::kBackfill,
              .cursor = {.sequence = 0, .key = start},
              .range_start = start,
              .range_end = end,
              .listed = objects}));
    delta.historical_total += objects;
    start = end;
  };
  for (const Checkpoint::Range& range : cp.ranges) {
    add(range.end, range.objects);
  }
  if (verify) {
    // What is behind the last key of the source may stand at the destination.
    if (cp.complete) add("", 0);
    return events;
  }
  delta.inventory_complete = cp.complete;
  rule_table::AddCounters(txn, unit.rule_uid, delta);
  return events;
}

// Parts of an object, or its end.
CheckpointOutcome ApplyObject(Transaction& txn, const Unit& unit,
                              const Checkpoint& cp,
                              CheckpointOutcome outcome) {
  auto work = object_work_table::OfUnit(txn, unit.id);
  if (!work) return CheckpointOutcome{};
  // The same parts once more, of an upload that came to nothing, are no
  // progress: an object that is damaged at its end must have a last attempt.
  outcome.progressed = cp.complete || cp.to.sequence > work->parts_most;
  if (cp.upload && (cp.upload->id != work->upload_id ||
                    cp.upload->source_etag != work->upload_etag)) {
    work->upload_id = cp.upload->id;
    work->upload_etag = cp.upload->source_etag;
  } else if (cp.to == cp.from && !cp.complete) {
    return outcome;
  }
  work->parts_most = std::max(work->parts_most, cp.to.sequence);
  if (outcome.progressed) work->failing_since.reset();
  object_work_table::Put(txn, *work);
  outcome.cursor = cp.to;
  outcome.bytes = cp.bytes;
  if (work->historical) {
    rule_table::AddCounters(txn, work->rule_uid,
                            {.historical_bytes = cp.bytes});
  }
  if (outcome.progressed) {
    unit_table::Progress(txn, unit.id, cp.to, 0);
  } else {
    unit_table::MoveCursor(txn, unit.id, cp.to);
  }
  rule_table::ClearConditions(txn, unit.rule_uid, unit.id);
  if (!cp.complete) return outcome;
  outcome.lease_over = true;
  outcome.settled = 1;
  const std::string filter_reason =
      cp.filtered.empty() ? "" : cp.filtered.begin()->first;
  if (!FinishObject(txn, unit, filter_reason, outcome.events)) {
    unit_table::EndLease(txn, unit.id);
    unit_table::Progress(txn, unit.id, Cursor{}, 0);
  }
  return outcome;
}

}  // namespace

absl::StatusOr<CheckpointOutcome> ApplyCheckpoint(
    Transaction& txn, const Checkpoint& cp,
    const std::set<std::string>& attached, absl::Time now) {
  using Result = CheckpointOutcome::Result;
  const auto unit = unit_table::Get(txn, cp.unit_id);
  // Token 0 is that of no grant.
  if (!unit || unit->token != cp.token || cp.token == 0) {
    return CheckpointOutcome{};
  }
  CRR_RETURN_IF_ERROR(CheckSense(*unit, cp));
  const auto rule = rule_table::Get(txn, unit->rule_uid);
  if (!rule) return CheckpointOutcome{};
  CheckpointOutcome outcome{.result = Result::kRecorded,
                            .cursor = unit->cursor,
                            .lease_over = false,
                            .rule_uid = rule->uid,
                            .kind = unit->kind,
                            .events = {}};
  if (unit->kind == UnitKind::kProbe) {
    // A lease that ended after a failed probe has nothing left to report; a
    // rule that is closing is not started any more.
    if (!unit_table::GetLease(txn, unit->id) ||
        rule->state != RuleState::kStarting) {
      return CheckpointOutcome{};
    }
    return FinishProbe(txn, *unit, *rule, cp, attached, now);
  }
  if (unit->kind == UnitKind::kChanges &&
      (rule->resync == Resync::kNeeded || rule->state == RuleState::kClosing) &&
      !unit_table::GetLease(txn, unit->id)) {
    // What is left of the log is being counted as dropped, step by step: it
    // must not be counted by a late holder as well.
    return CheckpointOutcome{};
  }
  if (unit->cursor != cp.from) {
    // The same again, after its answer was lost; or another's work.
    if (unit->cursor != cp.to) outcome.result = Result::kCursorDiffers;
    return outcome;
  }
  if (unit->kind == UnitKind::kObject) {
    return ApplyObject(txn, *unit, cp, std::move(outcome));
  }
  if (cp.to == cp.from && !cp.complete) return outcome;
  if (unit->kind == UnitKind::kChanges &&
      cp.to.sequence >
          segment_table::LastSequence(txn, unit->rule_uid, unit->partition)
              .value_or(unit->cursor.sequence)) {
    return Senseless("it settles what was never logged");
  }
  if (!cp.failed.empty() && object_work_table::Count(txn, rule->uid) >=
                                limits::kFailedObjectsMax) {
    outcome.result = Result::kObjectsFull;
    return outcome;
  }
  switch (unit->kind) {
    case UnitKind::kInventory:
      outcome.events.Add(AddRanges(txn, *unit, cp));
      break;
    case UnitKind::kChanges:
      outcome.events.Add(ApplyChanges(txn, *unit, *rule, cp, now));
      outcome.settled = cp.to.sequence - cp.from.sequence;
      break;
    case UnitKind::kBackfill:
      outcome.events.Add(ApplyRange(txn, *unit, *rule, cp, now));
      outcome.settled = ObjectsOf(cp);
      break;
    case UnitKind::kVerify:
      ApplyComparison(txn, *rule, cp);
      outcome.events.Add(Fold(txn, *rule, cp, {.repair = true}, now));
      outcome.settled = cp.compared->equal + cp.compared->foreign +
                        static_cast<int64_t>(cp.failed.size());
      break;
    case UnitKind::kObject:
    case UnitKind::kProbe:
      break;  // Above.
  }
  outcome.bytes = cp.bytes;
  outcome.cursor = cp.to;
  if (cp.complete) {
    outcome.lease_over = true;
    outcome.events.Add(RemoveUnit(txn, *unit));
    if (unit->kind == UnitKind::kVerify) {
      MaybeFinishVerification(txn, *rule, now);
    } else if (rule->resync == Resync::kVerifying && IsHistorical(*unit)) {
      outcome.events.Add(VerifyAfterDrop(txn, rule->uid, now));
    }
    return outcome;
  }
  unit_table::Progress(txn, unit->id, cp.to, unit->visited + ObjectsOf(cp));
  rule_table::ClearConditions(txn, unit->rule_uid, unit->id);
  return outcome;
}

}  // namespace crr
