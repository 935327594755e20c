// A log that overflows, or a database that was restored, loses no truth: what
// is dropped is counted, T stays where it is true, and a whole compare follows.

#include "server/core/resync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/progress.h"
#include "server/core/units.h"
#include "server/core/verification.h"
#include "server/core/work.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kLogMax = 100;

class ResyncTest : public ::testing::Test {
 protected:
  // A change whose record has so many bytes.
  BatchOutcome Publish(int64_t bytes, absl::Duration later = {}) {
    Batch batch = test::TestTables::BatchOf("photos", {"k"});
    batch.changes[0].encoded = std::string(static_cast<size_t>(bytes), 'x');
    batch.changes[0].event_time = test::Epoch() + later;
    const auto outcome = tables_.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, kLogMax, test::Epoch());
    });
    CRR_CHECK(outcome.ok());
    return *outcome;
  }
  absl::StatusOr<ResyncOutcome> Step() {
    return tables_.Try([&](Transaction& txn) {
      return ResyncStep(txn, rule_, test::Epoch());
    });
  }
  void Attach() {
    tables_.Do([&](Transaction& txn) {
      ASSERT_OK(AttachPublisher(
          txn,
          {.id = "gw", .scope = {PublisherScope::Kind::kBucket, "photos"}},
          test::Epoch()));
    });
  }
  SyncTime Synced() {
    return tables_.Do([&](Transaction& txn) {
      return SyncTimeOf(txn, *rule_table::Get(txn, rule_),
                        {{{"gw", {PublisherScope::Kind::kBucket, "photos"}},
                          test::Epoch() + absl::Hours(1)}});
    });
  }
  // Lets the verification that is under way find that all is equal.
  void Verify(std::vector<ObjectFailure> differing = {}) {
    for (;;) {
      std::optional<Unit> next;
      for (const Unit& unit : tables_.UnitsOf(rule_)) {
        if (unit.kind == UnitKind::kVerify ||
            (unit.kind == UnitKind::kInventory &&
             unit.partition == kVerificationInventory)) {
          next = unit;
        }
      }
      if (!next) return;
      const auto lease = tables_.Grant(next->id, session_);
      ASSERT_OK(lease);
      Checkpoint report = test::Walked(next->id, lease->token,
                                       lease->cursor.key, lease->cursor.key);
      report.complete = true;
      if (next->kind == UnitKind::kVerify) {
        report.to.key = "z";
        report.compared = Checkpoint::Compared{.equal = 1};
        report.failed = std::exchange(differing, {});
      }
      ASSERT_OK(tables_.Apply(report));
    }
  }
  Resync State() { return tables_.FindRule(rule_)->resync; }
  std::vector<std::string> Conditions() {
    std::vector<std::string> types;
    for (const ShownCondition& condition : tables_.Do([&](Transaction& txn) {
           return ConditionsOf(txn, *rule_table::Get(txn, rule_));
         })) {
      types.push_back(condition.type);
    }
    return types;
  }
  Ledger Sums() { return tables_.LedgerOfRule(rule_); }
  void TearDown() override {
    EXPECT_TRUE(Sums().balances()) << ToText(Sums());
  }

  test::TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  const int64_t rule_ = tables_.AddActiveRule();
};

TEST_F(ResyncTest, ALogMayBeFilledToItsBound) {
  Publish(60);
  EXPECT_THAT(Publish(40).events.resync, IsEmpty());
  EXPECT_EQ(State(), Resync::kNone);
  EXPECT_THAT(Publish(1).events.resync, ElementsAre(rule_));
  EXPECT_EQ(State(), Resync::kNeeded);
}

