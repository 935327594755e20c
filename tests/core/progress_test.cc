#include "server/core/progress.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/core/change_log.h"
#include "server/core/limits.h"
#include "storage/publisher_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::IsOk;
using test::TestTables;
using test::Walked;

class ProgressTest : public ::testing::Test {
 protected:
  RuleProgress Progress(absl::Time now = test::Epoch()) {
    return tables_.Do([&](Transaction& txn) {
      return ProgressOf(txn, *rule_table::Get(txn, rule_), watermarks_, now);
    });
  }
  std::string Unknown() {
    const LiveProgress live = Progress().live;
    EXPECT_EQ(live.last_sync_time.has_value(), live.unknown_reason.empty());
    return live.unknown_reason;
  }
  void Register(const std::string& id, PublisherScope::Kind kind,
                const std::string& scope) {
    tables_.Do([&](Transaction& txn) {
      publisher_table::Put(txn, {.id = id, .scope = {kind, scope}},
                           test::Epoch());
    });
    speakers_[id] = {id, {kind, scope}};
  }
  // Of a registered publisher.
  void Say(const std::string& id, absl::Time time) {
    watermarks_[speakers_.at(id)] = time;
  }
  // A publisher of the source bucket that vouches for everything before `time`.
  void Vouch(const std::string& id, absl::Time time) {
    Register(id, PublisherScope::Kind::kBucket, "photos");
    Say(id, time);
  }
  // One change for each time, all in one segment.
  void Log(const std::vector<absl::Time>& times) {
    Batch batch = TestTables::BatchOf("photos", {});
    for (const absl::Time time : times) {
      batch.changes.push_back({.bucket = "photos",
                               .key = "k",
                               .event_time = time,
                               .encoded = "k\n"});
    }
    ASSERT_OK(tables_.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, limits::kRuleLogBytesMax, test::Epoch());
    }));
  }
  LeaseSpec Grant(UnitKind kind) {
    auto lease = tables_.Grant(tables_.TheUnit(rule_, kind).id, session_);
    CRR_CHECK(lease.ok());
    return *std::move(lease);
  }

  TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  int64_t rule_ = 0;
  std::map<std::string, Speaker> speakers_;
  Watermarks watermarks_;
  const absl::Time t_ = test::Epoch() - absl::Seconds(30);
};

// ------------------------------------------------------------- last_sync_time

TEST_F(ProgressTest, UnknownUnlessActive) {
  rule_ = tables_.AddRule();
  EXPECT_EQ(Unknown(), "NO_PUBLISHER");
  tables_.Activate(rule_);
  Vouch("gw", t_);
  EXPECT_EQ(Progress().live.last_sync_time, t_);
  for (const RuleState state : {RuleState::kPaused, RuleState::kClosing}) {
    tables_.Do([&](Transaction& txn) {
      rule_table::SetState(txn, rule_, state, test::Epoch());
    });
    EXPECT_EQ(Unknown(), "NOT_ACTIVE");
  }
}

TEST_F(ProgressTest, UnknownWhileHistoryIsOpen) {
  rule_ = tables_.AddActiveRule({.historical = true});
  Vouch("gw", t_);
  EXPECT_EQ(Unknown(), "HISTORICAL_OPEN");  // INVENTORY stands.
  tables_.CutRanges(rule_, {{"m", 1}});
  EXPECT_EQ(Unknown(), "HISTORICAL_OPEN");  // A range stands.
  const LeaseSpec lease = Grant(UnitKind::kBackfill);
  EXPECT_EQ(Unknown(), "HISTORICAL_OPEN");
  Checkpoint report = Walked(lease.unit_id, lease.token, "", "m", 1);
  report.complete = true;
  ASSERT_OK(tables_.Apply(report));
  EXPECT_EQ(Progress().live.last_sync_time, t_);
}

