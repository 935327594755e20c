#include "base/backoff.h"

#include <algorithm>

namespace crr {

Backoff::Backoff(absl::Duration base, absl::Duration cap)
    : base_(base), cap_(cap), ceiling_(base), random_(std::random_device()()) {}

absl::Duration Backoff::Next() {
  std::uniform_int_distribution<int64_t> spread(
      absl::ToInt64Nanoseconds(base_ / 2), absl::ToInt64Nanoseconds(ceiling_));
  ceiling_ = std::min(ceiling_ * 2, cap_);
  return absl::Nanoseconds(spread(random_));
}

}  // namespace crr
