// Rules that are deleted, and a server that drains, with leases in every state.

#include <gtest/gtest.h>

#include "server/core/refusal.h"
#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

class LeaseClosingTest : public ::testing::Test {
 protected:
  bool Stands(int64_t rule) { return world_.tables.FindRule(rule).has_value(); }

  LeaseWorld world_;
};

TEST_F(LeaseClosingTest, WithoutALeaseARuleIsGoneAtOnce) {
  const int64_t rule = world_.AddRuleWithRanges(3);
  world_.Delete(rule);
  EXPECT_FALSE(Stands(rule));
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM pairings"), 0);
  const StreamId stream = world_.Open("c1");
  EXPECT_TRUE(world_.Grants(stream).empty());
}

TEST_F(LeaseClosingTest, ALongLogIsPurgedStepByStep) {
  const int64_t rule = world_.tables.AddActiveRule();
  for (int i = 0; i < 1200; ++i) world_.tables.Publish("photos", 1);
  world_.Restart();
  world_.Delete(rule);
  EXPECT_FALSE(Stands(rule));
}

TEST_F(LeaseClosingTest, AHolderIsAskedAndTheRuleWaits) {
  const int64_t rule = world_.AddRuleWithRanges(2);
  const StreamId stream = world_.Open("c1", 1);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Delete(rule);
  ASSERT_EQ(world_.output.Of<RevokeMessage>(stream).size(), 1u);
  EXPECT_EQ(world_.output.Last<RevokeMessage>(stream).reason, "RULE_CLOSING");
  // What it did until then still counts.
  EXPECT_EQ(world_
                .Report(stream, test::Walked(lease.unit_id, lease.token, "",
                                             "a", 1))
                .result,
            Result::kRecorded);
  world_.PassAlive(absl::Seconds(5), {stream});
  EXPECT_TRUE(Stands(rule));
  world_.Release(stream, lease, "REVOKED");
  EXPECT_FALSE(Stands(rule));
  EXPECT_EQ(world_.Grants(stream).size(), 1u);  // Nothing more of it.
}

TEST_F(LeaseClosingTest, AHolderThatFinishesEndsTheWait) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Delete(rule);
  Checkpoint report = test::Walked(lease.unit_id, lease.token, "",
                                   lease.range_end, 1);
  report.complete = true;
  EXPECT_EQ(world_.Report(stream, report).result, Result::kRecorded);
  world_.Pass(world_.core->tick_interval());
  EXPECT_FALSE(Stands(rule));
}

TEST_F(LeaseClosingTest, ADeadHolderIsWaitedFor) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  world_.core->OnStreamClosed(stream);
  world_.Delete(rule);
  world_.Pass(world_.term() - kInstant);
  EXPECT_TRUE(Stands(rule));
  world_.Pass(kInstant);
  EXPECT_FALSE(Stands(rule));
}

// One that sends heartbeats and ignores the revoke holds a rule up for no
// longer than the deadline, ttl and grace.
TEST_F(LeaseClosingTest, ADeafHolderIsWaitedForInVain) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  world_.Delete(rule);
  world_.PassAlive(world_.options.ttl + world_.term() - kInstant, {stream});
  EXPECT_TRUE(Stands(rule));
  world_.Pass(kInstant);
  EXPECT_FALSE(Stands(rule));
}

// The rule closes between the request of a grant and its answer.
TEST_F(LeaseClosingTest, AGrantUnderWayIsNeverSent) {
  for (const bool grant_is_committed : {false, true}) {
    SCOPED_TRACE(grant_is_committed);
    LeaseWorld world;
    const int64_t rule = world.AddRuleWithRanges(1);
    const StreamId stream = world.Say(LeaseWorld::HelloOf("c1"));
    ASSERT_TRUE(world.store.RunStep());
    // The deletion's own commit, before or after that of the grant.
    if (!grant_is_committed) world.SubmitDelete(rule);
    ASSERT_TRUE(world.store.Deliver());  // Welcome; a grant is asked for.
    if (grant_is_committed) {
      ASSERT_TRUE(world.store.RunStep());
      ASSERT_EQ(world.store.unanswered(Kind::kGrant), 1);
      // Its answer comes first, for commits are told in order; so the core is
      // told here by hand, as if the answer were late.
      const auto outcome = world.tables.Try([&](Transaction& txn) {
        return DeleteRule(txn, *rule_table::Get(txn, rule), test::Epoch());
      });
      ASSERT_TRUE(outcome.ok());
      world.core->OnWork(outcome->events);
    }
    world.store.Settle();
    world.Pass(absl::Seconds(2));
    EXPECT_TRUE(world.Grants(stream).empty());
    EXPECT_FALSE(world.tables.FindRule(rule).has_value());
    EXPECT_EQ(world.tables.Number("SELECT count(*) FROM leases"), 0);
    // Its room is free again.
    world.AddRuleWithRanges(12, {.source = "films", .destination = "films-dr"});
    EXPECT_EQ(world.Grants(stream).size(), 10u);
  }
}

