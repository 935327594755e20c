#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/sqlite/connection.h"
#include "tests/storage/tables_fixture.h"

// No statement of the table code walks a table that grows with the number of
// rules, buckets, changes or requests: a million idle rules cost nothing.
namespace crr {
namespace {

// The string literals of a C++ file, neighbours joined as the compiler does.
std::vector<std::string> LiteralsOf(const std::string& path) {
  std::ifstream file(path);
  const std::string code{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> literals;
  bool joins = false;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code.compare(i, 2, "//") == 0) {
      i = code.find('\n', i);
    } else if (code[i] == '"') {
      if (!joins) literals.emplace_back();
      joins = true;
      for (++i; code[i] != '"'; ++i) literals.back() += code[i];
    } else if (code[i] != ' ' && code[i] != '\n') {
      joins = false;
    }
  }
  return literals;
}

bool IsStatement(const std::string& literal) {
  // One that ends in a space is put together with a WHERE of its own.
  return !absl::EndsWith(literal, " ") &&
         (absl::StartsWith(literal, "SELECT ") ||
          absl::StartsWith(literal, "INSERT ") ||
          absl::StartsWith(literal, "UPDATE ") ||
          absl::StartsWith(literal, "DELETE "));
}

const std::set<std::string>& AllowedScans() {
  static const auto& allowed = *new std::set<std::string>{
      // Tens of rows.
      "SCAN regions USING COVERING INDEX sqlite_autoindex_regions_1",
      "SCAN region_pair_entries",
      "SCAN region_pair_policy",
      "SCAN ledger_totals",
      // As many as there are programs; sessions and leases once, at the start.
      "SCAN publishers USING COVERING INDEX sqlite_autoindex_publishers_1",
      "SCAN sessions",
      "SCAN leases",
      // Rules that have a log.
      "SCAN c USING INDEX rule_counters_with_log",
      "SCAN rule_counters USING INDEX rule_counters_with_log",
      // Rules with objects apart, in a resync, and those that did not balance.
      "SCAN o USING INDEX rule_counters_with_objects",
      "SCAN q USING INDEX rules_by_resync",
      "SCAN unfinished",
      "SCAN rule_counters USING INDEX rule_counters_imbalanced",
      // The first two, by number.
      "SCAN audit_events",
      "SCAN oldest",
      // Values of the statement itself.
      "SCAN CONSTANT ROW",
      "SCAN 2 CONSTANT ROWS",
  };
  return allowed;
}

using QueryPlansTest = test::TablesTest;

TEST_F(QueryPlansTest, NoStatementWalksALargeTable) {
  auto connection = sqlite::Connection::Open(dir_ / "crr.db", {});
  ASSERT_OK(connection);
  int statements = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(CRR_SOURCE_DIR "/storage")) {
    const std::string path = entry.path().string();
    if (!absl::EndsWith(path, "_table.cc")) continue;
    for (const std::string& sql : LiteralsOf(path)) {
      if (!IsStatement(sql)) continue;
      ++statements;
      const auto plan =
          (*connection)->Query(absl::StrCat("EXPLAIN QUERY PLAN ", sql));
      ASSERT_OK(plan) << sql;
      for (const sqlite::Row& row : *plan) {
        const std::string& step = row.Text(3);
        EXPECT_TRUE(!absl::StartsWith(step, "SCAN ") ||
                    AllowedScans().contains(step))
            << path << ": " << sql << ": " << step;
      }
    }
  }
  // That it found them at all.
  EXPECT_GT(statements, 60);
}

}  // namespace
}  // namespace crr
