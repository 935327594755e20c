#include "server/core/work.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/conditions.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/object_lane.h"
#include "server/core/refusal.h"
#include "server/core/units.h"
#include "storage/object_work_table.h"
#include "storage/region_table.h"
#include "storage/segment_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"
#include "storage/verification_table.h"

namespace crr {
namespace {

// A token is incarnation << 40 | counter: a restored database cannot give one
// again.
constexpr int kIncarnationShift = 40;

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

// From when on what happens at the source is compared, and repaired: a repair
// must come to the decision of the verification that asked for it. A user's
// verification keeps to the letter. One that stands for a log that is gone must
// miss nothing of it, though the store's clock, which stamps, be behind; it may
// then take in what came just before the rule.
std::optional<absl::Time> ComparedSince(ReadTransaction& txn,
                                        const Rule& rule) {
  if (rule.historical) return std::nullopt;
  const auto verification = verification_table::Get(txn, rule.uid);
  return verification && verification->cause != VerificationCause::kRequested
             ? rule.create_time - limits::kClockSkewMax
             : rule.create_time;
}

// What only some kinds of leases carry.
void AddDetails(Transaction& txn, const Unit& unit, const Rule& rule,
                LeaseSpec& spec) {
  switch (unit.kind) {
    case UnitKind::kChanges:
    case UnitKind::kBackfill:
      // `attempts` as they were before this grant.
      spec.serial = unit.attempts >= limits::kLaneLossesMax;
      spec.isolate_first = unit.attempts > limits::kLaneLossesMax;
      return;
    case UnitKind::kObject:
      if (auto work = object_work_table::OfUnit(txn, unit.id)) {
        spec.object = {.key = work->key,
                       .deletion = work->deletion,
                       .upload_id = work->upload_id,
                       .upload_etag = work->upload_etag,
                       .size_bytes = work->size_bytes};
        // Changes came by the door, which let nothing in that is too old.
        if (work->changes == 0) spec.changed_since = ComparedSince(txn, rule);
        work->granted = work->generation;
        object_work_table::Put(txn, *work);
      }
      return;
    case UnitKind::kVerify:
      spec.changed_since = ComparedSince(txn, rule);
      if (const auto verification = verification_table::Get(txn, rule.uid)) {
        spec.read_bytes = verification->read_bytes;
      }
      return;
    case UnitKind::kProbe:
    case UnitKind::kInventory:
      return;
  }
}

}  // namespace

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

int64_t LeaseRateOf(const Rule& rule) {
  if (rule.max_bytes_per_second == 0) return 0;
  // An even share of the leases that may live at once is never too much.
  return std::max<int64_t>(1, rule.max_bytes_per_second / LeaseBoundOf(rule));
}

WorkEvents WakeLog(Transaction& txn, const Rule& rule) {
  WorkEvents events;
  if (rule.resync == Resync::kNeeded) {
    events.resync.push_back(rule.uid);
    return events;
  }
  for (const Unit& unit :
       unit_table::OfKind(txn, rule.uid, UnitKind::kChanges)) {
    events.grown.push_back({unit.id, DescribeUnit(txn, unit).log_end});
  }
  events.Add(AddChangesUnits(txn, rule));
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

// A rule's limit makes its copiers slow, not stuck: the largest object that a
// lane copies comes on top, and so does a part.
absl::Duration SilenceOf(ReadTransaction& txn, const Unit& unit) {
  absl::Duration silence;
  if (unit.kind == UnitKind::kVerify) {
    const auto verification = verification_table::Get(txn, unit.rule_uid);
    // One object may be as large as a store takes.
    if (verification && verification->read_bytes) {
      return absl::InfiniteDuration();
    }
  }
  if (unit.kind == UnitKind::kObject) {
    // Once to be hashed whole, and once to be proven.
    if (const auto work = object_work_table::OfUnit(txn, unit.id)) {
      silence += absl::Seconds(2 * work->size_bytes /
                               limits::kReadBytesPerSecondMin);
    }
  }
  const auto rule = rule_table::Get(txn, unit.rule_uid);
  if (const int64_t rate = rule ? LeaseRateOf(*rule) : 0; rate != 0) {
    silence += absl::Seconds(limits::kLargeObjectBytes / rate);
  }
  return silence;
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
  spec.silence = SilenceOf(txn, *unit);
  AddDetails(txn, *unit, *rule, spec);
  spec.rule = *std::move(rule);
  unit_table::Grant(txn,
                    {.unit_id = unit_id,
                     .session_number = session_number,
                     .token = spec.token},
                    now);
  return spec;
}

WorkEvents EndLease(Transaction& txn, int64_t unit_id, int64_t token,
                    const LeaseEnd& end, absl::Time now) {
  const auto lease = unit_table::GetLease(txn, unit_id);
  if (!lease || lease->token != token) return {};
  unit_table::EndLease(txn, unit_id);
  const auto unit = unit_table::Get(txn, unit_id);
  if (!unit) return {};
  if (unit->kind == UnitKind::kChanges &&
      !segment_table::LastSequence(txn, unit->rule_uid, unit->partition)) {
    return RemoveUnit(txn, *unit);
  }
  using Kind = LeaseEnd::Kind;
  if (unit->kind == UnitKind::kObject && end.kind == Kind::kLost) {
    return FailObject(txn, *unit, kCopierLost,
                      "its copier was gone in the middle", now);
  }
  if (unit->kind == UnitKind::kObject && end.kind == Kind::kObjectFailed) {
    return FailObject(txn, *unit, end.reason, end.message, now);
  }
  if (unit->kind == UnitKind::kObject && end.kind == Kind::kProblem) {
    DeferObject(txn, *unit, end.reason, end.message, now);
  }
  if (end.kind != Kind::kLost) unit_table::TakeBackAttempt(txn, unit_id);
  if (!end.reason.empty()) {
    rule_table::SetCondition(
        txn, unit->rule_uid,
        {.type = "LANE_FAILING",
         .unit_id = unit_id,
         .message = absl::StrCat(end.reason, end.message.empty() ? "" : ": ",
                                 end.message),
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
  const segment_table::PurgeResult purged =
      segment_table::Purge(txn, rule_uid, limits::kPurgeStep);
  rule_table::AddFiltered(txn, rule_uid, {{"RULE_CLOSED", purged.changes}});
  rule_table::AddCounters(
      txn, rule_uid,
      {.logged = -purged.changes, .log_bytes = -purged.bytes});
  if (!purged.log_empty ||
      !PurgeObjects(txn, *rule, limits::kPurgeStep, outcome.events)) {
    return outcome;
  }
  const std::vector<Unit> units =
      unit_table::OfRule(txn, rule_uid, limits::kPurgeStep);
  for (const Unit& unit : units) outcome.events.Add(RemoveUnit(txn, unit));
  if (units.size() == limits::kPurgeStep) return outcome;
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
