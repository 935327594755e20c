#ifndef CRR_CLIENT_COPIER_CHANGES_RUNNER_H_
#define CRR_CLIENT_COPIER_CHANGES_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/lease_ends.h"

namespace crr {

// Applies logged changes, in order per key, as they come in.
RunEnd RunChanges(const RunnerContext& context, const LeaseEnds& ends);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_CHANGES_RUNNER_H_
