// Checkpoints as transactions: token, cursor, counters and what becomes of the
// unit change together or not at all.

#include <gtest/gtest.h>

#include "server/core/limits.h"
#include "server/core/progress.h"
#include "server/core/work.h"
#include "storage/publisher_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::HasCode;
using test::IsOk;
using test::ProbeFinds;
using test::TestTables;
using test::Walked;
using Result = CheckpointOutcome::Result;

constexpr auto kSenseless = absl::StatusCode::kInvalidArgument;

class WorkCheckpointTest : public ::testing::Test {
 protected:
  LeaseSpec Grant(const Unit& unit) {
    auto lease = tables_.Grant(unit.id, session_);
    CRR_CHECK(lease.ok());
    return *std::move(lease);
  }
  void EndLease(const LeaseSpec& lease) {
    tables_.Do([&](Transaction& txn) {
      crr::EndLease(txn, lease.unit_id, lease.token, {}, test::Epoch());
    });
  }
  // A checkpoint that must be answered so.
  CheckpointOutcome Must(const Checkpoint& checkpoint, Result result) {
    const auto outcome = tables_.Apply(checkpoint);
    EXPECT_OK(outcome);
    if (!outcome.ok()) return {};
    EXPECT_EQ(outcome->result, result);
    return *outcome;
  }
  // An ACTIVE rule with `changes` logged, and a lease on them.
  LeaseSpec LeaseOfChanges(int changes) {
    rule_ = tables_.AddActiveRule();
    tables_.Publish("photos", changes);
    return Grant(tables_.TheUnit(rule_, UnitKind::kChanges));
  }
  LeaseSpec LeaseOfInventory() {
    rule_ = tables_.AddActiveRule({.historical = true});
    return Grant(tables_.TheUnit(rule_, UnitKind::kInventory));
  }
  // One range (, m] in which `listed` objects were listed.
  LeaseSpec LeaseOfRange(int64_t listed) {
    rule_ = tables_.AddActiveRule({.historical = true});
    tables_.CutRanges(rule_, {{"m", listed}});
    return Grant(tables_.TheUnit(rule_, UnitKind::kBackfill));
  }
  RuleProgress Progress() {
    return tables_.Do([&](Transaction& txn) {
      return ProgressOf(txn, *rule_table::Get(txn, rule_), {}, test::Epoch());
    });
  }

  TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  int64_t rule_ = 0;
};

// -------------------------------------------------------------------- CHANGES

TEST_F(WorkCheckpointTest, ChangesAreRecorded) {
  const LeaseSpec lease = LeaseOfChanges(10);
  Checkpoint report = Applied(lease.unit_id, lease.token, 0, 6);
  report.applied = 3;
  report.collapsed = 2;
  report.filtered = {{"SYMLINK", 1}};
  const auto outcome = Must(report, Result::kRecorded);
  EXPECT_EQ(outcome.cursor.sequence, 6);
  EXPECT_FALSE(outcome.lease_over);
  EXPECT_EQ(tables_.FindUnit(lease.unit_id)->cursor.sequence, 6);
  const RuleCounters counters = tables_.Counters(rule_);
  EXPECT_EQ(counters.published, 10);
  EXPECT_EQ(counters.applied, 3);
  EXPECT_EQ(counters.collapsed, 2);
  EXPECT_EQ(tables_.Filtered(rule_),
            (std::map<std::string, int64_t>{{"SYMLINK", 1}}));
  EXPECT_EQ(tables_.Pending(rule_), 4);
}

TEST_F(WorkCheckpointTest, ARepeatIsRecordedOnce) {
  const LeaseSpec lease = LeaseOfChanges(10);
  const Checkpoint report = Applied(lease.unit_id, lease.token, 0, 4);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Must(report, Result::kRecorded).cursor.sequence, 4);
  }
  EXPECT_EQ(tables_.Counters(rule_).applied, 4);
  EXPECT_EQ(tables_.Pending(rule_), 6);
}

