// What operators see of copiers and leases, and what they ask for: a copier is
// drained, a lease is revoked.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/session_table.h"
#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;
using test::ManualStore;
using test::TestTables;
using Kind = ManualStore::Kind;

class LeaseOperatorsTest : public ::testing::Test {
 protected:
  std::vector<RevokeMessage> Revokes(StreamId stream) {
    return world_.output.Of<RevokeMessage>(stream);
  }
  std::vector<std::string> Names(const std::string& after, size_t count_max) {
    std::vector<std::string> names;
    for (const auto& view : world_.core->Copiers(after, count_max)) {
      names.push_back(view.copier);
    }
    return names;
  }
  LeaseCore::CopierView View(const std::string& copier) {
    const auto view = world_.core->FindCopier(copier);
    CRR_CHECK(view.has_value());
    return *view;
  }
  void Drain(StreamId stream) {
    world_.core->DrainSession(world_.NumberOf(stream));
  }

  LeaseWorld world_;
};

// --------------------------------------------------------------------- copiers

TEST_F(LeaseOperatorsTest, CopiersAreShownByName) {
  HelloMessage hello = LeaseWorld::HelloOf("b", 3);
  hello.region = test::kHangzhou;
  const StreamId stream = world_.Open(hello);
  for (const char* name : {"d", "a", "c"}) world_.Open(name);
  using Strings = std::vector<std::string>;
  EXPECT_EQ(Names("", 10), (Strings{"a", "b", "c", "d"}));
  EXPECT_EQ(Names("", 2), (Strings{"a", "b"}));
  EXPECT_EQ(Names("b", 2), (Strings{"c", "d"}));
  EXPECT_EQ(Names("d", 2), Strings{});
  EXPECT_FALSE(world_.core->FindCopier("e").has_value());

  world_.AddRuleWithRanges(2);
  const LeaseCore::CopierView b = View("b");
  EXPECT_EQ(b.region, test::kHangzhou);
  EXPECT_EQ(b.session_number, world_.NumberOf(stream));
  EXPECT_EQ(b.lease_credit, 3);
  EXPECT_EQ(b.leases, 2);
  EXPECT_TRUE(b.connected);
  EXPECT_FALSE(b.draining);
}

TEST_F(LeaseOperatorsTest, ACopierIsShownUntilItsSessionIsOver) {
  const StreamId stream = world_.Open("a");
  world_.core->OnStreamClosed(stream);
  EXPECT_FALSE(View("a").connected);
  world_.Restart();
  EXPECT_FALSE(View("a").connected);
  world_.Pass(world_.term());
  EXPECT_FALSE(world_.core->FindCopier("a").has_value());
  EXPECT_TRUE(world_.core->Copiers("", 10).empty());
}

// ----------------------------------------------------------------------- drain

TEST_F(LeaseOperatorsTest, ADrainingCopierIsAskedForAllAndGetsNoMore) {
  const StreamId a = world_.Open("a");
  world_.AddRuleWithRanges(3);
  const std::vector<LeaseSpec> leases = world_.Grants(a);
  ASSERT_EQ(leases.size(), 3u);
  Drain(a);
  Drain(a);
  EXPECT_TRUE(View("a").draining);
  ASSERT_EQ(Revokes(a).size(), 3u);
  for (const RevokeMessage& revoke : Revokes(a)) {
    EXPECT_EQ(revoke.reason, "DRAINING");
    EXPECT_EQ(revoke.deadline, world_.options.ttl);
  }
  for (const LeaseSpec& lease : leases) world_.Release(a, lease, "REVOKED");
  world_.PassAlive(absl::Minutes(1), {a});
  EXPECT_EQ(world_.Grants(a).size(), 3u);
  EXPECT_EQ(View("a").leases, 0);
  const StreamId b = world_.Open("b");
  EXPECT_EQ(world_.Grants(b).size(), 3u);
  EXPECT_TRUE(Revokes(b).empty());
}

TEST_F(LeaseOperatorsTest, ABrokenStreamDoesNotEndADrain) {
  const StreamId a = world_.Open("a");
  world_.AddRuleWithRanges(1);
  const LeaseSpec lease = world_.LastGrant(a);
  const int64_t number = world_.NumberOf(a);
  Drain(a);
  world_.core->OnStreamClosed(a);
  const StreamId again =
      world_.Reopen("a", number, {LeaseWorld::RefOf(lease)});
  ASSERT_EQ(Revokes(again).size(), 1u);
  EXPECT_EQ(Revokes(again)[0].reason, "DRAINING");
  world_.Release(again, lease, "REVOKED");
  EXPECT_TRUE(world_.Grants(again).empty());
}

