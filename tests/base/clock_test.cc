#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>
#include <limits>

#include "tests/support/fake_clock.h"

namespace crr {
namespace {

TEST(TicksTest, AddAndSubtractAreInverse) {
  const Ticks start{5};
  for (const absl::Duration d :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Milliseconds(-3),
        absl::Hours(24 * 365 * 10)}) {
    EXPECT_EQ((start + d) - start, d);
    EXPECT_EQ((start + d) + -d, start);
  }
  EXPECT_EQ(Ticks{0} - Ticks{1}, absl::Nanoseconds(-1));
}

TEST(TicksTest, CompareToTheNanosecond) {
  const Ticks t{1'000};
  EXPECT_LT(t, t + absl::Nanoseconds(1));
  EXPECT_GT(t, t + absl::Nanoseconds(-1));
  EXPECT_LE(t, t);
  EXPECT_EQ(t, Ticks{1'000});
  EXPECT_LT(Ticks{std::numeric_limits<int64_t>::min()}, Ticks{0});
}

TEST(ClockTest, RealClockNeverRunsBack) {
  const Clock& clock = Clock::Real();
  Ticks last = clock.Now();
  for (int i = 0; i < 100'000; ++i) {
    const Ticks now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, RealClocksAreTheMachines) {
  const Clock& clock = Clock::Real();
  timespec boot{};
  ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
  const Ticks before{static_cast<int64_t>(boot.tv_sec) * 1'000'000'000 +
                     boot.tv_nsec};
  const Ticks now = clock.Now();
  EXPECT_GE(now, before);
  EXPECT_LT(now - before, absl::Minutes(1));
  const absl::Duration off = clock.WallNow() - absl::FromTimeT(time(nullptr));
  EXPECT_LT(absl::AbsDuration(off), absl::Minutes(1));
}

TEST(FakeClockTest, MovesOnlyWhenTold) {
  test::FakeClock clock;
  const Ticks now = clock.Now();
  const absl::Time wall = clock.WallNow();
  EXPECT_EQ(clock.Now(), now);
  clock.Advance(absl::Seconds(2));
  EXPECT_EQ(clock.Now() - now, absl::Seconds(2));
  EXPECT_EQ(clock.WallNow() - wall, absl::Seconds(2));
  clock.StepWall(absl::Hours(-1));
  EXPECT_EQ(clock.Now() - now, absl::Seconds(2));
  EXPECT_EQ(clock.WallNow() - wall, absl::Seconds(2) - absl::Hours(1));
}

}  // namespace
}  // namespace crr