TEST_F(WorkCheckpointTest, AnotherCursorIsToldTheStoredOne) {
  const LeaseSpec lease = LeaseOfChanges(10);
  Must(Applied(lease.unit_id, lease.token, 0, 4), Result::kRecorded);
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 6},
                                 {3, 6},
                                 {5, 6},
                                 {1, 3}}) {
    const auto outcome = Must(Applied(lease.unit_id, lease.token, from, to),
                              Result::kCursorDiffers);
    EXPECT_EQ(outcome.cursor.sequence, 4);
  }
  EXPECT_EQ(tables_.Counters(rule_).applied, 4);
}

TEST_F(WorkCheckpointTest, CountsOfChangesMustAddUp) {
  const LeaseSpec lease = LeaseOfChanges(10);
  for (const int64_t applied : {0, 3, 5}) {
    Checkpoint report = Applied(lease.unit_id, lease.token, 0, 4);
    report.applied = applied;
    EXPECT_THAT(tables_.Apply(report), HasCode(kSenseless)) << applied;
  }
  Checkpoint negative = Applied(lease.unit_id, lease.token, 0, 4);
  negative.applied = 5;
  negative.filtered = {{"X", -1}};
  EXPECT_THAT(tables_.Apply(negative), HasCode(kSenseless));
  EXPECT_EQ(tables_.Counters(rule_).applied, 0);
  EXPECT_EQ(tables_.FindUnit(lease.unit_id)->cursor.sequence, 0);
}

TEST_F(WorkCheckpointTest, ALogIsNeverCompleteAndNeverRunsBack) {
  const LeaseSpec lease = LeaseOfChanges(10);
  Checkpoint complete = Applied(lease.unit_id, lease.token, 0, 10);
  complete.complete = true;
  EXPECT_THAT(tables_.Apply(complete), HasCode(kSenseless));
  Must(Applied(lease.unit_id, lease.token, 0, 4), Result::kRecorded);
  EXPECT_THAT(tables_.Apply(Applied(lease.unit_id, lease.token, 4, 2)),
              HasCode(kSenseless));
}

TEST_F(WorkCheckpointTest, WhatWasNeverLoggedIsNeverSettled) {
  const LeaseSpec lease = LeaseOfChanges(10);
  EXPECT_THAT(tables_.Apply(Applied(lease.unit_id, lease.token, 0, 11)),
              HasCode(kSenseless));
  Must(Applied(lease.unit_id, lease.token, 0, 10), Result::kRecorded);
  EXPECT_THAT(tables_.Apply(Applied(lease.unit_id, lease.token, 10, 11)),
              HasCode(kSenseless));
  EXPECT_EQ(tables_.Counters(rule_).applied, 10);
}

TEST_F(WorkCheckpointTest, SegmentsGoOnceTheCursorHasPassedThem) {
  const LeaseSpec lease = LeaseOfChanges(5);
  tables_.Publish("photos", 5);
  ASSERT_EQ(tables_.Log(rule_).size(), 2u);
  const int64_t all_bytes = tables_.Counters(rule_).log_bytes;
  Must(Applied(lease.unit_id, lease.token, 0, 4), Result::kRecorded);
  EXPECT_EQ(tables_.Log(rule_).size(), 2u);
  Must(Applied(lease.unit_id, lease.token, 4, 7), Result::kRecorded);
  ASSERT_EQ(tables_.Log(rule_).size(), 1u);
  EXPECT_EQ(tables_.Log(rule_)[0].first_sequence, 6);
  EXPECT_EQ(tables_.Counters(rule_).log_bytes, all_bytes / 2);
  Must(Applied(lease.unit_id, lease.token, 7, 10), Result::kRecorded);
  EXPECT_TRUE(tables_.Log(rule_).empty());
  EXPECT_EQ(tables_.Counters(rule_).log_bytes, 0);
}

