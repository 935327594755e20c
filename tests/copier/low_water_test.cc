#include "client/copier/low_water.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace crr {
namespace {

Counts Applied(int64_t bytes) { return {.applied = 1, .bytes = bytes}; }

TEST(LowWaterTest, StandsBelowTheFirstEntryThatIsNotSettled) {
  LowWater<std::string> low_water("");
  for (const char* key : {"a", "b", "c"}) low_water.Begin(key);
  low_water.Settle("c", Applied(1));
  low_water.Settle("a", Applied(2));
  EXPECT_EQ(low_water.open(), 2u);
  const auto interval = low_water.Take();
  EXPECT_EQ(interval.from, "");
  EXPECT_EQ(interval.to, "a");
  EXPECT_EQ(interval.counts, Applied(2));
}

TEST(LowWaterTest, TakesNothingTwice) {
  LowWater<int64_t> low_water(7);
  low_water.Begin(8);
  low_water.Settle(8, Applied(1));
  EXPECT_EQ(low_water.ready(), 1);
  low_water.Take();
  EXPECT_EQ(low_water.ready(), 0);
  const auto interval = low_water.Take();
  EXPECT_EQ(interval.from, 8);
  EXPECT_EQ(interval.to, 8);
  EXPECT_EQ(interval.counts, Counts());
}

TEST(LowWaterTest, FailuresOfOneKeyAddUp) {
  LowWater<int64_t> low_water(0);
  for (int64_t i = 1; i <= 3; ++i) low_water.Begin(i);
  low_water.Settle(1, {.failed = {{"k", {.reason = "A", .deletion = true}}}});
  low_water.Settle(2, {.failed = {{"k", {.reason = "B", .size_bytes = 7}}}});
  low_water.Settle(3, {.failed = {{"other", {.reason = "A"}}}});
  EXPECT_EQ(low_water.ready(), 3);
  EXPECT_EQ(low_water.Take().counts.failed,
            (std::map<std::string, Failure>{
                {"k",
                 {.reason = "B",
                  .entries = 2,
                  .deletion = true,
                  .size_bytes = 7}},
                {"other", {.reason = "A"}}}));
}

TEST(LowWaterTest, AnIntervalEndsWhereTooManyKeysHaveFailed) {
  LowWater<int64_t> low_water(0);
  const auto max = static_cast<int64_t>(kFailuresPerInterval);
  for (int64_t i = 1; i <= max + 2; ++i) {
    low_water.Begin(i);
    low_water.Settle(i, i == max + 1
                            ? Applied(1)
                            : Counts{.failed = {{std::to_string(i), {}}}});
  }
  const auto first = low_water.Take();
  EXPECT_EQ(first.to, max + 1);
  EXPECT_EQ(first.counts.failed.size(), kFailuresPerInterval);
  EXPECT_EQ(low_water.ready(), 1);
  const auto second = low_water.Take();
  EXPECT_EQ(second.from, max + 1);
  EXPECT_EQ(second.to, max + 2);
  EXPECT_EQ(second.counts.failed.size(), 1u);
  EXPECT_EQ(low_water.open(), 0u);
}

// Whatever the order in which entries end: an interval tells of exactly the
// entries in it, and ends just below the first that is open.
TEST(LowWaterTest, IntervalsAreExactInAnyOrderOfCompletion) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const int64_t n = 1 + static_cast<int64_t>(random() % 60);
    LowWater<int64_t> low_water(0);
    std::vector<bool> settled(static_cast<size_t>(n) + 1, false);
    std::vector<int64_t> in_flight;
    int64_t begun = 0;
    int64_t cursor = 0;
    while (cursor < n) {
      switch (random() % 3) {
        case 0:
          if (begun < n) {
            low_water.Begin(++begun);
            in_flight.push_back(begun);
          }
          break;
        case 1:
          if (!in_flight.empty()) {
            std::swap(in_flight[random() % in_flight.size()],
                      in_flight.back());
            const int64_t entry = in_flight.back();
            in_flight.pop_back();
            settled[static_cast<size_t>(entry)] = true;
            low_water.Settle(entry, entry % 5 == 0
                                        ? Counts{.filtered = {{"R", 1}},
                                                 .bytes = entry * entry}
                                        : Applied(entry * entry));
          }
          break;
        default: {
          int64_t expected_to = cursor;
          Counts expected;
          while (expected_to < n &&
                 settled[static_cast<size_t>(expected_to) + 1]) {
            ++expected_to;
            expected.Add(expected_to % 5 == 0
                             ? Counts{.filtered = {{"R", 1}}}
                             : Counts{.applied = 1});
            expected.bytes += expected_to * expected_to;
          }
          const auto interval = low_water.Take();
          ASSERT_EQ(interval.from, cursor);
          ASSERT_EQ(interval.to, expected_to);
          ASSERT_EQ(interval.counts, expected);
          ASSERT_EQ(interval.counts.entries(), expected_to - cursor);
          cursor = expected_to;
        }
      }
    }
    EXPECT_EQ(low_water.open(), 0u);
  }
}

}  // namespace
}  // namespace crr