TEST_F(LeaseOperatorsTest, ANewProcessOfADrainedCopierIsNotDrained) {
  const StreamId a = world_.Open("a");
  const int64_t number = world_.NumberOf(a);
  Drain(a);
  world_.AddRuleWithRanges(1);
  EXPECT_TRUE(world_.Grants(a).empty());
  const StreamId again = world_.Open("a");
  EXPECT_FALSE(View("a").draining);
  EXPECT_EQ(world_.Grants(again).size(), 1u);
  // Nor does a drain of the old one, late, touch it.
  world_.core->DrainSession(number);
  EXPECT_FALSE(View("a").draining);
  EXPECT_TRUE(Revokes(again).empty());
}

// A grant that is being stored is taken back before anyone hears of it.
TEST_F(LeaseOperatorsTest, AGrantUnderWayIsNotSentToADrainingCopier) {
  const StreamId a = world_.Open("a");
  world_.store.Refuse(Kind::kGrant, absl::ResourceExhaustedError("full"));
  world_.AddRuleWithRanges(1);
  world_.clock.Advance(absl::Seconds(1));
  world_.core->Tick();
  ASSERT_EQ(world_.store.waiting(Kind::kGrant), 1);
  Drain(a);
  world_.store.Settle();
  EXPECT_TRUE(world_.Grants(a).empty());
  EXPECT_EQ(world_.tables.Number("SELECT count(*) FROM leases"), 0);
  EXPECT_EQ(world_.Grants(world_.Open("b")).size(), 1u);
}

// ---------------------------------------------------------------------- revoke

TEST_F(LeaseOperatorsTest, ARevokedLeaseIsAskedForAndGrantedAnew) {
  const StreamId a = world_.Open("a");
  world_.AddRuleWithRanges(2);
  const LeaseSpec lease = world_.Grants(a)[0];
  EXPECT_TRUE(world_.core->revoke_reasons().empty());
  world_.core->RevokeLease(lease.unit_id, lease.token - 1);
  world_.core->RevokeLease(4711, lease.token);
  EXPECT_TRUE(Revokes(a).empty());
  world_.core->RevokeLease(lease.unit_id, lease.token);
  world_.core->RevokeLease(lease.unit_id, lease.token);
  ASSERT_EQ(Revokes(a).size(), 1u);
  EXPECT_EQ(Revokes(a)[0].reason, "REVOKED");
  EXPECT_EQ(Revokes(a)[0].token, lease.token);
  EXPECT_EQ(world_.core->revoke_reasons(),
            (LeaseCore::RevokeReasons{
                {{lease.unit_id, lease.token}, "REVOKED"}}));
  world_.Release(a, lease, "REVOKED");
  EXPECT_TRUE(world_.core->revoke_reasons().empty());
  EXPECT_EQ(world_.LastGrant(a).unit_id, lease.unit_id);
  EXPECT_GT(world_.LastGrant(a).token, lease.token);
}

TEST_F(LeaseOperatorsTest, ALeaseThatIsNotGivenBackRunsOutAlone) {
  const StreamId a = world_.Open("a");
  world_.AddRuleWithRanges(2);
  const LeaseSpec lease = world_.Grants(a)[0];
  world_.core->RevokeLease(lease.unit_id, lease.token);
  world_.PassAlive(world_.options.ttl + world_.term() + absl::Seconds(1), {a});
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(world_.core->counts().leases, 2);  // The other, and it again.
}

// ----------------------------------------------------------------- no progress

class NoProgressTest : public LeaseOperatorsTest {
 protected:
  void Begin(const TestTables::RuleSetup& setup = {}) {
    world_.AddRuleWithRanges(1, setup);
    stream_ = world_.Open("a");
    lease_ = world_.LastGrant(stream_);
    ASSERT_EQ(lease_.kind, UnitKind::kBackfill);
  }
  void PassAlive(absl::Duration time) { world_.PassAlive(time, {stream_}); }

  const absl::Duration patience_ = world_.options.no_progress;
  StreamId stream_ = 0;
  LeaseSpec lease_;
};

