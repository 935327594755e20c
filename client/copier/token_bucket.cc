#include "client/copier/token_bucket.h"

#include <algorithm>

namespace crr {

TokenBucket::TokenBucket(int64_t bytes_per_second, const Clock& clock)
    : bytes_per_second_(bytes_per_second),
      clock_(clock),
      paid_(clock.Now() + -absl::Seconds(1)) {}

absl::Duration TokenBucket::Take(int64_t bytes) {
  if (!bounded()) return absl::ZeroDuration();
  MutexLock lock(mu_);
  const Ticks now = clock_.Now();
  paid_ = std::max(paid_, now + -absl::Seconds(1)) +
          absl::Seconds(1) * bytes / bytes_per_second_;
  return std::max(paid_ - now, absl::ZeroDuration());
}

absl::Duration TokenBucket::Debt() const {
  if (!bounded()) return absl::ZeroDuration();
  MutexLock lock(mu_);
  return std::max(paid_ - clock_.Now(), absl::ZeroDuration());
}

}  // namespace crr
