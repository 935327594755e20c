#include "server/core/verification.h"

#include <string>
#include <vector>

#include "server/core/names.h"
#include "server/core/refusal.h"
#include "server/core/units.h"
#include "storage/unit_table.h"

namespace crr {

bool DropVerification(Transaction& txn, int64_t rule_uid, int limit,
                      WorkEvents& events) {
  // First, for it makes others.
  if (const auto inventory =
          unit_table::FindSingle(txn, rule_uid, UnitKind::kInventory,
                                 kVerificationInventory)) {
    events.Add(RemoveUnit(txn, *inventory));
  }
  const std::vector<Unit> ranges =
      unit_table::OfKind(txn, rule_uid, UnitKind::kVerify, limit);
  for (const Unit& unit : ranges) events.Add(RemoveUnit(txn, unit));
  return static_cast<int>(ranges.size()) != limit;
}

WorkEvents StartVerification(Transaction& txn, const Rule& rule,
                             VerificationCause cause, bool read_bytes,
                             absl::Time now) {
  WorkEvents events;
  DropVerification(txn, rule.uid, /*limit=*/-1, events);
  verification_table::Start(txn, rule.uid, cause, read_bytes, now);
  events.Add(AddUnit(txn, {.rule_uid = rule.uid,
                           .kind = UnitKind::kInventory,
                           .partition = kVerificationInventory}));
  return events;
}

absl::StatusOr<WorkEvents> RequestVerification(Transaction& txn,
                                               const Rule& rule,
                                               bool read_bytes,
                                               absl::Time now) {
  std::string problem;
  if (rule.state != RuleState::kActive) {
    problem = "only an ACTIVE rule can be verified";
  } else if (rule.resync == Resync::kNeeded) {
    problem = "the rule's log is being dropped; a verification begins by "
              "itself then";
  } else if (rule.historical &&
             (!rule_table::GetCounters(txn, rule.uid).inventory_complete ||
              unit_table::HasHistoricalWork(txn, rule.uid))) {
    problem = "its history is on its way still, and would only be called "
              "missing";
  }
  if (!problem.empty()) {
    return Refuse({.reason = "RULE_STATE",
                   .field = "name",
                   .subject = NameOfRule(rule),
                   .description = problem,
                   .rule = NameOfRule(rule)});
  }
  const auto last = verification_table::Get(txn, rule.uid);
  // One that reads bytes does all that one of the listings does.
  if (last && !last->end_time && (last->read_bytes || !read_bytes)) {
    return WorkEvents{};
  }
  return StartVerification(txn, rule, VerificationCause::kRequested, read_bytes,
                           now);
}

void MaybeFinishVerification(Transaction& txn, const Rule& rule,
                             absl::Time now) {
  if (unit_table::HasKind(txn, rule.uid, UnitKind::kVerify) ||
      unit_table::FindSingle(txn, rule.uid, UnitKind::kInventory,
                             kVerificationInventory)) {
    return;
  }
  verification_table::Finish(txn, rule.uid, now);
  if (rule.resync == Resync::kVerifying) rule_table::ClearResync(txn, rule.uid);
}

}  // namespace crr
