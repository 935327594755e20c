#include "server/rpc/status_convert.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/log.h"
#include "crr/v1/violations.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"

namespace crr {
namespace {

constexpr char kDomain[] = "crr.v1";

// How long to wait before trying again: about what the cause lasts.
int64_t RetrySeconds(const std::string& reason) {
  if (reason == "STORAGE_FULL") return 10;
  if (reason == "OVERLOADED" || reason == "DRAINING") return 1;
  return 0;
}

void AddViolation(const Violation& violation, v1::Violations& all,
                  google::rpc::BadRequest& bad_request,
                  google::rpc::PreconditionFailure& precondition) {
  const ReasonInfo& info = InfoOf(violation.reason);
  auto& entry = *all.add_violations();
  entry.set_reason(violation.reason);
  entry.set_field(violation.field);
  entry.set_subject(violation.subject);
  entry.set_description(violation.description);
  entry.set_oss_code(violation.oss_code.empty() ? std::string(info.oss_code)
                                                : violation.oss_code);
  entry.set_remedy(std::string(info.remedy));
  if (info.code == absl::StatusCode::kInvalidArgument) {
    auto& field = *bad_request.add_field_violations();
    field.set_field(violation.field);
    field.set_description(violation.description);
  } else {
    auto& state = *precondition.add_violations();
    state.set_type(violation.reason);
    state.set_subject(violation.subject);
    state.set_description(violation.description);
  }
}

google::rpc::ErrorInfo ErrorInfoOf(const std::vector<Violation>& violations,
                                   const v1::Violations& all) {
  google::rpc::ErrorInfo info;
  info.set_reason(violations.front().reason);
  info.set_domain(kDomain);
  auto& metadata = *info.mutable_metadata();
  std::vector<std::string> reasons;
  std::set<std::string> seen;
  for (const Violation& violation : violations) {
    if (seen.insert(violation.reason).second) {
      reasons.push_back(violation.reason);
    }
    if (!violation.rule.empty()) metadata.insert({"rule", violation.rule});
    if (!violation.partner.empty()) {
      metadata.insert({"partner", violation.partner});
    }
  }
  metadata["reasons"] = absl::StrJoin(reasons, ",");
  if (!all.violations(0).oss_code().empty()) {
    metadata["ossCode"] = all.violations(0).oss_code();
  }
  return info;
}

// Gives a status of the storage layer the reason that the contract names.
absl::Status WithReason(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return Refuse({.reason = "STORAGE_FULL",
                     .description = "the server's disk is full; nothing was "
                                    "stored"});
    case absl::StatusCode::kUnavailable:
      return Refuse({.reason = "OVERLOADED",
                     .description = "too many requests are waiting"});
    default:
      return status;
  }
}

// The details of a refusal.
google::rpc::Status RichStatus(const absl::Status& status,
                               const std::vector<Violation>& violations) {
  v1::Violations all;
  google::rpc::BadRequest bad_request;
  google::rpc::PreconditionFailure precondition;
  for (const Violation& violation : violations) {
    AddViolation(violation, all, bad_request, precondition);
  }
  google::rpc::Status rich;
  rich.set_code(static_cast<int>(status.code()));
  rich.set_message(std::string(status.message()));
  rich.add_details()->PackFrom(ErrorInfoOf(violations, all));
  if (bad_request.field_violations_size() > 0) {
    rich.add_details()->PackFrom(bad_request);
  }
  if (precondition.violations_size() > 0) {
    rich.add_details()->PackFrom(precondition);
  }
  rich.add_details()->PackFrom(all);
  if (const int64_t seconds = RetrySeconds(violations.front().reason)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(seconds);
    rich.add_details()->PackFrom(retry);
  }
  return rich;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& original) {
  if (original.ok()) return grpc::Status::OK;
  std::vector<Violation> violations = ViolationsOf(original);
  absl::Status status = original;
  if (violations.empty()) {
    status = WithReason(original);
    violations = ViolationsOf(status);
  }
  if (violations.empty()) {
    if (absl::IsCancelled(status)) {
      return {grpc::StatusCode::CANCELLED, "the caller is gone"};
    }
    LogError("internal_error", {{"error", status.ToString()}});
    return {grpc::StatusCode::INTERNAL, "internal error; see the server's log"};
  }
  // A client that gets more metadata than it takes sees nothing of it.
  google::rpc::Status rich = RichStatus(status, violations);
  while (violations.size() > 1 &&
         rich.ByteSizeLong() > limits::kRefusalBytesMax) {
    violations.pop_back();
    rich = RichStatus(status, violations);
  }
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message()), rich.SerializeAsString()};
}

}  // namespace crr
