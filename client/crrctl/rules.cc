#include "client/crrctl/rules.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace crr {

std::string RulesTable(const std::vector<v1::Rule>& rules) {
  using Row = std::array<std::string, 5>;
  std::vector<Row> rows = {
      {"NAME", "DESTINATION", "STATE", "OPERATIONS", "CONDITIONS"}};
  for (const v1::Rule& rule : rules) {
    rows.push_back({rule.name(), rule.destination_bucket(),
                    v1::Rule::State_Name(rule.state()),
                    v1::Rule::Operations_Name(rule.operations()),
                    rule.conditions().empty()
                        ? "-"
                        : ConditionTypes(rule.conditions())});
  }
  std::array<size_t, 4> widths{};  // The last column needs none.
  for (const Row& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string table;
  for (const Row& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) {
      absl::StrAppend(&table, row[i],
                      std::string(widths[i] - row[i].size() + 2, ' '));
    }
    absl::StrAppend(&table, row.back(), "\n");
  }
  return table;
}

std::string ConditionTypes(
    const google::protobuf::RepeatedPtrField<v1::Rule::Condition>& conditions) {
  return absl::StrJoin(conditions, ",",
                       [](std::string* out, const v1::Rule::Condition& c) {
                         absl::StrAppend(out, c.type());
                       });
}

}  // namespace crr