// A reported condition stands until the lease makes progress.
TEST_F(WorkCheckpointTest, ProgressTakesBackWhatWasReported) {
  const LeaseSpec lease = LeaseOfChanges(10);
  tables_.Do([&](Transaction& txn) {
    NoteTrouble(txn, lease.unit_id, lease.token, "a/1: FORBIDDEN",
                test::Epoch());
    NoteTrouble(txn, lease.unit_id, lease.token - 1, "of an old holder",
                test::Epoch());
  });
  ASSERT_EQ(tables_.Conditions(rule_).size(), 1u);
  EXPECT_EQ(tables_.Conditions(rule_)[0].type, "OBJECT_FAILING");
  EXPECT_EQ(tables_.Conditions(rule_)[0].message, "a/1: FORBIDDEN");
  Must(Applied(lease.unit_id, lease.token, 0, 0), Result::kRecorded);
  EXPECT_EQ(tables_.Conditions(rule_).size(), 1u);
  Must(Applied(lease.unit_id, lease.token, 0, 1), Result::kRecorded);
  EXPECT_TRUE(tables_.Conditions(rule_).empty());
}

// -------------------------------------------------------------------- fencing

TEST_F(WorkCheckpointTest, AnOldTokenIsFencedAndChangesNothing) {
  const LeaseSpec old_lease = LeaseOfChanges(10);
  EndLease(old_lease);
  const Unit unit = *tables_.FindUnit(old_lease.unit_id);
  const LeaseSpec lease = Grant(unit);
  Must(Applied(unit.id, old_lease.token, 0, 4), Result::kFenced);
  Must(Applied(unit.id, lease.token + 1, 0, 4), Result::kFenced);
  EXPECT_EQ(tables_.FindUnit(unit.id)->cursor.sequence, 0);
  EXPECT_EQ(tables_.Counters(rule_).applied, 0);
  Must(Applied(unit.id, lease.token, 0, 4), Result::kRecorded);
}

TEST_F(WorkCheckpointTest, AUnitThatIsGoneIsFenced) {
  const LeaseSpec lease = LeaseOfRange(3);
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "m", 3);
  report.complete = true;
  Must(report, Result::kRecorded);
  Must(report, Result::kFenced);
  EXPECT_EQ(tables_.Counters(rule_).historical_done, 3);
}

// Token 0 is what a message without a token says; no grant ever gave it.
TEST_F(WorkCheckpointTest, NobodyHoldsAUnitThatWasNeverGranted) {
  rule_ = tables_.AddActiveRule();
  tables_.Publish("photos", 4);
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kChanges);
  Must(Applied(unit.id, /*token=*/0, 0, 4), Result::kFenced);
  EXPECT_EQ(tables_.Counters(rule_).applied, 0);
}

// The token decides, not time: what a late holder did is done, as long as
// nobody else was told to do it.
TEST_F(WorkCheckpointTest, ALateReportCountsUntilTheUnitIsGrantedAgain) {
  const LeaseSpec late = LeaseOfChanges(10);
  EndLease(late);
  Must(Applied(late.unit_id, late.token, 0, 3), Result::kRecorded);
  EXPECT_EQ(tables_.Counters(rule_).applied, 3);
  const LeaseSpec next = Grant(*tables_.FindUnit(late.unit_id));
  EXPECT_EQ(next.cursor.sequence, 3);
  Must(Applied(late.unit_id, late.token, 3, 6), Result::kFenced);
  Must(Applied(late.unit_id, late.token, 0, 3), Result::kFenced);
  EXPECT_EQ(tables_.Counters(rule_).applied, 3);
}

// ------------------------------------------------------------------ INVENTORY