TEST_F(ResyncTest, AnOverflowIsTakenAndCountedButNotLogged) {
  Publish(100);
  EXPECT_EQ(Publish(1).accepted, 1);
  EXPECT_EQ(Publish(1).accepted, 1);
  EXPECT_EQ(Sums().resync, 2);
  EXPECT_EQ(Sums().pending, 1);
  EXPECT_THAT(Conditions(), ElementsAre("RESYNC_NEEDED"));

  // The drop waits for who works on the log.
  const Unit log = tables_.TheUnit(rule_, UnitKind::kChanges);
  const auto lease = tables_.Grant(log.id, session_);
  ASSERT_OK(lease);
  EXPECT_THAT(Step(), HasCode(absl::StatusCode::kFailedPrecondition));
  tables_.Do([&](Transaction& txn) {
    EndLease(txn, log.id, lease->token, {}, test::Epoch());
  });
  const auto step = Step();
  ASSERT_OK(step);
  EXPECT_TRUE(step->done);
  EXPECT_THAT(step->events.removed, ElementsAre(log.id));
  EXPECT_EQ(step->events.added.size(), 1u);
  EXPECT_EQ(State(), Resync::kVerifying);
  EXPECT_EQ(Sums().resync, 3);
  EXPECT_EQ(Sums().pending, 0);
  EXPECT_EQ(tables_.Counters(rule_).log_bytes, 0);
  // A late report of the old log is fenced.
  EXPECT_EQ(tables_.Apply(test::Applied(log.id, lease->token, 0, 1))->result,
            CheckpointOutcome::Result::kFenced);

  // Changes are logged again from the instant at which the compare may begin.
  EXPECT_EQ(Publish(5).events.added.size(), 1u);
  EXPECT_EQ(Sums().pending, 1);
  Verify();
  EXPECT_EQ(State(), Resync::kNone);
  EXPECT_THAT(Conditions(), IsEmpty());
}

TEST_F(ResyncTest, ADropGoesInBoundedSteps) {
  for (int i = 0; i < 100; ++i) Publish(1);
  tables_.Do([&](Transaction& txn) {
    for (int i = 0; i < 2 * limits::kPurgeStep; ++i) {
      segment_table::Append(
          txn, rule_, 5,
          {.first_sequence = i + 1, .last_sequence = i + 1, .changes = "y"},
          1);
      rule_table::AddCounters(
          txn, rule_, {.published = 1, .logged = 1, .log_bytes = 1});
    }
  });
  Publish(1);
  int steps = 1;
  for (; !Step()->done; ++steps) {
    EXPECT_TRUE(Sums().balances()) << ToText(Sums());
  }
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(Sums().resync, 101 + 2 * limits::kPurgeStep);
  // Nothing is left to do.
  EXPECT_TRUE(Step()->done);
  EXPECT_EQ(State(), Resync::kVerifying);
}

// The last holder's token is the newest still, and its report is late.
TEST_F(ResyncTest, WhatIsBeingDroppedIsNotCountedByALateHolder) {
  Publish(60);
  const Unit log = tables_.TheUnit(rule_, UnitKind::kChanges);
  const auto lease = tables_.Grant(log.id, session_);
  ASSERT_OK(lease);
  Publish(60);
  const Checkpoint late = test::Applied(log.id, lease->token, 0, 1);
  tables_.Do([&](Transaction& txn) {
    EndLease(txn, log.id, lease->token, {.kind = LeaseEnd::Kind::kLost},
             test::Epoch());
    // As a step that did not come to the end of the log leaves it.
    const auto purged = segment_table::Purge(txn, rule_, 1);
    rule_table::AddCounters(
        txn, rule_,
        {.resync = purged.changes, .log_bytes = -purged.bytes});
    segment_table::Append(
        txn, rule_, 0,
        {.first_sequence = 2, .last_sequence = 2, .changes = "y"}, 1);
    rule_table::AddCounters(txn, rule_, {.published = 1, .log_bytes = 1});
  });
  EXPECT_EQ(tables_.Apply(late)->result, CheckpointOutcome::Result::kFenced);
  EXPECT_TRUE(Sums().balances()) << ToText(Sums());
}

TEST_F(ResyncTest, LastSyncTimeStaysAtTheOldestThatWasDropped) {
  Attach();
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Hours(1));
  Publish(60, absl::Minutes(2));
  Publish(60, absl::Minutes(3));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(2));
  ASSERT_OK(Step());
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(2));
  Publish(60, absl::Minutes(30));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(2));
  Verify();
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(30));
}

