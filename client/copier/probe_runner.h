#ifndef CRR_CLIENT_COPIER_PROBE_RUNNER_H_
#define CRR_CLIENT_COPIER_PROBE_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/store_access.h"

namespace crr {

// Reaches both buckets of a rule and reports their identity and versioning, or
// why they cannot be used.
RunEnd RunProbe(const RunnerContext& context, StoreAccess& access);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_PROBE_RUNNER_H_
