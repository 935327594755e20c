#include "client/crrctl/control.h"

#include <chrono>
#include <iterator>
#include <utility>

#include "base/status_macros.h"
#include "proto/cc/status_details.h"

namespace crr {
namespace {

constexpr std::chrono::seconds kDeadline{10};

// Makes one unary call on `stub`.
template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> Call(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (status.ok()) return response;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      Describe(status));
}

}  // namespace

Control::Control(const std::shared_ptr<grpc::Channel>& channel)
    : regions_(v1::RegionService::NewStub(channel)),
      buckets_(v1::BucketService::NewStub(channel)),
      replication_(v1::ReplicationService::NewStub(channel)) {}

absl::StatusOr<v1::Region> Control::GetRegion(const std::string& name) {
  v1::GetRegionRequest request;
  request.set_name(name);
  return Call(*regions_, &v1::RegionService::Stub::GetRegion, request);
}

absl::StatusOr<v1::Bucket> Control::GetBucket(const std::string& name) {
  v1::GetBucketRequest request;
  request.set_name(name);
  return Call(*buckets_, &v1::BucketService::Stub::GetBucket, request);
}

absl::StatusOr<std::vector<v1::Rule>> Control::ListRules() {
  std::vector<v1::Rule> rules;
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  request.set_page_size(1'000);
  do {
    CRR_ASSIGN_OR_RETURN(
        v1::ListRulesResponse page,
        Call(*replication_, &v1::ReplicationService::Stub::ListRules, request));
    std::move(page.mutable_rules()->begin(), page.mutable_rules()->end(),
              std::back_inserter(rules));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rules;
}

absl::StatusOr<v1::RuleProgress> Control::GetRuleProgress(
    const std::string& name) {
  v1::GetRuleProgressRequest request;
  request.set_name(name);
  return Call(*replication_, &v1::ReplicationService::Stub::GetRuleProgress,
              request);
}

}  // namespace crr
