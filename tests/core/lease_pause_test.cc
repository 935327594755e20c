// Rules that are paused, resumed and given other limits, with a unit in every
// phase of its life.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "server/core/refusal.h"
#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::HasCode;
using test::LeaseWorld;
using test::ManualStore;
using test::Walked;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

class LeasePauseTest : public ::testing::Test {
 protected:
  std::vector<std::string> RevokeReasons(StreamId stream) {
    std::vector<std::string> reasons;
    for (const RevokeMessage& revoke :
         world_.output.Of<RevokeMessage>(stream)) {
      reasons.push_back(revoke.reason);
    }
    return reasons;
  }
  size_t Grants(StreamId stream) { return world_.Grants(stream).size(); }
  bool Stands(int64_t rule) { return world_.tables.FindRule(rule).has_value(); }
  int64_t Leases() {
    return world_.tables.Number("SELECT count(*) FROM leases");
  }

  // A paused rule costs nothing: not even a try.
  void ExpectNothingIsAskedFor() {
    world_.clock.Advance(absl::Seconds(2));
    world_.core->Tick();
    EXPECT_EQ(world_.store.waiting(Kind::kGrant), 0);
    world_.store.Settle();
  }

  LeaseWorld world_;
};

// ------------------------------------------------------- a unit in each phase

// Offered: the offer is taken back, and made again once.
TEST_F(LeasePauseTest, WhatIsOfferedIsWithdrawn) {
  const int64_t rule = world_.AddRuleWithRanges(3);
  world_.Pause(rule);
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1"));
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_TRUE(world_.store.Deliver());  // Welcome, and nothing else.
  ExpectNothingIsAskedFor();
  world_.PassAlive(absl::Minutes(1), {stream});
  EXPECT_EQ(Grants(stream), 0u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 3u);
  world_.PassAlive(absl::Minutes(1), {stream});
  EXPECT_EQ(Grants(stream), 3u);
}

// Offered later, after a failure: the wait is not what a pause waits for.
TEST_F(LeasePauseTest, WhatWaitsForItsTimeIsWithdrawn) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  for (int i = 0; i < 5; ++i) {
    world_.Release(stream, world_.LastGrant(stream), "STORE_UNREACHABLE");
    world_.Pass(absl::Seconds(5));
    world_.Heartbeat(stream);
  }
  const size_t grants = Grants(stream);
  world_.Release(stream, world_.LastGrant(stream), "STORE_UNREACHABLE");
  world_.Pause(rule);
  world_.PassAlive(absl::Minutes(5), {stream});
  EXPECT_EQ(Grants(stream), grants);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), grants + 1);
}

// Granting: the pause is committed before the grant, or after it.
TEST_F(LeasePauseTest, AGrantUnderWayIsNeverSent) {
  for (const bool grant_is_first : {false, true}) {
    SCOPED_TRACE(grant_is_first);
    LeaseWorld world;
    const int64_t rule = world.AddRuleWithRanges(1);
    const StreamId stream = world.Say(LeaseWorld::HelloOf("c1"));
    ASSERT_TRUE(world.store.RunStep());
    if (!grant_is_first) world.SubmitPause(rule);
    ASSERT_TRUE(world.store.Deliver());  // Welcome; a grant is asked for.
    ASSERT_EQ(world.store.waiting(Kind::kGrant), 1);
    if (grant_is_first) {
      ASSERT_TRUE(world.store.RunStep());
      ASSERT_EQ(world.store.unanswered(Kind::kGrant), 1);
      // Its answer comes first, for commits are told in order; so the core is
      // told here by hand, as if the answer were late.
      const auto outcome = world.tables.Try([&](Transaction& txn) {
        return PauseRule(txn, *rule_table::Get(txn, rule), test::Epoch());
      });
      ASSERT_TRUE(outcome.ok());
      world.core->OnWork(outcome->events);
    }
    world.store.Settle();
    world.PassAlive(absl::Seconds(5), {stream});
    EXPECT_TRUE(world.Grants(stream).empty());
    EXPECT_EQ(world.tables.Number("SELECT count(*) FROM leases"), 0);
    // Its room is free meanwhile.
    world.AddRuleWithRanges(12, {.source = "films", .destination = "films-dr"});
    EXPECT_EQ(world.Grants(stream).size(), 10u);
    world.Resume(rule);
    world.Release(stream, world.LastGrant(stream));
    world.PassAlive(absl::Seconds(5), {stream});
    int granted = 0;
    for (const LeaseSpec& lease : world.Grants(stream)) {
      granted += lease.rule.uid == rule;
    }
    EXPECT_EQ(granted, 1);
  }
}

