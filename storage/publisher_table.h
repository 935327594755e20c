#ifndef CRR_STORAGE_PUBLISHER_TABLE_H_
#define CRR_STORAGE_PUBLISHER_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

// What a publisher speaks for.
struct PublisherScope {
  enum class Kind { kRegion = 1, kBucket = 2 };
  Kind kind = Kind::kRegion;
  std::string id;
  friend auto operator<=>(const PublisherScope&,
                          const PublisherScope&) = default;
};

struct Publisher {
  std::string id;
  PublisherScope scope;
  int64_t epoch = 0;
  int64_t last_number = 0;  // Highest batch taken in this epoch.
  int64_t attachment = 0;   // Number of its newest stream.
  absl::Time create_time;
};

namespace publisher_table {

std::optional<Publisher> Get(ReadTransaction& txn, absl::string_view id);
void Put(Transaction& txn, const Publisher& publisher, absl::Time now);
// Publishers after `after`, ordered by id.
std::vector<Publisher> List(ReadTransaction& txn, absl::string_view after,
                            int limit);
void Delete(Transaction& txn, absl::string_view id);
// Those that speak for the scope itself; returns them.
std::vector<std::string> DeleteOf(Transaction& txn,
                                  const PublisherScope& scope);
int64_t Count(ReadTransaction& txn);
// A publisher that speaks for the scope itself, if any.
std::optional<std::string> AnyOf(ReadTransaction& txn,
                                 const PublisherScope& scope);
// Publishers that speak for a bucket, by itself or by its region.
std::vector<Publisher> Covering(ReadTransaction& txn, absl::string_view bucket,
                                absl::string_view region);

}  // namespace publisher_table
}  // namespace crr

#endif  // CRR_STORAGE_PUBLISHER_TABLE_H_
