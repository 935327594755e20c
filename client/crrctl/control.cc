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

// All pages of a list; `items` takes those of one page.
template <typename Item, typename Stub, typename Request, typename Response>
absl::StatusOr<std::vector<Item>> CallForAll(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    Request request,
    google::protobuf::RepeatedPtrField<Item>* (Response::*items)()) {
  std::vector<Item> all;
  request.set_page_size(1'000);
  do {
    CRR_ASSIGN_OR_RETURN(Response page, Call(stub, method, request));
    std::move((page.*items)()->begin(), (page.*items)()->end(),
              std::back_inserter(all));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace

Control::Control(const std::shared_ptr<grpc::Channel>& channel)
    : regions_(v1::RegionService::NewStub(channel)),
      buckets_(v1::BucketService::NewStub(channel)),
      replication_(v1::ReplicationService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)) {}

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
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  return CallForAll(*replication_, &v1::ReplicationService::Stub::ListRules,
                    request, &v1::ListRulesResponse::mutable_rules);
}

absl::StatusOr<v1::RuleProgress> Control::GetRuleProgress(
    const std::string& name) {
  v1::GetRuleProgressRequest request;
  request.set_name(name);
  return Call(*replication_, &v1::ReplicationService::Stub::GetRuleProgress,
              request);
}

absl::StatusOr<v1::Verification> Control::VerifyRule(const std::string& name,
                                                     bool read_bytes) {
  v1::VerifyRuleRequest request;
  request.set_name(name);
  request.set_read_bytes(read_bytes);
  return Call(*replication_, &v1::ReplicationService::Stub::VerifyRule,
              request);
}

absl::StatusOr<v1::ListFailedObjectsResponse> Control::ListFailedObjects(
    const v1::ListFailedObjectsRequest& request) {
  return Call(*replication_, &v1::ReplicationService::Stub::ListFailedObjects,
              request);
}

absl::StatusOr<v1::RetryFailedObjectsResponse> Control::RetryFailedObjects(
    const v1::RetryFailedObjectsRequest& request) {
  return Call(*replication_, &v1::ReplicationService::Stub::RetryFailedObjects,
              request);
}

absl::StatusOr<v1::SkipFailedObjectsResponse> Control::SkipFailedObjects(
    const v1::SkipFailedObjectsRequest& request) {
  return Call(*replication_, &v1::ReplicationService::Stub::SkipFailedObjects,
              request);
}

absl::StatusOr<std::vector<v1::Copier>> Control::ListCopiers() {
  return CallForAll(*admin_, &v1::AdminService::Stub::ListCopiers,
                    v1::ListCopiersRequest(),
                    &v1::ListCopiersResponse::mutable_copiers);
}

absl::StatusOr<std::vector<v1::LeaseStatus>> Control::ListLeases() {
  return CallForAll(*admin_, &v1::AdminService::Stub::ListLeases,
                    v1::ListLeasesRequest(),
                    &v1::ListLeasesResponse::mutable_leases);
}

absl::StatusOr<v1::Copier> Control::DrainCopier(const std::string& name) {
  v1::DrainCopierRequest request;
  request.set_name(name);
  return Call(*admin_, &v1::AdminService::Stub::DrainCopier, request);
}

absl::StatusOr<v1::LeaseStatus> Control::RevokeLease(const std::string& name) {
  v1::RevokeLeaseRequest request;
  request.set_name(name);
  return Call(*admin_, &v1::AdminService::Stub::RevokeLease, request);
}

}  // namespace crr
