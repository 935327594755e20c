#include "server/core/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "server/core/names.h"
#include "server/core/region_catalogue.h"
#include "server/core/region_pair_policy.h"
#include "server/core/work.h"
#include "storage/rule_table.h"

namespace crr {

void SeedRegistry(Transaction& txn, absl::Time now) {
  if (!region_table::IsEmpty(txn)) return;
  for (const Region& region : OssRegions(now)) {
    region_table::Insert(txn, region);
  }
  const auto policy = PolicyOfProfile(kDefaultPolicyProfile);
  CRR_CHECK(policy.has_value());
  region_table::SetPolicy(txn, *policy);
}

absl::StatusOr<Region> FindRegion(ReadTransaction& txn, const std::string& id,
                                  const std::string& field) {
  auto region = region_table::Get(txn, id);
  if (region) return *std::move(region);
  return Refuse({.reason = "REGION_NOT_FOUND",
                 .field = field,
                 .subject = NameOfRegion(id),
                 .description =
                     absl::StrCat(NameOfRegion(id), " is not registered")});
}

absl::StatusOr<Bucket> FindBucket(ReadTransaction& txn, const std::string& id,
                                  const std::string& field) {
  auto bucket = bucket_table::Get(txn, id);
  if (bucket) return *std::move(bucket);
  return Refuse({.reason = "BUCKET_NOT_FOUND",
                 .field = field,
                 .subject = NameOfBucket(id),
                 .description =
                     absl::StrCat(NameOfBucket(id), " is not registered")});
}

absl::StatusOr<RegionOutcome> SetRegionStore(
    Transaction& txn, const Region& region,
    const std::optional<std::string>& root, absl::Time now) {
  RegionOutcome outcome{.region = region, .replaced = false, .events = {}};
  if (region.store_root == root) return outcome;
  // The first store of a region is what its rules wait for; a change of it
  // under a rule would make its revisions and identities meaningless.
  const auto held = bucket_table::PairedBucketOf(txn, region.id);
  if (region.store_root && held) {
    return Refuse(
        {.reason = "REGION_IN_USE",
         .field = "region.store",
         .subject = NameOfRegion(region.id),
         .description = absl::StrCat(NameOfBucket(*held),
                                     " of this region is held by a rule")});
  }
  region_table::SetStore(txn, region.id, root, now);
  outcome.replaced = region.store_root.has_value();
  outcome.region.store_root = root;
  outcome.region.update_time = now;
  for (const int64_t uid :
       rule_table::UidsInState(txn, RuleState::kStarting, region.id)) {
    outcome.events.Add(StartIfReady(txn, uid));
  }
  return outcome;
}

std::vector<Violation> ValidateBucket(ReadTransaction& txn,
                                      const Bucket& bucket,
                                      std::vector<Violation> found) {
  const auto add = [&](const absl::Status& status) {
    for (Violation& violation : ViolationsOf(status)) {
      found.push_back(std::move(violation));
    }
  };
  if (!bucket.region.empty()) {
    add(FindRegion(txn, bucket.region, "bucket.region").status());
  }
  if (!bucket.id.empty() && bucket_table::Get(txn, bucket.id)) {
    found.push_back({.reason = "BUCKET_ALREADY_EXISTS",
                     .field = "bucket_id",
                     .subject = NameOfBucket(bucket.id),
                     .description = absl::StrCat(NameOfBucket(bucket.id),
                                                 " is registered already")});
  }
  return found;
}

absl::StatusOr<Bucket> CreateBucket(Transaction& txn, const Bucket& bucket,
                                    std::vector<Violation> found) {
  CRR_RETURN_IF_ERROR(
      RefuseIfAny(ValidateBucket(txn, bucket, std::move(found))));
  bucket_table::Insert(txn, bucket);
  return bucket;
}

}  // namespace crr
