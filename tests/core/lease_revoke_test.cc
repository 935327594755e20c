// Leases that are asked for back, and leases that are given back.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

class LeaseRevokeTest : public ::testing::Test {
 protected:
  // A lease on a log of one change, which is settled.
  void BeginWithAnEmptyLog() {
    rule_ = world_.AddRuleWithChanges(1);
    stream_ = world_.Open("c1");
    lease_ = world_.LastGrant(stream_);
    const Checkpoint report = Applied(lease_.unit_id, lease_.token, 0, 1);
    ASSERT_EQ(world_.Report(stream_, report).result, Result::kRecorded);
    world_.Pass(kInstant);  // The tick that sees the log empty.
  }
  void PassAlive(absl::Duration time) { world_.PassAlive(time, {stream_}); }
  std::vector<RevokeMessage> Revokes(StreamId stream) {
    return world_.output.Of<RevokeMessage>(stream);
  }
  void BeginRevoked() {
    BeginWithAnEmptyLog();
    PassAlive(world_.options.linger);
    ASSERT_EQ(Revokes(stream_).size(), 1u);
  }
  bool IsNamed(const std::vector<LeaseRef>& leases) {
    return std::any_of(leases.begin(), leases.end(), [&](const LeaseRef& ref) {
      return ref.unit_id == lease_.unit_id && ref.token == lease_.token;
    });
  }

  LeaseWorld world_;
  int64_t rule_ = 0;
  StreamId stream_ = 0;
  LeaseSpec lease_;
};

// ------------------------------------------------------------------- LOG_EMPTY

TEST_F(LeaseRevokeTest, ALeaseLingersOnAnEmptyLog) {
  BeginWithAnEmptyLog();
  PassAlive(world_.options.linger - kInstant);
  EXPECT_TRUE(Revokes(stream_).empty());
  world_.Pass(kInstant);
  ASSERT_EQ(Revokes(stream_).size(), 1u);
  const RevokeMessage revoke = Revokes(stream_)[0];
  EXPECT_EQ(revoke.unit_id, lease_.unit_id);
  EXPECT_EQ(revoke.token, lease_.token);
  EXPECT_EQ(revoke.reason, "LOG_EMPTY");
  EXPECT_EQ(revoke.deadline, world_.options.ttl);
  // It is asked for once.
  PassAlive(absl::Seconds(5));
  EXPECT_EQ(Revokes(stream_).size(), 1u);
}

