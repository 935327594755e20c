#include "client/copier/region_store_access.h"

#include <string>

#include "base/status_macros.h"
#include "proto/cc/resource_name.h"

namespace crr {

absl::StatusOr<std::shared_ptr<ObjectStore>> RegionStoreAccess::Open(
    const v1::Lease::Endpoint& endpoint) {
  CRR_ASSIGN_OR_RETURN(std::shared_ptr<ObjectStore> store,
                       stores_.Open(endpoint.store(), /*create=*/false));
  return store;
}

absl::StatusOr<BucketInfo> RegionStoreAccess::PrepareBucket(
    const v1::Lease::Endpoint& endpoint) {
  CRR_ASSIGN_OR_RETURN(const std::string bucket,
                       ParseBucketName(endpoint.bucket()));
  CRR_ASSIGN_OR_RETURN(const std::shared_ptr<LocalStore> store,
                       stores_.Open(endpoint.store(), /*create=*/true));
  switch (endpoint.versioning()) {
    case v1::Bucket::UNVERSIONED:
      return store->EnsureBucket(bucket, BucketVersioning::kUnversioned);
    case v1::Bucket::ENABLED:
      return store->EnsureBucket(bucket, BucketVersioning::kEnabled);
    case v1::Bucket::SUSPENDED:
      return store->EnsureBucket(bucket, BucketVersioning::kSuspended);
    default:
      return absl::InvalidArgumentError("the lease names no versioning");
  }
}

}  // namespace crr
