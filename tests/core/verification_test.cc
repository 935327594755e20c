// Comparing two buckets whole: ranges, counts, repairs and the end of it.

#include "server/core/verification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/progress.h"
#include "server/core/refusal.h"
#include "server/core/work.h"
#include "storage/object_work_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::Walked;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Result = CheckpointOutcome::Result;

class VerificationTest : public ::testing::Test {
 protected:
  absl::StatusOr<WorkEvents> Request(bool read_bytes = false) {
    return tables_.Try([&](Transaction& txn) {
      return RequestVerification(txn, *rule_table::Get(txn, rule_), read_bytes,
                                 test::Epoch());
    });
  }
  Verification Shown() {
    return *tables_
                .Do([&](Transaction& txn) {
                  return ProgressOf(txn, *rule_table::Get(txn, rule_), {},
                                    test::Epoch());
                })
                .verification;
  }
  std::vector<Unit> Ranges() {
    std::vector<Unit> ranges;
    for (const Unit& unit : tables_.UnitsOf(rule_)) {
      if (unit.kind == UnitKind::kVerify) ranges.push_back(unit);
    }
    return ranges;
  }
  LeaseSpec Grant(const Unit& unit) {
    auto lease = tables_.Grant(unit.id, session_);
    CRR_CHECK(lease.ok());
    return *std::move(lease);
  }
  // A report of the range up to `to`.
  static Checkpoint Compared(const LeaseSpec& lease, const std::string& to,
                             int64_t equal, bool complete = false) {
    Checkpoint report =
        Walked(lease.unit_id, lease.token, lease.cursor.key, to);
    report.compared = Checkpoint::Compared{.equal = equal};
    report.complete = complete;
    return report;
  }

  test::TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  const int64_t rule_ = tables_.AddActiveRule();
};

TEST_F(VerificationTest, RangesCoverEveryKey) {
  ASSERT_OK(Request());
  tables_.CutRanges(rule_, {{"g", 3}, {"p", 3}});
  std::vector<std::pair<std::string, std::string>> ranges;
  for (const Unit& unit : Ranges()) {
    ranges.emplace_back(unit.range_start, unit.range_end);
  }
  EXPECT_THAT(ranges, ElementsAre(Pair("", "g"), Pair("g", "p"),
                                  Pair("p", "")));
  // It is no history.
  EXPECT_EQ(tables_.Counters(rule_).historical_total, 0);
  EXPECT_FALSE(tables_.Counters(rule_).inventory_complete);
  tables_.Do([&](Transaction& txn) {
    EXPECT_FALSE(unit_table::HasHistoricalWork(txn, rule_));
  });
}

TEST_F(VerificationTest, CountsDifferencesAndRepairsThem) {
  ASSERT_OK(Request(/*read_bytes=*/true));
  tables_.CutRanges(rule_, {{"g", 3}});
  const LeaseSpec first = Grant(Ranges()[0]);
  EXPECT_TRUE(first.read_bytes);
  EXPECT_EQ(first.changed_since, tables_.FindRule(rule_)->create_time);
  Checkpoint report = Compared(first, "c", 1);
  report.failed = {{.key = "a", .reason = "MISSING"},
                   {.key = "b", .reason = "CONTENT"}};
  report.compared->foreign = 5;
  report.compared->foreign_keys = {"a1"};
  EXPECT_EQ(tables_.Apply(report)->settled, 8);
  // Told again, it counts once.
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);
  LeaseSpec rest = first;
  rest.cursor.key = "c";
  ASSERT_OK(tables_.Apply(Compared(rest, "g", 2, true)));
  EXPECT_FALSE(Shown().end_time.has_value());
  const LeaseSpec last = Grant(Ranges()[0]);
  // The open end: as far as there were keys, or nowhere.
  ASSERT_OK(tables_.Apply(Compared(last, "g", 0, true)));
  const Verification shown = Shown();
  EXPECT_EQ(shown.end_time, test::Epoch());
  EXPECT_EQ(shown.compared, 10);
  EXPECT_EQ(shown.equal, 3);
  EXPECT_THAT(shown.differences,
              UnorderedElementsAre(Pair("MISSING", 1), Pair("CONTENT", 1),
                                   Pair("FOREIGN", 5)));
  EXPECT_THAT(shown.samples,
              ElementsAre(Pair("a", "MISSING"), Pair("a1", "FOREIGN"),
                          Pair("b", "CONTENT")));
  tables_.Do([&](Transaction& txn) {
    const auto work = object_work_table::Get(txn, rule_, "b");
    EXPECT_TRUE(work->repair);
    EXPECT_EQ(work->changes, 0);
    EXPECT_TRUE(work->unit_id.has_value());
  });
}

