// When a lease ends by itself: ttl + grace after the last answer, on the
// monotonic clock, and never for a stall of the server.

#include <gtest/gtest.h>

#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

class LeaseExpiryTest : public ::testing::Test {
 protected:
  // A holder of `ranges` leases, and another copier that would take them.
  void Begin(int ranges = 1) {
    world_.AddRuleWithRanges(ranges);
    holder_ = world_.Open("holder");
    leases_ = world_.Grants(holder_);
    ASSERT_EQ(leases_.size(), static_cast<size_t>(ranges));
    other_ = world_.Open("other");
  }
  // Time in which only the other one is alive.
  void PassWithoutHolder(absl::Duration time) {
    world_.PassAlive(time, {other_});
  }

  LeaseWorld world_;
  StreamId holder_ = 0;
  StreamId other_ = 0;
  std::vector<LeaseSpec> leases_;
};

TEST_F(LeaseExpiryTest, ALeaseLastsForTtlAndGraceAfterTheLastAnswer) {
  Begin();
  world_.Pass(absl::Seconds(3));
  world_.Heartbeat(holder_);
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_TRUE(world_.Grants(other_).empty());
  EXPECT_EQ(world_.core->counts().expiries, 0);
  world_.Pass(kInstant);
  EXPECT_EQ(world_.core->counts().expiries, 1);
  ASSERT_EQ(world_.Grants(other_).size(), 1u);
  EXPECT_EQ(world_.LastGrant(other_).unit_id, leases_[0].unit_id);
  EXPECT_GT(world_.LastGrant(other_).token, leases_[0].token);
}

TEST_F(LeaseExpiryTest, TheWelcomeIsTheFirstAnswer) {
  Begin();
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_TRUE(world_.Grants(other_).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(other_).size(), 1u);
}

// A checkpoint proves that the copier lives, and renews nothing: it counts from
// what a heartbeat's answer told it.
TEST_F(LeaseExpiryTest, OnlyHeartbeatsRenew) {
  Begin();
  PassWithoutHolder(absl::Seconds(9));
  ASSERT_EQ(world_
                .Report(holder_, test::Walked(leases_[0].unit_id,
                                              leases_[0].token, "", "a", 1))
                .result,
            Result::kRecorded);
  PassWithoutHolder(world_.term() - absl::Seconds(9));
  EXPECT_EQ(world_.Grants(other_).size(), 1u);
}

TEST_F(LeaseExpiryTest, OneHeartbeatRenewsAllLeases) {
  Begin(3);
  for (int i = 0; i < 10; ++i) {
    PassWithoutHolder(world_.term() - kInstant);
    EXPECT_TRUE(world_.Heartbeat(holder_).not_renewed.empty());
  }
  EXPECT_TRUE(world_.Grants(other_).empty());
  PassWithoutHolder(world_.term());
  EXPECT_EQ(world_.Grants(other_).size(), 3u);
  EXPECT_EQ(world_.core->counts().expiries, 3);
}

// What is queued is heard before time counts: the last chance of a heartbeat is
// the tick itself.
TEST_F(LeaseExpiryTest, AHeartbeatHeardBeforeTheTickRenews) {
  Begin();
  PassWithoutHolder(world_.term() - absl::Milliseconds(100));
  world_.clock.Advance(absl::Milliseconds(300));  // Past the end.
  world_.Heartbeat(holder_);
  world_.core->Tick();
  world_.store.Settle();
  EXPECT_EQ(world_.core->counts().expiries, 0);
  EXPECT_TRUE(world_.Grants(other_).empty());
}

// A copier that froze and thaws must hear that its lease is over, as often as
// it asks, lest it count it as renewed.
TEST_F(LeaseExpiryTest, AnExpiredLeaseIsNamedInEveryLaterAnswer) {
  Begin(2);
  PassWithoutHolder(world_.term());
  std::vector<LeaseRef> expected;
  for (const LeaseSpec& lease : leases_) {
    expected.push_back(LeaseWorld::RefOf(lease));
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(world_.Heartbeat(holder_).not_renewed, expected);
  }
  // Until it says itself that it is gone.
  world_.core->OnRelease(holder_, {.lease = expected[0]});
  EXPECT_EQ(world_.output.Last<ReleaseAckMessage>(holder_).unit_id,
            expected[0].unit_id);
  EXPECT_EQ(world_.Heartbeat(holder_).not_renewed,
            std::vector<LeaseRef>{expected[1]});
}

