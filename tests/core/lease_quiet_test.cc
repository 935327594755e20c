// After a restore: leases that the database cannot know of may live, so nothing
// is granted until they have run out.

#include <gtest/gtest.h>

#include "storage/server_table.h"
#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

class LeaseQuietTest : public ::testing::Test {
 protected:
  LeaseQuietTest() {
    world_.AddRuleWithRanges(1);
    world_.tables.Do([](Transaction& txn) { MarkRestored(txn); });
    world_.Restart();
  }
  bool IsRestored() {
    return world_.tables.Do([](Transaction& txn) -> bool {
      return crr::IsRestored(txn);
    });
  }

  LeaseWorld world_;
};

TEST_F(LeaseQuietTest, NothingIsGrantedForOneTerm) {
  const StreamId stream = world_.Open("a");
  EXPECT_GT(world_.NumberOf(stream), 0);
  world_.PassAlive(world_.term() - kInstant, {stream});
  EXPECT_TRUE(world_.Grants(stream).empty());
  EXPECT_TRUE(IsRestored());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
  EXPECT_FALSE(IsRestored());
  // A start after that is like any other.
  world_.Restart();
  const StreamId next = world_.Open("b");
  world_.PassAlive(world_.term(), {next});
  EXPECT_EQ(world_.Grants(next).size(), 1u);
}

TEST_F(LeaseQuietTest, ARestartInTheMiddleWaitsAgain) {
  world_.Pass(world_.term() - kInstant);
  world_.Restart();
  const StreamId stream = world_.Open("a");
  world_.PassAlive(world_.term() - kInstant, {stream});
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
}

// It ends once, and not before that is stored.
TEST_F(LeaseQuietTest, ItsEndIsStored) {
  const StreamId stream = world_.Open("a");
  world_.store.Refuse(Kind::kEndQuiet, absl::ResourceExhaustedError("full"));
  world_.PassAlive(world_.term(), {stream});
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(world_.core->tick_interval());
  EXPECT_EQ(world_.Grants(stream).size(), 1u);
  EXPECT_FALSE(IsRestored());
  world_.clock.Advance(world_.core->tick_interval());
  world_.core->Tick();
  EXPECT_EQ(world_.store.waiting(Kind::kEndQuiet), 0);
}

// What waits is not only grants of work that was known at the start.
TEST_F(LeaseQuietTest, NewWorkWaitsToo) {
  const StreamId stream = world_.Open("a");
  world_.AddRuleWithChanges(1, {.source = "x", .destination = "x-dr"});
  world_.PassAlive(world_.term() - kInstant, {stream});
  EXPECT_TRUE(world_.Grants(stream).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(world_.Grants(stream).size(), 2u);
}

}  // namespace
}  // namespace crr