TEST_F(WorkCheckpointTest, RangesBecomeUnitsTogetherWithTheCursor) {
  const LeaseSpec lease = LeaseOfInventory();
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "f");
  report.ranges = {{"c", 7}, {"f", 5}};
  const auto outcome = Must(report, Result::kRecorded);
  ASSERT_EQ(outcome.events.added.size(), 2u);
  EXPECT_TRUE(outcome.events.removed.empty());
  EXPECT_EQ(outcome.events.added[0].kind, UnitKind::kBackfill);

  const Unit first = *tables_.FindUnit(outcome.events.added[0].unit_id);
  EXPECT_EQ(first.range_start, "");
  EXPECT_EQ(first.range_end, "c");
  EXPECT_EQ(first.cursor.key, "");
  EXPECT_EQ(first.listed, 7);
  const Unit second = *tables_.FindUnit(outcome.events.added[1].unit_id);
  EXPECT_EQ(second.range_start, "c");
  EXPECT_EQ(second.cursor.key, "c");
  EXPECT_EQ(second.range_end, "f");
  EXPECT_EQ(tables_.FindUnit(lease.unit_id)->cursor.key, "f");
  EXPECT_EQ(tables_.Counters(rule_).historical_total, 12);
  EXPECT_FALSE(tables_.Counters(rule_).inventory_complete);

  // The repeat cuts nothing again.
  EXPECT_TRUE(Must(report, Result::kRecorded).events.added.empty());
  EXPECT_EQ(tables_.UnitsOf(rule_).size(), 3u);
  EXPECT_EQ(tables_.Counters(rule_).historical_total, 12);
}

TEST_F(WorkCheckpointTest, AnotherCursorOfAnInventoryCutsNothing) {
  const LeaseSpec lease = LeaseOfInventory();
  Checkpoint report = Walked(lease.unit_id, lease.token, "b", "f");
  report.ranges = {{"f", 5}};
  EXPECT_EQ(Must(report, Result::kCursorDiffers).cursor.key, "");
  EXPECT_EQ(tables_.UnitsOf(rule_).size(), 1u);
}

TEST_F(WorkCheckpointTest, AnInventoryEnds) {
  const LeaseSpec lease = LeaseOfInventory();
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "c");
  report.ranges = {{"c", 7}};
  report.complete = true;
  const auto outcome = Must(report, Result::kRecorded);
  EXPECT_TRUE(outcome.lease_over);
  EXPECT_EQ(outcome.events.removed, std::vector<int64_t>{lease.unit_id});
  EXPECT_TRUE(tables_.Counters(rule_).inventory_complete);
  EXPECT_FALSE(tables_.FindUnit(lease.unit_id).has_value());
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM leases"), 0);
}

TEST_F(WorkCheckpointTest, AnInventoryOfNothingEnds) {
  const LeaseSpec lease = LeaseOfInventory();
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "");
  report.complete = true;
  EXPECT_TRUE(Must(report, Result::kRecorded).lease_over);
  EXPECT_TRUE(tables_.UnitsOf(rule_).empty());
  EXPECT_EQ(Progress().historical->fraction, 1);
}

TEST_F(WorkCheckpointTest, SenselessInventories) {
  const LeaseSpec lease = LeaseOfInventory();
  const auto refused = [&](std::vector<Checkpoint::Range> ranges,
                           const std::string& to, int64_t applied = 0) {
    Checkpoint report = Walked(lease.unit_id, lease.token, "", to, applied);
    report.ranges = std::move(ranges);
    EXPECT_THAT(tables_.Apply(report), HasCode(kSenseless));
  };
  refused({{"c", 7}}, "d");               // They do not end at the cursor.
  refused({}, "d");                       // The cursor moves without ranges.
  refused({{"c", 7}, {"b", 1}}, "b");     // They run back.
  refused({{"c", 7}, {"c", 1}}, "c");     // One is empty.
  refused({{"c", 0}}, "c");               // One holds no objects.
  refused({{"", 1}}, "");                 // One ends where it begins.
  refused({{"c", 7}}, "c", 1);            // It copies.
  EXPECT_EQ(tables_.UnitsOf(rule_).size(), 1u);
}

