// Sessions of the lease core: who is known by which number, what a broken
// stream keeps, and how much a copier is given.

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "server/core/refusal.h"
#include "server/core/units.h"
#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

class LeaseSessionTest : public ::testing::Test {
 protected:
  void ExpectClosed(StreamId stream, absl::StatusCode code,
                    absl::string_view reason) {
    ASSERT_TRUE(world_.output.closed(stream).has_value());
    EXPECT_THAT(*world_.output.closed(stream), HasCode(code));
    const auto violations = ViolationsOf(*world_.output.closed(stream));
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].reason, reason);
  }

  LeaseWorld world_;
};

TEST_F(LeaseSessionTest, HelloIsWelcomedUnderARisingNumber) {
  const StreamId a = world_.Open("c1");
  ASSERT_EQ(world_.output.Of<WelcomeMessage>(a).size(), 1u);
  const StreamId b = world_.Open("c2");
  EXPECT_GT(world_.NumberOf(b), world_.NumberOf(a));
  EXPECT_EQ(world_.core->counts().sessions, 2);
}

TEST_F(LeaseSessionTest, ANewSessionHoldsNothing) {
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  hello.held = {{7, 1, 3}, {8, 2, 0}};
  const StreamId stream = world_.Open(hello);
  EXPECT_EQ(world_.output.Last<WelcomeMessage>(stream).not_held, hello.held);
}

TEST_F(LeaseSessionTest, EverythingNeedsAHelloFirst) {
  const std::vector<std::function<void(StreamId)>> messages = {
      [&](StreamId s) { world_.core->OnHeartbeat(s, 1); },
      [&](StreamId s) { world_.core->OnCheckpoint(s, {}); },
      [&](StreamId s) { world_.core->OnRelease(s, {.lease = {}}); },
      [&](StreamId s) { world_.core->OnTrouble(s, {}, ""); }};
  StreamId stream = 1000;
  for (const auto& say : messages) {
    say(++stream);
    ExpectClosed(stream, absl::StatusCode::kInvalidArgument,
                 "MALFORMED_MESSAGE");
    // Nor while hello is not answered yet.
    world_.core->OnHello(++stream, LeaseWorld::HelloOf("c1"));
    say(stream);
    ExpectClosed(stream, absl::StatusCode::kInvalidArgument,
                 "MALFORMED_MESSAGE");
    world_.store.Settle();
    EXPECT_TRUE(world_.output.All(stream).empty());
  }
}

// It was sent before the copier's last message had arrived.
TEST_F(LeaseSessionTest, AGrantThatCrossesAFinishIsAnothersAtOnce) {
  world_.AddRuleWithChanges(1);
  const StreamId leaving = world_.Open("c1");
  const LeaseSpec lost = world_.LastGrant(leaving);
  world_.core->OnFinish(leaving);
  world_.store.Settle();
  EXPECT_EQ(world_.output.closed(leaving), absl::OkStatus());
  const StreamId other = world_.Open("c2");
  EXPECT_EQ(world_.LastGrant(other).unit_id, lost.unit_id);
  EXPECT_GT(world_.LastGrant(other).token, lost.token);
}

