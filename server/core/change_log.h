#ifndef CRR_SERVER_CORE_CHANGE_LOG_H_
#define CRR_SERVER_CORE_CHANGE_LOG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/work_events.h"
#include "storage/publisher_table.h"
#include "storage/transaction.h"

namespace crr {

// The time of a write of which only is known that it is over: while it is
// pending, nobody can say what has arrived.
inline absl::Time UnknownEventTime() { return absl::UnixEpoch(); }

// One change as a publisher named it, in what the door looks at. `encoded` is
// what the log keeps: records that stand one after the other.
struct PublishedChange {
  enum class Kind {
    kPut,
    kAcl,
    kTagging,
    kMetadata,
    kDelete,
    kDeleteMarker,
    kDeleteVersion
  };
  std::string bucket;
  std::string key;
  Kind kind = Kind::kPut;
  bool replica = false;
  // UnknownEventTime() when nothing bounds it from below.
  absl::Time event_time;
  bool is_timed = true;  // The publisher gave it; otherwise it may be later.
  bool small = true;  // At most 2 MiB, or of unknown size.
  std::string encoded;
};

struct Batch {
  // Absent for an unnamed publisher, whose repeats are not recognised.
  std::optional<std::string> publisher;
  // What the stream speaks for; changes of other buckets are filtered.
  PublisherScope scope;
  int64_t epoch = 0;
  int64_t attachment = 0;  // Of the stream, as AttachPublisher gave it.
  int64_t number = 0;
  std::vector<PublishedChange> changes;
};

struct BatchOutcome {
  int64_t accepted = 0;
  std::map<std::string, int64_t> filtered;
  std::vector<int64_t> rules;  // Whose ledger it moved.
  WorkEvents events;
};

// Registers a publisher's stream: remembers it, and returns how it stands, with
// the highest number taken in its epoch. Batches of its earlier streams that
// are still on their way are refused from here on: what they hold under a
// number need not be what the new stream will send under it. NOT_FOUND: the
// scope is not registered. ABORTED SESSION_SUPERSEDED: the epoch is below the
// stored one.
absl::StatusOr<Publisher> AttachPublisher(Transaction& txn,
                                          const Publisher& publisher,
                                          absl::Time now);

// Takes a batch whole: logs what rules want, counts what they do not, and moves
// the publisher's number, in this transaction. A number that is not above the
// stored one changes nothing. Where a rule's log would pass
// `rule_log_bytes_max`, the rule is resynced (resync.h). ABORTED
// SESSION_SUPERSEDED: the publisher went on to another epoch or stream.
//
// A CLOSING rule takes nothing. STARTING, ACTIVE and PAUSED rules log from the
// commit that created them.
absl::StatusOr<BatchOutcome> AppendBatch(Transaction& txn, const Batch& batch,
                                         int64_t rule_log_bytes_max,
                                         absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_CHANGE_LOG_H_