TEST_F(WorkCheckpointTest, RangesOfOneReportAreBounded) {
  const LeaseSpec lease = LeaseOfInventory();
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "");
  for (int i = 0; i < limits::kRangesPerCheckpointMax + 1; ++i) {
    report.ranges.push_back({absl::StrCat("k", 10'000 + i), 1});
  }
  report.to.key = report.ranges.back().end;
  EXPECT_THAT(tables_.Apply(report), HasCode(kSenseless));
  report.ranges.pop_back();
  report.to.key = report.ranges.back().end;
  Must(report, Result::kRecorded);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM work_units WHERE kind = 3"),
            limits::kRangesPerCheckpointMax);
}

// ------------------------------------------------------------------- BACKFILL

TEST_F(WorkCheckpointTest, ARangeIsCountedAsItIsWalked) {
  const LeaseSpec lease = LeaseOfRange(10);
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "d", 3);
  report.filtered = {{"SYMLINK", 1}};
  report.bytes = 500;
  Must(report, Result::kRecorded);
  Must(report, Result::kRecorded);  // Counted once.
  const RuleCounters counters = tables_.Counters(rule_);
  EXPECT_EQ(counters.historical_total, 10);
  EXPECT_EQ(counters.historical_done, 4);
  EXPECT_EQ(counters.historical_skipped, 1);
  EXPECT_EQ(counters.historical_bytes, 500);
  EXPECT_EQ(counters.applied, 0);  // The live ledger counts changes alone.
  EXPECT_EQ(tables_.FindUnit(lease.unit_id)->visited, 4);
  EXPECT_EQ(tables_.FindUnit(lease.unit_id)->cursor.key, "d");
}

// A range's total becomes what was visited, be it more or fewer than were
// listed: the fraction reaches 1, and does so when the last range ends.
TEST_F(WorkCheckpointTest, TheFractionReachesOneExactly) {
  struct Case {
    int64_t listed;
    std::vector<int64_t> visited;
  };
  int n = 0;
  for (const Case& c : {Case{10, {3, 7}}, Case{10, {3, 2}}, Case{10, {30, 7}},
                        Case{1, {0, 0}}, Case{5, {6}}, Case{5, {0}}}) {
    SCOPED_TRACE(n);
    const std::string bucket = absl::StrCat("photos-", ++n);
    rule_ = tables_.AddActiveRule({.source = bucket,
                                   .destination = bucket + "-dr",
                                   .historical = true});
    tables_.CutRanges(rule_, {{"m", c.listed}, {"z", 2}});
    int64_t sum = 0;
    const std::vector<Unit> units = tables_.UnitsOf(rule_);
    const LeaseSpec first = Grant(units[0]);
    std::string cursor;
    for (size_t i = 0; i < c.visited.size(); ++i) {
      const bool last = i + 1 == c.visited.size();
      Checkpoint report = Walked(first.unit_id, first.token, cursor,
                                 last ? "m" : "c", c.visited[i]);
      cursor = "c";
      report.complete = last;
      Must(report, Result::kRecorded);
      sum += c.visited[i];
      EXPECT_LT(Progress().historical->fraction, 1);
    }
    EXPECT_EQ(Progress().historical->total, sum + 2);
    EXPECT_EQ(Progress().historical->done, sum);
    const LeaseSpec second = Grant(units[1]);
    Checkpoint report = Walked(second.unit_id, second.token, "m", "z", 3);
    report.complete = true;
    Must(report, Result::kRecorded);
    EXPECT_EQ(Progress().historical->total, sum + 3);
    EXPECT_EQ(Progress().historical->done, sum + 3);
    EXPECT_EQ(Progress().historical->fraction, 1);
  }
}

TEST_F(WorkCheckpointTest, SenselessRanges) {
  const LeaseSpec lease = LeaseOfRange(10);
  Must(Walked(lease.unit_id, lease.token, "", "d", 3), Result::kRecorded);
  EXPECT_THAT(tables_.Apply(Walked(lease.unit_id, lease.token, "d", "c", 0)),
              HasCode(kSenseless));
  Checkpoint collapsed = Walked(lease.unit_id, lease.token, "d", "e", 1);
  collapsed.collapsed = 1;
  EXPECT_THAT(tables_.Apply(collapsed), HasCode(kSenseless));
  Checkpoint negative = Walked(lease.unit_id, lease.token, "d", "e", 1);
  negative.bytes = -1;
  EXPECT_THAT(tables_.Apply(negative), HasCode(kSenseless));
  // An empty interval settles nothing.
  EXPECT_THAT(tables_.Apply(Walked(lease.unit_id, lease.token, "d", "d", 1)),
              HasCode(kSenseless));
  EXPECT_EQ(tables_.Counters(rule_).historical_done, 3);
}

