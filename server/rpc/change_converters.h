#ifndef CRR_SERVER_RPC_CHANGE_CONVERTERS_H_
#define CRR_SERVER_RPC_CHANGE_CONVERTERS_H_

#include <vector>

#include "absl/time/time.h"
#include "crr/v1/change_service.pb.h"
#include "server/core/change_log.h"
#include "server/core/refusal.h"
#include "storage/publisher_table.h"

namespace crr {

// A publisher's `hello`.
Publisher FromProto(const v1::PublishChangesRequest::Hello& hello,
                    std::vector<Violation>& found);

// The changes of a batch, checked: names, keys, kinds and sizes. At most 20
// violations are counted. A change without a time gets
// `default_time`.
std::vector<PublishedChange> FromProto(
    const v1::PublishChangesRequest::Batch& batch, absl::Time default_time,
    std::vector<Violation>& found);

}  // namespace crr

#endif  // CRR_SERVER_RPC_CHANGE_CONVERTERS_H_
