#include "client/copier/copy_lane.h"

#include <algorithm>
#include <utility>

#include "client/copier/failure_reason.h"

namespace crr {

CopyLane::CopyLane(const RunnerContext& context, const CopyRule& rule)
    : link_(context.link),
      clock_(context.clock),
      timing_(context.timing),
      checkpointer_(context.link, context.clock, context.timing),
      troubles_(context.link, context.clock, context.timing.trouble_interval),
      last_report_(context.clock.Now()),
      window_(rule, context.link, context.pool, context.clock, context.timing,
              troubles_) {}

RunEnd CopyLane::Run() {
  for (;;) {
    const LeaseLink::News news = link_.Wait(UntilDue());
    if (link_.lost()) return RunEnd::Over();
    const auto drain_reason = link_.draining();
    switch (checkpointer_.Handle(news.ack)) {
      case Checkpointer::Answer::kComplete:
      case Checkpointer::Answer::kFenced:
        return RunEnd::Over();
      case Checkpointer::Answer::kCursorDiffers:
        // What is in memory does not fit any more. The next grant of the unit
        // begins where the server stands.
        return RunEnd::Release("CURSOR_DIFFERS");
      case Checkpointer::Answer::kRecorded:
        troubles_.Wiped();
        break;
      case Checkpointer::Answer::kFull:
      case Checkpointer::Answer::kNone:
        break;
    }
    if (drain_reason.has_value() && checkpointer_.full()) {
      return RunEnd::Release(*drain_reason);
    }
    checkpointer_.Pump();
    if (absl::Status status = Receive(news.segments); !status.ok()) {
      return RunEnd::Failed(status);
    }
    for (const CopyWindow::Done& done : window_.Pump()) Settle(done);
    if (!drain_reason.has_value() && MayStart()) StartMore(window_);

    const bool drained = drain_reason.has_value() && window_.in_slots() == 0;
    if (checkpointer_.in_flight()) continue;
    if (Finished() || ReportIsDue() || (drained && Unreported() > 0)) {
      last_report_ = clock_.Now();
      checkpointer_.Send(TakeInterval());
    } else if (drained) {
      return RunEnd::Release(*drain_reason);
    }
  }
}

bool CopyLane::MayStart() const {
  return !link_.lease().serial() ||
         (Unreported() == 0 && !checkpointer_.in_flight());
}

bool CopyLane::ReportIsDue() const {
  const int64_t entries =
      link_.lease().serial() ? 1 : timing_.checkpoint_entries;
  return Unreported() >= entries ||
         (Unreported() > 0 &&
          clock_.Now() - last_report_ >= timing_.checkpoint_interval);
}

absl::Duration CopyLane::UntilDue() const {
  absl::Duration due = std::min({window_.NextDue(), checkpointer_.NextDue(),
                                 NextDue()});
  if (Unreported() > 0 && !checkpointer_.in_flight()) {
    due = std::min(due, timing_.checkpoint_interval -
                            (clock_.Now() - last_report_));
  }
  return due;
}

v1::Checkpoint CopyLane::CheckpointOf(const Counts& counts) const {
  v1::Checkpoint checkpoint;
  checkpoint.set_applied(counts.applied);
  checkpoint.set_collapsed(counts.collapsed);
  checkpoint.set_bytes(counts.bytes);
  for (const auto& [reason, n] : counts.filtered) {
    (*checkpoint.mutable_filtered())[reason] = n;
  }
  const bool changes = link_.lease().kind() == v1::Lease::CHANGES;
  for (const auto& [key, failure] : counts.failed) {
    v1::ObjectFailure& failed = *checkpoint.add_failed();
    failed.set_key(key);
    failed.set_reason(failure.reason);
    failed.set_message(failure.message);
    failed.set_changes(changes ? failure.entries : 0);
    failed.set_deletion(failure.deletion);
    failed.set_size_bytes(failure.size_bytes);
  }
  return checkpoint;
}

absl::Status CopyLane::CopierLost() {
  return WithReason(
      absl::InternalError("copiers were lost when this was first in line"),
      "COPIER_LOST");
}

}  // namespace crr
