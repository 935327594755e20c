#ifndef CRR_SERVER_CORE_VERIFICATION_H_
#define CRR_SERVER_CORE_VERIFICATION_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/work_events.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"
#include "storage/verification_table.h"

namespace crr {

// Partition of the INVENTORY unit that cuts the ranges of a verification.
inline constexpr int64_t kVerificationInventory = 1;

// Takes away what the rule's verification has left to compare: `limit` ranges,
// or all with -1; false while some are left. Their holders only read, and are
// fenced.
bool DropVerification(Transaction& txn, int64_t rule_uid, int limit,
                      WorkEvents& events);

// Begins to compare the two buckets of a rule, in place of a verification that
// is under way. Only that of an ACTIVE rule goes on.
WorkEvents StartVerification(Transaction& txn, const Rule& rule,
                             VerificationCause cause, bool read_bytes,
                             absl::Time now);

// Begins one that was asked for, unless one that does as much is under way
// already. FAILED_PRECONDITION RULE_STATE: the rule is not ACTIVE; its history
// is not complete; or its log is being dropped, after which one begins by
// itself.
absl::StatusOr<WorkEvents> RequestVerification(Transaction& txn,
                                               const Rule& rule,
                                               bool read_bytes,
                                               absl::Time now);

// Ends the rule's verification when nothing of it is left to compare, and with
// it the resync that it was for.
void MaybeFinishVerification(Transaction& txn, const Rule& rule,
                             absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_VERIFICATION_H_
