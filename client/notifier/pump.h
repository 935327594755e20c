#ifndef CRR_CLIENT_NOTIFIER_PUMP_H_
#define CRR_CLIENT_NOTIFIER_PUMP_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "client/store/change_journal.h"
#include "crr/v1/change_service.pb.h"

namespace crr {

// Decides what the publisher of a journal says next.
//
// A batch carries the journal position of its last entry as its number. The
// server stores the highest number that it took, in the same transaction as
// the changes, and tells it in `welcome`: that number *is* the durable
// position, and nothing is kept here: each stream has a pump of its own.
//
// `complete_through` is the time of a sample of the journal, and is said only
// once every entry up to the sample's position was acknowledged.
//
// Knows no stream and no thread. Thread-compatible.
class Pump {
 public:
  struct Limits {
    int batch_changes = 1'000;
    // A batch takes another entry while it is below this. With the largest
    // entry on top (2 KiB) that is far from the server's bound of 1 MiB.
    size_t batch_bytes = 512 << 10;
    // Batches that were sent and not acknowledged: the server commits one
    // while the next ones are on their way.
    size_t batches_in_flight = 4;
    // Between two samples while nothing happens.
    absl::Duration sample_interval = absl::Seconds(1);
    // Between two samples while news arrive: each one holds up the store's
    // writers for a moment.
    absl::Duration sample_interval_min = absl::Milliseconds(100);
  };

  // For a server that holds everything up to `last_number`. `journal` and
  // `clock` must outlive this object.
  Pump(ChangeJournal& journal, const Clock& clock, const Limits& limits,
       int64_t last_number)
      : journal_(journal),
        clock_(clock),
        limits_(limits),
        sent_(last_number),
        acknowledged_(last_number),
        told_(last_number) {}

  // The next message to send; nullopt when there is none until the journal
  // grows, an acknowledgement arrives or IdleTime() has passed. Statuses:
  //   DATA_LOSS  the journal ends before what the server holds: the store was
  //              put back to an older state
  //   others     as the journal's
  absl::StatusOr<std::optional<v1::PublishChangesRequest>> Next();

  // The server took the batch `number`. INTERNAL when that is not the oldest
  // one in flight.
  absl::Status Acknowledge(int64_t number);

  // For how long Next() has nothing to say if nothing happens.
  absl::Duration IdleTime() const;

 private:
  absl::StatusOr<std::optional<v1::PublishChangesRequest>> NextBatch();
  // How long it is until a sample is due, at least zero. Requires: none waits.
  absl::Duration UntilSample() const;
  absl::Status TakeSample();

  ChangeJournal& journal_;
  const Clock& clock_;
  const Limits limits_;

  int64_t sent_;
  int64_t acknowledged_;
  std::deque<int64_t> in_flight_;  // Numbers of batches, oldest first.

  // Taken and not yet told.
  std::optional<ChangeJournal::Sample> sample_;
  std::optional<Ticks> last_sample_;  // When it was taken.
  int64_t told_;                      // Position of the last one told.
};

}  // namespace crr

#endif  // CRR_CLIENT_NOTIFIER_PUMP_H_
