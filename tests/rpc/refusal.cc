#include "tests/rpc/refusal.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace crr::test {
namespace {

using grpc::StatusCode;

// How a client must treat a code, in the order in which classes win.
int ClassOf(StatusCode code) {
  switch (code) {
    case StatusCode::INVALID_ARGUMENT: return 0;
    case StatusCode::NOT_FOUND: return 1;
    case StatusCode::ALREADY_EXISTS: return 2;
    case StatusCode::FAILED_PRECONDITION: return 3;
    default: return 4;
  }
}

// Design §3, "a refusal", rule by rule.
void CheckForm(const google::rpc::Status& rich,
               const google::rpc::ErrorInfo& info,
               const google::rpc::BadRequest& bad_request,
               const google::rpc::PreconditionFailure& precondition,
               Refusal& refusal) {
  const auto expect = [&](bool good, const std::string& what) {
    if (!good) refusal.flaws.push_back(what);
  };
  expect(rich.code() == refusal.code, "the two codes differ");
  expect(rich.message() == refusal.message, "the two messages differ");
  expect(info.domain() == "crr.v1", "domain is " + info.domain());
  if (refusal.violations.empty()) {
    refusal.flaws.push_back("no crr.v1.Violations");
    return;
  }
  const auto& first = refusal.violations.front();
  expect(info.reason() == first.reason(), "ErrorInfo is not the first one");
  expect(CodeOfReason(first.reason()) == refusal.code,
         "the code is not that of " + first.reason());
  std::vector<std::string> reasons;
  std::set<std::string> seen;
  std::vector<std::string> fields;
  std::vector<std::string> states;
  int last_class = 0;
  for (const auto& v : refusal.violations) {
    const StatusCode code = CodeOfReason(v.reason());
    expect(code != StatusCode::OK, "unknown reason " + v.reason());
    expect(ClassOf(code) >= last_class, v.reason() + " is out of order");
    last_class = ClassOf(code);
    expect(!v.description().empty(), v.reason() + " has no description");
    expect(!v.remedy().empty(), v.reason() + " has no remedy");
    if (seen.insert(v.reason()).second) reasons.push_back(v.reason());
    if (code == StatusCode::INVALID_ARGUMENT) {
      fields.push_back(absl::StrCat(v.field(), "|", v.description()));
    } else {
      states.push_back(
          absl::StrCat(v.reason(), "|", v.subject(), "|", v.description()));
    }
  }
  expect(refusal.metadata["reasons"] == absl::StrJoin(reasons, ","),
         "metadata reasons: " + refusal.metadata["reasons"]);
  expect(refusal.metadata["ossCode"] == first.oss_code(),
         "metadata ossCode: " + refusal.metadata["ossCode"]);
  std::vector<std::string> told_fields;
  for (const auto& v : bad_request.field_violations()) {
    told_fields.push_back(absl::StrCat(v.field(), "|", v.description()));
  }
  std::vector<std::string> told_states;
  for (const auto& v : precondition.violations()) {
    told_states.push_back(
        absl::StrCat(v.type(), "|", v.subject(), "|", v.description()));
  }
  expect(told_fields == fields, "BadRequest has other entries");
  expect(told_states == states, "PreconditionFailure has other entries");
  const bool comes_back = refusal.code == StatusCode::UNAVAILABLE ||
                          refusal.code == StatusCode::RESOURCE_EXHAUSTED;
  expect(comes_back == refusal.retry_delay.has_value(),
         "RetryInfo is missing, or out of place");
}

}  // namespace