// Granting, and resumed again before the answer.
TEST_F(LeasePauseTest, AGrantThatMeetsAPauseAndAResumeIsMadeOnce) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1"));
  ASSERT_TRUE(world_.store.RunStep());
  world_.SubmitPause(rule);
  ASSERT_TRUE(world_.store.Deliver());
  ASSERT_EQ(world_.store.waiting(Kind::kGrant), 1);
  world_.SubmitResume(rule);
  world_.store.Settle();
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_EQ(Grants(stream), 1u);
  EXPECT_EQ(world_.core->counts().leases, 1);
}

// Leased: it is asked for, what it does until then counts, and it is granted
// anew after the resume.
TEST_F(LeasePauseTest, WhatIsLeasedIsAskedBack) {
  const int64_t rule = world_.AddRuleWithRanges(2);
  const StreamId stream = world_.Open("c1", 1);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Pause(rule);
  EXPECT_EQ(RevokeReasons(stream), std::vector<std::string>{"RULE_PAUSED"});
  EXPECT_EQ(world_.output.Last<RevokeMessage>(stream).deadline,
            world_.options.ttl);
  EXPECT_EQ(
      world_.Report(stream, Walked(lease.unit_id, lease.token, "", "a", 1))
          .result,
      Result::kRecorded);
  world_.Release(stream, lease, "REVOKED");
  ExpectNothingIsAskedFor();
  world_.PassAlive(absl::Seconds(30), {stream});
  EXPECT_EQ(Grants(stream), 1u);
  EXPECT_EQ(Leases(), 0);
  world_.Resume(rule);
  ASSERT_EQ(Grants(stream), 2u);
  EXPECT_EQ(world_.LastGrant(stream).unit_id, lease.unit_id);
  EXPECT_EQ(world_.LastGrant(stream).cursor.key, "a");
}

// Leased by one that does not listen: it runs out at its own time.
TEST_F(LeasePauseTest, ADeafHolderRunsOut) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  world_.Pause(rule);
  world_.PassAlive(world_.options.ttl + world_.term() - kInstant, {stream});
  EXPECT_EQ(Leases(), 1);
  world_.Pass(kInstant);
  EXPECT_EQ(Leases(), 0);
  EXPECT_EQ(world_.core->counts().expiries, 1);
  world_.PassAlive(absl::Seconds(30), {stream});
  EXPECT_EQ(Grants(stream), 1u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 2u);
}

// Leased by one that is gone.
TEST_F(LeasePauseTest, ADeadHolderRunsOutAndStaysSo) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId dead = world_.Open("c1");
  world_.core->OnStreamClosed(dead);
  world_.Pause(rule);
  world_.Pass(world_.term());
  EXPECT_EQ(Leases(), 0);
  const StreamId stream = world_.Open("c2");
  world_.PassAlive(absl::Seconds(30), {stream});
  EXPECT_EQ(Grants(stream), 0u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 1u);
}

// Resumed while the holder is on its way back: it comes back all the same, and
// there is one grant then.
TEST_F(LeasePauseTest, AResumeDoesNotTakeTheRevokeBack) {
  const int64_t rule = world_.AddRuleWithChanges(3);
  const StreamId stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Pause(rule);
  world_.Resume(rule);
  world_.Publish("photos", 1);
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_EQ(Grants(stream), 1u);
  world_.Release(stream, lease, "REVOKED");
  ASSERT_EQ(Grants(stream), 2u);
  // All that was logged comes with it.
  EXPECT_EQ(world_.output.Last<SegmentMessage>(stream).segment.last_sequence,
            4);
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_EQ(Grants(stream), 2u);
}

// Ending: the pause comes between the release and its commit, and the resume
// before or after the answer.
TEST_F(LeasePauseTest, WhatIsEndingIsOfferedOnceTheRuleGoesOn) {
  for (const bool resumed_before_the_answer : {false, true}) {
    SCOPED_TRACE(resumed_before_the_answer);
    LeaseWorld world;
    const int64_t rule = world.AddRuleWithRanges(1);
    const StreamId stream = world.Open("c1");
    const LeaseSpec lease = world.LastGrant(stream);
    world.SubmitPause(rule);
    ASSERT_TRUE(world.store.RunStep());
    world.core->OnRelease(stream, LeaseWorld::ReleaseOf(lease, "STOPPING"));
    ASSERT_EQ(world.store.waiting(Kind::kEnd), 1);
    ASSERT_TRUE(world.store.Deliver());  // Paused.
    if (resumed_before_the_answer) {
      world.SubmitResume(rule);
      world.store.Settle();
    } else {
      world.store.Settle();
      EXPECT_EQ(world.Grants(stream).size(), 1u);
      world.Resume(rule);
    }
    EXPECT_EQ(world.Grants(stream).size(), 2u);
    world.PassAlive(absl::Seconds(5), {stream});
    EXPECT_EQ(world.Grants(stream).size(), 2u);
  }
}

