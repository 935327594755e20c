#include "client/copier/slot_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <vector>

namespace crr {
namespace {

TEST(SlotPoolTest, RunsAsManyAtOnceAsThereAreSlots) {
  SlotPool pool(3);
  const auto lane = pool.OpenLane();
  // Each waits for the other two: with fewer threads this would never end.
  std::latch all(3);
  std::latch ended(3);
  for (int i = 0; i < 3; ++i) {
    lane->Submit([&] {
      all.arrive_and_wait();
      ended.count_down();
    });
  }
  ended.wait();
}

TEST(SlotPoolTest, LongUseLeavesHalfTheSlots) {
  SlotPool pool(4);
  std::vector<std::unique_ptr<SlotPool::Lane>> lanes;
  std::latch go(1);
  std::latch long_ended(3);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  for (int i = 0; i < 3; ++i) {
    lanes.push_back(pool.OpenLane(SlotPool::Use::kLong));
    lanes.back()->Submit([&] {
      most = std::max<int>(most, ++running);
      go.wait();
      --running;
      long_ended.count_down();
    });
  }
  // Two at once still have theirs, however long the others take.
  lanes.push_back(pool.OpenLane());
  std::latch both(2);
  std::latch ended(2);
  for (int i = 0; i < 2; ++i) {
    lanes.back()->Submit([&] {
      both.arrive_and_wait();
      ended.count_down();
    });
  }
  ended.wait();
  go.count_down();
  long_ended.wait();
  EXPECT_LE(most, 2);
}

TEST(SlotPoolTest, LanesTakeTurns) {
  SlotPool pool(1);
  const auto blocker = pool.OpenLane();
  const auto busy = pool.OpenLane();
  const auto quiet = pool.OpenLane();
  std::latch started(1);
  std::latch go(1);
  blocker->Submit([&] {
    started.count_down();
    go.wait();
  });
  started.wait();

  std::string order;  // One slot: no two tasks at once.
  std::latch ended(6);
  const auto note = [&](char lane) {
    return [&order, &ended, lane] {
      order.push_back(lane);
      ended.count_down();
    };
  };
  for (int i = 0; i < 4; ++i) busy->Submit(note('b'));
  for (int i = 0; i < 2; ++i) quiet->Submit(note('q'));
  go.count_down();
  ended.wait();
  EXPECT_EQ(order, "bqbqbb");
}

TEST(SlotPoolTest, ALaneThatGoesWaitsForWhatRunsAndForgetsTheRest) {
  SlotPool pool(1);
  auto lane = pool.OpenLane();
  std::latch started(1);
  bool ended = false;
  bool forgotten_ran = false;
  lane->Submit([&] {
    started.count_down();
    ended = true;
  });
  lane->Submit([&] { forgotten_ran = !ended; });
  started.wait();
  lane.reset();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(forgotten_ran);
}

TEST(SlotPoolTest, ALaneThatGoesLeavesTheOthers) {
  SlotPool pool(1);
  auto goes = pool.OpenLane();
  const auto stays = pool.OpenLane();
  std::latch started(1);
  std::latch go(1);
  std::latch ended(1);
  bool ran = false;
  stays->Submit([&] {
    started.count_down();
    go.wait();
  });
  started.wait();
  goes->Submit([&] { ran = true; });
  stays->Submit([&] { ended.count_down(); });
  goes.reset();
  go.count_down();
  ended.wait();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace crr