TEST_F(NoProgressTest, ALeaseUnderWhichNothingMovesIsAskedBack) {
  Begin();
  PassAlive(patience_ - absl::Seconds(1));
  EXPECT_TRUE(Revokes(stream_).empty());
  PassAlive(absl::Seconds(1));
  ASSERT_EQ(Revokes(stream_).size(), 1u);
  EXPECT_EQ(Revokes(stream_)[0].reason, "NO_PROGRESS");
  // However it comes back, the grant was an attempt.
  world_.Release(stream_, lease_, "REVOKED");
  EXPECT_EQ(world_.tables.FindUnit(lease_.unit_id)->attempts, 2);
  EXPECT_EQ(world_.Grants(stream_).size(), 2u);
}

TEST_F(NoProgressTest, OneThatIsKeptRunsOut) {
  Begin();
  PassAlive(patience_ + world_.options.ttl + world_.term() + absl::Seconds(1));
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(world_.Grants(stream_).size(), 2u);
}

TEST_F(NoProgressTest, ACheckpointThatMovesSomethingIsProgressAndARepeatIsNot) {
  Begin();
  const Checkpoint report =
      test::Walked(lease_.unit_id, lease_.token, "", "k", 1);
  PassAlive(patience_ - absl::Seconds(1));
  world_.Report(stream_, report);
  PassAlive(patience_ - absl::Seconds(1));
  EXPECT_TRUE(Revokes(stream_).empty());
  world_.Report(stream_, report);
  PassAlive(absl::Seconds(2));
  EXPECT_EQ(Revokes(stream_).size(), 1u);
}

// The copier can do nothing for it.
TEST_F(NoProgressTest, AFullDiskIsNotTheCopiersFault) {
  Begin();
  PassAlive(patience_ - absl::Seconds(1));
  world_.store.Refuse(Kind::kApply, absl::ResourceExhaustedError("full"));
  world_.Report(stream_, test::Walked(lease_.unit_id, lease_.token, "", "k"));
  PassAlive(patience_ - absl::Seconds(1));
  EXPECT_TRUE(Revokes(stream_).empty());
}

// 64 MiB at 1 MiB a second, and one lease of it.
TEST_F(NoProgressTest, ALimitedRuleTakesItsTime) {
  Begin({.max_leases = 1, .max_bytes_per_second = 1 << 20});
  PassAlive(patience_ + absl::Seconds(63));
  EXPECT_TRUE(Revokes(stream_).empty());
  PassAlive(absl::Seconds(1));
  EXPECT_EQ(Revokes(stream_).size(), 1u);
}

TEST_F(NoProgressTest, AnEmptyLogHasNothingToProgressOn) {
  world_.options.linger = absl::Hours(1);
  world_.Start();
  world_.AddRuleWithChanges(1);
  stream_ = world_.Open("a");
  lease_ = world_.LastGrant(stream_);
  world_.Report(stream_, test::Applied(lease_.unit_id, lease_.token, 0, 1));
  PassAlive(3 * patience_);
  EXPECT_TRUE(Revokes(stream_).empty());
  world_.Publish("photos", 1);
  PassAlive(patience_ - absl::Seconds(1));
  EXPECT_TRUE(Revokes(stream_).empty());
  PassAlive(absl::Seconds(1));
  EXPECT_EQ(Revokes(stream_).size(), 1u);
}

TEST_F(NoProgressTest, AStallOfTheServerIsNotCounted) {
  Begin();
  PassAlive(patience_ - absl::Seconds(10));
  world_.clock.Advance(absl::Seconds(60));
  world_.Heartbeat(stream_);
  world_.core->Tick();
  EXPECT_TRUE(Revokes(stream_).empty());
}

// The process died between storing the drain and asking for the leases, or the
// copier was away.
TEST_F(LeaseOperatorsTest, ADrainGoesOnAfterARestart) {
  const StreamId stream = world_.Open("a");
  world_.AddRuleWithChanges(10);
  const LeaseSpec lease = world_.LastGrant(stream);
  const int64_t number = world_.NumberOf(stream);
  world_.tables.Do([&](Transaction& txn) {
    session_table::SetDraining(txn, number);
  });
  world_.Restart();
  const StreamId again =
      world_.Reopen("a", number, {LeaseWorld::RefOf(lease)});
  ASSERT_EQ(Revokes(again).size(), 1u);
  EXPECT_EQ(Revokes(again)[0].reason, "DRAINING");
  // Asked for once more, it is not told twice.
  Drain(again);
  EXPECT_EQ(Revokes(again).size(), 1u);
}

}  // namespace
}  // namespace crr
