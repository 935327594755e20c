#ifndef CRR_CLIENT_COPIER_COPY_WINDOW_H_
#define CRR_CLIENT_COPIER_COPY_WINDOW_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/copy_key.h"
#include "client/copier/lease_link.h"
#include "client/copier/runner_timing.h"
#include "client/copier/slot_pool.h"
#include "client/copier/token_bucket.h"
#include "client/copier/trouble_reporter.h"

namespace crr {

// Failures of one key after which it leaves its lane.
inline constexpr int kLaneFailures = 3;

// The keys that one lease has in work. What fails is tried again, each by its
// own back-off, and nothing else waits for it. Holds the lease's rate and
// starts nothing that the lease does not allow; of a serial lease, one key at a
// time.
//
// A key is given up, to leave the lane, after kLaneFailures in a row. A failure
// that is the store's counts only when another key was settled since the last
// one that counted: what fails for all is no matter of this key. What is large
// is given up at once, and what ends the lease never counts.
//
// Belongs to the runner's thread; slots reach it through what is guarded only.
// Destroying it waits for what is in a slot.
class CopyWindow {
 public:
  // All must outlive this object.
  CopyWindow(const CopyRule& rule, LeaseLink& link, SlotPool& pool,
             const Clock& clock, const RunnerTiming& timing,
             TroubleReporter& troubles);

  // Whether another key may be started now. When it may not, the link rings or
  // NextDue passes before it may.
  bool CanStart() const;
  // Requires: CanStart, and `key` is not in the window.
  void Start(const std::string& key, CopyReason reason);

  struct Done {
    std::string key;
    absl::StatusOr<CopyResult> result;  // An error: the key is given up.
  };
  // Takes what is settled or given up and starts again what is due.
  std::vector<Done> Pump();
  // How long until Pump or Start has something to do that nothing rings for.
  absl::Duration NextDue() const;
  // Keys in slots, or waiting for one.
  size_t in_slots() const { return in_slots_; }

 private:
  struct Failing {
    Backoff backoff;
    int failures = 0;
    int counted = 0;  // Of the failures, towards kLaneFailures.
    int64_t settled_before = -1;  // When the last one counted.
    CopyReason reason = CopyReason::kBackfill;
    std::optional<Ticks> due;  // Absent while in a slot.
  };
  struct Attempt {
    std::string key;
    CopyReason reason;
    absl::StatusOr<CopyResult> result;
  };

  // Whether a slot may be taken.
  bool CanSubmit() const;
  void Submit(const std::string& key, CopyReason reason, bool unproven);
  absl::StatusOr<CopyResult> Copy(const CopyTask& task);
  // Whether the key is given up.
  bool Failed(const Attempt& attempt);

  const CopyRule& rule_;
  LeaseLink& link_;
  const Clock& clock_;
  const RunnerTiming& timing_;
  TroubleReporter& troubles_;
  TokenBucket rate_;
  const size_t in_slots_max_;
  size_t in_slots_ = 0;
  int64_t settled_ = 0;  // Keys, so far.
  std::map<std::string, Failing> failing_;

  Mutex mu_;
  std::vector<Attempt> ended_ ABSL_GUARDED_BY(mu_);

  // Last, so that it goes first: its tasks use all of the above.
  std::unique_ptr<SlotPool::Lane> lane_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_COPY_WINDOW_H_
