#ifndef CRR_CLIENT_CRRCTL_BUCKETS_H_
#define CRR_CLIENT_CRRCTL_BUCKETS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/access/region_stores.h"
#include "client/crrctl/control.h"
#include "client/store/local_store.h"

namespace crr {

// A registered bucket and the store that its region has.
struct LocatedBucket {
  std::string id;
  std::shared_ptr<LocalStore> store;
};

// Finds the store of a bucket by what is registered with crr-server. Names are
// `buckets/{bucket}` or the bare id. Thread-compatible.
class Buckets {
 public:
  // The arguments must outlive this object.
  Buckets(Control& control, RegionStores& stores)
      : control_(control), stores_(stores) {}

  // The bucket itself may still be missing in the store.
  absl::StatusOr<LocatedBucket> Find(absl::string_view name);
  // Makes store and bucket where they are missing, with the versioning that is
  // registered.
  absl::StatusOr<LocatedBucket> FindOrMake(absl::string_view name);

 private:
  absl::StatusOr<v1::Bucket> Lookup(absl::string_view name);
  absl::StatusOr<std::shared_ptr<LocalStore>> Open(const v1::Bucket& bucket,
                                                   bool create);

  Control& control_;
  RegionStores& stores_;
};

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_BUCKETS_H_
