#ifndef CRR_STORAGE_REGION_TABLE_H_
#define CRR_STORAGE_REGION_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

enum class Area { kMainlandChina = 1, kOutsideMainlandChina = 2 };

struct Region {
  std::string id;
  Area area = Area::kOutsideMainlandChina;
  std::string display_name;
  std::optional<std::string> store_root;
  std::string credentials;
  absl::Time create_time;
  absl::Time update_time;
};

// One end of a policy entry: any region, those of an area, or one region.
struct RegionPattern {
  enum class Kind { kAny = 0, kArea = 1, kRegion = 2 };
  Kind kind = Kind::kAny;
  // The region's id; "1" or "2" for an area; empty for any.
  std::string value;
  friend bool operator==(const RegionPattern&, const RegionPattern&) = default;
};

struct RegionPairEntry {
  bool allow = false;
  RegionPattern source;
  RegionPattern destination;
  friend bool operator==(const RegionPairEntry&,
                         const RegionPairEntry&) = default;
};

// First match wins; no match refuses.
struct RegionPairPolicy {
  std::string profile;
  std::vector<RegionPairEntry> entries;
  absl::Time update_time;
};

namespace region_table {

// False, and nothing stored, when the id is taken.
bool Insert(Transaction& txn, const Region& region);
std::optional<Region> Get(ReadTransaction& txn, absl::string_view id);
// Regions after `after`, ordered by id.
std::vector<Region> List(ReadTransaction& txn, absl::string_view after,
                         int limit);
// Sets what users can change of a region, and its update time.
void Update(Transaction& txn, const Region& region);
void Delete(Transaction& txn, absl::string_view id);
// A bucket that is registered in the region, if any.
std::optional<std::string> AnyBucketOf(ReadTransaction& txn,
                                       absl::string_view id);

void SetPolicy(Transaction& txn, const RegionPairPolicy& policy);
RegionPairPolicy GetPolicy(ReadTransaction& txn);
// False in a new database only.
bool HasPolicy(ReadTransaction& txn);

}  // namespace region_table
}  // namespace crr

#endif  // CRR_STORAGE_REGION_TABLE_H_