TEST_F(LeaseRevokeTest, AChangeBeginsTheLingerAnew) {
  BeginWithAnEmptyLog();
  PassAlive(world_.options.linger - kInstant);
  world_.Publish("photos", 1);
  world_.Pass(kInstant);
  EXPECT_TRUE(Revokes(stream_).empty());
  PassAlive(absl::Seconds(30));  // The log is not empty.
  EXPECT_TRUE(Revokes(stream_).empty());
  world_.Report(stream_, Applied(lease_.unit_id, lease_.token, 1, 2));
  world_.Pass(kInstant);
  PassAlive(world_.options.linger - kInstant);
  EXPECT_TRUE(Revokes(stream_).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(Revokes(stream_).size(), 1u);
}

TEST_F(LeaseRevokeTest, AnIdleRuleCostsNothing) {
  BeginRevoked();
  world_.Release(stream_, lease_, "REVOKED");
  EXPECT_EQ(world_.output.Last<ReleaseAckMessage>(stream_).token,
            lease_.token);
  EXPECT_TRUE(world_.tables.UnitsOf(rule_).empty());
  EXPECT_EQ(world_.core->counts().leases, 0);
  EXPECT_EQ(world_.Grants(stream_).size(), 1u);
  // And wakes with the next change.
  world_.Publish("photos", 1);
  ASSERT_EQ(world_.Grants(stream_).size(), 2u);
  EXPECT_GT(world_.LastGrant(stream_).token, lease_.token);
  EXPECT_EQ(world_.LastGrant(stream_).cursor.sequence, 1);
}

// A change that comes while the lease is on its way back is granted again,
// wherever on that way it comes.
TEST_F(LeaseRevokeTest, AChangeBetweenRevokeAndReleaseIsNotLost) {
  enum Point { kBeforeRelease, kBeforeCommit, kBeforeAnswer, kAfterAnswer };
  for (const Point point :
       {kBeforeRelease, kBeforeCommit, kBeforeAnswer, kAfterAnswer}) {
    SCOPED_TRACE(point);
    LeaseWorld world;
    world.AddRuleWithChanges(1);
    const StreamId stream = world.Open("c1");
    const LeaseSpec lease = world.LastGrant(stream);
    world.Report(stream, Applied(lease.unit_id, lease.token, 0, 1));
    world.PassAlive(world.options.linger + absl::Seconds(1), {stream});
    ASSERT_EQ(world.output.Of<RevokeMessage>(stream).size(), 1u);
    // The publisher's transaction stands in line with all others.
    const auto publish = [&] {
      world.store.Submit(
          [](Transaction& txn) -> absl::StatusOr<WorkEvents> {
            auto outcome = AppendBatch(
                txn, test::TestTables::BatchOf("photos", {"late"}),
                int64_t{1} << 30, test::Epoch());
            if (!outcome.ok()) return outcome.status();
            return outcome->events;
          },
          [&](const WorkEvents& events) { world.core->OnWork(events); });
    };
    if (point == kBeforeRelease) publish();
    if (point == kBeforeRelease) world.store.Settle();
    world.core->OnRelease(stream, LeaseWorld::ReleaseOf(lease, "REVOKED"));
    if (point == kBeforeCommit) publish();
    ASSERT_TRUE(world.store.RunStep());
    if (point == kBeforeAnswer) {
      publish();
      ASSERT_TRUE(world.store.RunStep());
    }
    world.store.Settle();
    if (point == kAfterAnswer) {
      publish();
      world.store.Settle();
    }
    ASSERT_EQ(world.Grants(stream).size(), 2u);
    const LeaseSpec next = world.LastGrant(stream);
    EXPECT_GT(next.token, lease.token);
    EXPECT_EQ(next.cursor.sequence, 1);
    const auto segments = world.output.Of<SegmentMessage>(stream);
    ASSERT_EQ(segments.size(), 2u);
    EXPECT_EQ(segments[1].token, next.token);
    EXPECT_EQ(segments[1].segment.changes, "late\n");
    EXPECT_EQ(world.Report(stream, Applied(next.unit_id, next.token, 1, 2))
                  .result,
              Result::kRecorded);
  }
}

// -------------------------------------------------------------- revoke ignored

TEST_F(LeaseRevokeTest, AnIgnoredRevokeEndsInAnExpiryOfThatLeaseAlone) {
  BeginWithAnEmptyLog();
  world_.AddRuleWithRanges(1, {.source = "films", .destination = "films-dr"});
  const LeaseSpec other_lease = world_.LastGrant(stream_);
  PassAlive(world_.options.linger);
  ASSERT_EQ(Revokes(stream_).size(), 1u);
  // Until the deadline it is renewed like any other.
  PassAlive(world_.options.ttl - kInstant);
  EXPECT_TRUE(world_.Heartbeat(stream_).not_renewed.empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Heartbeat(stream_).not_renewed,
            std::vector<LeaseRef>{LeaseWorld::RefOf(lease_)});
  // A change comes; it waits for the lease to run out.
  world_.Publish("photos", 1);
  const StreamId fresh = world_.Open("c2");
  world_.PassAlive(world_.term() - kInstant, {stream_, fresh});
  EXPECT_TRUE(world_.Grants(fresh).empty());
  EXPECT_EQ(world_.core->counts().expiries, 0);
  world_.Pass(kInstant);
  EXPECT_EQ(world_.core->counts().expiries, 1);
  const bool at_fresh = !world_.Grants(fresh).empty();
  const LeaseSpec next = world_.LastGrant(at_fresh ? fresh : stream_);
  EXPECT_EQ(next.unit_id, lease_.unit_id);
  EXPECT_GT(next.token, lease_.token);
  // The session and its other lease live on.
  EXPECT_FALSE(world_.output.closed(stream_).has_value());
  EXPECT_EQ(world_
                .Report(stream_, test::Walked(other_lease.unit_id,
                                              other_lease.token, "", "a", 1))
                .result,
            Result::kRecorded);
  EXPECT_TRUE(IsNamed(world_.Heartbeat(stream_).not_renewed));
}

// To have nothing left that it works on is not to give back what it was told to
// drop: a write that had begun may still land.
TEST_F(LeaseRevokeTest, AFinishDoesNotEndWhatRunsOut) {
  BeginRevoked();
  PassAlive(world_.options.ttl);  // The deadline: it runs out from here.
  ASSERT_TRUE(IsNamed(world_.Heartbeat(stream_).not_renewed));
  world_.Publish("photos", 1);
  world_.core->OnFinish(stream_);
  world_.store.Settle();
  const StreamId fresh = world_.Open("c2");
  world_.PassAlive(world_.term() - kInstant, {fresh});
  EXPECT_TRUE(world_.Grants(fresh).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(fresh).size(), 1u);
  EXPECT_EQ(world_.core->counts().expiries, 1);
}

TEST_F(LeaseRevokeTest, AReleaseAfterTheDeadlineStillEndsTheLease) {
  BeginRevoked();
  PassAlive(world_.options.ttl + absl::Seconds(3));
  EXPECT_TRUE(IsNamed(world_.Heartbeat(stream_).not_renewed));
  world_.Release(stream_, lease_, "REVOKED");
  EXPECT_TRUE(world_.tables.UnitsOf(rule_).empty());
  EXPECT_FALSE(IsNamed(world_.Heartbeat(stream_).not_renewed));
}

TEST_F(LeaseRevokeTest, ARevokeIsRepeatedOnTheNextStream) {
  BeginRevoked();
  world_.core->OnStreamClosed(stream_);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_),
                                       {LeaseWorld::RefOf(lease_, 1)});
  ASSERT_EQ(Revokes(again).size(), 1u);
  EXPECT_EQ(Revokes(again)[0].token, lease_.token);
}

