#ifndef CRR_SERVER_CORE_LEASE_RESTORE_H_
#define CRR_SERVER_CORE_LEASE_RESTORE_H_

#include "server/core/lease_core.h"
#include "storage/transaction.h"

namespace crr {

// What a process that starts tells its LeaseCore of what is stored.
LeaseCore::Restored ReadRestored(ReadTransaction& txn);

}  // namespace crr

#endif  // CRR_SERVER_CORE_LEASE_RESTORE_H_