// Ending, and the step that stores the end fails for a while.
TEST_F(LeasePauseTest, AnEndThatIsTriedAgainStaysHeldBack) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  world_.Pause(rule);
  world_.store.Refuse(Kind::kEnd,
                      absl::ResourceExhaustedError("the disk is full"), 3);
  world_.Release(stream, world_.LastGrant(stream), "REVOKED");
  EXPECT_EQ(Leases(), 1);
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_EQ(Leases(), 0);
  EXPECT_EQ(Grants(stream), 1u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 2u);
}

// ------------------------------------------------------------------ new units

// What a holder makes on its way out waits like the rest.
TEST_F(LeasePauseTest, UnitsThatAreMadeMeanwhileWait) {
  const int64_t rule = world_.tables.AddActiveRule({.historical = true});
  world_.Restart();
  const StreamId stream = world_.Open("c1");
  const LeaseSpec inventory = world_.LastGrant(stream);
  ASSERT_EQ(inventory.kind, UnitKind::kInventory);
  world_.Pause(rule);
  Checkpoint report = Walked(inventory.unit_id, inventory.token, "", "b");
  report.ranges = {{"a", 1}, {"b", 1}};
  report.complete = true;
  EXPECT_EQ(world_.Report(stream, report).result, Result::kRecorded);
  ExpectNothingIsAskedFor();
  EXPECT_EQ(Grants(stream), 1u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 3u);
}

TEST_F(LeasePauseTest, ALogThatBeganMeanwhileIsGrantedOnce) {
  const int64_t rule = world_.tables.AddActiveRule();
  const StreamId stream = world_.Open("c1");
  world_.Pause(rule);
  world_.Publish("photos", 2);
  world_.Publish("photos", 3);
  EXPECT_TRUE(world_.tables.UnitsOf(rule).empty());
  world_.Resume(rule);
  ASSERT_EQ(Grants(stream), 1u);
  EXPECT_EQ(world_.output.Last<SegmentMessage>(stream).segment.last_sequence,
            5);
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_EQ(Grants(stream), 1u);
}

// The publisher's commit and the user's, in either order.
TEST_F(LeasePauseTest, AChangeAndAResumeInOneBreath) {
  for (const bool change_is_first : {false, true}) {
    SCOPED_TRACE(change_is_first);
    LeaseWorld world;
    const int64_t rule = world.tables.AddActiveRule();
    const StreamId stream = world.Open("c1");
    world.Pause(rule);
    const auto publish = [&] {
      world.store.Submit(
          [](Transaction& txn) -> absl::StatusOr<WorkEvents> {
            auto outcome =
                AppendBatch(txn, test::TestTables::BatchOf("photos", {"k"}),
                            int64_t{1} << 30, test::Epoch());
            if (!outcome.ok()) return outcome.status();
            return outcome->events;
          },
          [&](const WorkEvents& events) { world.core->OnWork(events); });
    };
    if (change_is_first) publish();
    world.SubmitResume(rule);
    if (!change_is_first) publish();
    world.store.Settle();
    ASSERT_EQ(world.Grants(stream).size(), 1u);
    EXPECT_EQ(world.output.Of<SegmentMessage>(stream).size(), 1u);
  }
}

// -------------------------------------------------------------- across a start

TEST_F(LeasePauseTest, TheNextProcessKnowsWhatIsPaused) {
  const int64_t rule = world_.AddRuleWithRanges(2);
  const StreamId stream = world_.Open("c1", 1);
  const int64_t number = world_.NumberOf(stream);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.SubmitPause(rule);
  ASSERT_TRUE(world_.store.RunStep());  // Committed; nobody was told.
  world_.Restart();
  const StreamId again =
      world_.Reopen("c1", number, {LeaseWorld::RefOf(lease)});
  EXPECT_EQ(RevokeReasons(again), std::vector<std::string>{"RULE_PAUSED"});
  world_.Release(again, lease, "REVOKED");
  ExpectNothingIsAskedFor();
  world_.PassAlive(absl::Seconds(30), {again});
  EXPECT_EQ(Grants(again), 0u);
  world_.Resume(rule);
  EXPECT_EQ(Grants(again), 2u);
}

// The resume's commit is there and its answer is not: nothing is owed.
TEST_F(LeasePauseTest, AResumeThatNobodyHeardOf) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  world_.Pause(rule);
  world_.SubmitResume(rule);
  ASSERT_TRUE(world_.store.RunStep());
  world_.Restart();
  EXPECT_EQ(Grants(world_.Open("c1")), 1u);
}

// --------------------------------------------------------------------- closing

TEST_F(LeasePauseTest, APausedRuleIsClosedAtOnce) {
  const int64_t rule = world_.AddRuleWithRanges(2);
  world_.Pause(rule);
  world_.Delete(rule);
  EXPECT_FALSE(Stands(rule));
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM pairings"), 0);
  EXPECT_EQ(Grants(world_.Open("c1")), 0u);
}

