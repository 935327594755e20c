#ifndef CRR_TESTS_SUPPORT_FAKE_CLOCK_H_
#define CRR_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "base/clock.h"
#include "base/mutex.h"

namespace crr::test {

// Moves only when told. Both clocks move together; the wall clock can also
// step by itself. Thread-safe.
class FakeClock final : public Clock {
 public:
  Ticks Now() const override {
    MutexLock lock(mu_);
    return now_;
  }
  absl::Time WallNow() const override {
    MutexLock lock(mu_);
    return wall_;
  }
  void Advance(absl::Duration d) {
    MutexLock lock(mu_);
    now_ = now_ + d;
    wall_ += d;
  }
  void StepWall(absl::Duration d) {
    MutexLock lock(mu_);
    wall_ += d;
  }

 private:
  mutable Mutex mu_;
  Ticks now_ ABSL_GUARDED_BY(mu_){1'000'000'000};
  absl::Time wall_ ABSL_GUARDED_BY(mu_) = absl::FromUnixSeconds(1'800'000'000);
};

}  // namespace crr::test

#endif  // CRR_TESTS_SUPPORT_FAKE_CLOCK_H_
