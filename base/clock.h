#ifndef CRR_BASE_CLOCK_H_
#define CRR_BASE_CLOCK_H_

#include <cstdint>

#include "absl/time/time.h"

namespace crr {

// A point on this machine's boot-time clock: it never steps and goes on during
// suspend. Meaningless outside this boot: never stored, never sent.
struct Ticks {
  int64_t nanoseconds = 0;

  friend auto operator<=>(const Ticks&, const Ticks&) = default;
  friend Ticks operator+(Ticks t, absl::Duration d) {
    return {t.nanoseconds + absl::ToInt64Nanoseconds(d)};
  }
  friend absl::Duration operator-(Ticks a, Ticks b) {
    return absl::Nanoseconds(a.nanoseconds - b.nanoseconds);
  }
};

// Where time comes from. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // For leases and every other duration.
  virtual Ticks Now() const = 0;
  // Wall clock in whole microseconds, for people and for `last_sync_time`; may
  // step.
  virtual absl::Time WallNow() const = 0;

  // The machine's clocks (CLOCK_BOOTTIME, CLOCK_REALTIME).
  static const Clock& Real();
};

}  // namespace crr

#endif  // CRR_BASE_CLOCK_H_
