#ifndef CRR_CLIENT_CRRCTL_RULES_H_
#define CRR_CLIENT_CRRCTL_RULES_H_

#include <string>
#include <vector>

#include "crr/v1/rule.pb.h"

namespace crr {

// A table of rules: name, destination, state, operations and the types of what
// is wrong ("-" when nothing is), under a line of headings.
std::string RulesTable(const std::vector<v1::Rule>& rules);

// The types of a rule's conditions, joined by commas.
std::string ConditionTypes(
    const google::protobuf::RepeatedPtrField<v1::Rule::Condition>& conditions);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_RULES_H_
