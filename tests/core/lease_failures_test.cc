// Durable steps that fail, and answers that come when nobody waits any more:
// nothing is stuck and nothing is lost.

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

const absl::Status& DiskFull() {
  static const auto& status =
      *new absl::Status(absl::ResourceExhaustedError("the disk is full"));
  return status;
}

class LeaseFailuresTest : public ::testing::Test {
 protected:
  void Begin() {
    rule_ = world_.AddRuleWithRanges(1);
    stream_ = world_.Open("c1");
    lease_ = world_.LastGrant(stream_);
    ASSERT_GT(lease_.token, 0);
  }
  Checkpoint Report(bool complete = false) {
    Checkpoint report = test::Walked(lease_.unit_id, lease_.token, "",
                                     complete ? lease_.range_end : "a", 1);
    report.complete = complete;
    return report;
  }

  LeaseWorld world_;
  int64_t rule_ = 0;
  StreamId stream_ = 0;
  LeaseSpec lease_;
};

TEST_F(LeaseFailuresTest, AFailedGrantIsTriedAgain) {
  world_.AddRuleWithRanges(1, {.max_leases = 1});
  world_.store.Refuse(Kind::kGrant, DiskFull(), 3);
  const StreamId stream = world_.Open("c1", /*credit=*/1);
  EXPECT_TRUE(world_.Grants(stream).empty());
  EXPECT_EQ(world_.core->counts().leases, 0);
  world_.Pass(absl::Seconds(1) - absl::Nanoseconds(1));
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(absl::Nanoseconds(1));  // The second try.
  world_.Pass(absl::Seconds(1));      // The third.
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(absl::Seconds(1));
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
  EXPECT_EQ(world_.core->counts().leases, 1);
}

// One unit that cannot be granted now does not hold up the rest.
TEST_F(LeaseFailuresTest, AFailedGrantHoldsUpNobody) {
  world_.AddRuleWithRanges(3);
  world_.store.Refuse(Kind::kGrant, DiskFull());
  const StreamId stream = world_.Open("c1", /*credit=*/1);
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
}

// Until the end is durable nobody else may have the unit.
TEST_F(LeaseFailuresTest, AFailedEndIsTriedAgain) {
  Begin();
  world_.store.Refuse(Kind::kEnd, DiskFull(), 2);
  world_.core->OnRelease(stream_, LeaseWorld::ReleaseOf(lease_, "X", "y"));
  world_.store.Settle();
  EXPECT_TRUE(world_.output.Of<ReleaseAckMessage>(stream_).empty());
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM leases"), 1);
  world_.Pass(world_.core->tick_interval());
  EXPECT_TRUE(world_.output.Of<ReleaseAckMessage>(stream_).empty());
  EXPECT_EQ(world_.Grants(stream_).size(), 1u);
  world_.Pass(world_.core->tick_interval());
  EXPECT_EQ(world_.output.Of<ReleaseAckMessage>(stream_).size(), 1u);
  // What the holder said is not lost over it.
  ASSERT_EQ(world_.tables.Conditions(rule_).size(), 1u);
  EXPECT_EQ(world_.tables.Conditions(rule_)[0].message, "X: y");
  world_.Pass(absl::Milliseconds(250));
  EXPECT_EQ(world_.Grants(stream_).size(), 2u);
}

TEST_F(LeaseFailuresTest, AFailedEndOfAnExpiredLeaseIsTriedAgain) {
  Begin();
  const StreamId other = world_.Open("c2");
  world_.store.Refuse(Kind::kEnd, DiskFull(), 5);
  world_.PassAlive(world_.term(), {other});
  EXPECT_TRUE(world_.Grants(other).empty());
  // The copier thaws: it is told, although the end is not stored yet.
  EXPECT_EQ(world_.Heartbeat(stream_).not_renewed.size(), 1u);
  world_.PassAlive(5 * world_.core->tick_interval(), {other});
  ASSERT_EQ(world_.Grants(other).size(), 1u);
  EXPECT_GT(world_.LastGrant(other).token, lease_.token);
}

TEST_F(LeaseFailuresTest, ACheckpointThatCannotBeStoredIsAnsweredAndRepeated) {
  Begin();
  for (const absl::Status& status :
       {DiskFull(), absl::UnavailableError("too many wait")}) {
    world_.store.Refuse(Kind::kApply, status);
    const CheckpointAckMessage ack = world_.Report(stream_, Report());
    EXPECT_EQ(ack.result, Result::kStorageFull);
    EXPECT_EQ(ack.unit_id, lease_.unit_id);
    EXPECT_EQ(ack.token, lease_.token);
    EXPECT_FALSE(ack.complete);
  }
  EXPECT_EQ(world_.core->counts().leases, 1);
  EXPECT_FALSE(world_.output.closed(stream_).has_value());
  EXPECT_EQ(world_.Report(stream_, Report()).result, Result::kRecorded);
  EXPECT_EQ(world_.tables.Counters(rule_).historical_done, 1);
}

TEST_F(LeaseFailuresTest, ASenselessCheckpointEndsTheStreamAndNotTheLease) {
  Begin();
  Checkpoint senseless = Report();
  senseless.applied = -1;
  world_.core->OnCheckpoint(stream_, senseless);
  world_.store.Settle();
  ASSERT_TRUE(world_.output.closed(stream_).has_value());
  EXPECT_THAT(*world_.output.closed(stream_),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(ViolationsOf(*world_.output.closed(stream_)).at(0).reason,
            "MALFORMED_MESSAGE");
  EXPECT_EQ(world_.core->counts().sessions, 0);
  EXPECT_EQ(world_.core->counts().leases, 1);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_),
                                       {LeaseWorld::RefOf(lease_)});
  EXPECT_EQ(world_.Report(again, Report()).result, Result::kRecorded);
}

