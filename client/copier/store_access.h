#ifndef CRR_CLIENT_COPIER_STORE_ACCESS_H_
#define CRR_CLIENT_COPIER_STORE_ACCESS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "client/store/object_store.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// How runners come to the stores that leases name. Thread-safe.
class StoreAccess {
 public:
  virtual ~StoreAccess() = default;

  // The store of one end of a lease.
  virtual absl::StatusOr<std::shared_ptr<ObjectStore>> Open(
      const v1::Lease::Endpoint& endpoint) = 0;
  // The bucket of one end, made first where its registration with the control
  // plane is what makes it.
  virtual absl::StatusOr<BucketInfo> PrepareBucket(
      const v1::Lease::Endpoint& endpoint) = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_STORE_ACCESS_H_
