#include "base/clock.h"

#include <ctime>

namespace crr {
namespace {

int64_t Read(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

class RealClock final : public Clock {
 public:
  Ticks Now() const override { return {Read(CLOCK_BOOTTIME)}; }
  absl::Time WallNow() const override {
    // No finer than it is stored, so that an answer shows what a later one will.
    return absl::FromUnixMicros(Read(CLOCK_REALTIME) / 1000);
  }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

}  // namespace crr