TEST_F(LeaseSessionTest, HelloComesOnce) {
  const StreamId open = world_.Open("c1");
  world_.core->OnHello(open, LeaseWorld::HelloOf("c1"));
  ExpectClosed(open, absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE");

  const StreamId opening = world_.Say(LeaseWorld::HelloOf("c2"));
  world_.core->OnHello(opening, LeaseWorld::HelloOf("c2"));
  ExpectClosed(opening, absl::StatusCode::kInvalidArgument,
               "MALFORMED_MESSAGE");
  world_.store.Settle();
}

// ---------------------------------------------------------------------- credit

// A lease counts from the moment in which its grant is asked for.
TEST_F(LeaseSessionTest, CreditIsNeverExceeded) {
  world_.AddRuleWithRanges(6);
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1", 3));
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_TRUE(world_.store.Deliver());
  const auto asked_for = [&] {
    return world_.store.waiting(Kind::kGrant) +
           world_.store.unanswered(Kind::kGrant) +
           static_cast<int>(world_.Grants(stream).size());
  };
  EXPECT_EQ(asked_for(), 3);
  world_.core->Tick();
  EXPECT_EQ(asked_for(), 3);
  while (world_.store.RunStep()) {
    world_.core->Tick();
    EXPECT_EQ(asked_for(), 3);
  }
  while (world_.store.Deliver()) {
    world_.core->Tick();
    EXPECT_EQ(asked_for(), 3);
  }
  ASSERT_EQ(world_.Grants(stream).size(), 3u);

  // One that is being given back counts until that is committed.
  const LeaseSpec lease = world_.Grants(stream)[0];
  world_.core->OnRelease(stream, LeaseWorld::ReleaseOf(lease));
  ASSERT_TRUE(world_.store.RunStep());
  world_.core->Tick();
  EXPECT_EQ(asked_for(), 3);
  world_.store.Settle();
  EXPECT_EQ(world_.Grants(stream).size(), 4u);
}

TEST_F(LeaseSessionTest, AFinishedUnitMakesRoomForTheNext) {
  world_.AddRuleWithRanges(3);
  const StreamId stream = world_.Open("c1", 1);
  std::set<int64_t> units;
  std::string from;
  for (int i = 0; i < 3; ++i) {
    const LeaseSpec lease = world_.LastGrant(stream);
    units.insert(lease.unit_id);
    Checkpoint report = test::Walked(lease.unit_id, lease.token,
                                     lease.cursor.key, lease.range_end, 10);
    report.complete = true;
    const CheckpointAckMessage ack = world_.Report(stream, report);
    EXPECT_EQ(ack.result, Result::kRecorded);
    EXPECT_TRUE(ack.complete);
  }
  EXPECT_EQ(units.size(), 3u);
  EXPECT_EQ(world_.core->counts().leases, 0);
}

TEST_F(LeaseSessionTest, WorkGoesToCopiersOfItsRegionsFirst) {
  HelloMessage far = LeaseWorld::HelloOf("far", 10);
  far.region = "oss-us-east-1";
  HelloMessage near = LeaseWorld::HelloOf("near", 2);
  near.region = test::kBeijing;
  const StreamId far_stream = world_.Open(far);
  const StreamId near_stream = world_.Open(near);
  world_.AddRuleWithRanges(3);
  EXPECT_EQ(world_.Grants(near_stream).size(), 2u);
  EXPECT_EQ(world_.Grants(far_stream).size(), 1u);
}

TEST_F(LeaseSessionTest, AmongEqualsTheOneWithMostRoomIsGiven) {
  const StreamId small = world_.Open("small", 2);
  const StreamId large = world_.Open("large", 4);
  world_.AddRuleWithRanges(2);
  EXPECT_EQ(world_.Grants(large).size(), 2u);
  EXPECT_EQ(world_.Grants(small).size(), 0u);
}

// Whoever was served and gives its work back takes its place behind those that
// wait: a rule whose copiers die one after the other does not keep the rest
// from being served at all.
TEST_F(LeaseSessionTest, ARuleThatComesBackStandsBehindThoseThatWait) {
  const int64_t first = world_.AddRuleWithRanges(
      1, {.source = "first", .destination = "first-dr"});
  const int64_t second = world_.AddRuleWithRanges(
      1, {.source = "second", .destination = "second-dr"});
  const StreamId stream = world_.Open("c1", /*credit=*/1);
  ASSERT_EQ(world_.LastGrant(stream).rule.uid, first);
  world_.Release(stream, world_.LastGrant(stream));
  EXPECT_EQ(world_.LastGrant(stream).rule.uid, second);
  world_.Release(stream, world_.LastGrant(stream));
  EXPECT_EQ(world_.LastGrant(stream).rule.uid, first);
}

TEST_F(LeaseSessionTest, ARuleKeepsItsBoundOverReleases) {
  world_.AddRuleWithRanges(3, {.max_leases = 1});
  const StreamId stream = world_.Open("c1");
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(world_.core->counts().leases, 1);
    world_.Release(stream, world_.LastGrant(stream), "STORE_UNREACHABLE");
    EXPECT_EQ(world_.core->counts().leases, 1);
    world_.Pass(absl::Seconds(5));  // What waited after its failure is due.
    EXPECT_EQ(world_.core->counts().leases, 1);
    world_.Heartbeat(stream);
  }
}

// -------------------------------------------------------------- broken streams

