#ifndef CRR_CLIENT_COPIER_CHECKPOINTER_H_
#define CRR_CLIENT_COPIER_CHECKPOINTER_H_

#include <optional>

#include "absl/time/time.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "client/copier/lease_link.h"
#include "client/copier/run_end.h"
#include "client/copier/runner_timing.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// Sends the checkpoints of one lease, one at a time, each from where the last
// one ended, and repeats what the server could not store. Thread-compatible.
class Checkpointer {
 public:
  // `link`, `clock` must outlive this object.
  Checkpointer(LeaseLink& link, const Clock& clock, const RunnerTiming& timing)
      : link_(link),
        clock_(clock),
        cursor_(link.lease().cursor()),
        backoff_(timing.retry_base, timing.retry_cap) {}

  // `from` is filled in. Requires: !in_flight().
  void Send(v1::Checkpoint checkpoint);
  bool in_flight() const { return sent_.has_value(); }
  // Whether the server has no room for it, and it waits to be repeated.
  bool full() const { return repeat_at_.has_value(); }

  enum class Answer {
    kNone,           // No answer, or none to what was sent.
    kRecorded,
    kComplete,       // Recorded, and the unit is finished.
    kCursorDiffers,  // The unit stands elsewhere.
    kFull,           // Will be repeated by Pump.
    kFenced,
  };
  Answer Handle(const std::optional<v1::CheckpointAck>& ack);
  // Repeats what is due.
  void Pump();
  absl::Duration NextDue() const;

  // Sends, and waits until it is recorded. Returns the end of the run when this
  // was it: the unit is finished or stands elsewhere, or the lease is lost, or
  // was asked for while the server has no room. For runners that do nothing
  // meanwhile.
  std::optional<RunEnd> Record(v1::Checkpoint checkpoint);

  // Where the unit stands, as far as the server has said.
  const v1::Cursor& cursor() const { return cursor_; }

 private:
  // kFull only when the lease was asked for.
  Answer SendAndWait(v1::Checkpoint checkpoint);

  LeaseLink& link_;
  const Clock& clock_;
  v1::Cursor cursor_;
  Backoff backoff_;
  std::optional<v1::Checkpoint> sent_;
  std::optional<Ticks> repeat_at_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_CHECKPOINTER_H_
