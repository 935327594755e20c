#include "client/crrctl/rules.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/crrctl/table.h"

namespace crr {

std::string RulesTable(const std::vector<v1::Rule>& rules) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "DESTINATION", "STATE", "OPERATIONS", "CONDITIONS"}};
  for (const v1::Rule& rule : rules) {
    rows.push_back({rule.name(), rule.destination_bucket(),
                    v1::Rule::State_Name(rule.state()),
                    v1::Rule::Operations_Name(rule.operations()),
                    rule.conditions().empty()
                        ? "-"
                        : ConditionTypes(rule.conditions())});
  }
  return Table(rows);
}

std::string ConditionTypes(
    const google::protobuf::RepeatedPtrField<v1::Rule::Condition>& conditions) {
  return absl::StrJoin(conditions, ",",
                       [](std::string* out, const v1::Rule::Condition& c) {
                         absl::StrAppend(out, c.type());
                       });
}

}  // namespace crr