TEST_F(ProgressTest, UnknownWithoutAPublisherOfTheSource) {
  rule_ = tables_.AddActiveRule();
  EXPECT_EQ(Unknown(), "NO_PUBLISHER");
  Register("of-destination", PublisherScope::Kind::kBucket, "photos-dr");
  Register("of-other-region", PublisherScope::Kind::kRegion, test::kBeijing);
  Say("of-destination", t_);
  Say("of-other-region", t_);
  EXPECT_EQ(Unknown(), "NO_PUBLISHER");
  Register("of-region", PublisherScope::Kind::kRegion, test::kHangzhou);
  Say("of-region", t_);
  EXPECT_EQ(Progress().live.last_sync_time, t_);
}

TEST_F(ProgressTest, UnknownUntilEveryPublisherHasSpoken) {
  rule_ = tables_.AddActiveRule();
  Vouch("gw-1", t_);
  Register("gw-2", PublisherScope::Kind::kRegion, test::kHangzhou);
  EXPECT_EQ(Unknown(), "PUBLISHER_DETACHED");
  Say("gw-2", absl::InfinitePast());
  EXPECT_EQ(Unknown(), "NO_COMPLETE_THROUGH");
  Say("gw-2", t_ + absl::Seconds(5));
  EXPECT_EQ(Progress().live.last_sync_time, t_);
}

// It begins to speak for the source while its word on another bucket is read.
TEST_F(ProgressTest, AWordOnAnotherScopeOrOfAnotherEpochSaysNothing) {
  rule_ = tables_.AddActiveRule();
  Register("gw", PublisherScope::Kind::kBucket, "films");
  Say("gw", t_);
  Register("gw", PublisherScope::Kind::kBucket, "photos");
  EXPECT_EQ(Unknown(), "PUBLISHER_DETACHED");
  speakers_["gw"].epoch = 1;
  Say("gw", t_);
  EXPECT_EQ(Unknown(), "PUBLISHER_DETACHED");
  speakers_["gw"].epoch = 0;
  Say("gw", t_);
  EXPECT_EQ(Progress().live.last_sync_time, t_);
}

// T = min(every publisher's word, the oldest change in the log).
TEST_F(ProgressTest, TheFormula) {
  rule_ = tables_.AddActiveRule();
  Vouch("gw-1", t_);
  Vouch("gw-2", t_ - absl::Seconds(1));
  EXPECT_EQ(Progress().live.last_sync_time, t_ - absl::Seconds(1));
  // A later change holds nothing back.
  Log({t_ + absl::Seconds(9)});
  EXPECT_EQ(Progress().live.last_sync_time, t_ - absl::Seconds(1));
  // A late event takes T back: truth over monotony.
  Log({t_ - absl::Seconds(2), t_ - absl::Seconds(7), t_});
  EXPECT_EQ(Progress().live.last_sync_time, t_ - absl::Seconds(7));
  const LeaseSpec lease = Grant(UnitKind::kChanges);
  // The first segment is settled; the second holds T as long as any of it is
  // open.
  ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, 0, 3)));
  EXPECT_LE(Progress().live.last_sync_time, t_ - absl::Seconds(2));
  ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, 3, 4)));
  EXPECT_EQ(Progress().live.last_sync_time, t_ - absl::Seconds(1));
}

// -------------------------------------------------------------------- pending

TEST_F(ProgressTest, PendingCountsFromTheMiddleOfASegment) {
  rule_ = tables_.AddActiveRule();
  Log({t_, t_, t_, t_});
  Log({t_, t_});
  EXPECT_EQ(Progress().live.pending, 6);
  const LeaseSpec lease = Grant(UnitKind::kChanges);
  const std::vector<int64_t> cursors = {0, 1, 3, 4, 5, 6};
  for (size_t i = 1; i < cursors.size(); ++i) {
    ASSERT_OK(tables_.Apply(Applied(lease.unit_id, lease.token, cursors[i - 1],
                                    cursors[i])));
    const LiveProgress live = Progress().live;
    EXPECT_EQ(live.pending, 6 - cursors[i]);
    EXPECT_EQ(live.counters.applied, cursors[i]);
    EXPECT_EQ(live.oldest_segment.has_value(), cursors[i] < 6);
    if (live.oldest_segment) {
      EXPECT_EQ(live.cursor, cursors[i]);
      EXPECT_EQ(live.oldest_segment->first_sequence, cursors[i] < 4 ? 1 : 5);
    }
  }
}

