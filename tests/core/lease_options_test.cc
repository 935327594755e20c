#include "server/core/lease_options.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::IsOk;

constexpr auto kRefused = absl::StatusCode::kInvalidArgument;

TEST(LeaseOptionsTest, FollowTheTtl) {
  for (const absl::Duration ttl :
       {absl::Seconds(1), absl::Seconds(10), absl::Minutes(10)}) {
    const LeaseOptions options = LeaseOptions::FromTtl(ttl);
    EXPECT_OK(options.Validate());
    EXPECT_EQ(options.heartbeat_interval, ttl / 3);
    EXPECT_EQ(options.margin, ttl / 5);
    EXPECT_EQ(options.grace, ttl / 2);
    EXPECT_EQ(options.commit_bound, ttl / 4);
    EXPECT_EQ(options.rebalance_interval, ttl);
    EXPECT_EQ(options.linger, absl::Seconds(10));
  }
}

TEST(LeaseOptionsTest, TtlIsAtLeastASecond) {
  EXPECT_OK(LeaseOptions::FromTtl(absl::Seconds(1)).Validate());
  EXPECT_THAT(LeaseOptions::FromTtl(absl::Milliseconds(999)).Validate(),
              HasCode(kRefused));
  EXPECT_THAT(LeaseOptions::FromTtl(absl::ZeroDuration()).Validate(),
              HasCode(kRefused));
}

// 0.995 ttl - margin > 2.2 ttl / 3: of 30 s, a margin below 7.85 s.
TEST(LeaseOptionsTest, TwoHeartbeatsFitIntoWhatACopierUses) {
  LeaseOptions options = LeaseOptions::FromTtl(absl::Seconds(30));
  options.margin = absl::Milliseconds(7850) - absl::Nanoseconds(1);
  EXPECT_OK(options.Validate());
  options.margin = absl::Milliseconds(7850);
  EXPECT_THAT(options.Validate(), HasCode(kRefused));
}

// commit bound <= margin + grace - 0.005 ttl: 2 + 5 - 0.05 s of 10 s.
TEST(LeaseOptionsTest, ALateWriteEndsBeforeTheUnitIsGivenAway) {
  LeaseOptions options = LeaseOptions::FromTtl(absl::Seconds(10));
  options.commit_bound = absl::Milliseconds(6950);
  EXPECT_OK(options.Validate());
  options.commit_bound = absl::Milliseconds(6950) + absl::Nanoseconds(1);
  EXPECT_THAT(options.Validate(), HasCode(kRefused));
  options.grace += absl::Nanoseconds(1);
  EXPECT_OK(options.Validate());
}

}  // namespace
}  // namespace crr
