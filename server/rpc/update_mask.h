#ifndef CRR_SERVER_RPC_UPDATE_MASK_H_
#define CRR_SERVER_RPC_UPDATE_MASK_H_

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/core/refusal.h"

namespace crr {

// Which fields an update sets. What can be set at all, the contract says: every
// field that is neither IMMUTABLE nor OUTPUT_ONLY there.
using UpdatePaths = std::set<std::string>;

// The paths of `mask`; those of the fields that `given` carries when it is
// empty; all that can be set for `*`. `field` names `given` in the request.
// IMMUTABLE_FIELD: a path of a field that cannot be set; INVALID_UPDATE_MASK:
// of none; REQUIRED_FIELD_MISSING: there is nothing to set.
UpdatePaths PathsToSet(const google::protobuf::FieldMask& mask,
                       const google::protobuf::Message& given,
                       absl::string_view field, std::vector<Violation>& found);

// Whether `paths` has `path` or one that it lies in.
bool Covers(const UpdatePaths& paths, absl::string_view path);

// IMMUTABLE_FIELD where a whole resource was given (no mask, or `*`) and an
// immutable field of it says something else than `present` does: it is not
// dropped in silence.
void CheckImmutable(const google::protobuf::FieldMask& mask,
                    const google::protobuf::Message& given,
                    const google::protobuf::Message& present,
                    absl::string_view field, std::vector<Violation>& found);

}  // namespace crr

#endif  // CRR_SERVER_RPC_UPDATE_MASK_H_
