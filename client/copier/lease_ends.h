#ifndef CRR_CLIENT_COPIER_LEASE_ENDS_H_
#define CRR_CLIENT_COPIER_LEASE_ENDS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "client/copier/copy_key.h"
#include "client/copier/store_access.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// The two stores of a lease, and what is to be done between them.
struct LeaseEnds {
  std::shared_ptr<ObjectStore> source;
  std::shared_ptr<ObjectStore> destination;
  CopyRule rule;
};

// Opens both ends of `lease` and makes sure that they are what PROBE noted.
// Touches nothing. The reason (ReasonOf) of an error may be
// BUCKET_IDENTITY_CHANGED, STORE_CANNOT_FENCE, INVALID_LEASE, or the store's.
absl::StatusOr<LeaseEnds> OpenLeaseEnds(StoreAccess& access,
                                        const v1::Lease& lease);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_LEASE_ENDS_H_