TEST_F(LeaseSessionTest, ABrokenStreamKeepsItsLeases) {
  world_.AddRuleWithRanges(2);
  const StreamId stream = world_.Open("c1", 2);
  const std::vector<LeaseSpec> leases = world_.Grants(stream);
  ASSERT_EQ(leases.size(), 2u);
  const StreamId other = world_.Open("c2");
  world_.core->OnStreamClosed(stream);
  world_.Pass(absl::Seconds(5));
  EXPECT_TRUE(world_.Grants(other).empty());

  const StreamId again = world_.Reopen(
      "c1", world_.NumberOf(stream),
      {LeaseWorld::RefOf(leases[0]), LeaseWorld::RefOf(leases[1])});
  const auto welcome = world_.output.Last<WelcomeMessage>(again);
  EXPECT_EQ(welcome.session_number, world_.NumberOf(stream));
  EXPECT_TRUE(welcome.not_held.empty());
  EXPECT_TRUE(world_.Grants(again).empty());
  EXPECT_EQ(world_.tables.FindUnit(leases[0].unit_id)->token, leases[0].token);
  // It goes on under the same token.
  EXPECT_EQ(world_
                .Report(again, test::Walked(leases[0].unit_id, leases[0].token,
                                            "", "a", 3))
                .result,
            Result::kRecorded);
}

TEST_F(LeaseSessionTest, AGrantThatNeverArrivedIsGivenAgainAtOnce) {
  world_.AddRuleWithRanges(2);
  const StreamId stream = world_.Open("c1", 2);
  const std::vector<LeaseSpec> leases = world_.Grants(stream);
  ASSERT_EQ(leases.size(), 2u);
  world_.core->OnStreamClosed(stream);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream),
                                       {LeaseWorld::RefOf(leases[0])});
  ASSERT_EQ(world_.Grants(again).size(), 1u);
  EXPECT_EQ(world_.LastGrant(again).unit_id, leases[1].unit_id);
  EXPECT_GT(world_.LastGrant(again).token, leases[1].token);
  EXPECT_TRUE(world_.output.Last<WelcomeMessage>(again).not_held.empty());
}

// A grant whose answer was under way while the stream broke reaches the next
// stream.
TEST_F(LeaseSessionTest, AGrantUnderWayFollowsToTheNextStream) {
  const StreamId stream = world_.Open("c1");
  const int64_t number = world_.NumberOf(stream);
  const int64_t rule = world_.tables.AddActiveRule();
  world_.core->OnWork(world_.tables.Publish("photos", 1).events);
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_EQ(world_.store.unanswered(Kind::kGrant), 1);
  world_.core->OnStreamClosed(stream);
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  hello.session_number = number;
  const StreamId again = world_.Say(hello);
  world_.store.Settle();
  ASSERT_EQ(world_.Grants(again).size(), 1u);
  EXPECT_TRUE(world_.Grants(stream).empty());
  EXPECT_EQ(world_.LastGrant(again).token,
            world_.tables.TheUnit(rule, UnitKind::kChanges).token);
}

TEST_F(LeaseSessionTest, LeasesThatAreNotOnesOwnAreNotHeld) {
  world_.AddRuleWithRanges(2);
  const StreamId a = world_.Open("c1", 1);
  const StreamId b = world_.Open("c2", 1);
  const LeaseSpec of_b = world_.LastGrant(b);
  LeaseRef older = LeaseWorld::RefOf(world_.LastGrant(a));
  --older.token;
  const std::vector<LeaseRef> strange = {
      LeaseWorld::RefOf(of_b), older, {4711, 1, 0}};
  world_.core->OnStreamClosed(a);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(a), strange, 1);
  EXPECT_EQ(world_.output.Last<WelcomeMessage>(again).not_held, strange);
  EXPECT_EQ(
      world_.Report(b, test::Walked(of_b.unit_id, of_b.token, of_b.cursor.key,
                                    of_b.range_end, 1))
          .result,
      Result::kRecorded);
}

TEST_F(LeaseSessionTest, ASessionMovesToItsNewStream) {
  world_.AddRuleWithRanges(1);
  const StreamId stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(stream);
  const StreamId again = world_.Reopen("c1", world_.NumberOf(stream),
                                       {LeaseWorld::RefOf(lease)});
  ASSERT_TRUE(world_.output.closed(stream).has_value());
  EXPECT_THAT(*world_.output.closed(stream),
              HasCode(absl::StatusCode::kUnavailable));
  // The end of the old stream comes late, and ends nothing.
  world_.core->OnStreamClosed(stream);
  EXPECT_EQ(world_.core->counts().sessions, 1);
  world_.Heartbeat(again);
  EXPECT_FALSE(world_.output.closed(again).has_value());
  EXPECT_EQ(world_.output.Of<HeartbeatAckMessage>(again).size(), 1u);
}