// A repair must see the age of things as the verification did, and one that
// stands for a lost log misses nothing though clocks differ.
TEST_F(VerificationTest, SaysSinceWhenThingsAreCompared) {
  const absl::Time created = tables_.FindRule(rule_)->create_time;
  for (const VerificationCause cause :
       {VerificationCause::kRequested, VerificationCause::kLogOverflow,
        VerificationCause::kRestored}) {
    SCOPED_TRACE(static_cast<int>(cause));
    const absl::Time since = cause == VerificationCause::kRequested
                                 ? created
                                 : created - limits::kClockSkewMax;
    tables_.Do([&](Transaction& txn) {
      StartVerification(txn, *rule_table::Get(txn, rule_), cause, false,
                        test::Epoch());
    });
    tables_.CutRanges(rule_, {});
    const LeaseSpec verify = Grant(Ranges()[0]);
    EXPECT_EQ(verify.changed_since, since);
    const std::string key = absl::StrCat("k", static_cast<int>(cause));
    Checkpoint report = Compared(verify, key, 0, true);
    report.failed = {{.key = key, .reason = "EXTRA"}};
    ASSERT_OK(tables_.Apply(report));
    const auto repair_of = [&] {
      return tables_.Do([&](Transaction& txn) {
        return *unit_table::Get(
            txn, *object_work_table::Get(txn, rule_, key)->unit_id);
      });
    };
    const LeaseSpec repair = Grant(repair_of());
    EXPECT_EQ(repair.changed_since, since);
    // What came by the door since is not measured again.
    tables_.Do([&](Transaction& txn) {
      EndLease(txn, repair.unit_id, repair.token, {}, test::Epoch());
      FoldObject(txn, *rule_table::Get(txn, rule_),
                 {.key = key, .reason = "LARGE", .changes = 1}, {},
                 test::Epoch());
    });
    EXPECT_FALSE(Grant(repair_of()).changed_since.has_value());
  }
}

TEST_F(VerificationTest, OneIsUnderWayAtATime) {
  ASSERT_OK(Request());
  EXPECT_EQ(Shown().number, 1);
  EXPECT_TRUE(Request()->empty());
  EXPECT_EQ(Shown().number, 1);
  tables_.CutRanges(rule_, {});
  ASSERT_OK(tables_.Apply(Compared(Grant(Ranges()[0]), "k", 4, true)));
  EXPECT_TRUE(Shown().end_time.has_value());
  ASSERT_OK(Request());
  EXPECT_EQ(Shown().number, 2);
  EXPECT_EQ(Shown().compared, 0);
  EXPECT_FALSE(Shown().end_time.has_value());
}

TEST_F(VerificationTest, OneThatReadsBytesReplacesOneThatDoesNot) {
  ASSERT_OK(Request());
  EXPECT_FALSE(Request(/*read_bytes=*/true)->empty());
  EXPECT_EQ(Shown().number, 2);
  EXPECT_TRUE(Shown().read_bytes);
  EXPECT_TRUE(Request()->empty());
  EXPECT_EQ(Shown().number, 2);
}

TEST_F(VerificationTest, NotBeforeHistoryIsThere) {
  const int64_t films = tables_.AddActiveRule({.source = "films",
                                               .destination = "films-dr",
                                               .historical = true});
  const auto request = [&] {
    return tables_.Try([&](Transaction& txn) {
      return RequestVerification(txn, *rule_table::Get(txn, films), false,
                                 test::Epoch());
    });
  };
  EXPECT_THAT(request(), HasCode(absl::StatusCode::kFailedPrecondition));
  tables_.CutRanges(films, {});
  EXPECT_OK(request());
}

TEST_F(VerificationTest, OnlyAnActiveRule) {
  tables_.Do([&](Transaction& txn) {
    ASSERT_OK(PauseRule(txn, *rule_table::Get(txn, rule_), test::Epoch()));
  });
  const auto refused = Request();
  ASSERT_THAT(refused, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ViolationsOf(refused.status())[0].reason, "RULE_STATE");
}

TEST_F(VerificationTest, SamplesAreTheFirstByKey) {
  ASSERT_OK(Request());
  tables_.CutRanges(rule_, {});
  const LeaseSpec lease = Grant(Ranges()[0]);
  Checkpoint report = Compared(lease, "m", 0);
  for (int i = 0; i < 2 * limits::kVerificationSamplesMax; ++i) {
    report.failed.push_back(
        {.key = absl::StrCat("k", 1000 - i), .reason = "FACTS"});
  }
  ASSERT_OK(tables_.Apply(report));
  EXPECT_EQ(Shown().differences["FACTS"], 2 * limits::kVerificationSamplesMax);
  ASSERT_EQ(Shown().samples.size(),
            static_cast<size_t>(limits::kVerificationSamplesMax));
  EXPECT_EQ(Shown().samples.front().first, "k1000");
}

TEST_F(VerificationTest, SenselessComparisonsAreRefused) {
  ASSERT_OK(Request());
  tables_.CutRanges(rule_, {{"g", 3}});
  const LeaseSpec lease = Grant(Ranges()[0]);
  const auto refused = [&](auto change) {
    Checkpoint bad = Compared(lease, "c", 1);
    change(bad);
    EXPECT_THAT(tables_.Apply(bad),
                HasCode(absl::StatusCode::kInvalidArgument));
  };
  refused([](Checkpoint& c) { c.compared.reset(); });
  refused([](Checkpoint& c) { c.compared->equal = -1; });
  refused([](Checkpoint& c) { c.compared->foreign_keys = {"x"}; });
  refused([](Checkpoint& c) { c.applied = 1; });
  refused([](Checkpoint& c) { c.to.key = "h"; });
  refused([](Checkpoint& c) { c.complete = true; });
  EXPECT_EQ(tables_.Apply(Compared(lease, "c", 1))->result,
            Result::kRecorded);
}

}  // namespace
}  // namespace crr
