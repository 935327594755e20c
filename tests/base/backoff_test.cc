#include "base/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace crr {
namespace {

constexpr absl::Duration kBase = absl::Milliseconds(100);
constexpr absl::Duration kCap = absl::Seconds(3);

TEST(BackoffTest, StaysWithinADoublingCeiling) {
  for (int round = 0; round < 1000; ++round) {
    Backoff backoff(kBase, kCap);
    absl::Duration ceiling = kBase;
    for (int attempt = 0; attempt < 12; ++attempt) {
      const absl::Duration delay = backoff.Next();
      EXPECT_GE(delay, kBase / 2);
      EXPECT_LE(delay, ceiling) << "attempt " << attempt;
      ceiling = std::min(ceiling * 2, kCap);
    }
  }
}

TEST(BackoffTest, GrowsUpToTheCapAndNoFurther) {
  Backoff backoff(kBase, kCap);
  absl::Duration longest = absl::ZeroDuration();
  for (int i = 0; i < 10'000; ++i) longest = std::max(longest, backoff.Next());
  EXPECT_LE(longest, kCap);
  EXPECT_GT(longest, kCap * 0.9);
}

TEST(BackoffTest, ResetBeginsAgain) {
  Backoff backoff(kBase, kCap);
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 10; ++i) backoff.Next();
    backoff.Reset();
    EXPECT_LE(backoff.Next(), kBase);
  }
}

TEST(BackoffTest, TwoClientsDoNotComeBackTogether) {
  std::set<absl::Duration> first_delays;
  for (int client = 0; client < 100; ++client) {
    first_delays.insert(Backoff(kBase, kCap).Next());
  }
  EXPECT_GT(first_delays.size(), 90u);
}

}  // namespace
}  // namespace crr
