#ifndef CRR_STORAGE_BUCKET_TABLE_H_
#define CRR_STORAGE_BUCKET_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

enum class Versioning { kUnversioned = 0, kEnabled = 1, kSuspended = 2 };

struct Bucket {
  std::string id;
  std::string region;
  Versioning versioning = Versioning::kUnversioned;
  bool acceleration = false;
  std::string owner;
  absl::Time create_time;
  absl::Time update_time;
};

namespace bucket_table {

// False, and nothing stored, when the name is taken.
bool Insert(Transaction& txn, const Bucket& bucket);
std::optional<Bucket> Get(ReadTransaction& txn, absl::string_view id);
// Buckets after `after`, ordered by id.
std::vector<Bucket> List(ReadTransaction& txn, absl::string_view after,
                         int limit);
void SetAcceleration(Transaction& txn, absl::string_view id, absl::Time now);
// Sets what users can change of a bucket, and its update time.
void Update(Transaction& txn, const Bucket& bucket);
void Delete(Transaction& txn, absl::string_view id);

// The one bucket that `bucket` is paired with, if any.
std::optional<std::string> Partner(ReadTransaction& txn,
                                   absl::string_view bucket);
// Pairs two buckets, or finds them paired already; false when either has
// another partner. Both have `versioning`.
bool ClaimPair(Transaction& txn, absl::string_view a, absl::string_view b,
               Versioning versioning);
// Frees both. Requires: no rule stands between them.
void FreePair(Transaction& txn, absl::string_view a, absl::string_view b);
// A bucket of the region that is paired, if any.
std::optional<std::string> PairedBucketOf(ReadTransaction& txn,
                                          absl::string_view region);

}  // namespace bucket_table
}  // namespace crr

#endif  // CRR_STORAGE_BUCKET_TABLE_H_
