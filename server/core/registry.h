#ifndef CRR_SERVER_CORE_REGISTRY_H_
#define CRR_SERVER_CORE_REGISTRY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/refusal.h"
#include "server/core/work_events.h"
#include "storage/bucket_table.h"
#include "storage/region_table.h"
#include "storage/transaction.h"

namespace crr {

// Regions and buckets: what rules are made over.

// Loads the OSS catalogue and the default policy into a new database.
void SeedRegistry(Transaction& txn, absl::Time now);

// NOT_FOUND REGION_NOT_FOUND.
absl::StatusOr<Region> FindRegion(ReadTransaction& txn, const std::string& id,
                                  const std::string& field);
// NOT_FOUND BUCKET_NOT_FOUND.
absl::StatusOr<Bucket> FindBucket(ReadTransaction& txn, const std::string& id,
                                  const std::string& field);

struct RegionOutcome {
  Region region;
  bool replaced = false;  // Another store was set before.
  WorkEvents events;
};
// Sets a region's store and starts the rules that waited for it.
// FAILED_PRECONDITION REGION_IN_USE: a rule holds a bucket of the region, and
// another store is set.
absl::StatusOr<RegionOutcome> SetRegionStore(
    Transaction& txn, const Region& region,
    const std::optional<std::string>& root, absl::Time now);

// What stands against a new bucket; empty when it may be registered.
std::vector<Violation> ValidateBucket(ReadTransaction& txn,
                                      const Bucket& bucket,
                                      std::vector<Violation> found);
absl::StatusOr<Bucket> CreateBucket(Transaction& txn, const Bucket& bucket,
                                    std::vector<Violation> found);

}  // namespace crr

#endif  // CRR_SERVER_CORE_REGISTRY_H_
