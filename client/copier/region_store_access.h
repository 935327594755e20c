#ifndef CRR_CLIENT_COPIER_REGION_STORE_ACCESS_H_
#define CRR_CLIENT_COPIER_REGION_STORE_ACCESS_H_

#include <memory>

#include "client/access/region_stores.h"
#include "client/copier/store_access.h"

namespace crr {

// The stores below this process's own local roots. The registration of a bucket
// of a local store is what makes the bucket. Thread-safe.
class RegionStoreAccess final : public StoreAccess {
 public:
  // `stores` must outlive this object.
  explicit RegionStoreAccess(RegionStores& stores) : stores_(stores) {}

  absl::StatusOr<std::shared_ptr<ObjectStore>> Open(
      const v1::Lease::Endpoint& endpoint) override;
  absl::StatusOr<BucketInfo> PrepareBucket(
      const v1::Lease::Endpoint& endpoint) override;

 private:
  RegionStores& stores_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_REGION_STORE_ACCESS_H_
