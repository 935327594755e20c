#ifndef CRR_SERVER_RPC_STATUS_CONVERT_H_
#define CRR_SERVER_RPC_STATUS_CONVERT_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace crr {

// The one place where a refusal becomes what goes over the wire: code, message
// and the details that design §3 lists. A status of the storage layer gets its
// reason here (STORAGE_FULL, OVERLOADED); what is left is ours, is logged, and
// says nothing of its inside to the caller.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace crr

#endif  // CRR_SERVER_RPC_STATUS_CONVERT_H_