// It is alive again and may be given work, also the very unit that it lost.
TEST_F(LeaseExpiryTest, ASessionThatThawsIsGivenWorkAgain) {
  Begin();
  world_.core->OnStreamClosed(other_);
  world_.Pass(world_.term());
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(world_.Grants(holder_).size(), 1u);  // Not while it is silent.
  EXPECT_EQ(world_.Heartbeat(holder_).not_renewed.size(), 1u);
  world_.Pass(absl::Seconds(1));
  ASSERT_EQ(world_.Grants(holder_).size(), 2u);
  const LeaseSpec again = world_.LastGrant(holder_);
  EXPECT_GT(again.token, leases_[0].token);
  // The old lease is named, not the new one.
  EXPECT_EQ(world_.Heartbeat(holder_).not_renewed,
            std::vector<LeaseRef>{LeaseWorld::RefOf(leases_[0])});
  EXPECT_EQ(world_
                .Report(holder_, test::Walked(again.unit_id, again.token, "",
                                              "a", 1))
                .result,
            Result::kRecorded);
}

TEST_F(LeaseExpiryTest, TheOldHolderIsFenced) {
  Begin();
  PassWithoutHolder(world_.term());
  const CheckpointAckMessage ack = world_.Report(
      holder_,
      test::Walked(leases_[0].unit_id, leases_[0].token, "", "a", 1));
  EXPECT_EQ(ack.result, Result::kFenced);
  EXPECT_EQ(world_.core->counts().fenced, 1);
  const LeaseSpec now = world_.LastGrant(other_);
  EXPECT_EQ(world_
                .Report(other_,
                        test::Walked(now.unit_id, now.token, "", "a", 1))
                .result,
            Result::kRecorded);
}

// The token decides: what the old holder finished after its lease had ended,
// and before anybody else had one, is finished. Its checkpoint is committed
// between the end of the lease and the next grant.
TEST_F(LeaseExpiryTest, ALateCompletionOvertakesTheNextGrant) {
  Begin();
  const Unit unit = *world_.tables.FindUnit(leases_[0].unit_id);
  PassWithoutHolder(world_.term() - kInstant);
  world_.clock.Advance(kInstant);
  world_.core->Tick();
  ASSERT_EQ(world_.store.waiting(Kind::kEnd), 1);
  Checkpoint report = test::Walked(leases_[0].unit_id, leases_[0].token, "",
                                   unit.range_end, 10);
  report.complete = true;
  world_.core->OnCheckpoint(holder_, report);
  ASSERT_TRUE(world_.store.RunStep());  // The end of the lease.
  ASSERT_TRUE(world_.store.RunStep());  // The checkpoint.
  ASSERT_TRUE(world_.store.Deliver());  // It is over: a grant is asked for.
  ASSERT_EQ(world_.store.waiting(Kind::kGrant), 1);
  world_.store.Settle();
  EXPECT_EQ(world_.output.Last<CheckpointAckMessage>(holder_).result,
            Result::kRecorded);
  EXPECT_TRUE(world_.Grants(other_).empty());
  EXPECT_FALSE(world_.tables.FindUnit(unit.id).has_value());
  EXPECT_EQ(world_.core->counts().leases, 0);
  // Nothing is left of it: both copiers have all their room.
  world_.Heartbeat(holder_);
  world_.AddRuleWithRanges(20, {.source = "films", .destination = "films-dr"});
  EXPECT_EQ(world_.core->counts().leases, 20);
}

// --------------------------------------------------------------------- stalls

// While the server stood still it heard nobody: no time has passed for leases.
TEST_F(LeaseExpiryTest, AStallOfTheServerEndsNoLease) {
  Begin();
  world_.Pass(absl::Seconds(1));
  world_.Heartbeat(holder_);
  world_.Heartbeat(other_);
  world_.clock.Advance(absl::Seconds(60));
  world_.core->Tick();
  world_.store.Settle();
  EXPECT_EQ(world_.core->counts().expiries, 0);
  // Nobody was heard: the term goes on where it was, the time of a usual tick
  // taken out.
  world_.Heartbeat(other_);
  const absl::Duration left = world_.term() - 2 * world_.core->tick_interval();
  PassWithoutHolder(left - kInstant);
  EXPECT_EQ(world_.core->counts().expiries, 0);
  world_.Pass(kInstant);
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(world_.Grants(other_).size(), 1u);
}

// Two intervals between ticks are a busy server, more is a stall.
TEST_F(LeaseExpiryTest, ASlowTickIsNoStall) {
  Begin();
  const absl::Duration slow = 2 * world_.core->tick_interval();
  absl::Duration passed;
  while (passed + slow < world_.term()) {
    world_.clock.Advance(slow);
    passed += slow;
    world_.core->Tick();
    world_.store.Settle();
    EXPECT_EQ(world_.core->counts().expiries, 0);
  }
  world_.clock.Advance(world_.term() - passed);
  world_.core->Tick();
  EXPECT_EQ(world_.core->counts().expiries, 1);
}