// A lease that is not renewed any more is not renewed by a hello either: its
// copier counts from the hello that was welcomed, unless it is told not to.
TEST_F(LeaseRevokeTest, AHelloDoesNotRenewWhatHeartbeatsDoNot) {
  BeginRevoked();
  PassAlive(world_.options.ttl);  // The deadline: it runs out from here.
  world_.core->OnStreamClosed(stream_);
  world_.Pass(world_.options.ttl);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_),
                                       {LeaseWorld::RefOf(lease_, 1)});
  const Ticks said_hello = world_.clock.Now();
  const bool told = IsNamed(world_.output.Last<WelcomeMessage>(again).not_held);
  world_.Publish("photos", 1);
  const StreamId fresh = world_.Open("c2");
  while (world_.core->counts().expiries == 0 &&
         world_.Grants(fresh).empty() && world_.Grants(again).empty()) {
    ASSERT_LT(world_.clock.Now() - said_hello, absl::Minutes(2));
    world_.Pass(absl::Milliseconds(100));
    world_.Heartbeat(fresh);
  }
  // Either it knew, or nobody else was given the unit while it could not know.
  EXPECT_TRUE(told || world_.clock.Now() - said_hello >= world_.term());
}

// It was told to drop it, and did; a write that had begun may still land. To
// leave it out of a hello is not to give it back.
TEST_F(LeaseRevokeTest, AHelloWithoutWhatRunsOutDoesNotEndIt) {
  BeginRevoked();
  PassAlive(world_.options.ttl);  // The deadline: it runs out from here.
  ASSERT_TRUE(IsNamed(world_.Heartbeat(stream_).not_renewed));
  world_.Publish("photos", 1);
  world_.core->OnStreamClosed(stream_);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream_), {});
  world_.PassAlive(world_.term() - kInstant, {again});
  EXPECT_TRUE(world_.Grants(again).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(again).size(), 1u);
}

// -------------------------------------------------------------- given back

TEST_F(LeaseRevokeTest, AnOrderlyReleaseIsGrantedAgainAtOnce) {
  world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  for (const char* reason : {"", "REVOKED", "STOPPING"}) {
    const size_t before = world_.Grants(stream).size();
    world_.Release(stream, world_.LastGrant(stream), reason);
    EXPECT_EQ(world_.Grants(stream).size(), before + 1) << reason;
  }
}

