#include "client/copier/token_bucket.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace crr {
namespace {

TEST(TokenBucketTest, HoldsItsRateOverTime) {
  test::FakeClock clock;
  TokenBucket bucket(1'000, clock);
  absl::Duration waited;
  for (int i = 0; i < 100; ++i) {
    const absl::Duration wait = bucket.Take(250);
    clock.Advance(wait);
    waited += wait;
  }
  // 25,000 bytes, the first 1,000 of them saved up.
  EXPECT_EQ(waited, absl::Seconds(24));
}

TEST(TokenBucketTest, SavesUpOneSecondAndNoMore) {
  test::FakeClock clock;
  TokenBucket bucket(1'000, clock);
  clock.Advance(absl::Hours(1));
  EXPECT_EQ(bucket.Take(1'000), absl::ZeroDuration());
  EXPECT_EQ(bucket.Take(1), absl::Milliseconds(1));
}

TEST(TokenBucketTest, OwesWhatWasTakenOnCredit) {
  test::FakeClock clock;
  TokenBucket bucket(1'000, clock);
  EXPECT_EQ(bucket.Debt(), absl::ZeroDuration());
  EXPECT_EQ(bucket.Take(3'000), absl::Seconds(2));
  EXPECT_EQ(bucket.Debt(), absl::Seconds(2));
  clock.Advance(absl::Seconds(2));
  EXPECT_EQ(bucket.Debt(), absl::ZeroDuration());
}

TEST(TokenBucketTest, WithoutARateNothingWaits) {
  test::FakeClock clock;
  TokenBucket bucket(0, clock);
  EXPECT_EQ(bucket.Take(int64_t{1} << 60), absl::ZeroDuration());
  EXPECT_EQ(bucket.Debt(), absl::ZeroDuration());
}

}  // namespace
}  // namespace crr