TEST_F(ProgressTest, AStartingRuleShowsWhatItLogged) {
  rule_ = tables_.AddRule({.prefixes = {"k"}});
  Log({t_, t_, t_});
  tables_.Publish("photos", std::vector<std::string>{"elsewhere"});
  const LiveProgress live = Progress().live;
  EXPECT_EQ(live.pending, 3);
  EXPECT_EQ(live.counters.published, 4);
  EXPECT_EQ(live.filtered, (std::map<std::string, int64_t>{{"PREFIX", 1}}));
}

// ----------------------------------------------------------------- historical

TEST_F(ProgressTest, HistoryIsAbsentWhereItWasNotAskedFor) {
  rule_ = tables_.AddActiveRule();
  EXPECT_FALSE(Progress().historical.has_value());
}

TEST_F(ProgressTest, HistoryBeginsAtZero) {
  rule_ = tables_.AddRule({.historical = true});
  HistoricalProgress historical = *Progress().historical;
  EXPECT_FALSE(historical.inventory_complete);
  EXPECT_EQ(historical.total, 0);
  EXPECT_EQ(historical.fraction, 0);
  EXPECT_FALSE(historical.eta.has_value());
}

// Below 1 as long as anything is open, even where more was met than listed.
TEST_F(ProgressTest, TheFractionIsBelowOneWhileARangeIsOpen) {
  rule_ = tables_.AddActiveRule({.historical = true});
  tables_.CutRanges(rule_, {{"m", 4}});
  const LeaseSpec lease = Grant(UnitKind::kBackfill);
  ASSERT_OK(tables_.Apply(Walked(lease.unit_id, lease.token, "", "a", 1)));
  EXPECT_DOUBLE_EQ(Progress().historical->fraction, 0.25);
  ASSERT_OK(tables_.Apply(Walked(lease.unit_id, lease.token, "a", "b", 3)));
  EXPECT_DOUBLE_EQ(Progress().historical->fraction, 0.999);
  ASSERT_OK(tables_.Apply(Walked(lease.unit_id, lease.token, "b", "c", 96)));
  EXPECT_DOUBLE_EQ(Progress().historical->fraction, 0.999);
  Checkpoint report = Walked(lease.unit_id, lease.token, "c", "m", 0);
  report.complete = true;
  ASSERT_OK(tables_.Apply(report));
  EXPECT_EQ(Progress().historical->fraction, 1);
  EXPECT_EQ(Progress().historical->total, 100);
  EXPECT_EQ(Progress().historical->done, 100);
}

TEST_F(ProgressTest, TheTimeLeftFollowsTheTimeSpent) {
  rule_ = tables_.AddActiveRule({.historical = true});
  const absl::Time now = test::Epoch() + absl::Minutes(10);
  tables_.CutRanges(rule_, {{"m", 100}});
  EXPECT_FALSE(Progress(now).historical->eta.has_value());  // Nothing is done.
  const LeaseSpec lease = Grant(UnitKind::kBackfill);
  ASSERT_OK(tables_.Apply(Walked(lease.unit_id, lease.token, "", "a", 25)));
  ASSERT_TRUE(Progress(now).historical->eta.has_value());
  EXPECT_LT(absl::AbsDuration(*Progress(now).historical->eta -
                              absl::Minutes(30)),
            absl::Milliseconds(1));
  // A wall clock that went back shows nothing absurd.
  EXPECT_EQ(Progress(test::Epoch() - absl::Hours(1)).historical->eta,
            absl::ZeroDuration());
}

TEST_F(ProgressTest, NoTimeLeftIsToldBeforeAllIsListed) {
  rule_ = tables_.AddActiveRule({.historical = true});
  const LeaseSpec inventory = Grant(UnitKind::kInventory);
  Checkpoint report = Walked(inventory.unit_id, inventory.token, "", "m");
  report.ranges = {{"m", 4}};
  ASSERT_OK(tables_.Apply(report));
  const LeaseSpec lease = Grant(UnitKind::kBackfill);
  ASSERT_OK(tables_.Apply(Walked(lease.unit_id, lease.token, "", "a", 1)));
  const HistoricalProgress historical =
      *Progress(test::Epoch() + absl::Minutes(1)).historical;
  EXPECT_FALSE(historical.inventory_complete);
  EXPECT_FALSE(historical.eta.has_value());
}

