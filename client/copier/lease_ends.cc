#include "client/copier/lease_ends.h"

#include <google/protobuf/util/time_util.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/copier/failure_reason.h"
#include "proto/cc/resource_name.h"

namespace crr {
namespace {

using google::protobuf::util::TimeUtil;

struct End {
  std::shared_ptr<ObjectStore> store;
  BucketInfo bucket;
};

absl::StatusOr<End> OpenEnd(StoreAccess& access,
                            const v1::Lease::Endpoint& endpoint) {
  End end;
  CRR_ASSIGN_OR_RETURN(const std::string bucket,
                       ParseBucketName(endpoint.bucket()));
  CRR_ASSIGN_OR_RETURN(end.store, access.Open(endpoint));
  CRR_ASSIGN_OR_RETURN(end.bucket, end.store->GetBucket(bucket));
  if (!endpoint.identity().empty() &&
      endpoint.identity() != end.bucket.identity) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            endpoint.bucket(), " is not the one that was probed")),
        kBucketIdentityChanged);
  }
  return end;
}

}  // namespace

absl::StatusOr<LeaseEnds> OpenLeaseEnds(StoreAccess& access,
                                        const v1::Lease& lease) {
  // Anything but these two must not be taken for one of them.
  if (lease.operations() != v1::Rule::ADD_DELETE_CHANGE &&
      lease.operations() != v1::Rule::ADD_CHANGE) {
    return WithReason(
        absl::InvalidArgumentError("the lease names no operations"),
        "INVALID_LEASE");
  }
  CRR_ASSIGN_OR_RETURN(End source, OpenEnd(access, lease.source()));
  CRR_ASSIGN_OR_RETURN(End destination, OpenEnd(access, lease.destination()));
  if (!destination.store->capabilities().fences_by_revision) {
    return WithReason(absl::UnimplementedError(
                          "the destination does not order writes by revision"),
                      "STORE_CANNOT_FENCE");
  }
  LeaseEnds ends{.source = std::move(source.store),
                 .destination = std::move(destination.store),
                 .rule = {}};
  ends.rule.source = ends.source.get();
  ends.rule.destination = ends.destination.get();
  ends.rule.source_bucket = source.bucket.name;
  ends.rule.source_identity = source.bucket.identity;
  ends.rule.destination_bucket = destination.bucket.name;
  ends.rule.operations = lease.operations() == v1::Rule::ADD_DELETE_CHANGE
                             ? Operations::kAddDeleteChange
                             : Operations::kAddChange;
  if (lease.sse_kms().replicate()) {
    ends.rule.replica_kms_key = lease.sse_kms().replica_kms_key();
  }
  if (lease.has_changed_since()) {
    ends.rule.changed_since = absl::FromUnixNanos(
        TimeUtil::TimestampToNanoseconds(lease.changed_since()));
  }
  return ends;
}

}  // namespace crr