TEST_F(LeaseFailuresTest, AHelloThatCannotBeStoredIsRefused) {
  world_.store.Refuse(Kind::kStartSession, DiskFull());
  const StreamId stream = world_.Open("c1");
  ASSERT_TRUE(world_.output.closed(stream).has_value());
  EXPECT_THAT(*world_.output.closed(stream),
              HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(world_.core->counts().sessions, 0);
  EXPECT_GT(world_.NumberOf(world_.Open("c1")), 0);
}

TEST_F(LeaseFailuresTest, AFailedStepOfClosingIsTriedAgain) {
  world_.AddRuleWithRanges(1);
  const int64_t rule = world_.tables.Number("SELECT rule_uid FROM rules");
  world_.store.Refuse(Kind::kClose, DiskFull(), 2);
  world_.Delete(rule);
  EXPECT_TRUE(world_.tables.FindRule(rule).has_value());
  world_.Pass(world_.core->tick_interval());
  EXPECT_TRUE(world_.tables.FindRule(rule).has_value());
  world_.Pass(world_.core->tick_interval());
  EXPECT_FALSE(world_.tables.FindRule(rule).has_value());
}

// ------------------------------------------------------ answers to nobody

TEST_F(LeaseFailuresTest, AnswersThatComeAfterTheStreamIsGone) {
  Begin();
  world_.core->OnCheckpoint(stream_, Report());
  world_.core->OnStreamClosed(stream_);
  world_.store.Settle();
  EXPECT_TRUE(world_.output.Of<CheckpointAckMessage>(stream_).size() <= 1);
  // The copier repeats what was never answered, on its next stream.
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_),
                                       {LeaseWorld::RefOf(lease_)});
  const CheckpointAckMessage ack = world_.Report(again, Report());
  EXPECT_EQ(ack.result, Result::kRecorded);
  EXPECT_EQ(ack.cursor.key, "a");
  EXPECT_EQ(world_.tables.Counters(rule_).historical_done, 1);
}

TEST_F(LeaseFailuresTest, AReleaseWhoseAnswerWasLostIsAnsweredAgain) {
  Begin();
  world_.core->OnRelease(stream_, LeaseWorld::ReleaseOf(lease_, "STOPPING"));
  world_.core->OnStreamClosed(stream_);
  world_.store.Settle();
  EXPECT_EQ(world_.core->counts().leases, 0);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_),
                                       {LeaseWorld::RefOf(lease_)});
  EXPECT_EQ(world_.output.Last<WelcomeMessage>(again).not_held.size(), 1u);
  world_.core->OnRelease(again, LeaseWorld::ReleaseOf(lease_, "STOPPING"));
  EXPECT_EQ(world_.output.Of<ReleaseAckMessage>(again).size(), 1u);
}

// A session may be over, and forgotten, while its last steps are under way.
TEST_F(LeaseFailuresTest, AnswersThatComeAfterTheSessionIsGone) {
  Begin();
  world_.core->OnCheckpoint(stream_, Report());
  ASSERT_TRUE(world_.store.RunStep());
  world_.core->OnStreamClosed(stream_);
  for (absl::Duration passed; passed < 2 * world_.term();
       passed += absl::Milliseconds(100)) {
    world_.clock.Advance(absl::Milliseconds(100));
    world_.core->Tick();
  }
  world_.store.Settle();
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(world_.core->counts().leases, 0);
  const StreamId other = world_.Open("c2");
  ASSERT_EQ(world_.Grants(other).size(), 1u);
  EXPECT_EQ(world_.LastGrant(other).cursor.key, "a");
}

TEST_F(LeaseFailuresTest, AGrantThatIsAnsweredAfterTheSessionExpired) {
  const StreamId stream = world_.Open("c1");
  world_.tables.AddActiveRule();
  world_.core->OnWork(world_.tables.Publish("photos", 1).events);
  ASSERT_TRUE(world_.store.RunStep());
  for (absl::Duration passed; passed < world_.term();
       passed += absl::Milliseconds(100)) {
    world_.clock.Advance(absl::Milliseconds(100));
    world_.core->Tick();
  }
  world_.store.Settle();
  EXPECT_TRUE(world_.Grants(stream).empty());
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM leases"), 0);
  const StreamId other = world_.Open("c2");
  EXPECT_EQ(world_.Grants(other).size(), 1u);
}

// A unit goes with its last checkpoint, whatever else is under way for it.
TEST_F(LeaseFailuresTest, ACompletionAndAReleaseAtOnce) {
  Begin();
  world_.core->OnCheckpoint(stream_, Report(/*complete=*/true));
  world_.core->OnRelease(stream_, LeaseWorld::ReleaseOf(lease_, "NOT_RUNNING"));
  world_.store.Settle();
  EXPECT_EQ(world_.output.Last<CheckpointAckMessage>(stream_).result,
            Result::kRecorded);
  EXPECT_FALSE(world_.tables.FindUnit(lease_.unit_id).has_value());
  EXPECT_EQ(world_.core->counts().leases, 0);
  EXPECT_EQ(world_.Grants(stream_).size(), 1u);
  world_.AddRuleWithRanges(12, {.source = "films", .destination = "films-dr"});
  EXPECT_EQ(world_.Grants(stream_).size(), 11u);  // All of its credit.
}

}  // namespace
}  // namespace crr
