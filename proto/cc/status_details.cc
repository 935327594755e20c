#include "proto/cc/status_details.h"

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace crr {
absl::string_view CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::OK: return "OK";
    case grpc::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case grpc::NOT_FOUND: return "NOT_FOUND";
    case grpc::ALREADY_EXISTS: return "ALREADY_EXISTS";
    case grpc::FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case grpc::ABORTED: return "ABORTED";
    case grpc::RESOURCE_EXHAUSTED: return "RESOURCE_EXHAUSTED";
    case grpc::UNAVAILABLE: return "UNAVAILABLE";
    case grpc::DEADLINE_EXCEEDED: return "DEADLINE_EXCEEDED";
    case grpc::UNIMPLEMENTED: return "UNIMPLEMENTED";
    case grpc::CANCELLED: return "CANCELLED";
    case grpc::INTERNAL: return "INTERNAL";
    default: return "UNKNOWN";
  }
}

StatusDetails DetailsOf(const grpc::Status& status) {
  StatusDetails details;
  google::rpc::Status rich;
  if (!rich.ParseFromString(status.error_details())) return details;
  for (const auto& any : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    v1::Violations violations;
    if (any.UnpackTo(&info)) {
      details.reason = info.reason();
    } else if (any.UnpackTo(&retry)) {
      details.retry_delay =
          absl::Seconds(retry.retry_delay().seconds()) +
          absl::Nanoseconds(retry.retry_delay().nanos());
    } else if (any.UnpackTo(&violations)) {
      details.violations.assign(violations.violations().begin(),
                                violations.violations().end());
    }
  }
  return details;
}

std::string Describe(const grpc::Status& status) {
  const StatusDetails details = DetailsOf(status);
  std::string text =
      absl::StrCat(CodeName(status.error_code()), ": ", status.error_message());
  for (const auto& violation : details.violations) {
    absl::StrAppend(&text, "; ", violation.reason(),
                    violation.field().empty() ? "" : " ", violation.field(),
                    violation.subject().empty() ? "" : " ",
                    violation.subject(), ": ", violation.description());
    if (!violation.remedy().empty()) {
      absl::StrAppend(&text, " (", violation.remedy(), ")");
    }
  }
  return text;
}

}  // namespace crr
