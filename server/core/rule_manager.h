#ifndef CRR_SERVER_CORE_RULE_MANAGER_H_
#define CRR_SERVER_CORE_RULE_MANAGER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/conditions.h"
#include "server/core/rule_validator.h"
#include "server/core/work_events.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"

namespace crr {

// A rule with what is wrong with it now.
struct RuleView {
  Rule rule;
  std::vector<ShownCondition> conditions;
};

// Everything that stands against a new rule: the caller's own findings, those
// of the request, and those of the state in this transaction. Empty when the
// rule may be created.
std::vector<Violation> ValidateRule(ReadTransaction& txn, const NewRule& rule,
                                    std::vector<Violation> found);

// The rule as CreateRule would store it. Requires: ValidateRule found nothing.
Rule MakeRule(const NewRule& rule, absl::Time now);

struct RuleOutcome {
  RuleView view;
  WorkEvents events;
};

// Validates and stores a rule: I1, I2 and I3 hold at the commit whatever else
// commits with it. `found`: what is wrong already.
absl::StatusOr<RuleOutcome> CreateRule(Transaction& txn, const NewRule& rule,
                                       std::vector<Violation> found,
                                       absl::Time now);

// NOT_FOUND RULE_NOT_FOUND; `field` is the one that names the rule.
absl::Status RuleNotFound(const std::string& source,
                          const std::string& rule_id,
                          const std::string& field = "name");
// The rule, or RuleNotFound.
absl::StatusOr<Rule> FindRule(ReadTransaction& txn, const std::string& source,
                              const std::string& rule_id,
                              const std::string& field = "name");
RuleView ViewOf(ReadTransaction& txn, Rule rule);

// Gives a rule other limits and labels (those of `changed`). `found`: what is
// wrong already, CheckLimitsAndLabels included. FAILED_PRECONDITION RULE_STATE:
// it is CLOSING.
absl::StatusOr<RuleOutcome> UpdateRule(Transaction& txn, const Rule& old,
                                       Rule changed,
                                       std::vector<Violation> found,
                                       absl::Time now);

// ACTIVE to PAUSED, and PAUSED to ACTIVE; a rule that is there already stays.
// FAILED_PRECONDITION RULE_STATE: it is STARTING or CLOSING.
absl::StatusOr<RuleOutcome> PauseRule(Transaction& txn, const Rule& rule,
                                      absl::Time now);
absl::StatusOr<RuleOutcome> ResumeRule(Transaction& txn, const Rule& rule,
                                       absl::Time now);

// Takes a rule to CLOSING; one that is there already stays. NOT_FOUND
// RULE_NOT_FOUND.
absl::StatusOr<RuleOutcome> DeleteRule(Transaction& txn, const Rule& rule,
                                       absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_RULE_MANAGER_H_