TEST_F(ResyncTest, ALateEventTakesTheFloorBack) {
  Attach();
  Publish(60, absl::Minutes(20));
  Publish(60, absl::Minutes(30));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(20));
  Publish(1, absl::Minutes(10));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(10));
  Publish(1, absl::Minutes(15));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Minutes(10));
  // One that says nothing of its time.
  Batch batch = test::TestTables::BatchOf("photos", {"k"});
  batch.changes[0].event_time = UnknownEventTime();
  batch.changes[0].is_timed = false;
  ASSERT_OK(tables_.Try([&](Transaction& txn) {
    return AppendBatch(txn, batch, kLogMax, test::Epoch());
  }));
  EXPECT_EQ(Synced().unknown_reason, "RESYNC_NEEDED");
}

TEST_F(ResyncTest, WhatTheCompareFoundMustBeRepairedFirst) {
  Attach();
  Publish(60, absl::Minutes(2));
  Publish(60, absl::Minutes(3));
  ASSERT_OK(Step());
  Verify({{.key = "k", .reason = "MISSING"}});
  EXPECT_EQ(State(), Resync::kNone);
  EXPECT_EQ(Synced().unknown_reason, "REPAIR_OPEN");
  const Unit object = tables_.TheUnit(rule_, UnitKind::kObject);
  const auto lease = tables_.Grant(object.id, session_);
  ASSERT_OK(lease);
  ASSERT_OK(tables_.Apply({.unit_id = object.id,
                           .token = lease->token,
                           .complete = true,
                           .applied = 1}));
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Hours(1));
  EXPECT_EQ(Sums().applied, 0);  // It stood for no change.
}

TEST_F(ResyncTest, AnOverflowInTheMiddleBeginsAnew) {
  Publish(60, absl::Minutes(5));
  Publish(60, absl::Minutes(3));
  ASSERT_OK(Step());
  const Unit inventory = tables_.TheUnit(rule_, UnitKind::kInventory);
  const auto lease = tables_.Grant(inventory.id, session_);
  ASSERT_OK(lease);
  Publish(60, absl::Minutes(7));
  EXPECT_THAT(Publish(60, absl::Minutes(8)).events.resync, ElementsAre(rule_));
  EXPECT_EQ(State(), Resync::kNeeded);
  EXPECT_EQ(tables_.FindRule(rule_)->resync_floor,
            test::Epoch() + absl::Minutes(3));
  const auto step = Step();
  ASSERT_OK(step);
  // The compare that began before the drop is over, whoever holds it.
  const Unit again = tables_.TheUnit(rule_, UnitKind::kInventory);
  EXPECT_NE(again.id, inventory.id);
  Checkpoint late =
      test::Walked(inventory.id, lease->token, "", "");
  late.complete = true;
  EXPECT_EQ(tables_.Apply(late)->result, CheckpointOutcome::Result::kFenced);
  EXPECT_EQ(State(), Resync::kVerifying);
  Verify();
  EXPECT_EQ(State(), Resync::kNone);
}

TEST_F(ResyncTest, AComparisonThatIsOverGoesInBoundedStepsToo) {
  Publish(60);
  tables_.Do([&](Transaction& txn) {
    StartVerification(txn, *rule_table::Get(txn, rule_),
                      VerificationCause::kRequested, false, test::Epoch());
    for (int i = 0; i < limits::kPurgeStep + 1; ++i) {
      AddUnit(txn, {.rule_uid = rule_, .kind = UnitKind::kVerify});
    }
  });
  Publish(60);
  const auto first = Step();
  ASSERT_OK(first);
  EXPECT_FALSE(first->done);
  // The ranges, and the inventory that would make others.
  EXPECT_EQ(first->events.removed.size(), limits::kPurgeStep + 1u);
  const auto second = Step();
  ASSERT_OK(second);
  EXPECT_TRUE(second->done);
  EXPECT_EQ(second->events.added.size(), 1u);
  Verify();
  EXPECT_EQ(State(), Resync::kNone);
}