TEST_F(LeasePauseTest, APausedRuleUnderALeaseClosesWhenItIsBack) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  world_.Pause(rule);
  world_.Delete(rule);
  EXPECT_TRUE(Stands(rule));
  // It was asked already.
  EXPECT_EQ(RevokeReasons(stream), std::vector<std::string>{"RULE_PAUSED"});
  world_.Release(stream, world_.LastGrant(stream), "REVOKED");
  EXPECT_FALSE(Stands(rule));
  EXPECT_EQ(Grants(stream), 1u);
}

// --------------------------------------------------------------------- limits

TEST_F(LeasePauseTest, AWiderBoundIsUsedAtOnce) {
  const int64_t rule = world_.AddRuleWithRanges(5, {.max_leases = 1});
  const StreamId stream = world_.Open("c1");
  EXPECT_EQ(Grants(stream), 1u);
  world_.SetLimits(rule, 3);
  EXPECT_EQ(Grants(stream), 3u);
  world_.SetLimits(rule, 0);
  EXPECT_EQ(Grants(stream), 5u);
  EXPECT_TRUE(RevokeReasons(stream).empty());
}

TEST_F(LeasePauseTest, ANarrowerBoundStealsNothing) {
  const int64_t rule = world_.AddRuleWithRanges(6, {.max_leases = 3});
  const StreamId stream = world_.Open("c1");
  const std::vector<LeaseSpec> held = world_.Grants(stream);
  ASSERT_EQ(held.size(), 3u);
  world_.SetLimits(rule, 1);
  EXPECT_TRUE(RevokeReasons(stream).empty());
  for (size_t i = 0; i < 2; ++i) {
    world_.Release(stream, held[i]);
    EXPECT_EQ(Grants(stream), 3u);
  }
  world_.Release(stream, held[2]);
  EXPECT_EQ(Grants(stream), 4u);
  EXPECT_EQ(Leases(), 1);
}

// Units that come later, or come back, know the bound as well.
TEST_F(LeasePauseTest, TheBoundIsTheRulesAndNotTheUnits) {
  const int64_t rule = world_.AddRuleWithRanges(2, {.max_leases = 1});
  world_.Pause(rule);
  world_.SetLimits(rule, 2);
  const StreamId stream = world_.Open("c1");
  world_.Resume(rule);
  EXPECT_EQ(Grants(stream), 2u);
  world_.SetLimits(rule, 1);
  for (const LeaseSpec& lease : world_.Grants(stream)) {
    world_.Release(stream, lease);
  }
  EXPECT_EQ(Leases(), 1);
  world_.Restart();
  world_.Pass(world_.term());
  const StreamId next = world_.Open("c2");
  EXPECT_EQ(Grants(next), 1u);
}

TEST_F(LeasePauseTest, ANewRateIsFetched) {
  const int64_t rule = world_.AddRuleWithRanges(2, {.max_leases = 2});
  const StreamId stream = world_.Open("c1");
  const std::vector<LeaseSpec> held = world_.Grants(stream);
  ASSERT_EQ(held.size(), 2u);
  EXPECT_EQ(held[0].bytes_per_second, 0);
  world_.SetLimits(rule, 2, 1000);
  EXPECT_EQ(RevokeReasons(stream),
            (std::vector<std::string>{"LIMITS_CHANGED", "LIMITS_CHANGED"}));
  for (const LeaseSpec& lease : held) {
    world_.Release(stream, lease, "REVOKED");
    EXPECT_EQ(world_.LastGrant(stream).bytes_per_second, 500);
  }
  world_.output.Clear(stream);
  // A bound that leaves the shares as they are disturbs nobody.
  world_.SetLimits(rule, 2, 1001);
  EXPECT_TRUE(RevokeReasons(stream).empty());
}

// The bound falls while a grant is on its way to be stored with the old rate,
// or with the new one.
TEST_F(LeasePauseTest, AGrantThatMeetsANewRate) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1"));
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_TRUE(world_.store.Deliver());
  ASSERT_EQ(world_.store.waiting(Kind::kGrant), 1);
  world_.SubmitLimits(rule, 1, 1000);
  world_.store.Settle();
  ASSERT_EQ(Grants(stream), 1u);
  EXPECT_EQ(world_.LastGrant(stream).bytes_per_second, 0);
  EXPECT_EQ(RevokeReasons(stream), std::vector<std::string>{"LIMITS_CHANGED"});
  world_.Release(stream, world_.LastGrant(stream), "REVOKED");
  EXPECT_EQ(world_.LastGrant(stream).bytes_per_second, 1000);
}

}  // namespace
}  // namespace crr