TEST_F(ProgressTest, TheOldestPendingKeyMayBeApart) {
  rule_ = tables_.AddActiveRule();
  Log({t_, t_ + absl::Seconds(5)});
  EXPECT_FALSE(Progress().live.oldest_key_apart.has_value());
  const LeaseSpec lease = Grant(UnitKind::kChanges);
  Checkpoint report = test::Applied(lease.unit_id, lease.token, 0, 1);
  report.applied = 0;
  report.failed = {{.key = "apart", .reason = "X", .changes = 1}};
  ASSERT_OK(tables_.Apply(report));
  // As old as the segment that both are of.
  EXPECT_TRUE(Progress().live.oldest_segment.has_value());
  EXPECT_FALSE(Progress().live.oldest_key_apart.has_value());
  Checkpoint rest = test::Applied(lease.unit_id, lease.token, 1, 2);
  ASSERT_OK(tables_.Apply(rest));
  EXPECT_FALSE(Progress().live.oldest_segment.has_value());
  EXPECT_EQ(Progress().live.oldest_key_apart, "apart");
  // A later change does not come before it.
  Log({t_ + absl::Seconds(9)});
  EXPECT_EQ(Progress().live.oldest_key_apart, "apart");
}

// By time, and not by their numbers.
TEST_F(ProgressTest, TheOldestHeadOfAllLogs) {
  rule_ = tables_.AddActiveRule();
  const auto append = [&](int64_t partition, absl::Time event) {
    tables_.Do([&](Transaction& txn) {
      segment_table::Append(txn, rule_, partition,
                            {.first_sequence = 1,
                             .last_sequence = 1,
                             .oldest_event = event,
                             .changes = "x"},
                            1);
    });
  };
  tables_.Do([&](Transaction& txn) {
    rule_table::SetPartitions(txn, rule_, 1, 2);
  });
  append(1, t_ + absl::Seconds(3));
  append(2, t_);
  EXPECT_EQ(Progress().live.oldest_segment->oldest_event, t_);
}

TEST_F(ProgressTest, HistoricalObjectsThatFailAreCountedAndKeepItOpen) {
  rule_ = tables_.AddActiveRule({.historical = true});
  tables_.CutRanges(rule_, {{"m", 4}});
  Vouch("gw", t_);
  const Unit range = tables_.TheUnit(rule_, UnitKind::kBackfill);
  const auto lease = tables_.Grant(range.id, session_);
  ASSERT_OK(lease);
  Checkpoint report = Walked(range.id, lease->token, "", "m", 2);
  report.complete = true;
  report.failed = {{.key = "b", .reason = "DATA_LOSS"},
                   {.key = "c", .reason = "LARGE"}};
  ASSERT_OK(tables_.Apply(report));
  HistoricalProgress historical = *Progress().historical;
  EXPECT_EQ(historical.total, 4);
  EXPECT_EQ(historical.done, 2);
  EXPECT_EQ(historical.failed, 2);
  EXPECT_LT(historical.fraction, 1);
  EXPECT_EQ(Unknown(), "HISTORICAL_OPEN");
  for (const Unit& unit : tables_.UnitsOf(rule_)) {
    if (unit.kind != UnitKind::kObject) continue;
    const auto object = tables_.Grant(unit.id, session_);
    ASSERT_OK(object);
    ASSERT_OK(tables_.Apply({.unit_id = unit.id,
                             .token = object->token,
                             .complete = true,
                             .applied = 1,
                             .bytes = 7}));
  }
  historical = *Progress().historical;
  EXPECT_EQ(historical.done, 4);
  EXPECT_EQ(historical.failed, 0);
  EXPECT_EQ(historical.bytes, 14);
  EXPECT_EQ(historical.fraction, 1);
  EXPECT_EQ(Progress().live.last_sync_time, t_);
}

}  // namespace
}  // namespace crr
