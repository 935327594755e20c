#ifndef CRR_CLIENT_COPIER_RUN_LEASE_H_
#define CRR_CLIENT_COPIER_RUN_LEASE_H_

#include "client/copier/copy_lane.h"
#include "client/copier/store_access.h"

namespace crr {

// Does the work of one lease, whatever its kind; returns when the lease ends.
RunEnd RunLease(const RunnerContext& context, StoreAccess& access);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_RUN_LEASE_H_
