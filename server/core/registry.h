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
// What stands against a new region; empty when it may be registered.
std::vector<Violation> ValidateRegion(ReadTransaction& txn,
                                      const Region& region,
                                      std::vector<Violation> found);
absl::StatusOr<Region> CreateRegion(Transaction& txn, const Region& region,
                                    std::vector<Violation> found);

// Gives `old` the values of `region`, and starts the rules that waited for its
// store. `found`: what is wrong already. FAILED_PRECONDITION REGION_IN_USE: a
// rule holds a bucket of the region, and another store is set.
absl::StatusOr<RegionOutcome> UpdateRegion(Transaction& txn, const Region& old,
                                           Region region,
                                           std::vector<Violation> found,
                                           absl::Time now);
// FAILED_PRECONDITION REGION_IN_USE: a bucket is registered in it, or a
// publisher speaks for it.
absl::Status DeleteRegion(Transaction& txn, const Region& region);

// Puts a policy in force. `found`: what is wrong already. NOT_FOUND
// REGION_NOT_FOUND: an entry names a region that is not registered.
absl::Status ReplacePolicy(Transaction& txn, const RegionPairPolicy& policy,
                           std::vector<Violation> found);

struct DestinationRegion {
  std::string region;
  bool accelerated = false;
};
// Where `source` may replicate to under the policy in force, ordered by id.
std::vector<DestinationRegion> DestinationsOf(ReadTransaction& txn,
                                              const Region& source);

// What stands against a new bucket; empty when it may be registered.
std::vector<Violation> ValidateBucket(ReadTransaction& txn,
                                      const Bucket& bucket,
                                      std::vector<Violation> found);
absl::StatusOr<Bucket> CreateBucket(Transaction& txn, const Bucket& bucket,
                                    std::vector<Violation> found);

// Gives `old` the values of `bucket`. `found`: what is wrong already.
// FAILED_PRECONDITION BUCKET_HELD_BY_RULE: a rule holds it (I3): versioning and
// acceleration are frozen.
absl::StatusOr<Bucket> UpdateBucket(Transaction& txn, const Bucket& old,
                                    Bucket bucket,
                                    std::vector<Violation> found,
                                    absl::Time now);
// Forgets the bucket, and the publishers that speak for it alone, which it
// returns: what they said is not said of the next bucket of that name.
// FAILED_PRECONDITION BUCKET_HELD_BY_RULE.
absl::StatusOr<std::vector<std::string>> DeleteBucket(Transaction& txn,
                                                      const Bucket& bucket);

}  // namespace crr

#endif  // CRR_SERVER_CORE_REGISTRY_H_
