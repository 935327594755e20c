// The ends of leases and of rules, as transactions.

#include <gtest/gtest.h>

#include "server/core/limits.h"
#include "server/core/work.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::HasCode;
using test::IsOk;
using test::TestTables;

class WorkClosingTest : public ::testing::Test {
 protected:
  LeaseSpec Grant(const Unit& unit) {
    auto lease = tables_.Grant(unit.id, session_);
    CRR_CHECK(lease.ok());
    return *std::move(lease);
  }
  WorkEvents End(const LeaseSpec& lease, const std::string& problem = "") {
    return tables_.Do([&](Transaction& txn) {
      return EndLease(txn, lease.unit_id, lease.token,
                      {.kind = problem.empty() ? LeaseEnd::Kind::kOrderly
                                               : LeaseEnd::Kind::kProblem,
                       .reason = problem},
                      test::Epoch());
    });
  }
  WorkEvents Delete(int64_t rule_uid) {
    const auto outcome = tables_.Try([&](Transaction& txn) {
      return DeleteRule(txn, *rule_table::Get(txn, rule_uid), test::Epoch());
    });
    CRR_CHECK(outcome.ok());
    return outcome->events;
  }
  absl::StatusOr<ClosingOutcome> Step(int64_t rule_uid) {
    return tables_.Try(
        [&](Transaction& txn) { return CloseStep(txn, rule_uid); });
  }
  int64_t Pairings() { return tables_.Number("SELECT count(*) FROM pairings"); }

  TestTables tables_;
  const int64_t session_ = tables_.AddSession();
};

TEST_F(WorkClosingTest, TheUnitOfAnEmptyLogGoesWithItsLease) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const LeaseSpec lease = Grant(tables_.TheUnit(rule, UnitKind::kChanges));
  ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, 0, 3)));
  const WorkEvents events = End(lease);
  EXPECT_EQ(events.removed, std::vector<int64_t>{lease.unit_id});
  EXPECT_TRUE(tables_.UnitsOf(rule).empty());
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM leases"), 0);
}

TEST_F(WorkClosingTest, TheUnitOfALogThatIsNotEmptyStays) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const LeaseSpec lease = Grant(tables_.TheUnit(rule, UnitKind::kChanges));
  ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, 0, 3)));
  tables_.Publish("photos", 1);
  EXPECT_TRUE(End(lease).removed.empty());
  ASSERT_TRUE(tables_.FindUnit(lease.unit_id).has_value());
  EXPECT_EQ(Grant(*tables_.FindUnit(lease.unit_id)).cursor.sequence, 3);
}

TEST_F(WorkClosingTest, OnlyTheLeaseOfTheTokenIsEnded) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
  const LeaseSpec first = Grant(unit);
  End(first);
  const LeaseSpec second = Grant(unit);
  EXPECT_TRUE(End(first, "LATE").removed.empty());
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM leases"), 1);
  EXPECT_TRUE(tables_.Conditions(rule).empty());
  End(second);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM leases"), 0);
}

TEST_F(WorkClosingTest, AProblemBecomesACondition) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
  End(Grant(unit), "STORE_UNREACHABLE: no route");
  ASSERT_EQ(tables_.Conditions(rule).size(), 1u);
  EXPECT_EQ(tables_.Conditions(rule)[0].type, "LANE_FAILING");
  EXPECT_EQ(tables_.Conditions(rule)[0].message, "STORE_UNREACHABLE: no route");
  // An orderly end says nothing of whether it is mended; progress does.
  const LeaseSpec lease = Grant(unit);
  End(lease);
  EXPECT_EQ(tables_.Conditions(rule).size(), 1u);
  const LeaseSpec next = Grant(unit);
  ASSERT_OK(tables_.Apply(Applied(unit.id, next.token, 0, 1)));
  EXPECT_TRUE(tables_.Conditions(rule).empty());
}

TEST_F(WorkClosingTest, ARuleIsNotClosedUnderALease) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const LeaseSpec lease = Grant(tables_.TheUnit(rule, UnitKind::kChanges));
  EXPECT_THAT(Step(rule), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Delete(rule).closing, std::vector<int64_t>{rule});
  EXPECT_TRUE(Delete(rule).closing.empty());  // It is closing already.
  EXPECT_THAT(Step(rule), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(tables_.Pending(rule), 3);
  End(lease);
  const auto outcome = Step(rule);
  ASSERT_OK(outcome);
  EXPECT_TRUE(outcome->gone);
  EXPECT_EQ(outcome->events.removed, std::vector<int64_t>{lease.unit_id});
  EXPECT_FALSE(tables_.FindRule(rule).has_value());
  EXPECT_EQ(Pairings(), 0);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM change_segments"), 0);
}

