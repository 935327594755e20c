#ifndef CRR_CLIENT_COPIER_VERIFY_RUNNER_H_
#define CRR_CLIENT_COPIER_VERIFY_RUNNER_H_

#include "client/copier/copy_lane.h"
#include "client/copier/lease_ends.h"

namespace crr {

// VERIFY: compares both listings of one range and names what differs. Writes to
// neither bucket.
//
// The listings only say where to look: a difference counts when the heads of
// both objects, destination first, say the same afterwards. So a page that is
// missing, late or wrong never makes one.
RunEnd RunVerify(const RunnerContext& context, const LeaseEnds& ends);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_VERIFY_RUNNER_H_
