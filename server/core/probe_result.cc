#include "server/core/probe_result.h"

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/core/units.h"
#include "storage/bucket_table.h"
#include "storage/publisher_table.h"

namespace crr {
namespace {

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
  for (const Publisher& publisher :
       publisher_table::Covering(txn, source->id, source->region)) {
    if (!attached.contains(publisher.id)) {
      return {.type = "PUBLISHER_DETACHED",
              .message =
                  absl::StrCat("publisher ", publisher.id, " is not attached")};
    }
  }
  return {};
}

}  // namespace

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
  if (rule.resync == Resync::kNeeded) {
    outcome.events.resync.push_back(rule.uid);
  } else {
    outcome.events.Add(AddChangesUnits(txn, rule));
  }
  return outcome;
}

}  // namespace crr