// A range that ends short of its end, or beyond it, would be objects that
// nobody ever looks at, or that two look at.
TEST_F(WorkCheckpointTest, ARangeEndsAtItsEnd) {
  const LeaseSpec lease = LeaseOfRange(10);
  Checkpoint early = Walked(lease.unit_id, lease.token, "", "d", 3);
  early.complete = true;
  EXPECT_THAT(tables_.Apply(early), HasCode(kSenseless));
  EXPECT_THAT(tables_.Apply(Walked(lease.unit_id, lease.token, "", "n", 3)),
              HasCode(kSenseless));
  EXPECT_TRUE(tables_.FindUnit(lease.unit_id).has_value());
  EXPECT_EQ(tables_.Counters(rule_).historical_done, 0);
}

// ---------------------------------------------------------------------- PROBE

TEST_F(WorkCheckpointTest, AGoodProbeStartsTheRule) {
  rule_ = tables_.AddRule({.historical = true});
  tables_.Publish("photos", 4);  // Logged while STARTING.
  const LeaseSpec lease = Grant(tables_.TheUnit(rule_, UnitKind::kProbe));
  const auto outcome =
      Must(ProbeFinds(lease.unit_id, lease.token), Result::kRecorded);
  EXPECT_TRUE(outcome.lease_over);
  EXPECT_EQ(outcome.events.removed, std::vector<int64_t>{lease.unit_id});
  ASSERT_EQ(outcome.events.added.size(), 2u);
  EXPECT_EQ(outcome.events.added[0].kind, UnitKind::kInventory);
  EXPECT_EQ(outcome.events.added[1].kind, UnitKind::kChanges);
  EXPECT_EQ(outcome.events.added[1].cursor_sequence, 0);
  EXPECT_EQ(outcome.events.added[1].log_end, 4);
  const Rule rule = *tables_.FindRule(rule_);
  EXPECT_EQ(rule.state, RuleState::kActive);
  EXPECT_EQ(rule.source_identity, "source-id");
  EXPECT_EQ(rule.destination_identity, "dest-id");
  EXPECT_EQ(rule.active_time, test::Epoch());
}

TEST_F(WorkCheckpointTest, ARuleWithoutHistoryAndLogHasNoWork) {
  rule_ = tables_.AddRule();
  const LeaseSpec lease = Grant(tables_.TheUnit(rule_, UnitKind::kProbe));
  EXPECT_TRUE(Must(ProbeFinds(lease.unit_id, lease.token), Result::kRecorded)
                  .events.added.empty());
  EXPECT_TRUE(tables_.UnitsOf(rule_).empty());
}

TEST_F(WorkCheckpointTest, AProbeThatFindsSomethingWrongIsTriedAgain) {
  rule_ = tables_.AddRule();
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kProbe);
  const auto tries = [&](auto change, const std::string& says) {
    const LeaseSpec lease = Grant(unit);
    Checkpoint report = ProbeFinds(lease.unit_id, lease.token);
    change(*report.probe);
    const auto outcome = Must(report, Result::kRecorded);
    EXPECT_TRUE(outcome.lease_over);
    EXPECT_TRUE(outcome.events.added.empty());
    EXPECT_TRUE(outcome.events.removed.empty());
    EXPECT_EQ(tables_.FindRule(rule_)->state, RuleState::kStarting);
    ASSERT_EQ(tables_.Conditions(rule_).size(), 1u);
    EXPECT_EQ(tables_.Conditions(rule_)[0].type, "PROBE_FAILED");
    EXPECT_NE(tables_.Conditions(rule_)[0].message.find(says),
              std::string::npos)
        << tables_.Conditions(rule_)[0].message;
    // The lease is over: the same report again is a stranger's.
    Must(report, Result::kFenced);
  };
  tries([](auto& probe) { probe.source.problem = "no such bucket"; },
        "buckets/photos: no such bucket");
  tries([](auto& probe) { probe.destination.problem = "refused"; },
        "buckets/photos-dr: refused");
  tries([](auto& probe) { probe.source.identity.clear(); }, "identity");
  tries([](auto& probe) { probe.destination.identity.clear(); }, "identity");
  tries([](auto& probe) { probe.source.versioning = Versioning::kEnabled; },
        "buckets/photos: its versioning");
  tries(
      [](auto& probe) {
        probe.destination.versioning = Versioning::kSuspended;
      },
      "buckets/photos-dr: its versioning");

  const LeaseSpec lease = Grant(unit);
  Must(ProbeFinds(lease.unit_id, lease.token), Result::kRecorded);
  EXPECT_EQ(tables_.FindRule(rule_)->state, RuleState::kActive);
  EXPECT_TRUE(tables_.Conditions(rule_).empty());
}

