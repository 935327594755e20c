#ifndef CRR_STORAGE_TRANSACTION_H_
#define CRR_STORAGE_TRANSACTION_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sqlite/connection.h"

namespace crr {

// How a body sees the database. The first statement that fails fails the whole
// body: from then on every call does nothing and answers nothing, and Database
// reports that first error in place of the body's own answer. So table code
// needs no error paths, and a body never goes on from a failed statement, which
// PostgreSQL would not allow either. Valid only while the body runs.
class ReadTransaction {
 public:
  explicit ReadTransaction(sqlite::Connection& connection)
      : connection_(connection) {}
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

  // `$1` is bound to the first of `args` and so on.
  sqlite::Rows Query(absl::string_view sql,
                     const std::vector<sqlite::Value>& args = {}) {
    if (!status_.ok()) return {};
    auto rows = connection_.Query(sql, args);
    if (!rows.ok()) {
      status_ = std::move(rows).status();
      return {};
    }
    return *std::move(rows);
  }
  // The first row, if there is one.
  std::optional<sqlite::Row> QueryOne(
      absl::string_view sql, const std::vector<sqlite::Value>& args = {}) {
    sqlite::Rows rows = Query(sql, args);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  }

  const absl::Status& status() const { return status_; }

 protected:
  sqlite::Connection& connection_;
  absl::Status status_;
};

// A ReadTransaction that can also change rows.
class Transaction : public ReadTransaction {
 public:
  Transaction(sqlite::Connection& connection, int64_t group)
      : ReadTransaction(connection), group_(group) {}

  // Returns how many rows were changed.
  int64_t Execute(absl::string_view sql,
                  const std::vector<sqlite::Value>& args = {}) {
    if (!status_.ok()) return 0;
    const auto changed = connection_.Execute(sql, args);
    if (!changed.ok()) {
      status_ = changed.status();
      return 0;
    }
    return *changed;
  }

  // Names the commit that this body is part of: bodies with one group become
  // visible at once. Rows of the same group may still be added to.
  int64_t group() const { return group_; }

 private:
  const int64_t group_;
};

}  // namespace crr

#endif  // CRR_STORAGE_TRANSACTION_H_
