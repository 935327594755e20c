#ifndef CRR_CLIENT_COPIER_RUNNER_TIMING_H_
#define CRR_CLIENT_COPIER_RUNNER_TIMING_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace crr {

// How often runners do things; in one place, so that tests can hurry.
struct RunnerTiming {
  // A checkpoint is sent when either is reached.
  absl::Duration checkpoint_interval = absl::Milliseconds(200);
  int64_t checkpoint_entries = 1'000;
  // Between attempts at a failing object or listing, with jitter.
  absl::Duration retry_base = absl::Milliseconds(250);
  absl::Duration retry_cap = absl::Seconds(30);
  // Between reports of trouble under one lease.
  absl::Duration trouble_interval = absl::Seconds(30);
  // How long one object waits for a slot of its own.
  absl::Duration slot_wait = absl::Minutes(1);
  // Entries of one lease between its low-water mark and the last begun: how far
  // others run ahead of one that fails.
  size_t window_entries = 4'000;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_RUNNER_TIMING_H_
