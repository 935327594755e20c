#ifndef CRR_CLIENT_COPIER_COPY_LANE_H_
#define CRR_CLIENT_COPIER_COPY_LANE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "client/copier/checkpointer.h"
#include "client/copier/copy_window.h"
#include "client/copier/lease_link.h"
#include "client/copier/low_water.h"
#include "client/copier/run_end.h"
#include "client/copier/runner_timing.h"
#include "client/copier/slot_pool.h"
#include "client/copier/trouble_reporter.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// What a runner is given; all must outlive it.
struct RunnerContext {
  LeaseLink& link;
  SlotPool& pool;
  const Clock& clock;
  const RunnerTiming& timing;
};

// The loop of a runner that copies keys under one lease and reports how far it
// has come. Subclasses say which keys. What keeps failing, and what is large,
// leaves the lane with a checkpoint. A serial lease starts a key only when
// nothing is in work and all that is settled is recorded. Belongs to one
// thread.
class CopyLane {
 public:
  // `rule` must outlive this object.
  CopyLane(const RunnerContext& context, const CopyRule& rule);
  virtual ~CopyLane() = default;

  // Works until the lease ends.
  RunEnd Run();

 protected:
  // Takes over what the server sent. An error gives the lease back.
  virtual absl::Status Receive(const std::vector<v1::Segment>& segments) = 0;
  // Starts keys for as long as the window lets it.
  virtual void StartMore(CopyWindow& window) = 0;
  virtual void Settle(const CopyWindow::Done& done) = 0;
  // Settled entries that no checkpoint has told of.
  virtual int64_t Unreported() const = 0;
  // Whether the unit is finished but for its last checkpoint.
  virtual bool Finished() const = 0;
  // The interval up to the low-water mark.
  virtual v1::Checkpoint TakeInterval() = 0;
  // How long until StartMore has something to do that nothing rings for.
  virtual absl::Duration NextDue() const = 0;

  TroubleReporter& troubles() { return troubles_; }
  // What a checkpoint says of the entries in its interval.
  v1::Checkpoint CheckpointOf(const Counts& counts) const;
  // Why the first entry of a lease with `isolate_first` leaves the lane.
  static absl::Status CopierLost();

 private:
  bool MayStart() const;
  bool ReportIsDue() const;
  absl::Duration UntilDue() const;

  LeaseLink& link_;
  const Clock& clock_;
  const RunnerTiming& timing_;
  Checkpointer checkpointer_;
  TroubleReporter troubles_;
  Ticks last_report_;
  CopyWindow window_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_COPY_LANE_H_