TEST_F(WorkClosingTest, ARuleThatStandsIsNotClosed) {
  const int64_t rule = tables_.AddActiveRule();
  EXPECT_THAT(Step(rule), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(tables_.FindRule(rule).has_value());
}

TEST_F(WorkClosingTest, ARuleThatIsGoneStaysGone) {
  const auto outcome = Step(77);
  ASSERT_OK(outcome);
  EXPECT_TRUE(outcome->gone);
}

// Steps are bounded, and the ledger balances after each of them.
TEST_F(WorkClosingTest, ALongLogIsPurgedInStepsAndCounted) {
  const int64_t rule = tables_.AddActiveRule();
  constexpr int kSegments = 2 * limits::kPurgeStep + 3;
  for (int i = 0; i < kSegments; ++i) tables_.Publish("photos", 2);
  ASSERT_EQ(tables_.Number("SELECT count(*) FROM change_segments"), kSegments);
  // Three are settled: one segment and half of the next.
  const LeaseSpec lease = Grant(tables_.TheUnit(rule, UnitKind::kChanges));
  ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, 0, 3)));
  End(lease);
  Delete(rule);
  int steps = 0;
  while (true) {
    const int64_t before =
        tables_.Number("SELECT count(*) FROM change_segments");
    const auto outcome = Step(rule);
    ASSERT_OK(outcome);
    ++steps;
    EXPECT_LE(before - tables_.Number("SELECT count(*) FROM change_segments"),
              limits::kPurgeStep);
    if (outcome->gone) break;
    const RuleCounters counters = tables_.Counters(rule);
    const int64_t closed = tables_.Filtered(rule)["RULE_CLOSED"];
    EXPECT_GT(closed, 0);
    EXPECT_EQ(counters.published,
              counters.applied + closed + tables_.Pending(rule));
    ASSERT_LT(steps, 10);
  }
  EXPECT_EQ(steps, 3);
  EXPECT_FALSE(tables_.FindRule(rule).has_value());
}

// What a STARTING rule logged was never begun: all of it was pending.
TEST_F(WorkClosingTest, ARuleThatNeverStartedIsClosed) {
  const int64_t rule = tables_.AddRule();
  for (int i = 0; i < limits::kPurgeStep; ++i) tables_.Publish("photos", 2);
  Delete(rule);
  const auto first = Step(rule);
  ASSERT_OK(first);
  ASSERT_FALSE(first->gone);
  EXPECT_EQ(tables_.Filtered(rule)["RULE_CLOSED"], 2 * limits::kPurgeStep);
  const auto second = Step(rule);
  ASSERT_OK(second);
  EXPECT_TRUE(second->gone);
  EXPECT_EQ(second->events.removed.size(), 1u);  // The PROBE.
}

TEST_F(WorkClosingTest, ManyUnitsGoInSteps) {
  const int64_t rule = tables_.AddActiveRule({.historical = true});
  std::vector<Checkpoint::Range> ranges;
  for (int i = 0; i < limits::kPurgeStep + 1; ++i) {
    ranges.push_back({absl::StrCat("k", 1000 + i), 1});
  }
  tables_.CutRanges(rule, ranges);
  Delete(rule);
  const auto first = Step(rule);
  ASSERT_OK(first);
  EXPECT_FALSE(first->gone);
  EXPECT_EQ(first->events.removed.size(), size_t{limits::kPurgeStep});
  EXPECT_EQ(tables_.UnitsOf(rule).size(), 1u);
  const auto second = Step(rule);
  ASSERT_OK(second);
  EXPECT_TRUE(second->gone);
  EXPECT_EQ(second->events.removed.size(), 1u);
}

TEST_F(WorkClosingTest, ThePairStandsUntilItsLastRuleIsGone) {
  const int64_t first = tables_.AddActiveRule();
  const int64_t reverse =
      tables_.AddRule({.source = "photos-dr", .destination = "photos"});
  // Only one direction at a time in this version: the second has no PROBE.
  ASSERT_TRUE(tables_.UnitsOf(reverse).empty());
  Delete(first);
  const auto outcome = Step(first);
  ASSERT_OK(outcome);
  EXPECT_TRUE(outcome->gone);
  EXPECT_EQ(Pairings(), 2);
  // It may start now.
  ASSERT_EQ(outcome->events.added.size(), 1u);
  EXPECT_EQ(outcome->events.added[0].rule_uid, reverse);
  EXPECT_EQ(outcome->events.added[0].kind, UnitKind::kProbe);

  Delete(reverse);
  ASSERT_OK(Step(reverse));
  EXPECT_EQ(Pairings(), 0);
}

}  // namespace
}  // namespace crr