TEST_F(LeaseSessionTest, AHelloWhoseStreamIsGoneHarmsNobody) {
  world_.AddRuleWithRanges(1);
  const StreamId gone = world_.Say(LeaseWorld::HelloOf("c1"));
  world_.core->OnStreamClosed(gone);
  world_.store.Settle();
  EXPECT_TRUE(world_.output.All(gone).empty());
  const StreamId stream = world_.Open("c1");
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
}

// It never heard of the number that it was given, so it can only name the one
// before: it is the same process still, and nobody took over.
TEST_F(LeaseSessionTest, ALostWelcomeSendsNobodyAway) {
  const StreamId stream = world_.Open("c1");
  const int64_t number = world_.NumberOf(stream);
  world_.core->OnStreamClosed(stream);
  world_.Pass(world_.term());  // The session is over, and forgotten.
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  hello.session_number = number;
  const StreamId lost = world_.Say(hello);
  world_.core->OnStreamClosed(lost);
  world_.store.Settle();
  const StreamId again = world_.Open(hello);
  EXPECT_FALSE(world_.output.closed(again).has_value())
      << world_.output.closed(again)->ToString();
  EXPECT_EQ(world_.output.Of<WelcomeMessage>(again).size(), 1u);
}

// The same with a server that ends between the commit and its answer.
TEST_F(LeaseSessionTest, AWelcomeThatARestartSwallowedSendsNobodyAway) {
  const StreamId stream = world_.Open("c1");
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  hello.session_number = world_.NumberOf(stream);
  world_.core->OnStreamClosed(stream);
  world_.Pass(world_.term());
  world_.Say(hello);
  ASSERT_TRUE(world_.store.RunStep());
  world_.Restart();
  const StreamId again = world_.Open(hello);
  EXPECT_FALSE(world_.output.closed(again).has_value())
      << world_.output.closed(again)->ToString();
}

// A hello that was under way for so long that its copier gave it up and came by
// another stream: it says what was held then, not what is held now.
TEST_F(LeaseSessionTest, AHelloOfAnEarlierStreamEndsNothing) {
  world_.AddRuleWithRanges(1);
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  const StreamId first = world_.Open(LeaseWorld::HelloOf("c1", 10));
  const LeaseSpec lease = world_.LastGrant(first);
  hello.session_number = world_.NumberOf(first);
  world_.Release(first, lease, "STORE_UNREACHABLE");
  const StreamId late = ++world_.last_stream;  // Opened, and not heard of yet.
  const StreamId present = world_.Open(hello);
  world_.Pass(absl::Seconds(1));
  ASSERT_EQ(world_.Grants(present).size(), 1u);
  const StreamId other = world_.Open("c2");
  world_.core->OnHello(late, hello);
  world_.store.Settle();
  EXPECT_TRUE(world_.Grants(other).empty());
  EXPECT_TRUE(world_.Grants(late).empty());
  EXPECT_EQ(world_.core->counts().leases, 1);
}

// ------------------------------------------------------------------- supersede

TEST_F(LeaseSessionTest, AnOlderNumberIsAborted) {
  const StreamId old_stream = world_.Open("c1");
  const int64_t old_number = world_.NumberOf(old_stream);
  const StreamId stream = world_.Open("c1");
  ExpectClosed(old_stream, absl::StatusCode::kAborted, "SESSION_SUPERSEDED");
  const StreamId late = world_.Reopen("c1", old_number, {});
  ExpectClosed(late, absl::StatusCode::kAborted, "SESSION_SUPERSEDED");
  EXPECT_TRUE(world_.output.All(late).empty());
  // The newer one is not touched by it.
  EXPECT_FALSE(world_.output.closed(stream).has_value());
  world_.Heartbeat(stream);
  EXPECT_EQ(world_.output.Of<HeartbeatAckMessage>(stream).size(), 1u);
}

TEST_F(LeaseSessionTest, AnOlderNumberIsAbortedAfterARestartToo) {
  const int64_t old_number = world_.NumberOf(world_.Open("c1"));
  const int64_t number = world_.NumberOf(world_.Open("c1"));
  world_.Restart();
  const StreamId late = world_.Reopen("c1", old_number, {});
  ExpectClosed(late, absl::StatusCode::kAborted, "SESSION_SUPERSEDED");
  const StreamId again = world_.Reopen("c1", number, {});
  EXPECT_EQ(world_.NumberOf(again), number);
}

