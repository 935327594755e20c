#include "client/store/write_lock.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

class WriteLockTest : public ::testing::Test {
 protected:
  absl::Time Now(absl::Time last = absl::UnixEpoch()) {
    const auto hold = lock_.Acquire().value();
    return lock_.Now(clock_, last).value();
  }
  absl::Time Sample(absl::Time last = absl::UnixEpoch()) {
    const auto hold = lock_.Acquire().value();
    return lock_.Sample(clock_, last).value();
  }
  std::string Content() {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file),
            std::istreambuf_iterator<char>()};
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  const std::string path_ = dir_ / "write.lock";
  WriteLock lock_ = WriteLock::Open(path_, /*create=*/true).value();
};

TEST_F(WriteLockTest, TimeIsTheWallClocks) {
  EXPECT_EQ(Now(), clock_.WallNow());
  EXPECT_EQ(Sample(), clock_.WallNow());
  clock_.Advance(absl::Hours(5));
  EXPECT_EQ(Now(), clock_.WallNow());
  EXPECT_EQ(Sample(), clock_.WallNow());
}

TEST_F(WriteLockTest, NeitherComesBeforeTheLastEntry) {
  const absl::Time last = clock_.WallNow() + absl::Minutes(1);
  EXPECT_EQ(Now(last), last);
  EXPECT_EQ(Sample(last), last);
}

// Idle stores are sampled all the time.
TEST_F(WriteLockTest, SamplesWriteNothingWhileTheClocksGoTogether) {
  Sample();
  const std::string content = Content();
  ASSERT_FALSE(content.empty());
  for (int i = 0; i < 1000; ++i) {
    clock_.Advance(absl::Seconds(1));
    EXPECT_EQ(Sample(), clock_.WallNow());
  }
  EXPECT_EQ(Content(), content);
}

TEST_F(WriteLockTest, NothingComesBeforeASampleWhenTheWallClockStepsBack) {
  Sample();
  clock_.Advance(absl::Minutes(1));
  const absl::Time told = Sample();
  clock_.StepWall(-absl::Hours(1));
  // Also in another process, which has seen nothing of it.
  WriteLock other = WriteLock::Open(path_, /*create=*/false).value();
  {
    const auto hold = other.Acquire().value();
    EXPECT_GE(other.Now(clock_, absl::UnixEpoch()).value(), told);
  }
  const absl::Time frozen = Sample();
  EXPECT_GE(frozen, told);
  EXPECT_LT(frozen - told, absl::Seconds(1));
  // It stands still until the wall clock has caught up.
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(Now(), frozen);
  EXPECT_EQ(Sample(), frozen);
  clock_.Advance(absl::Minutes(31));
  EXPECT_EQ(Now(), clock_.WallNow());
  EXPECT_EQ(Sample(), clock_.WallNow());
}

TEST_F(WriteLockTest, StepsForwardAndBackAgain) {
  Sample();
  absl::Time told = absl::InfinitePast();
  for (const absl::Duration step :
       {absl::Hours(1), -absl::Minutes(59), absl::Milliseconds(5),
        -absl::Hours(3), absl::Hours(2), -absl::Microseconds(1)}) {
    clock_.StepWall(step);
    EXPECT_GE(Now(), told) << step;
    const absl::Time sample = Sample();
    EXPECT_GE(sample, told) << step;
    EXPECT_GE(Now(), sample) << step;
    told = sample;
    clock_.Advance(absl::Seconds(1));
  }
}

TEST_F(WriteLockTest, ASmallLeadOfTheWallClockIsNotWrittenDown) {
  Sample();
  const std::string content = Content();
  clock_.StepWall(absl::Milliseconds(10));
  EXPECT_EQ(Sample(), clock_.WallNow() - absl::Milliseconds(10));
  EXPECT_EQ(Content(), content);
  clock_.StepWall(absl::Milliseconds(1));
  EXPECT_EQ(Sample(), clock_.WallNow());
  EXPECT_NE(Content(), content);
}

// The distance of another boot's clocks says nothing, the floor does.
TEST_F(WriteLockTest, AnotherBootStartsAnew) {
  Sample();
  clock_.StepWall(-absl::Minutes(10));
  const absl::Time floor = Sample();
  std::string content = Content();
  content[0] = static_cast<char>(content[0] + 1);
  std::ofstream(path_, std::ios::binary) << content;
  EXPECT_EQ(Now(), floor);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Now(), clock_.WallNow());
  EXPECT_EQ(Sample(), clock_.WallNow());
}

}  // namespace
}  // namespace crr
