// A lease that lasts gives its place up now and then, while others wait for it.

#include <gtest/gtest.h>

#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;

class LeaseTurnsTest : public ::testing::Test {
 protected:
  size_t Revokes() { return world_.output.Of<RevokeMessage>(stream_).size(); }
  // Gives back what was asked for last.
  void Obey() {
    const auto asked = world_.output.Last<RevokeMessage>(stream_);
    EXPECT_EQ(asked.reason, "TURN");
    world_.core->OnRelease(stream_, {.lease = {asked.unit_id, asked.token, 0},
                                     .reason = "REVOKED"});
    world_.store.Settle();
  }
  void Pass(absl::Duration time) { world_.PassAlive(time, {stream_}); }
  absl::Duration turn() const { return world_.options.turn; }

  LeaseWorld world_;
  StreamId stream_ = 0;
};

TEST_F(LeaseTurnsTest, ARuleAtItsBoundComesToAllItsKindsOfWork) {
  stream_ = world_.Open("c", 10);
  world_.AddRuleWithRanges(2, {.max_leases = 1});
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kBackfill);
  // More of the same kind is no reason.
  Pass(3 * turn());
  EXPECT_EQ(Revokes(), 0u);
  world_.Publish("photos", 5);
  Pass(absl::Seconds(1));
  ASSERT_EQ(Revokes(), 1u);
  Obey();
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kChanges);
  // A full turn for it, too.
  Pass(turn() - absl::Seconds(2));
  EXPECT_EQ(Revokes(), 1u);
  Pass(absl::Seconds(3));
  ASSERT_EQ(Revokes(), 2u);
  Obey();
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kBackfill);
}

TEST_F(LeaseTurnsTest, WhereCopiersAreFewEveryRuleHasATurn) {
  stream_ = world_.Open("c", 1);
  const int64_t first = world_.AddRuleWithRanges(5);
  EXPECT_EQ(world_.LastGrant(stream_).rule.uid, first);
  Pass(3 * turn());
  EXPECT_EQ(Revokes(), 0u);
  const int64_t second = world_.AddRuleWithRanges(
      5, {.source = "films", .destination = "films-dr"});
  Pass(absl::Seconds(1));
  ASSERT_EQ(Revokes(), 1u);
  Obey();
  EXPECT_EQ(world_.LastGrant(stream_).rule.uid, second);
  Pass(turn() + absl::Seconds(1));
  ASSERT_EQ(Revokes(), 2u);
  Obey();
  EXPECT_EQ(world_.LastGrant(stream_).rule.uid, first);
}

TEST_F(LeaseTurnsTest, NobodyGoesWhereThereIsRoom) {
  stream_ = world_.Open("c", 10);
  world_.AddRuleWithRanges(3);
  world_.AddRuleWithRanges(3, {.source = "films", .destination = "films-dr"});
  Pass(5 * turn());
  EXPECT_EQ(Revokes(), 0u);
}

// So that a crowd is not sent away for one that waits.
TEST_F(LeaseTurnsTest, AFewAtATime) {
  stream_ = world_.Open("c", 40);
  world_.AddRuleWithRanges(40);
  Pass(turn() + absl::Seconds(1));
  world_.AddRuleWithRanges(1, {.source = "films", .destination = "films-dr"});
  Pass(absl::Seconds(3));
  EXPECT_EQ(Revokes(), 4u);
}

}  // namespace
}  // namespace crr
