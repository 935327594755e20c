#include "server/core/work.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/conditions.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/refusal.h"
#include "storage/publisher_table.h"
#include "storage/region_table.h"
#include "storage/segment_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"

namespace crr {
namespace {

// Partitions of a rule's log; more than one comes with hot rules.
constexpr int64_t kOnlyPartition = 0;

// A token is incarnation << 40 | counter: a restored database cannot give one
// again.
constexpr int kIncarnationShift = 40;

// Beyond any bucket, and so far below the end of the numbers that sums of them
// do not wrap around.
constexpr int64_t kCountMax = int64_t{1} << 50;

// Why a copier may leave out an object (semantics.md §2.8).
bool IsFilterReason(absl::string_view reason) {
  return reason == "REPLICA" || reason == "SSE_KMS" || reason == "WORM" ||
         reason == "COLD_ARCHIVE" || reason == "SYMLINK";
}

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

LeaseEndpoint EndpointOf(ReadTransaction& txn, const std::string& bucket,
                         const std::string& identity) {
  LeaseEndpoint endpoint{.bucket = {}, .store_root = "", .credentials = "",
                         .identity = identity};
  if (auto found = bucket_table::Get(txn, bucket)) {
    endpoint.bucket = *std::move(found);
  }
  if (const auto region = region_table::Get(txn, endpoint.bucket.region)) {
    endpoint.store_root = region->store_root.value_or("");
    endpoint.credentials = region->credentials;
  }
  return endpoint;
}

int64_t Sum(const std::map<std::string, int64_t>& counts) {
  int64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

absl::Status Senseless(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("checkpoint: ", why));
}

absl::Status CheckSense(const Unit& unit, const Checkpoint& cp) {
  const auto is_count = [](int64_t n) { return n >= 0 && n <= kCountMax; };
  if (cp.from.sequence < 0 || cp.to.sequence < 0) {
    return Senseless("a sequence number is negative");
  }
  if (!is_count(cp.applied) || !is_count(cp.collapsed) || !is_count(cp.bytes) ||
      !std::all_of(cp.filtered.begin(), cp.filtered.end(),
                   [&](const auto& entry) {
                     return IsFilterReason(entry.first) &&
                            is_count(entry.second);
                   })) {
    return Senseless("a count is out of range, or its reason is unknown");
  }
  const int64_t settled = cp.applied + cp.collapsed + Sum(cp.filtered);
  const bool by_sequence = unit.kind == UnitKind::kChanges;
  if (by_sequence ? !cp.to.key.empty() : cp.to.sequence != 0) {
    return Senseless("the cursor is of another kind of unit");
  }
  if (cp.from == cp.to && settled != 0) {
    return Senseless("an empty interval settles nothing");
  }
  switch (unit.kind) {
    case UnitKind::kChanges:
      if (cp.complete || cp.to.sequence < cp.from.sequence) {
        return Senseless("a log is never complete and never runs back");
      }
      if (settled != cp.to.sequence - cp.from.sequence) {
        return Senseless("the counts do not add up to the interval");
      }
      return absl::OkStatus();
    case UnitKind::kBackfill:
      if (cp.to.key < cp.from.key || cp.collapsed != 0) {
        return Senseless("a range never runs back and collapses nothing");
      }
      if (cp.to.key > unit.range_end ||
          (cp.complete && cp.to.key != unit.range_end)) {
        return Senseless("a range is complete at its end and not before");
      }
      return absl::OkStatus();
    case UnitKind::kInventory: {
      if (settled != 0 || cp.ranges.size() > limits::kRangesPerCheckpointMax) {
        return Senseless("an inventory only lists, and in bounded steps");
      }
      std::string last = cp.from.key;
      for (const Checkpoint::Range& range : cp.ranges) {
        if (range.end <= last || range.objects < 1 ||
            !is_count(range.objects)) {
          return Senseless("ranges must rise and hold objects");
        }
        last = range.end;
      }
      if (last != cp.to.key) return Senseless("ranges must end at the cursor");
      return absl::OkStatus();
    }
    case UnitKind::kProbe:
      if (!cp.probe || !cp.complete) {
        return Senseless("a probe reports once, what it found");
      }
      return absl::OkStatus();
    case UnitKind::kObject:
    case UnitKind::kVerify:
      break;
  }
  return Senseless("unknown kind");
}

// Why the rule cannot become active, or empty.
Condition ProblemOf(ReadTransaction& txn, const Rule& rule,
                    const Checkpoint::Probe& probe,
                    const std::set<std::string>& attached) {
  const auto source = bucket_table::Get(txn, rule.source);
  const auto destination = bucket_table::Get(txn, rule.destination);
  if (!source || !destination) return {};
  const auto check = [](const Bucket& registered,
                        const Checkpoint::Finding& finding) -> std::string {
    const std::string name = NameOfBucket(registered.id);
    if (!finding.problem.empty()) {
      return absl::StrCat(name, ": ", finding.problem);
    }
    if (finding.identity.empty()) {
      return absl::StrCat(name, ": its store gives it no identity");
    }
    if (finding.versioning != registered.versioning) {
      return absl::StrCat(name,
                          ": its versioning in the store is not the one that "
                          "is registered");
    }
    return "";
  };
  std::string problem = check(*source, probe.source);
  if (problem.empty()) problem = check(*destination, probe.destination);
  if (!problem.empty()) return {.type = "PROBE_FAILED", .message = problem};
  // Design §4: history begins only once every publisher of the source is
  // attached, so that no change falls between the listing and the log.
  for (const std::string& publisher :
       publisher_table::Covering(txn, source->id, source->region)) {
    if (!attached.contains(publisher)) {
      return {.type = "PUBLISHER_DETACHED",
              .message =
                  absl::StrCat("publisher ", publisher, " is not attached")};
    }
  }
  return {};
}

// The CHANGES unit of a rule whose log is not empty.
WorkEvents AddChangesUnit(Transaction& txn, int64_t rule_uid) {
  const auto first =
      segment_table::FirstSequence(txn, rule_uid, kOnlyPartition);
  if (!first) return {};
  return AddUnit(txn, {.rule_uid = rule_uid,
                       .kind = UnitKind::kChanges,
                       .partition = kOnlyPartition,
                       .cursor = {.sequence = *first - 1, .key = ""}});
}

CheckpointOutcome FinishProbe(Transaction& txn, const Unit& unit,
                              const Rule& rule, const Checkpoint& cp,
                              const std::set<std::string>& attached,
                              absl::Time now) {
  CheckpointOutcome outcome{.result = CheckpointOutcome::Result::kRecorded,
                            .cursor = {},
                            .lease_over = true,
                            .events = {}};
  rule_table::ClearConditions(txn, rule.uid, unit.id);
  Condition problem = ProblemOf(txn, rule, *cp.probe, attached);
  if (!problem.type.empty()) {
    problem.unit_id = unit.id;
    problem.since = now;
    rule_table::SetCondition(txn, rule.uid, problem);
    unit_table::EndLease(txn, unit.id);
    return outcome;
  }
  outcome.events.Add(RemoveUnit(txn, unit));
  rule_table::SetActive(txn, rule.uid, cp.probe->source.identity,
                        cp.probe->destination.identity, now);
  if (rule.historical) {
    outcome.events.Add(
        AddUnit(txn, {.rule_uid = rule.uid, .kind = UnitKind::kInventory}));
  }
  outcome.events.Add(AddChangesUnit(txn, rule.uid));
  return outcome;
}

// Counters of an interval that BACKFILL or CHANGES settled.
void CountWork(Transaction& txn, const Unit& unit, const Checkpoint& cp) {
  RuleCounters delta;
  if (unit.kind == UnitKind::kChanges) {
    delta.applied = cp.applied;
    delta.collapsed = cp.collapsed;
    delta.log_bytes = -segment_table::DeleteThrough(
        txn, unit.rule_uid, unit.partition, cp.to.sequence);
    rule_table::AddFiltered(txn, unit.rule_uid, cp.filtered);
  } else {
    delta.historical_done = cp.applied + Sum(cp.filtered);
    delta.historical_skipped = Sum(cp.filtered);
    delta.historical_bytes = cp.bytes;
    if (cp.complete) {
      // A range's total becomes what was visited.
      delta.historical_total =
          unit.visited + delta.historical_done - unit.listed;
    }
  }
  rule_table::AddCounters(txn, unit.rule_uid, delta);
}

WorkEvents AddRanges(Transaction& txn, const Unit& unit,
                     const Checkpoint& cp) {
  WorkEvents events;
  RuleCounters delta;
  std::string start = cp.from.key;
  for (const Checkpoint::Range& range : cp.ranges) {
    events.Add(AddUnit(txn, {.rule_uid = unit.rule_uid,
                             .kind = UnitKind::kBackfill,
                             .cursor = {.sequence = 0, .key = start},
                             .range_start = start,
                             .range_end = range.end,
                             .listed = range.objects}));
    delta.historical_total += range.objects;
    start = range.end;
  }
  delta.inventory_complete = cp.complete;
  rule_table::AddCounters(txn, unit.rule_uid, delta);
  return events;
}

}  // namespace

UnitInfo DescribeUnit(ReadTransaction& txn, const Unit& unit) {
  UnitInfo info{.unit_id = unit.id,
                .rule_uid = unit.rule_uid,
                .kind = unit.kind,
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

absl::StatusOr<int64_t> StartSession(Transaction& txn,
                                     const std::string& copier,
                                     const std::string& region,
                                     std::optional<int64_t> known,
                                     absl::Time now) {
  const auto newest = session_table::Newest(txn, copier);
  if (known && newest && newest->number > *known &&
      newest->successor_of != *known) {
    return Refuse(
        {.reason = "SESSION_SUPERSEDED",
         .description = "a newer session of this copier took over"});
  }
  const int64_t number = TakeSessionNumber(txn);
  session_table::Insert(txn,
                        {.number = number,
                         .copier = copier,
                         .region = region,
                         .successor_of = known.value_or(0)},
                        now);
  session_table::DeleteSuperseded(txn, copier);
  return number;
}

int64_t LeaseBoundOf(const Rule& rule) {
  if (rule.max_leases != 0 || rule.max_bytes_per_second == 0) {
    return rule.max_leases;
  }
  return limits::kDefaultLeasesOfLimitedRule;
}

int64_t LeaseRateOf(const Rule& rule) {
  if (rule.max_bytes_per_second == 0) return 0;
  // An even share of the leases that may live at once is never too much.
  return std::max<int64_t>(1, rule.max_bytes_per_second / LeaseBoundOf(rule));
}

WorkEvents WakeLog(Transaction& txn, int64_t rule_uid) {
  const auto unit = unit_table::FindSingle(txn, rule_uid, UnitKind::kChanges,
                                           kOnlyPartition);
  if (!unit) return AddChangesUnit(txn, rule_uid);
  WorkEvents events;
  events.grown.push_back({unit->id, DescribeUnit(txn, *unit).log_end});
  return events;
}

WorkEvents StartIfReady(Transaction& txn, int64_t rule_uid) {
  const auto rule = rule_table::Get(txn, rule_uid);
  if (!rule || rule->state != RuleState::kStarting ||
      !WhatKeepsFromStarting(txn, *rule).empty() ||
      unit_table::FindSingle(txn, rule_uid, UnitKind::kProbe, 0)) {
    return {};
  }
  return AddUnit(txn, {.rule_uid = rule_uid, .kind = UnitKind::kProbe});
}

absl::StatusOr<LeaseSpec> GrantUnit(Transaction& txn, int64_t unit_id,
                                    int64_t session_number, absl::Time now) {
  const auto unit = unit_table::Get(txn, unit_id);
  if (!unit) return absl::NotFoundError("the unit is gone");
  if (unit_table::GetLease(txn, unit_id)) {
    return absl::FailedPreconditionError("the unit is leased");
  }
  auto rule = rule_table::Get(txn, unit->rule_uid);
  const RuleState needed = unit->kind == UnitKind::kProbe
                               ? RuleState::kStarting
                               : RuleState::kActive;
  if (!rule || rule->state != needed) {
    return absl::FailedPreconditionError("the rule takes no such lease now");
  }
  LeaseSpec spec{
      .unit_id = unit_id,
      .token = GetIncarnation(txn) << kIncarnationShift |
               rule_table::TakeToken(txn, rule->uid),
      .kind = unit->kind,
      .rule = {},
      .source = EndpointOf(txn, rule->source, rule->source_identity),
      .destination =
          EndpointOf(txn, rule->destination, rule->destination_identity),
      .cursor = unit->cursor,
      .range_start = unit->range_start,
      .range_end = unit->range_end,
      .bytes_per_second = 0};
  spec.bytes_per_second = LeaseRateOf(*rule);
  spec.rule = *std::move(rule);
  unit_table::Grant(txn,
                    {.unit_id = unit_id,
                     .session_number = session_number,
                     .token = spec.token},
                    now);
  return spec;
}

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
  if (unit->cursor != cp.from) {
    // The same again, after its answer was lost; or another's work.
    if (unit->cursor != cp.to) outcome.result = Result::kCursorDiffers;
    return outcome;
  }
  if (cp.to == cp.from && !cp.complete) return outcome;
  if (unit->kind == UnitKind::kChanges &&
      cp.to.sequence >
          segment_table::LastSequence(txn, unit->rule_uid, unit->partition)
              .value_or(unit->cursor.sequence)) {
    return Senseless("it settles what was never logged");
  }
  if (unit->kind == UnitKind::kInventory) {
    outcome.events.Add(AddRanges(txn, *unit, cp));
  } else {
    CountWork(txn, *unit, cp);
    outcome.kind = unit->kind;
    outcome.settled = cp.applied + cp.collapsed + Sum(cp.filtered);
    outcome.bytes = cp.bytes;
  }
  outcome.cursor = cp.to;
  if (cp.complete) {
    outcome.lease_over = true;
    outcome.events.Add(RemoveUnit(txn, *unit));
    return outcome;
  }
  unit_table::Progress(txn, unit->id, cp.to,
                       unit->visited + cp.applied + Sum(cp.filtered));
  rule_table::ClearConditions(txn, unit->rule_uid, unit->id);
  return outcome;
}

WorkEvents EndLease(Transaction& txn, int64_t unit_id, int64_t token,
                    const std::string& problem, absl::Time now) {
  const auto lease = unit_table::GetLease(txn, unit_id);
  if (!lease || lease->token != token) return {};
  unit_table::EndLease(txn, unit_id);
  const auto unit = unit_table::Get(txn, unit_id);
  if (!unit) return {};
  if (unit->kind == UnitKind::kChanges &&
      !segment_table::LastSequence(txn, unit->rule_uid, unit->partition)) {
    return RemoveUnit(txn, *unit);
  }
  if (!problem.empty()) {
    rule_table::SetCondition(txn, unit->rule_uid,
                             {.type = "LANE_FAILING",
                              .unit_id = unit_id,
                              .message = problem,
                              .since = now});
  }
  return {};
}

void NoteTrouble(Transaction& txn, int64_t unit_id, int64_t token,
                 const std::string& message, absl::Time now) {
  const auto unit = unit_table::Get(txn, unit_id);
  if (!unit || unit->token != token) return;
  rule_table::SetCondition(txn, unit->rule_uid,
                           {.type = "OBJECT_FAILING",
                            .unit_id = unit_id,
                            .message = message,
                            .since = now});
}

absl::StatusOr<ClosingOutcome> CloseStep(Transaction& txn, int64_t rule_uid) {
  const auto rule = rule_table::Get(txn, rule_uid);
  if (!rule) return ClosingOutcome{.gone = true, .events = {}};
  if (rule->state != RuleState::kClosing ||
      unit_table::RuleHasLease(txn, rule_uid)) {
    return absl::FailedPreconditionError("a lease of the rule lives");
  }
  ClosingOutcome outcome;
  // What was pending leaves the ledger under a name of its own, so that the
  // sum holds to the end.
  const auto changes = unit_table::FindSingle(txn, rule_uid, UnitKind::kChanges,
                                              kOnlyPartition);
  const segment_table::PurgeResult purged =
      segment_table::Purge(txn, rule_uid, changes ? changes->cursor.sequence : 0,
                           limits::kPurgeStep);
  rule_table::AddFiltered(txn, rule_uid, {{"RULE_CLOSED", purged.changes}});
  if (!purged.log_empty) return outcome;
  int left = limits::kPurgeStep;
  for (const Unit& unit : unit_table::OfRule(txn, rule_uid)) {
    if (left-- == 0) return outcome;
    outcome.events.Add(RemoveUnit(txn, unit));
  }
  rule_table::Delete(txn, rule_uid);
  const auto reverse = rule_table::GetBySource(txn, rule->destination);
  if (reverse && reverse->destination == rule->source) {
    // The pair stands on; the other direction may have waited for this one.
    outcome.events.Add(StartIfReady(txn, reverse->uid));
  } else {
    bucket_table::FreePair(txn, rule->source, rule->destination);
  }
  outcome.gone = true;
  return outcome;
}

}  // namespace crr
