#include "client/copier/lease_guard.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace crr {
namespace {

constexpr LeaseTerms kTerms{.ttl = absl::Seconds(10),
                            .margin = absl::Seconds(2),
                            .commit_bound = absl::Milliseconds(2500)};
// 0.995 * ttl - margin.
constexpr absl::Duration kHeld = absl::Milliseconds(7950);
constexpr absl::Duration kTick = absl::Nanoseconds(1);

class LeaseGuardTest : public ::testing::Test {
 protected:
  test::FakeClock clock_;
  LeaseGuard guard_{clock_, kTerms, clock_.Now()};
};

TEST_F(LeaseGuardTest, MayCommitUntilJustBeforeTheDeadline) {
  clock_.Advance(kHeld - kTick);
  EXPECT_TRUE(guard_.MayCommit());
  clock_.Advance(kTick);
  EXPECT_FALSE(guard_.MayCommit());
}

TEST_F(LeaseGuardTest, MayStartUntilACommitWouldComeTooLate) {
  clock_.Advance(kHeld - kTerms.commit_bound - kTick);
  EXPECT_TRUE(guard_.StartAllowed());
  clock_.Advance(kTick);
  EXPECT_FALSE(guard_.StartAllowed());
  EXPECT_TRUE(guard_.MayCommit());
}

TEST_F(LeaseGuardTest, RenewalCountsFromBeforeTheHeartbeatWasSent) {
  clock_.Advance(absl::Seconds(3));
  const Ticks sent = clock_.Now();
  clock_.Advance(absl::Seconds(4));
  guard_.Renew(kTerms, sent);
  clock_.Advance(kHeld - absl::Seconds(4) - kTick);
  EXPECT_TRUE(guard_.MayCommit());
  clock_.Advance(kTick);
  EXPECT_FALSE(guard_.MayCommit());
}

TEST_F(LeaseGuardTest, AnAnswerToAnOlderHeartbeatTakesNothingAway) {
  const Ticks old = clock_.Now();
  clock_.Advance(absl::Seconds(5));
  guard_.Renew(kTerms, clock_.Now());
  guard_.Renew(kTerms, old);
  clock_.Advance(absl::Seconds(5));
  EXPECT_TRUE(guard_.MayCommit());
}

TEST_F(LeaseGuardTest, ALateRenewalGivesTheLeaseBack) {
  clock_.Advance(kHeld);
  ASSERT_FALSE(guard_.MayCommit());
  guard_.Renew(kTerms, clock_.Now());
  EXPECT_TRUE(guard_.MayCommit());
  EXPECT_TRUE(guard_.StartAllowed());
}

TEST_F(LeaseGuardTest, ALostLeaseStaysLost) {
  guard_.Lose();
  guard_.Renew(kTerms, clock_.Now());
  EXPECT_TRUE(guard_.lost());
  EXPECT_FALSE(guard_.MayCommit());
  EXPECT_FALSE(guard_.StartAllowed());
}

}  // namespace
}  // namespace crr
