#ifndef CRR_SERVER_RPC_FAILED_OBJECT_CONVERTERS_H_
#define CRR_SERVER_RPC_FAILED_OBJECT_CONVERTERS_H_

#include <vector>

#include "absl/time/time.h"
#include "crr/v1/replication_service.pb.h"
#include "server/core/refusal.h"
#include "storage/object_work_table.h"

namespace crr {

v1::FailedObject ToProto(const ObjectWork& work);

// Whether anything is set in it; otherwise it selects nothing.
bool SelectsAny(const v1::FailedObjectSelection& selection);

// Those that `selection` means, at `now`. Its violations name fields below
// `selection`.
ObjectWorkFilter FromProto(const v1::FailedObjectSelection& selection,
                           absl::Time now, std::vector<Violation>& found);

}  // namespace crr

#endif  // CRR_SERVER_RPC_FAILED_OBJECT_CONVERTERS_H_
