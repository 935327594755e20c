#ifndef CRR_CLIENT_COPIER_BACKFILL_RUNNER_H_
#define CRR_CLIENT_COPIER_BACKFILL_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/lease_ends.h"

namespace crr {

// Brings the objects of one range of the source's listing to the destination.
RunEnd RunBackfill(const RunnerContext& context, const LeaseEnds& ends);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_BACKFILL_RUNNER_H_
