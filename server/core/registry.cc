#include "server/core/registry.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "server/core/names.h"
#include "server/core/region_catalogue.h"
#include "server/core/region_pair_policy.h"
#include "server/core/work.h"
#include "storage/publisher_table.h"
#include "storage/rule_table.h"

namespace crr {

void SeedRegistry(Transaction& txn, absl::Time now) {
  if (region_table::HasPolicy(txn)) return;
  for (const Region& region : OssRegions(now)) {
    region_table::Insert(txn, region);
  }
  auto policy = PolicyOfProfile(kDefaultPolicyProfile);
  CRR_CHECK(policy.has_value());
  policy->update_time = now;
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

std::vector<Violation> ValidateRegion(ReadTransaction& txn,
                                      const Region& region,
                                      std::vector<Violation> found) {
  if (!region.id.empty() && region_table::Get(txn, region.id)) {
    found.push_back({.reason = "REGION_ALREADY_EXISTS",
                     .field = "region_id",
                     .subject = NameOfRegion(region.id),
                     .description = absl::StrCat(NameOfRegion(region.id),
                                                 " is registered already")});
  }
  return found;
}

absl::StatusOr<Region> CreateRegion(Transaction& txn, const Region& region,
                                    std::vector<Violation> found) {
  CRR_RETURN_IF_ERROR(
      RefuseIfAny(ValidateRegion(txn, region, std::move(found))));
  region_table::Insert(txn, region);
  return region;
}

absl::StatusOr<RegionOutcome> UpdateRegion(Transaction& txn, const Region& old,
                                           Region region,
                                           std::vector<Violation> found,
                                           absl::Time now) {
  RegionOutcome outcome{.region = old, .replaced = false, .events = {}};
  const bool new_store = region.store_root != old.store_root;
  if (new_store && old.store_root) {
    // The first store of a region is what its rules wait for; a change of it
    // under a rule would make its revisions and identities meaningless.
    if (const auto held = bucket_table::PairedBucketOf(txn, old.id)) {
      found.push_back({.reason = "REGION_IN_USE",
                       .field = "region.store",
                       .subject = NameOfRegion(old.id),
                       .description =
                           absl::StrCat(NameOfBucket(*held),
                                        " of this region is held by a rule")});
    }
  }
  CRR_RETURN_IF_ERROR(RefuseIfAny(std::move(found)));
  if (!new_store && region.display_name == old.display_name &&
      region.credentials == old.credentials) {
    return outcome;
  }
  region.update_time = now;
  region_table::Update(txn, region);
  outcome.replaced = new_store && old.store_root.has_value();
  if (new_store) {
    for (const int64_t uid :
         rule_table::UidsInState(txn, RuleState::kStarting, region.id)) {
      outcome.events.Add(StartIfReady(txn, uid));
    }
  }
  outcome.region = std::move(region);
  return outcome;
}

absl::Status DeleteRegion(Transaction& txn, const Region& region) {
  const auto refuse = [&](const std::string& what) {
    return Refuse({.reason = "REGION_IN_USE",
                   .field = "name",
                   .subject = NameOfRegion(region.id),
                   .description = what});
  };
  if (const auto bucket = region_table::AnyBucketOf(txn, region.id)) {
    return refuse(absl::StrCat(NameOfBucket(*bucket), " is in this region"));
  }
  if (const auto publisher = publisher_table::AnyOf(
          txn, {PublisherScope::Kind::kRegion, region.id})) {
    return refuse(
        absl::StrCat("publisher ", *publisher, " speaks for this region"));
  }
  region_table::Delete(txn, region.id);
  return absl::OkStatus();
}

absl::Status ReplacePolicy(Transaction& txn, const RegionPairPolicy& policy,
                           std::vector<Violation> found) {
  const auto check = [&](const RegionPattern& pattern,
                         const std::string& field) {
    // The value is empty when the request names no region in due form.
    if (pattern.kind != RegionPattern::Kind::kRegion || pattern.value.empty()) {
      return;
    }
    const auto region = FindRegion(txn, pattern.value, field);
    for (Violation& violation : ViolationsOf(region.status())) {
      found.push_back(std::move(violation));
    }
  };
  // A built-in profile may name regions that were deleted here: they match
  // nothing.
  const bool built_in = PolicyOfProfile(policy.profile).has_value();
  for (size_t i = 0; i < policy.entries.size() && !built_in; ++i) {
    const std::string entry =
        absl::StrCat("region_pair_policy.entries[", i, "]");
    check(policy.entries[i].source, entry + ".source");
    check(policy.entries[i].destination, entry + ".destination");
  }
  CRR_RETURN_IF_ERROR(RefuseIfAny(std::move(found)));
  region_table::SetPolicy(txn, policy);
  return absl::OkStatus();
}

std::vector<DestinationRegion> DestinationsOf(ReadTransaction& txn,
                                              const Region& source) {
  std::vector<DestinationRegion> destinations;
  const RegionPairPolicy policy = region_table::GetPolicy(txn);
  // A catalogue has tens of regions, not thousands.
  for (const Region& region :
       region_table::List(txn, "", std::numeric_limits<int>::max())) {
    if (region.id == source.id || !PolicyAllows(policy, source, region)) {
      continue;
    }
    destinations.push_back({region.id, NeedsAcceleration(source, region)});
  }
  return destinations;
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

namespace {

// The rule that stands between a bucket and its partner.
std::optional<Rule> HoldingRule(ReadTransaction& txn, const Bucket& bucket) {
  const auto partner = bucket_table::Partner(txn, bucket.id);
  if (!partner) return std::nullopt;
  if (auto outgoing = rule_table::GetBySource(txn, bucket.id)) return outgoing;
  return rule_table::GetBySource(txn, *partner);
}

Violation Held(const Bucket& bucket, const Rule& rule,
               const std::string& field, absl::string_view why) {
  const std::string name = NameOfRule(rule);
  return {.reason = "BUCKET_HELD_BY_RULE",
          .field = field,
          .subject = NameOfBucket(bucket.id),
          .description = absl::StrCat(name, " holds the bucket: ", why),
          .rule = name,
          .partner = NameOfBucket(rule.source == bucket.id ? rule.destination
                                                           : rule.source)};
}

}  // namespace

absl::StatusOr<Bucket> UpdateBucket(Transaction& txn, const Bucket& old,
                                    Bucket bucket,
                                    std::vector<Violation> found,
                                    absl::Time now) {
  const auto rule = HoldingRule(txn, old);
  if (rule && bucket.versioning != old.versioning) {
    found.push_back(
        Held(old, *rule, "bucket.versioning", "its versioning is frozen"));
  }
  if (rule && bucket.acceleration != old.acceleration) {
    found.push_back(Held(old, *rule, "bucket.transfer_acceleration",
                         "its transfer acceleration is frozen"));
  }
  CRR_RETURN_IF_ERROR(RefuseIfAny(std::move(found)));
  if (bucket.versioning == old.versioning &&
      bucket.acceleration == old.acceleration) {
    return old;
  }
  bucket.update_time = now;
  bucket_table::Update(txn, bucket);
  return bucket;
}

absl::StatusOr<std::vector<std::string>> DeleteBucket(Transaction& txn,
                                                      const Bucket& bucket) {
  if (const auto rule = HoldingRule(txn, bucket)) {
    return Refuse(Held(bucket, *rule, "name", "it cannot be forgotten"));
  }
  bucket_table::Delete(txn, bucket.id);
  return publisher_table::DeleteOf(txn,
                                   {PublisherScope::Kind::kBucket, bucket.id});
}

}  // namespace crr
