#ifndef CRR_SERVER_CORE_WORK_H_
#define CRR_SERVER_CORE_WORK_H_

#include <cstdint>
#include <optional>
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

// The durable side of work: what a grant, the end of a lease and the end of a
// rule do to the database; checkpoint.h has the rest. Each function is a
// transaction body or a part of one. LeaseCore decides when.

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
  // CHANGES and BACKFILL, after their copiers were lost without progress: one
  // entry at a time; and, after one more, the first is taken out unseen.
  bool serial = false;
  bool isolate_first = false;
  struct Object {
    std::string key;
    bool deletion = false;
    std::string upload_id;  // Empty for none.
    std::string upload_etag;
    int64_t size_bytes = 0;  // As last seen.
  };
  std::optional<Object> object;  // OBJECT.
  // VERIFY: what was written or deleted at the source before this is left
  // alone. OBJECT, for what a VERIFY found: what was deleted.
  std::optional<absl::Time> changed_since;
  bool read_bytes = false;  // VERIFY.
  absl::Duration silence;   // See SilenceOf. Not for the copier.
};

// How a lease ended.
struct LeaseEnd {
  enum class Kind {
    kOrderly,       // It was asked for, or never used.
    kProblem,       // Its holder could not work: stores, server, itself.
    kObjectFailed,  // OBJECT: the object itself could not be copied.
    kLost           // Nobody heard of its holder any more.
  };
  Kind kind = Kind::kOrderly;
  std::string reason;   // In upper snake case; of a problem or a failure.
  std::string message;  // For people.
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
WorkEvents WakeLog(Transaction& txn, const Rule& rule);

// Bytes per second of each lease of the rule; 0 for no bound.
int64_t LeaseRateOf(const Rule& rule);

// How much longer than LeaseOptions::no_progress a lease on the unit may go
// without a word of progress.
absl::Duration SilenceOf(ReadTransaction& txn, const Unit& unit);

// Gives a unit to a session under a new token.
// NOT_FOUND: the unit is gone. FAILED_PRECONDITION: it is leased already, or
// its rule takes no leases now.
absl::StatusOr<LeaseSpec> GrantUnit(Transaction& txn, int64_t unit_id,
                                    int64_t session_number, absl::Time now);

// Ends a lease, if it is still that of `token`. A CHANGES unit with an empty
// log goes with it. Whether the grant counts as an attempt depends on how it
// ended; an object that had its last one becomes a dead letter.
WorkEvents EndLease(Transaction& txn, int64_t unit_id, int64_t token,
                    const LeaseEnd& end, absl::Time now);

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
