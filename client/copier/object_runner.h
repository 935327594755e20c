#ifndef CRR_CLIENT_COPIER_OBJECT_RUNNER_H_
#define CRR_CLIENT_COPIER_OBJECT_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/lease_ends.h"

namespace crr {

// OBJECT: brings one object to the destination, by itself, large ones in parts.
// Whatever stands there is proven before it counts as equal. One attempt: the
// server says when to try again. A store that is away, while both still answer
// for their buckets, is away for this object alone: then it is the object that
// failed.
RunEnd RunObject(const RunnerContext& context, const LeaseEnds& ends);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_OBJECT_RUNNER_H_
