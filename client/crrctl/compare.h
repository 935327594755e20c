#ifndef CRR_CLIENT_CRRCTL_COMPARE_H_
#define CRR_CLIENT_CRRCTL_COMPARE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/crrctl/bytes.h"
#include "client/crrctl/folder_walk.h"
#include "client/store/object_store.h"

namespace crr {

// One side of a comparison: its objects in rising byte order of their keys.
// Thread-compatible.
class Side {
 public:
  virtual ~Side() = default;

  struct Item {
    std::string key;
    int64_t size = 0;
  };
  // The next object; nullopt at the end.
  virtual absl::StatusOr<std::optional<Item>> Next() = 0;
  // The bytes of an object. NOT_FOUND when it is gone by now.
  virtual absl::StatusOr<ByteSource> Read(absl::string_view key) = 0;
};

// A bucket; one that is missing in its store holds nothing.
std::unique_ptr<Side> BucketSide(std::shared_ptr<ObjectStore> store,
                                 std::string bucket);

// The regular files below a folder, as an import would take them. `skipped`
// must outlive the side.
absl::StatusOr<std::unique_ptr<Side>> FolderSide(std::string folder,
                                                 SkipList& skipped);

struct Comparison {
  struct Totals {
    int64_t objects = 0;
    int64_t bytes = 0;
  };
  Totals a;
  Totals b;
  int64_t differences = 0;
};

// Merges both sides and reads the bytes of what both have; sizes, hashes and
// times that a side merely tells prove nothing. Calls `report` with a line for
// each difference: "only in A: KEY", "only in B: KEY", "differs: KEY".
absl::StatusOr<Comparison> Compare(
    Side& a, Side& b, const std::function<void(absl::string_view)>& report);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_COMPARE_H_
