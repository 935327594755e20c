#ifndef CRR_SERVER_CORE_WORK_H_
#define CRR_SERVER_CORE_WORK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/work_events.h"
#include "storage/bucket_table.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"
#include "storage/unit_table.h"

namespace crr {

// The durable side of work: what a grant, a checkpoint, the end of a lease and
// the end of a rule do to the database. Each function is a transaction body or
// a part of one. LeaseCore decides when.

// One end of a rule, as a copier needs it.
struct LeaseEndpoint {
  Bucket bucket;
  std::string store_root;
  std::string credentials;
  std::string identity;  // As PROBE noted it; empty before.
};

// Everything that a copier is told with a lease.
struct LeaseSpec {
  int64_t unit_id = 0;
  int64_t token = 0;
  UnitKind kind = UnitKind::kProbe;
  Rule rule;
  LeaseEndpoint source;
  LeaseEndpoint destination;
  Cursor cursor;
  std::string range_start;
  std::string range_end;
  int64_t bytes_per_second = 0;  // 0: no bound.
};

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
};

struct CheckpointOutcome {
  enum class Result { kRecorded, kCursorDiffers, kFenced };
  Result result = Result::kFenced;
  Cursor cursor;           // As stored.
  bool lease_over = false;  // The unit is finished, or must be tried later.
  // What it settled; nothing when it is only repeated.
  UnitKind kind = UnitKind::kProbe;
  int64_t settled = 0;  // Objects or changes.
  int64_t bytes = 0;
  WorkEvents events;
};

// A new session for a copier. `known`: the one that it wants to go on with.
// ABORTED SESSION_SUPERSEDED when another process took over since; not when the
// newest session is its own, whose welcome it never saw.
absl::StatusOr<int64_t> StartSession(Transaction& txn,
                                     const std::string& copier,
                                     const std::string& region,
                                     std::optional<int64_t> known,
                                     absl::Time now);

// Makes the PROBE unit of a STARTING rule when nothing keeps it from starting.
WorkEvents StartIfReady(Transaction& txn, int64_t rule_uid);

// What a rule that goes on must hear of its log: changes that came while it
// was paused have made no unit and told nobody.
WorkEvents WakeLog(Transaction& txn, int64_t rule_uid);

// Leases that a rule may hold at once; 0 for no bound.
int64_t LeaseBoundOf(const Rule& rule);
// Bytes per second of each of them; 0 for no bound.
int64_t LeaseRateOf(const Rule& rule);

// What the scheduler needs to know of a unit, as it stands.
UnitInfo DescribeUnit(ReadTransaction& txn, const Unit& unit);

// Gives a unit to a session under a new token.
// NOT_FOUND: the unit is gone. FAILED_PRECONDITION: it is leased already, or
// its rule takes no leases now.
absl::StatusOr<LeaseSpec> GrantUnit(Transaction& txn, int64_t unit_id,
                                    int64_t session_number, absl::Time now);

// Compares token and cursor and applies the checkpoint: cursor, counters,
// ledger and what becomes of the unit, all in this transaction.
// INVALID_ARGUMENT: it makes no sense whatever the state.
// `attached`: the publishers whose streams are open.
absl::StatusOr<CheckpointOutcome> ApplyCheckpoint(
    Transaction& txn, const Checkpoint& checkpoint,
    const std::set<std::string>& attached, absl::Time now);

// Ends a lease, if it is still that of `token`. A CHANGES unit with an empty
// log goes with it. `problem` becomes a condition of the rule unless empty.
WorkEvents EndLease(Transaction& txn, int64_t unit_id, int64_t token,
                    const std::string& problem, absl::Time now);

// Notes an object that keeps failing under a lease that is still that of
// `token`; the next checkpoint takes it back.
void NoteTrouble(Transaction& txn, int64_t unit_id, int64_t token,
                 const std::string& message, absl::Time now);

struct ClosingOutcome {
  bool gone = false;  // The rule is gone and its pair is free.
  WorkEvents events;
};
// One bounded step of closing a rule. FAILED_PRECONDITION while a lease of it
// lives, or when it is not CLOSING.
absl::StatusOr<ClosingOutcome> CloseStep(Transaction& txn, int64_t rule_uid);

}  // namespace crr

#endif  // CRR_SERVER_CORE_WORK_H_
