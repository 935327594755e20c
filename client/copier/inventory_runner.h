#ifndef CRR_CLIENT_COPIER_INVENTORY_RUNNER_H_
#define CRR_CLIENT_COPIER_INVENTORY_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/lease_ends.h"

namespace crr {

// Walks the source's listing inside the rule and cuts it into ranges of
// `range_objects` objects, the last one shorter.
RunEnd RunInventory(const RunnerContext& context, const LeaseEnds& ends);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_INVENTORY_RUNNER_H_