StatusCode CodeOfReason(const std::string& reason) {
  static const auto& codes = *new std::map<std::string, StatusCode>([] {
    std::map<std::string, StatusCode> all;
    const auto add = [&](StatusCode code,
                         const std::vector<std::string>& reasons) {
      for (const std::string& r : reasons) all.emplace(r, code);
    };
    add(StatusCode::INVALID_ARGUMENT,
        {"REQUIRED_FIELD_MISSING", "INVALID_NAME", "INVALID_BUCKET_NAME",
         "INVALID_RULE_ID", "INVALID_REQUEST_ID", "REQUEST_ID_REUSED",
         "INVALID_PAGE_SIZE", "INVALID_PAGE_TOKEN", "INVALID_FILTER",
         "INVALID_UPDATE_MASK", "IMMUTABLE_FIELD", "INVALID_POLICY",
         "INVALID_PREFIX", "TOO_MANY_PREFIXES", "OVERLAPPING_PREFIXES",
         "OPERATIONS_REQUIRED", "HISTORICAL_REQUIRED", "SAME_BUCKET",
         "INVALID_KEY", "MALFORMED_MESSAGE",
         // Of the proto's own comments, beyond design §10.
         "INVALID_LIMITS", "INVALID_LABELS", "INVALID_TIME"});
    add(StatusCode::NOT_FOUND,
        {"BUCKET_NOT_FOUND", "REGION_NOT_FOUND", "RULE_NOT_FOUND",
         "PUBLISHER_NOT_FOUND", "COPIER_NOT_FOUND", "LEASE_NOT_FOUND"});
    add(StatusCode::ALREADY_EXISTS,
        {"RULE_ALREADY_EXISTS", "REGION_ALREADY_EXISTS",
         "BUCKET_ALREADY_EXISTS"});
    add(StatusCode::FAILED_PRECONDITION,
        {"SAME_REGION", "REGION_PAIR_NOT_SUPPORTED",
         "TRANSFER_ACCELERATION_REQUIRED",
         "TRANSFER_ACCELERATION_NOT_APPLICABLE", "VERSIONING_MISMATCH",
         "VERSIONING_SUSPENDED", "BUCKET_HELD_BY_RULE",
         "BUCKET_PAIRED_ELSEWHERE", "DIFFERENT_OWNER", "REGION_IN_USE",
         "RULE_STATE", "NO_WATERMARK", "PUBLISHER_ATTACHED"});
    add(StatusCode::ABORTED, {"ETAG_MISMATCH", "SESSION_SUPERSEDED"});
    add(StatusCode::RESOURCE_EXHAUSTED, {"STORAGE_FULL", "QUOTA"});
    add(StatusCode::UNAVAILABLE, {"OVERLOADED", "DRAINING"});
    return all;
  }());
  const auto found = codes.find(reason);
  return found == codes.end() ? StatusCode::OK : found->second;
}

Refusal RefusalOf(const grpc::Status& status) {
  Refusal refusal;
  refusal.code = status.error_code();
  refusal.message = status.error_message();
  google::rpc::Status rich;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  google::rpc::PreconditionFailure precondition;
  google::rpc::RetryInfo retry;
  v1::Violations violations;
  std::set<std::string> types;
  if (!rich.ParseFromString(status.error_details())) {
    refusal.flaws.push_back("the details cannot be read");
  }
  for (const auto& any : rich.details()) {
    if (!types.insert(any.type_url()).second) {
      refusal.flaws.push_back("twice: " + any.type_url());
    }
    if (any.UnpackTo(&retry)) {
      refusal.retry_delay = absl::Seconds(retry.retry_delay().seconds()) +
                            absl::Nanoseconds(retry.retry_delay().nanos());
    } else if (!any.UnpackTo(&info) && !any.UnpackTo(&bad_request) &&
               !any.UnpackTo(&precondition) && !any.UnpackTo(&violations)) {
      refusal.flaws.push_back("an unknown detail: " + any.type_url());
    }
  }
  refusal.reason = info.reason();
  refusal.metadata = {info.metadata().begin(), info.metadata().end()};
  refusal.violations = {violations.violations().begin(),
                        violations.violations().end()};
  CheckForm(rich, info, bad_request, precondition, refusal);
  return refusal;
}

const v1::Violations::Violation& Refusal::Find(
    const std::string& wanted) const {
  const auto found =
      std::find_if(violations.begin(), violations.end(),
                   [&](const auto& v) { return v.reason() == wanted; });
  CRR_CHECK(found != violations.end());
  return *found;
}

std::vector<std::string> Refusal::Reasons() const {
  std::vector<std::string> reasons;
  for (const auto& v : violations) reasons.push_back(v.reason());
  return reasons;
}

std::vector<std::string> Refusal::ReasonsAndFields() const {
  std::vector<std::string> shown;
  for (const auto& v : violations) {
    shown.push_back(absl::StrCat(v.reason(), " ", v.field()));
  }
  return shown;
}

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
  out << "code " << refusal.code << " " << refusal.reason << ": "
      << refusal.message << "\n  details:";
  for (const auto& v : refusal.violations) {
    out << "\n  " << v.reason() << " field=" << v.field()
        << " subject=" << v.subject() << " oss=" << v.oss_code() << ": "
        << v.description();
  }
  return out << "\n  flaws: " << absl::StrJoin(refusal.flaws, "; ");
}

}  // namespace crr::test
