#include "server/core/rule_manager.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/names.h"
#include "server/core/units.h"
#include "server/core/work.h"
#include "storage/bucket_table.h"
#include "storage/region_table.h"
#include "storage/server_table.h"

namespace crr {
namespace {

std::optional<BucketFacts> FactsOf(ReadTransaction& txn,
                                   const std::optional<std::string>& id) {
  if (!id) return std::nullopt;
  auto bucket = bucket_table::Get(txn, *id);
  if (!bucket) return std::nullopt;
  auto region = region_table::Get(txn, bucket->region);
  if (!region) return std::nullopt;
  BucketFacts facts{.bucket = *std::move(bucket),
                    .region = *std::move(region),
                    .partner = bucket_table::Partner(txn, *id),
                    .outgoing = rule_table::GetBySource(txn, *id),
                    .incoming = std::nullopt};
  if (facts.partner) {
    // A bucket is the destination of its partner's rule, or of none.
    auto incoming = rule_table::GetBySource(txn, *facts.partner);
    if (incoming && incoming->destination == *id) {
      facts.incoming = *std::move(incoming);
    }
  }
  return facts;
}

Violation WrongState(const Rule& rule, const std::string& field,
                     absl::string_view why) {
  const std::string name = NameOfRule(rule);
  return {.reason = "RULE_STATE",
          .field = field,
          .subject = name,
          .description = absl::StrCat(name, ": ", why),
          .rule = name};
}

}  // namespace

std::vector<Violation> ValidateRule(ReadTransaction& txn, const NewRule& rule,
                                    std::vector<Violation> found) {
  const RuleFacts facts{.policy = region_table::GetPolicy(txn),
                        .source = FactsOf(txn, rule.source),
                        .destination = FactsOf(txn, rule.destination)};
  for (Violation& violation : CheckRequest(rule)) {
    found.push_back(std::move(violation));
  }
  std::vector<Violation> state = CheckState(rule, facts);
  // That the owners differ is told alone, or not at all.
  if (state.size() == 1 && state.front().reason == "DIFFERENT_OWNER") {
    return found.empty() ? state : found;
  }
  for (Violation& violation : state) found.push_back(std::move(violation));
  return found;
}

Rule MakeRule(const NewRule& request, absl::Time now) {
  Rule rule{.uid = 0,
            .source = *request.source,
            .destination = *request.destination,
            .id = request.id,
            .prefixes = request.prefixes,
            .operations = *request.operations,
            .historical = *request.historical,
            .transfer = request.transfer.value_or(Transfer::kStandard),
            .kms_replicate = request.kms_replicate,
            .kms_key = request.kms_key,
            .max_leases = request.max_leases,
            .max_bytes_per_second = request.max_bytes_per_second,
            .labels = request.labels,
            .state = RuleState::kStarting,
            .source_identity = "",
            .destination_identity = "",
            .create_time = now,
            .update_time = now,
            .active_time = absl::UnixEpoch()};
  std::sort(rule.prefixes.begin(), rule.prefixes.end());
  return rule;
}

absl::StatusOr<RuleOutcome> CreateRule(Transaction& txn, const NewRule& request,
                                       std::vector<Violation> found,
                                       absl::Time now) {
  CRR_RETURN_IF_ERROR(
      RefuseIfAny(ValidateRule(txn, request, std::move(found))));
  Rule rule = MakeRule(request, now);
  const auto source = bucket_table::Get(txn, rule.source);
  if (!source || !bucket_table::ClaimPair(txn, rule.source, rule.destination,
                                          source->versioning)) {
    // The validator has just seen both free in this very transaction.
    return absl::InternalError("the pair could not be claimed");
  }
  rule.uid = TakeRuleUid(txn);
  rule_table::Insert(txn, rule);
  if (rule.transfer == Transfer::kAccelerated) {
    bucket_table::SetAcceleration(txn, rule.destination, now);
  }
  RuleOutcome outcome;
  outcome.events = StartIfReady(txn, rule.uid);
  outcome.view = ViewOf(txn, std::move(rule));
  return outcome;
}

absl::Status RuleNotFound(const std::string& source,
                          const std::string& rule_id,
                          const std::string& field) {
  const std::string name =
      absl::StrCat(NameOfBucket(source), "/rules/", rule_id);
  return Refuse({.reason = "RULE_NOT_FOUND",
                 .field = field,
                 .subject = name,
                 .description = absl::StrCat("there is no rule ", name)});
}

absl::StatusOr<Rule> FindRule(ReadTransaction& txn, const std::string& source,
                              const std::string& rule_id,
                              const std::string& field) {
  auto rule = rule_table::GetBySource(txn, source);
  if (rule && rule->id == rule_id) return *std::move(rule);
  return RuleNotFound(source, rule_id, field);
}

RuleView ViewOf(ReadTransaction& txn, Rule rule) {
  RuleView view;
  view.conditions = ConditionsOf(txn, rule);
  view.rule = std::move(rule);
  return view;
}

absl::StatusOr<RuleOutcome> UpdateRule(Transaction& txn, const Rule& old,
                                       Rule changed,
                                       std::vector<Violation> found,
                                       absl::Time now) {
  if (old.state == RuleState::kClosing) {
    found.push_back(WrongState(old, "rule.name", "it is being deleted"));
  }
  CRR_RETURN_IF_ERROR(RefuseIfAny(std::move(found)));
  RuleOutcome outcome;
  if (changed.max_leases == old.max_leases &&
      changed.max_bytes_per_second == old.max_bytes_per_second &&
      changed.labels == old.labels) {
    outcome.view = ViewOf(txn, old);
    return outcome;
  }
  changed.update_time = now;
  rule_table::Update(txn, changed);
  outcome.events.bounds.push_back(
      {changed.uid, LeaseBoundOf(changed),
       LeaseRateOf(changed) != LeaseRateOf(old)});
  outcome.view = ViewOf(txn, std::move(changed));
  return outcome;
}

absl::StatusOr<RuleOutcome> PauseRule(Transaction& txn, const Rule& rule,
                                      absl::Time now) {
  RuleOutcome outcome;
  Rule paused = rule;
  if (rule.state == RuleState::kActive) {
    rule_table::SetState(txn, rule.uid, RuleState::kPaused, now);
    paused.state = RuleState::kPaused;
    paused.update_time = now;
    outcome.events.paused.push_back(rule.uid);
  } else if (rule.state != RuleState::kPaused) {
    return Refuse(
        WrongState(rule, "name", "only an active rule can be paused"));
  }
  outcome.view = ViewOf(txn, std::move(paused));
  return outcome;
}

absl::StatusOr<RuleOutcome> ResumeRule(Transaction& txn, const Rule& rule,
                                       absl::Time now) {
  RuleOutcome outcome;
  Rule active = rule;
  if (rule.state == RuleState::kPaused) {
    rule_table::SetState(txn, rule.uid, RuleState::kActive, now);
    active.state = RuleState::kActive;
    active.update_time = now;
    outcome.events = WakeLog(txn, active);
    outcome.events.resumed.push_back(rule.uid);
  } else if (rule.state != RuleState::kActive) {
    return Refuse(
        WrongState(rule, "name", "only a paused rule can be resumed"));
  }
  outcome.view = ViewOf(txn, std::move(active));
  return outcome;
}

absl::StatusOr<RuleOutcome> DeleteRule(Transaction& txn, const Rule& rule,
                                       absl::Time now) {
  RuleOutcome outcome;
  Rule closing = rule;
  if (rule.state != RuleState::kClosing) {
    rule_table::SetState(txn, rule.uid, RuleState::kClosing, now);
    closing.state = RuleState::kClosing;
    closing.update_time = now;
    outcome.events.closing.push_back(rule.uid);
  }
  outcome.view = ViewOf(txn, std::move(closing));
  return outcome;
}

}  // namespace crr
