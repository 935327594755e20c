#ifndef CRR_CLIENT_STORE_INDEX_CONNECTION_H_
#define CRR_CLIENT_STORE_INDEX_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"

namespace crr {

// What an error that is about the index as a whole is to the callers of its
// store: DATA_LOSS and INTERNAL become UNAVAILABLE, for no object is damaged by
// it and each may be fine once the index can be used again. Others stay.
absl::Status AsIndexError(const absl::Status& status);

// A connection to a store's index: that of storage/sqlite, whose errors come
// out as AsIndexError. Thread-compatible.
class IndexConnection {
 public:
  static absl::StatusOr<std::unique_ptr<IndexConnection>> Open(
      const std::string& path, const sqlite::OpenOptions& options);

  absl::StatusOr<sqlite::Rows> Query(
      absl::string_view sql, const std::vector<sqlite::Value>& args = {});
  absl::StatusOr<int64_t> Execute(
      absl::string_view sql, const std::vector<sqlite::Value>& args = {});
  absl::Status ExecuteScript(absl::string_view sql);
  bool InTransaction() const { return db_->InTransaction(); }
  // The status is SQLite's: UNAVAILABLE says that readers took too long.
  absl::StatusOr<int64_t> Checkpoint(
      std::optional<absl::Duration> truncate_wait) {
    return db_->Checkpoint(truncate_wait);
  }

 private:
  explicit IndexConnection(std::unique_ptr<sqlite::Connection> db)
      : db_(std::move(db)) {}

  const std::unique_ptr<sqlite::Connection> db_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_INDEX_CONNECTION_H_