TEST_F(LeaseExpiryTest, HeartbeatsThatWaitedOutAStallAreHeardFirst) {
  Begin();
  world_.clock.Advance(absl::Seconds(60));
  world_.Heartbeat(holder_);
  world_.Heartbeat(other_);
  world_.core->Tick();
  world_.store.Settle();
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_EQ(world_.core->counts().expiries, 0);
}

TEST_F(LeaseExpiryTest, TheWallClockMeansNothing) {
  Begin();
  for (const absl::Duration step :
       {absl::Hours(-48), absl::Hours(24 * 365), absl::Hours(-24 * 365)}) {
    world_.clock.StepWall(step);
    PassWithoutHolder(world_.term() - kInstant);
    EXPECT_EQ(world_.core->counts().expiries, 0);
    EXPECT_TRUE(world_.Heartbeat(holder_).not_renewed.empty());
  }
  world_.clock.StepWall(absl::Hours(-100));
  PassWithoutHolder(world_.term());
  EXPECT_EQ(world_.core->counts().expiries, 1);
}

// -------------------------------------------------------------------- restarts

TEST_F(LeaseExpiryTest, AfterARestartEveryLeaseGetsOneFullTerm) {
  Begin(2);
  PassWithoutHolder(world_.term() - absl::Seconds(1));
  world_.Restart();
  other_ = world_.Open("other");
  EXPECT_TRUE(world_.Grants(other_).empty());
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_TRUE(world_.Grants(other_).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(other_).size(), 2u);
  for (const LeaseSpec& lease : world_.Grants(other_)) {
    EXPECT_GT(lease.token, leases_[1].token);
  }
}

TEST_F(LeaseExpiryTest, AfterARestartItsHolderGoesOnUnderTheSameToken) {
  Begin(2);
  const int64_t number = world_.NumberOf(holder_);
  world_.Restart();
  world_.Pass(absl::Seconds(10));
  const StreamId again = world_.Reopen(
      "holder", number,
      {LeaseWorld::RefOf(leases_[0]), LeaseWorld::RefOf(leases_[1])});
  EXPECT_EQ(world_.NumberOf(again), number);
  EXPECT_TRUE(world_.output.Last<WelcomeMessage>(again).not_held.empty());
  EXPECT_TRUE(world_.Grants(again).empty());
  EXPECT_EQ(world_
                .Report(again, test::Walked(leases_[0].unit_id,
                                            leases_[0].token, "", "a", 1))
                .result,
            Result::kRecorded);
  // And is renewed from there on.
  other_ = world_.Open("other");
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_TRUE(world_.Grants(other_).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(other_).size(), 2u);
}

// A name that was taken over before the restart: both sessions get a term, and
// the older one's units are not the newer one's.
TEST_F(LeaseExpiryTest, ASupersededSessionIsWaitedForAfterARestartToo) {
  Begin();
  const int64_t number = world_.NumberOf(world_.Open("holder"));
  world_.Restart();
  const StreamId newer = world_.Reopen("holder", number, {});
  other_ = newer;
  PassWithoutHolder(world_.term() - kInstant);
  EXPECT_TRUE(world_.Grants(newer).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(newer).size(), 1u);
}

// Committed, and nobody was told: its holder does not know of it.
TEST_F(LeaseExpiryTest, AGrantThatARestartSwallowedIsGivenAgainAtOnce) {
  const StreamId stream = world_.Open("holder");
  const int64_t number = world_.NumberOf(stream);
  const int64_t rule = world_.tables.AddActiveRule();
  world_.core->OnWork(world_.tables.Publish("photos", 1).events);
  ASSERT_TRUE(world_.store.RunStep());
  const Unit unit = world_.tables.TheUnit(rule, UnitKind::kChanges);
  ASSERT_GT(unit.token, 0);
  world_.Restart();
  const StreamId again = world_.Reopen("holder", number, {});
  ASSERT_EQ(world_.Grants(again).size(), 1u);
  EXPECT_GT(world_.LastGrant(again).token, unit.token);
}

// Committed as ended, and nobody was told: nothing is left to wait for.
TEST_F(LeaseExpiryTest, AnEndThatARestartSwallowedIsAnEnd) {
  Begin();
  world_.core->OnRelease(holder_, LeaseWorld::ReleaseOf(leases_[0]));
  ASSERT_TRUE(world_.store.RunStep());
  world_.Restart();
  other_ = world_.Open("other");
  EXPECT_EQ(world_.Grants(other_).size(), 1u);
}

}  // namespace
}  // namespace crr
