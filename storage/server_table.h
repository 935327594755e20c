#ifndef CRR_STORAGE_SERVER_TABLE_H_
#define CRR_STORAGE_SERVER_TABLE_H_

#include <cstdint>

#include "storage/transaction.h"

namespace crr {

// Counters of the whole database. No number is given twice.
int64_t TakeRuleUid(Transaction& txn);
int64_t TakeUnitId(Transaction& txn);
int64_t TakeSessionNumber(Transaction& txn);

// Rises with every restore: the high bits of every fencing token.
int64_t GetIncarnation(ReadTransaction& txn);

// The database is a copy of an earlier state: raises the incarnation, and notes
// that leases which it cannot know of may live.
void MarkRestored(Transaction& txn);
// Raises every counter to `at_least`: what was given since the copy was made is
// not known, and must not be given again, not even by a second restore.
void SkipNumbers(Transaction& txn, int64_t at_least);
bool IsRestored(ReadTransaction& txn);
// Those leases have run out.
void ClearRestored(Transaction& txn);

}  // namespace crr

#endif  // CRR_STORAGE_SERVER_TABLE_H_