TEST_F(LeaseRevokeTest, AReleaseWithAProblemBacksOffAndShowsIt) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  size_t grants = 1;
  absl::Duration delay = absl::Milliseconds(250);
  for (int failure = 1; failure <= 9; ++failure) {
    SCOPED_TRACE(failure);
    world_.core->OnRelease(
        stream, LeaseWorld::ReleaseOf(world_.LastGrant(stream),
                                      "STORE_UNREACHABLE", "no route"));
    world_.store.Settle();
    ASSERT_EQ(world_.tables.Conditions(rule).size(), 1u);
    EXPECT_EQ(world_.tables.Conditions(rule)[0].type, "LANE_FAILING");
    EXPECT_EQ(world_.tables.Conditions(rule)[0].message,
              "STORE_UNREACHABLE: no route");
    world_.PassAlive(delay - kInstant, {stream});
    ASSERT_EQ(world_.Grants(stream).size(), grants);
    world_.Pass(kInstant);
    ASSERT_EQ(world_.Grants(stream).size(), ++grants);
    delay = std::min(2 * delay, absl::Seconds(30));
  }
  // Progress takes back condition and delay.
  LeaseSpec lease = world_.LastGrant(stream);
  world_.Report(stream, test::Walked(lease.unit_id, lease.token, "", "a", 1));
  EXPECT_TRUE(world_.tables.Conditions(rule).empty());
  world_.Release(stream, lease, "STORE_UNREACHABLE");
  world_.Pass(absl::Milliseconds(250));
  EXPECT_EQ(world_.Grants(stream).size(), grants + 1);
}

TEST_F(LeaseRevokeTest, AProbeThatFailsIsRepeatedSoon) {
  const int64_t rule = world_.tables.AddRule();
  world_.Restart();
  const StreamId stream = world_.Open("c1");
  size_t grants = 1;
  absl::Duration delay = absl::Milliseconds(250);
  for (int failure = 1; failure <= 6; ++failure) {
    SCOPED_TRACE(failure);
    const LeaseSpec lease = world_.LastGrant(stream);
    Checkpoint report = test::ProbeFinds(lease.unit_id, lease.token);
    report.probe->source.problem = "refused";
    const CheckpointAckMessage ack = world_.Report(stream, report);
    EXPECT_EQ(ack.result, Result::kRecorded);
    EXPECT_TRUE(ack.complete);
    EXPECT_EQ(world_.core->counts().leases, 0);
    world_.PassAlive(delay - kInstant, {stream});
    ASSERT_EQ(world_.Grants(stream).size(), grants);
    world_.Pass(kInstant);
    ASSERT_EQ(world_.Grants(stream).size(), ++grants);
    delay = std::min(2 * delay, absl::Seconds(2));
  }
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.Report(stream, test::ProbeFinds(lease.unit_id, lease.token));
  EXPECT_EQ(world_.tables.FindRule(rule)->state, RuleState::kActive);
}

TEST_F(LeaseRevokeTest, ReleasesOfOthersLeasesEndNothing) {
  world_.AddRuleWithRanges(1);
  const StreamId holder = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(holder);
  const StreamId stranger = world_.Open("c2");
  LeaseRef older = LeaseWorld::RefOf(lease);
  --older.token;
  world_.core->OnRelease(stranger, LeaseWorld::ReleaseOf(lease));
  world_.core->OnRelease(holder, {.lease = older});
  world_.core->OnRelease(holder, {.lease = {4711, 1, 0}});
  world_.store.Settle();
  EXPECT_EQ(world_.core->counts().leases, 1);
  EXPECT_TRUE(world_.Grants(stranger).empty());
  // They are answered all the same: nobody need wait.
  EXPECT_EQ(world_.output.Of<ReleaseAckMessage>(stranger).size(), 1u);
  EXPECT_EQ(world_.output.Of<ReleaseAckMessage>(holder).size(), 2u);
}

TEST_F(LeaseRevokeTest, TroubleIsNotedForTheHolderAlone) {
  const int64_t rule = world_.AddRuleWithRanges(1);
  const StreamId holder = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(holder);
  const StreamId stranger = world_.Open("c2");
  world_.core->OnTrouble(stranger, LeaseWorld::RefOf(lease), "lies");
  world_.store.Settle();
  EXPECT_TRUE(world_.tables.Conditions(rule).empty());
  world_.core->OnTrouble(holder, LeaseWorld::RefOf(lease), "k: FORBIDDEN");
  world_.store.Settle();
  ASSERT_EQ(world_.tables.Conditions(rule).size(), 1u);
  EXPECT_EQ(world_.tables.Conditions(rule)[0].type, "OBJECT_FAILING");
}

}  // namespace
}  // namespace crr
