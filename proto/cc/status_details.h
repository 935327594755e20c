#ifndef CRR_PROTO_CC_STATUS_DETAILS_H_
#define CRR_PROTO_CC_STATUS_DETAILS_H_

#include <grpcpp/support/status.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "crr/v1/violations.pb.h"

namespace crr {

// What a refusal's status carries beside its code and message.
struct StatusDetails {
  std::string reason;  // Of ErrorInfo; empty when there is none.
  std::vector<v1::Violations::Violation> violations;
  std::optional<absl::Duration> retry_delay;
};

// Such as "NOT_FOUND".
absl::string_view CodeName(grpc::StatusCode code);

// Takes the details out of a status; empty when it carries none.
StatusDetails DetailsOf(const grpc::Status& status);

// One line for people: code, message and every violation with its remedy.
std::string Describe(const grpc::Status& status);

}  // namespace crr

#endif  // CRR_PROTO_CC_STATUS_DETAILS_H_
