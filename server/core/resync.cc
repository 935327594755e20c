#include "server/core/resync.h"

#include "server/core/limits.h"
#include "server/core/units.h"
#include "server/core/verification.h"
#include "storage/rule_table.h"
#include "storage/segment_table.h"
#include "storage/unit_table.h"

namespace crr {

absl::StatusOr<ResyncOutcome> ResyncStep(Transaction& txn, int64_t rule_uid,
                                         absl::Time now) {
  ResyncOutcome outcome;
  const auto rule = rule_table::Get(txn, rule_uid);
  if (!rule || rule->resync != Resync::kNeeded ||
      rule->state == RuleState::kClosing) {
    outcome.done = true;
    return outcome;
  }
  const std::vector<Unit> logs =
      unit_table::OfKind(txn, rule_uid, UnitKind::kChanges);
  for (const Unit& unit : logs) {
    if (unit_table::GetLease(txn, unit.id)) {
      return absl::FailedPreconditionError("a lease on the log lives");
    }
  }
  const segment_table::PurgeResult purged =
      segment_table::Purge(txn, rule_uid, limits::kPurgeStep);
  rule_table::AddCounters(
      txn, rule_uid,
      {.resync = purged.changes,
       .logged = -purged.changes,
       .log_bytes = -purged.bytes});
  if (!purged.log_empty) return outcome;
  outcome.done =
      DropVerification(txn, rule_uid, limits::kPurgeStep, outcome.events);
  if (!outcome.done) return outcome;
  for (const Unit& unit : logs) outcome.events.Add(RemoveUnit(txn, unit));
  if (rule->state != RuleState::kActive) return outcome;
  rule_table::SetVerifying(txn, rule_uid);
  outcome.events.Add(VerifyAfterDrop(txn, rule_uid, now));
  return outcome;
}

WorkEvents VerifyAfterDrop(Transaction& txn, int64_t rule_uid,
                           absl::Time now) {
  const auto rule = rule_table::Get(txn, rule_uid);
  if (!rule || rule->state == RuleState::kClosing ||
      rule->resync != Resync::kVerifying ||
      unit_table::HasHistoricalWork(txn, rule_uid)) {
    return {};
  }
  return StartVerification(txn, *rule,
                           rule->restored ? VerificationCause::kRestored
                                          : VerificationCause::kLogOverflow,
                           /*read_bytes=*/false, now);
}

}  // namespace crr
