#ifndef CRR_CLIENT_CRRCTL_CONTROL_H_
#define CRR_CLIENT_CRRCTL_CONTROL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crr/v1/admin_service.grpc.pb.h"
#include "crr/v1/bucket_service.grpc.pb.h"
#include "crr/v1/region_service.grpc.pb.h"
#include "crr/v1/replication_service.grpc.pb.h"

namespace crr {

// The calls of crr-server that crrctl makes, each with a deadline. A refusal
// keeps its code; its message is the whole of it, violations and remedies
// included. Thread-safe.
class Control {
 public:
  explicit Control(const std::shared_ptr<grpc::Channel>& channel);

  absl::StatusOr<v1::Region> GetRegion(const std::string& name);
  absl::StatusOr<v1::Bucket> GetBucket(const std::string& name);
  // The rules of all buckets, by name.
  absl::StatusOr<std::vector<v1::Rule>> ListRules();
  absl::StatusOr<v1::RuleProgress> GetRuleProgress(const std::string& name);
  absl::StatusOr<v1::Verification> VerifyRule(const std::string& name,
                                              bool read_bytes);

  // One page, or one call's worth.
  absl::StatusOr<v1::ListFailedObjectsResponse> ListFailedObjects(
      const v1::ListFailedObjectsRequest& request);
  absl::StatusOr<v1::RetryFailedObjectsResponse> RetryFailedObjects(
      const v1::RetryFailedObjectsRequest& request);
  absl::StatusOr<v1::SkipFailedObjectsResponse> SkipFailedObjects(
      const v1::SkipFailedObjectsRequest& request);

  // All of them.
  absl::StatusOr<std::vector<v1::Copier>> ListCopiers();
  absl::StatusOr<std::vector<v1::LeaseStatus>> ListLeases();
  absl::StatusOr<v1::Copier> DrainCopier(const std::string& name);
  absl::StatusOr<v1::LeaseStatus> RevokeLease(const std::string& name);

 private:
  const std::unique_ptr<v1::RegionService::Stub> regions_;
  const std::unique_ptr<v1::BucketService::Stub> buckets_;
  const std::unique_ptr<v1::ReplicationService::Stub> replication_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_CONTROL_H_
