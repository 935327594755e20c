#include "client/crrctl/buckets.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "proto/cc/resource_name.h"

namespace crr {
namespace {

BucketVersioning ToVersioning(v1::Bucket::Versioning versioning) {
  switch (versioning) {
    case v1::Bucket::ENABLED: return BucketVersioning::kEnabled;
    case v1::Bucket::SUSPENDED: return BucketVersioning::kSuspended;
    default: return BucketVersioning::kUnversioned;
  }
}

}  // namespace

absl::StatusOr<LocatedBucket> Buckets::Find(absl::string_view name) {
  CRR_ASSIGN_OR_RETURN(const v1::Bucket bucket, Lookup(name));
  CRR_ASSIGN_OR_RETURN(std::string id, ParseBucketName(bucket.name()));
  CRR_ASSIGN_OR_RETURN(auto store, Open(bucket, /*create=*/false));
  return LocatedBucket{.id = std::move(id), .store = std::move(store)};
}

absl::StatusOr<LocatedBucket> Buckets::FindOrMake(absl::string_view name) {
  CRR_ASSIGN_OR_RETURN(const v1::Bucket bucket, Lookup(name));
  CRR_ASSIGN_OR_RETURN(std::string id, ParseBucketName(bucket.name()));
  CRR_ASSIGN_OR_RETURN(auto store, Open(bucket, /*create=*/true));
  CRR_RETURN_IF_ERROR(
      store->EnsureBucket(id, ToVersioning(bucket.versioning())).status());
  return LocatedBucket{.id = std::move(id), .store = std::move(store)};
}

absl::StatusOr<v1::Bucket> Buckets::Lookup(absl::string_view name) {
  return control_.GetBucket(BucketName(absl::StripPrefix(name, "buckets/")));
}

absl::StatusOr<std::shared_ptr<LocalStore>> Buckets::Open(
    const v1::Bucket& bucket, bool create) {
  CRR_ASSIGN_OR_RETURN(const v1::Region region,
                       control_.GetRegion(bucket.region()));
  absl::StatusOr<std::shared_ptr<LocalStore>> store =
      stores_.Open(region.store(), create);
  if (store.ok()) return store;
  return absl::Status(store.status().code(),
                      absl::StrCat(bucket.region(), ": ",
                                   store.status().message()));
}

}  // namespace crr