// Two processes under one name: what the first may still write is waited for,
// by its own last answer and not by when the second came.
TEST_F(LeaseSessionTest, UnitsOfASupersededSessionWaitForItsOwnTerm) {
  world_.AddRuleWithRanges(1);
  const StreamId old_stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(old_stream);
  world_.Pass(absl::Seconds(3));
  world_.Heartbeat(old_stream);
  world_.Pass(absl::Seconds(4));
  const StreamId stream = world_.Open("c1");
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Heartbeat(stream);
  world_.PassAlive(world_.term() - absl::Seconds(4) - absl::Nanoseconds(1),
                   {stream});
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(absl::Nanoseconds(1));
  ASSERT_EQ(world_.Grants(stream).size(), 1u);
  EXPECT_GT(world_.LastGrant(stream).token, lease.token);
}

// A grant that was on its way to a session that is superseded meanwhile was
// never seen by anybody.
TEST_F(LeaseSessionTest, AGrantUnderWayToASupersededSessionIsFree) {
  const StreamId old_stream = world_.Open("c1");
  const StreamId stream = world_.Say(LeaseWorld::HelloOf("c1"));
  world_.tables.AddActiveRule();
  world_.core->OnWork(world_.tables.Publish("photos", 1).events);
  ASSERT_EQ(world_.store.waiting(Kind::kGrant), 1);  // To the old session.
  world_.store.Settle();
  world_.Pass(absl::Seconds(1));
  EXPECT_TRUE(world_.Grants(old_stream).empty());
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
}

TEST_F(LeaseSessionTest, MessagesOfASupersededStreamEndIt) {
  world_.AddRuleWithRanges(1);
  const StreamId old_stream = world_.Open("c1");
  const LeaseSpec lease = world_.LastGrant(old_stream);
  world_.Open("c1");
  const size_t said = world_.output.All(old_stream).size();
  world_.core->OnHeartbeat(old_stream, 1);
  world_.core->OnCheckpoint(old_stream, test::Walked(lease.unit_id,
                                                     lease.token, "", "a", 1));
  world_.core->OnRelease(old_stream, LeaseWorld::ReleaseOf(lease));
  world_.store.Settle();
  EXPECT_EQ(world_.output.All(old_stream).size(), said);
  EXPECT_EQ(world_.core->counts().leases, 1);
}

// ------------------------------------------------------------------ forgetting

TEST_F(LeaseSessionTest, ASessionThatHoldsNothingIsForgottenInTime) {
  const StreamId stream = world_.Open("c1");
  const int64_t number = world_.NumberOf(stream);
  world_.core->OnStreamClosed(stream);
  world_.Pass(world_.term() - absl::Nanoseconds(1));
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM sessions"), 1);
  world_.Pass(absl::Nanoseconds(1));
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM sessions"), 0);
  // It may still come back, and gets another number.
  const StreamId again = world_.Reopen("c1", number, {{1, 1, 0}});
  EXPECT_GT(world_.NumberOf(again), number);
  EXPECT_EQ(world_.output.Last<WelcomeMessage>(again).not_held.size(), 1u);
}

// However long it was idle, and whoever else came meanwhile.
TEST_F(LeaseSessionTest, AnIdleSessionIsGivenWorkAfterAWeek) {
  const StreamId idle = world_.Open("c1");
  for (int i = 0; i < 20; ++i) {
    world_.PassAlive(absl::Seconds(30), {idle});
    world_.clock.StepWall(absl::Hours(10));
    const StreamId visitor = world_.Open("visitor");
    world_.core->OnStreamClosed(visitor);
  }
  world_.AddRuleWithRanges(2);
  EXPECT_EQ(world_.Grants(idle).size(), 2u);
}

// As when a verification is dropped in the instant in which a holder gives its
// part of it back.
TEST_F(LeaseSessionTest, AReleaseIsAnsweredThoughItsUnitGoesFirst) {
  const StreamId stream = world_.Open("a");
  world_.AddRuleWithChanges(3);
  const LeaseSpec lease = world_.LastGrant(stream);
  world_.store.Submit(
      [&](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        return RemoveUnit(txn, *unit_table::Get(txn, lease.unit_id));
      },
      [&](const WorkEvents& events) { world_.core->OnWork(events); });
  world_.core->OnRelease(stream, LeaseWorld::ReleaseOf(lease));
  world_.store.Settle();
  const auto acks = world_.output.Of<ReleaseAckMessage>(stream);
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0].unit_id, lease.unit_id);
  EXPECT_EQ(acks[0].token, lease.token);
}

}  // namespace
}  // namespace crr
