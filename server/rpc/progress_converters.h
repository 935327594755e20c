#ifndef CRR_SERVER_RPC_PROGRESS_CONVERTERS_H_
#define CRR_SERVER_RPC_PROGRESS_CONVERTERS_H_

#include "absl/time/time.h"
#include "crr/v1/replication_service.pb.h"
#include "server/core/conditions.h"
#include "server/core/progress.h"
#include "storage/verification_table.h"

namespace crr {

v1::Rule::Condition ToProto(const ShownCondition& condition);
v1::Verification ToProto(const Verification& verification);
v1::RuleProgress ToProto(const RuleProgress& progress, absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_RPC_PROGRESS_CONVERTERS_H_
