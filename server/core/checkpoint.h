#ifndef CRR_SERVER_CORE_CHECKPOINT_H_
#define CRR_SERVER_CORE_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/object_lane.h"
#include "server/core/work_events.h"
#include "storage/bucket_table.h"
#include "storage/transaction.h"
#include "storage/unit_table.h"

namespace crr {

// What a copier reports of the interval (from, to] of a unit.
struct Checkpoint {
  int64_t unit_id = 0;
  int64_t token = 0;
  Cursor from;
  Cursor to;
  bool complete = false;
  int64_t applied = 0;
  int64_t collapsed = 0;
  std::map<std::string, int64_t> filtered;
  int64_t bytes = 0;
  struct Range {
    std::string end;
    int64_t objects = 0;
  };
  std::vector<Range> ranges;  // INVENTORY.
  struct Finding {
    std::string identity;
    Versioning versioning = Versioning::kUnversioned;
    std::string problem;
  };
  struct Probe {
    Finding source;
    Finding destination;
  };
  std::optional<Probe> probe;  // PROBE.
  // Objects that leave the lane; of VERIFY, those that differ.
  std::vector<ObjectFailure> failed;
  struct Upload {
    std::string id;
    std::string source_etag;
  };
  std::optional<Upload> upload;  // OBJECT.
  struct Compared {
    int64_t equal = 0;
    int64_t foreign = 0;
    std::vector<std::string> foreign_keys;
  };
  std::optional<Compared> compared;  // VERIFY.
};

struct CheckpointOutcome {
  enum class Result { kRecorded, kCursorDiffers, kFenced, kObjectsFull };
  Result result = Result::kFenced;
  Cursor cursor;            // As stored.
  bool lease_over = false;  // The unit is finished, or must be tried later.
  bool progressed = true;   // False for parts of an object that were there.
  // What it settled; nothing when it is only repeated.
  int64_t rule_uid = 0;
  UnitKind kind = UnitKind::kProbe;
  int64_t settled = 0;  // Objects or changes.
  int64_t bytes = 0;
  WorkEvents events;
};

// Compares token and cursor and applies the checkpoint: cursor, counters,
// ledger and what becomes of the unit, all in this transaction.
// INVALID_ARGUMENT: it makes no sense whatever the state.
// `attached`: the publishers whose streams are open.
absl::StatusOr<CheckpointOutcome> ApplyCheckpoint(
    Transaction& txn, const Checkpoint& checkpoint,
    const std::set<std::string>& attached, absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_CHECKPOINT_H_
