// many_rules DATABASE COUNT adds COUNT active rules between buckets of their
// own, from oss-cn-hangzhou to oss-cn-shanghai, to the database of a server
// that is stopped: a hundred thousand in seconds, for tests of what idle rules
// cost. Rule i is buckets/idle-i-src/rules/idle, i from 0.

#include <cstdio>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "server/core/rule_manager.h"
#include "storage/bucket_table.h"
#include "storage/database.h"
#include "storage/rule_table.h"

namespace crr {
namespace {

absl::Status AddRule(Transaction& txn, int64_t i, absl::Time now) {
  const std::string source = absl::StrCat("idle-", i, "-src");
  const std::string destination = absl::StrCat("idle-", i, "-dst");
  for (const auto& [id, region] : {std::pair(source, "oss-cn-hangzhou"),
                                   std::pair(destination, "oss-cn-shanghai")}) {
    bucket_table::Insert(txn, {.id = id,
                               .region = region,
                               .owner = "acme",
                               .create_time = now,
                               .update_time = now});
  }
  CRR_ASSIGN_OR_RETURN(const RuleOutcome outcome,
                       CreateRule(txn,
                                  {.source = source,
                                   .destination = destination,
                                   .id = "idle",
                                   .operations = Operations::kAddDeleteChange,
                                   .historical = false},
                                  {}, now));
  // As after a probe; the unit of one goes.
  for (const UnitInfo& unit : outcome.events.added) {
    unit_table::Delete(txn, unit.unit_id);
  }
  rule_table::SetState(txn, outcome.view.rule.uid, RuleState::kActive, now);
  return absl::OkStatus();
}

absl::Status AddRules(const std::string& path, int64_t count) {
  CRR_ASSIGN_OR_RETURN(const auto database, Database::Open({.path = path}));
  return database
      ->WriteAndWait<std::monostate>(
          [=, now = Clock::Real().WallNow()](
              Transaction& txn) -> absl::StatusOr<std::monostate> {
            for (int64_t i = 0; i < count; ++i) {
              CRR_RETURN_IF_ERROR(AddRule(txn, i, now));
            }
            return std::monostate{};
          })
      .status();
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) {
  int64_t count = 0;
  if (argc != 3 || !absl::SimpleAtoi(argv[2], &count)) {
    std::fputs("usage: many_rules DATABASE COUNT\n", stderr);
    return 2;
  }
  const absl::Status status = crr::AddRules(argv[1], count);
  if (!status.ok()) {
    std::fprintf(stderr, "many_rules: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