TEST_F(LeaseClosingTest, AStartingRuleIsClosedUnderItsProbe) {
  const int64_t rule = world_.tables.AddRule();
  world_.Restart();
  const StreamId stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(stream);
  ASSERT_EQ(lease.kind, UnitKind::kProbe);
  world_.Delete(rule);
  EXPECT_EQ(world_.Report(stream, test::ProbeFinds(lease.unit_id, lease.token))
                .result,
            Result::kFenced);
  // Fenced, it holds the lease no more, and says so or falls silent; the
  // deadline ends the wait.
  world_.PassAlive(world_.options.ttl + world_.term(), {stream});
  EXPECT_FALSE(Stands(rule));
}

TEST_F(LeaseClosingTest, ARestartGoesOnClosing) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  const int64_t number = world_.NumberOf(stream);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Delete(rule);
  world_.Restart();
  EXPECT_TRUE(Stands(rule));
  const StreamId again =
      world_.Reopen("c1", number, {LeaseWorld::RefOf(lease)});
  ASSERT_EQ(world_.output.Of<RevokeMessage>(again).size(), 1u);
  world_.Release(again, lease, "REVOKED");
  EXPECT_FALSE(Stands(rule));
}

// The commit of the last step is there, its answer never came.
TEST_F(LeaseClosingTest, ARestartBetweenTheLastStepAndItsAnswer) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  world_.SubmitDelete(rule);
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_TRUE(world_.store.Deliver());
  ASSERT_TRUE(world_.store.RunStep());  // The only step.
  EXPECT_FALSE(Stands(rule));
  world_.Restart();
  world_.AddRuleWithRanges(1, {.source = "films", .destination = "films-dr"});
  EXPECT_EQ(world_.Grants(world_.Open("c1")).size(), 1u);
}

TEST_F(LeaseClosingTest, TheOtherDirectionStartsOnceThisOneIsGone) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const int64_t reverse =
      world_.tables.AddRule({.source = "photos-dr", .destination = "photos"});
  const StreamId stream = world_.Open("c1");
  ASSERT_EQ(world_.Grants(stream).size(), 1u);
  world_.Delete(rule);
  world_.Release(stream, world_.LastGrant(stream), "REVOKED");
  ASSERT_EQ(world_.Grants(stream).size(), 2u);
  const LeaseSpec probe = world_.LastGrant(stream);
  EXPECT_EQ(probe.kind, UnitKind::kProbe);
  EXPECT_EQ(probe.rule.uid, reverse);
  EXPECT_EQ(world_.Report(stream, test::ProbeFinds(probe.unit_id, probe.token))
                .result,
            Result::kRecorded);
  EXPECT_EQ(world_.tables.FindRule(reverse)->state, RuleState::kActive);
}

// ----------------------------------------------------------------------- drain

TEST_F(LeaseClosingTest, ADrainingServerTellsEverybodyToMove) {
  world_.AddRuleWithRanges(3);
  const StreamId stream = world_.Open("c1", 1);
  const int64_t number = world_.NumberOf(stream);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.core->Drain();
  const auto expect_draining = [&](StreamId s) {
    ASSERT_TRUE(world_.output.closed(s).has_value());
    EXPECT_THAT(*world_.output.closed(s),
                HasCode(absl::StatusCode::kUnavailable));
    EXPECT_EQ(ViolationsOf(*world_.output.closed(s)).at(0).reason, "DRAINING");
  };
  expect_draining(stream);
  expect_draining(world_.Open("c2"));
  expect_draining(world_.Reopen("c1", number, {LeaseWorld::RefOf(lease)}));
  world_.Pass(absl::Seconds(5));
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM leases"), 1);
  // Its leases are those of the next process.
  world_.Restart();
  const StreamId again =
      world_.Reopen("c1", number, {LeaseWorld::RefOf(lease)}, 1);
  EXPECT_TRUE(world_.output.Last<WelcomeMessage>(again).not_held.empty());
  EXPECT_EQ(world_
                .Report(again, test::Walked(lease.unit_id, lease.token, "",
                                            "a", 1))
                .result,
            Result::kRecorded);
}

TEST_F(LeaseClosingTest, AGrantUnderWayIsTakenBackByADrain) {
  const StreamId stream = world_.Open("c1");
  world_.tables.AddActiveRule();
  world_.core->OnWork(world_.tables.Publish("photos", 1).events);
  ASSERT_TRUE(world_.store.RunStep());
  world_.core->Drain();
  world_.store.Settle();
  EXPECT_TRUE(world_.Grants(stream).empty());
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM leases"), 0);
}

// A hello that is being stored while the drain begins is told to move as well.
TEST_F(LeaseClosingTest, AHelloUnderWayIsToldToMoveByADrain) {
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1"));
  world_.core->Drain();
  world_.store.Settle();
  ASSERT_TRUE(world_.output.closed(stream).has_value());
  EXPECT_THAT(*world_.output.closed(stream),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(world_.core->counts().sessions, 0);
}

}  // namespace
}  // namespace crr
