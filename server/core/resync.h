#ifndef CRR_SERVER_CORE_RESYNC_H_
#define CRR_SERVER_CORE_RESYNC_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/work_events.h"
#include "storage/transaction.h"

namespace crr {

// A rule whose log cannot tell of all changes any more, because it overflowed
// or because the database was restored, is resynced: the log is dropped into
// the ledger class `resync`, new changes are counted there too, and once the
// log is empty and the rule ACTIVE, changes are logged again while a
// verification compares the buckets whole. History that is on its way comes
// before it: a compare would call it missing, object by object. last_sync_time
// stays at or below the floor until all that is over.

struct ResyncOutcome {
  // No step is left: a verification has begun, or will after the history; or
  // the rule is not ACTIVE and will say when it is; or it needs no resync.
  bool done = false;
  WorkEvents events;
};

// One bounded step of dropping the log. FAILED_PRECONDITION while a lease on
// the log lives.
absl::StatusOr<ResyncOutcome> ResyncStep(Transaction& txn, int64_t rule_uid,
                                         absl::Time now);

// Begins the verification of a rule whose log was dropped, unless history is
// still on its way; to be called when a part of that is complete as well.
WorkEvents VerifyAfterDrop(Transaction& txn, int64_t rule_uid, absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_RESYNC_H_
