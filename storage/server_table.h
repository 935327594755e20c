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
bool IsRestored(ReadTransaction& txn);
// Those leases have run out.
void ClearRestored(Transaction& txn);

}  // namespace crr

#endif  // CRR_STORAGE_SERVER_TABLE_H_