// Design §4: a change that is written while its publisher is away must not
// fall between the listing and the log.
TEST_F(WorkCheckpointTest, HistoryWaitsForEveryPublisherOfTheSource) {
  using Kind = PublisherScope::Kind;
  const auto add = [&](const std::string& id, Kind kind,
                       const std::string& scope) {
    tables_.Do([&](Transaction& txn) {
      publisher_table::Put(txn, {.id = id, .scope = {kind, scope}},
                           test::Epoch());
    });
  };
  rule_ = tables_.AddRule();
  add("of-bucket", Kind::kBucket, "photos");
  add("of-region", Kind::kRegion, test::kHangzhou);
  add("of-destination", Kind::kBucket, "photos-dr");
  add("of-other-region", Kind::kRegion, test::kBeijing);
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kProbe);
  const auto probe = [&](const std::set<std::string>& attached) {
    const LeaseSpec lease = Grant(unit);
    EXPECT_OK(
        tables_.Apply(ProbeFinds(lease.unit_id, lease.token), attached));
    return tables_.FindRule(rule_)->state;
  };
  EXPECT_EQ(probe({}), RuleState::kStarting);
  EXPECT_EQ(probe({"of-bucket"}), RuleState::kStarting);
  EXPECT_EQ(probe({"of-region", "of-destination", "of-other-region"}),
            RuleState::kStarting);
  ASSERT_EQ(tables_.Conditions(rule_).size(), 1u);
  EXPECT_EQ(tables_.Conditions(rule_)[0].type, "PUBLISHER_DETACHED");
  EXPECT_EQ(probe({"of-bucket", "of-region"}), RuleState::kActive);
}

TEST_F(WorkCheckpointTest, AProbeStartsNothingOnceTheRuleIsClosing) {
  rule_ = tables_.AddRule({.historical = true});
  const LeaseSpec lease = Grant(tables_.TheUnit(rule_, UnitKind::kProbe));
  tables_.Do([&](Transaction& txn) {
    rule_table::SetState(txn, rule_, RuleState::kClosing, test::Epoch());
  });
  Must(ProbeFinds(lease.unit_id, lease.token), Result::kFenced);
  EXPECT_EQ(tables_.FindRule(rule_)->state, RuleState::kClosing);
  EXPECT_EQ(tables_.UnitsOf(rule_).size(), 1u);
}

TEST_F(WorkCheckpointTest, SenselessProbes) {
  rule_ = tables_.AddRule();
  const LeaseSpec lease = Grant(tables_.TheUnit(rule_, UnitKind::kProbe));
  Checkpoint incomplete = ProbeFinds(lease.unit_id, lease.token);
  incomplete.complete = false;
  EXPECT_THAT(tables_.Apply(incomplete), HasCode(kSenseless));
  Checkpoint empty = ProbeFinds(lease.unit_id, lease.token);
  empty.probe.reset();
  EXPECT_THAT(tables_.Apply(empty), HasCode(kSenseless));
  EXPECT_EQ(tables_.FindRule(rule_)->state, RuleState::kStarting);
}

}  // namespace
}  // namespace crr
