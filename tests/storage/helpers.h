#ifndef CRR_TESTS_STORAGE_HELPERS_H_
#define CRR_TESTS_STORAGE_HELPERS_H_

#include <latch>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/bucket_table.h"
#include "storage/database.h"
#include "storage/region_table.h"
#include "storage/rule_table.h"
#include "storage/server_table.h"

namespace crr::test {

using Nothing = std::monostate;

// Runs `body`, which returns a plain value or nothing, as one commit.
template <typename Body>
auto Write(Database& database, Body body) {
  using T = std::invoke_result_t<Body, Transaction&>;
  if constexpr (std::is_void_v<T>) {
    return database
        .WriteAndWait<Nothing>(
            [&](Transaction& txn) -> absl::StatusOr<Nothing> {
              body(txn);
              return Nothing();
            })
        .status();
  } else {
    return database.WriteAndWait<T>(
        [&](Transaction& txn) -> absl::StatusOr<T> { return body(txn); });
  }
}

// Runs `body`, which returns a plain value, on a snapshot.
template <typename Body>
auto Read(Database& database, Body body) {
  using T = std::invoke_result_t<Body, ReadTransaction&>;
  return database.ReadAndWait<T>(
      [&](ReadTransaction& txn) -> absl::StatusOr<T> { return body(txn); });
}

inline int64_t Count(Database& database, const std::string& from_where) {
  return Read(database,
              [&](ReadTransaction& txn) {
                return txn.QueryOne("SELECT count(*) FROM " + from_where)
                    ->Int(0);
              })
      .value();
}

// Keeps the writer inside a body, so that what is submitted meanwhile waits
// together. Released by Release or with this object.
class WriterBlock {
 public:
  explicit WriterBlock(Database& database) {
    database.Write<Nothing>(
        {},
        [this](Transaction&) -> absl::StatusOr<Nothing> {
          if (!entered_.try_wait()) entered_.count_down();
          released_.wait();
          return Nothing();
        },
        [this](const absl::StatusOr<Nothing>&) { done_.count_down(); });
    entered_.wait();
  }
  ~WriterBlock() {
    Release();
    done_.wait();
  }
  void Release() {
    if (!released_.try_wait()) released_.count_down();
  }

 private:
  std::latch entered_{1};
  std::latch released_{1};
  std::latch done_{1};
};

inline Region MakeRegion(const std::string& id) {
  return {.id = id,
          .area = Area::kMainlandChina,
          .display_name = id,
          .store_root = std::nullopt,
          .credentials = "",
          .create_time = absl::FromUnixSeconds(1),
          .update_time = absl::FromUnixSeconds(1)};
}

inline Bucket MakeBucket(const std::string& id,
                         Versioning versioning = Versioning::kUnversioned) {
  return {.id = id,
          .region = "r",
          .versioning = versioning,
          .acceleration = false,
          .owner = "acme",
          .create_time = absl::FromUnixSeconds(1),
          .update_time = absl::FromUnixSeconds(1)};
}

// Region "r" and these buckets in it.
inline void AddBuckets(Transaction& txn, const std::vector<std::string>& ids) {
  if (!region_table::Get(txn, "r")) region_table::Insert(txn, MakeRegion("r"));
  for (const std::string& id : ids) bucket_table::Insert(txn, MakeBucket(id));
}

inline Rule MakeRule(int64_t uid, const std::string& source,
                     const std::string& destination) {
  return {.uid = uid,
          .source = source,
          .destination = destination,
          .id = "rule",
          .prefixes = {},
          .operations = Operations::kAddDeleteChange,
          .historical = false,
          .transfer = Transfer::kStandard,
          .kms_key = "",
          .labels = {},
          .state = RuleState::kStarting,
          .source_identity = "",
          .destination_identity = "",
          .create_time = absl::FromUnixSeconds(1),
          .update_time = absl::FromUnixSeconds(1),
          .active_time = absl::UnixEpoch()};
}

// A rule between two new buckets; returns its uid.
inline int64_t AddRule(Transaction& txn, const std::string& source,
                       const std::string& destination) {
  AddBuckets(txn, {source, destination});
  bucket_table::ClaimPair(txn, source, destination, Versioning::kUnversioned);
  const int64_t uid = TakeRuleUid(txn);
  rule_table::Insert(txn, MakeRule(uid, source, destination));
  return uid;
}

}  // namespace crr::test

#endif  // CRR_TESTS_STORAGE_HELPERS_H_