// Object by object, a compare would call it missing.
TEST_F(ResyncTest, HistoryThatIsOnItsWayComesFirst) {
  const int64_t films = tables_.AddActiveRule({.source = "films",
                                               .destination = "films-dr",
                                               .historical = true});
  tables_.Do([&](Transaction& txn) {
    rule_table::NeedResync(txn, films, test::Epoch(), test::Epoch());
  });
  const auto step = tables_.Try([&](Transaction& txn) {
    return ResyncStep(txn, films, test::Epoch());
  });
  ASSERT_OK(step);
  EXPECT_TRUE(step->done);
  EXPECT_THAT(step->events.added, IsEmpty());
  EXPECT_EQ(tables_.FindRule(films)->resync, Resync::kVerifying);
  tables_.CutRanges(films, {{.end = "m", .objects = 1},
                            {.end = "t", .objects = 1}});
  const auto verifications = [&] {
    return tables_.Number("SELECT count(*) FROM verifications");
  };
  for (const char* end : {"m", "t"}) {
    EXPECT_EQ(verifications(), 0);
    const Unit range = tables_.UnitsOf(films).front();
    ASSERT_EQ(range.kind, UnitKind::kBackfill);
    const auto lease = tables_.Grant(range.id, session_);
    ASSERT_OK(lease);
    Checkpoint report =
        test::Walked(range.id, lease->token, range.range_start, end, 1);
    report.complete = true;
    ASSERT_OK(tables_.Apply(report));
  }
  EXPECT_EQ(verifications(), 1);
  EXPECT_EQ(tables_.TheUnit(films, UnitKind::kInventory).partition,
            kVerificationInventory);
  EXPECT_EQ(tables_.FindRule(films)->resync, Resync::kVerifying);
}

TEST_F(ResyncTest, APausedRuleWaitsWithTheCompareAndLogsNothing) {
  Publish(60);
  tables_.Do([&](Transaction& txn) {
    ASSERT_OK(PauseRule(txn, *rule_table::Get(txn, rule_), test::Epoch()));
  });
  Publish(60);
  const auto step = Step();
  ASSERT_OK(step);
  EXPECT_TRUE(step->done);
  EXPECT_EQ(State(), Resync::kNeeded);
  Publish(60);
  EXPECT_THAT(tables_.Log(rule_), IsEmpty());
  EXPECT_EQ(Sums().resync, 3);
  const auto resumed = tables_.Try([&](Transaction& txn) {
    return ResumeRule(txn, *rule_table::Get(txn, rule_), test::Epoch());
  });
  ASSERT_OK(resumed);
  EXPECT_THAT(resumed->events.resync, ElementsAre(rule_));
  EXPECT_EQ(Step()->events.added.size(), 1u);
  EXPECT_EQ(State(), Resync::kVerifying);
}

TEST_F(ResyncTest, ARuleThatStartsWaitsToo) {
  const int64_t films =
      tables_.AddRule({.source = "films", .destination = "films-dr"});
  Batch batch = test::TestTables::BatchOf("films", {"k"});
  batch.changes[0].encoded = std::string(kLogMax + 1, 'x');
  ASSERT_OK(tables_.Try([&](Transaction& txn) {
    return AppendBatch(txn, batch, kLogMax, test::Epoch());
  }));
  EXPECT_EQ(tables_.FindRule(films)->resync, Resync::kNeeded);
  EXPECT_THAT(tables_.Activate(films).resync, ElementsAre(films));
}

TEST_F(ResyncTest, AfterARestoreNothingIsKnownUntilAllIsCompared) {
  Attach();
  Publish(60, absl::Minutes(2));
  tables_.Do([](Transaction& txn) {
    rule_table::MarkAllForResync(txn, test::Epoch());
  });
  EXPECT_EQ(State(), Resync::kNeeded);
  EXPECT_EQ(Synced().unknown_reason, "RESYNC_NEEDED");
  ASSERT_OK(Step());
  EXPECT_EQ(Synced().unknown_reason, "RESYNC_NEEDED");
  const auto verification = tables_.Do([&](Transaction& txn) {
    return verification_table::Get(txn, rule_);
  });
  EXPECT_EQ(verification->cause, VerificationCause::kRestored);
  Verify();
  EXPECT_EQ(Synced().time, test::Epoch() + absl::Hours(1));
}

}  // namespace
}  // namespace crr
