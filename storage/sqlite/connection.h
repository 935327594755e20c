#ifndef CRR_STORAGE_SQLITE_CONNECTION_H_
#define CRR_STORAGE_SQLITE_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace crr::sqlite {

// Bytes, as opposed to text.
struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};

// A value to bind or a column that was read. Text must be valid UTF-8.
using Value = std::variant<std::monostate, int64_t, std::string, Blob>;

inline Value Text(absl::string_view s) { return std::string(s); }
inline Value Bytes(absl::string_view s) { return Blob{std::string(s)}; }
inline Value Int(int64_t i) { return i; }
inline Value Bool(bool b) { return static_cast<int64_t>(b); }
inline Value Null() { return std::monostate{}; }

// One row of an answer. Asking a column for another type than it has ends the
// process: the schema is STRICT, so that is a bug.
class Row {
 public:
  explicit Row(std::vector<Value> values) : values_(std::move(values)) {}
  bool IsNull(size_t i) const {
    return std::holds_alternative<std::monostate>(values_.at(i));
  }
  int64_t Int(size_t i) const { return std::get<int64_t>(values_.at(i)); }
  bool Bool(size_t i) const { return Int(i) != 0; }
  const std::string& Text(size_t i) const {
    return std::get<std::string>(values_.at(i));
  }
  const std::string& Bytes(size_t i) const {
    return std::get<Blob>(values_.at(i)).bytes;
  }

 private:
  std::vector<Value> values_;
};

using Rows = std::vector<Row>;

struct OpenOptions {
  bool read_only = false;
  bool create = true;
  // How long a statement waits for another process's lock.
  absl::Duration busy_timeout = absl::Seconds(5);
};

// One SQLite connection with cached statements. The only way to SQLite in this
// project (with storage/sqlite/connection.cc, the one file that sees
// sqlite3.h). Thread-compatible.
//
// Statuses: RESOURCE_EXHAUSTED the disk is full; ALREADY_EXISTS a UNIQUE or
// PRIMARY KEY constraint; FAILED_PRECONDITION any other constraint; UNAVAILABLE
// another process holds a lock; DATA_LOSS corruption or an I/O error; INTERNAL
// the rest, such as a statement that does not parse.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(
      const std::string& path, const OpenOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one statement; `$1` is bound to the first of `args` and so on.
  // Returns its rows; none for a statement that has none.
  absl::StatusOr<Rows> Query(absl::string_view sql,
                             const std::vector<Value>& args = {});
  // Runs one statement; returns how many rows it changed.
  absl::StatusOr<int64_t> Execute(absl::string_view sql,
                                  const std::vector<Value>& args = {});
  // Runs many statements without parameters, such as a migration.
  absl::Status ExecuteScript(absl::string_view sql);

  // Whether a transaction is open. After SQLITE_FULL, SQLite may have rolled
  // the whole of it back by itself.
  bool InTransaction() const;

  // Writes the log back into the database as far as readers allow. With
  // `truncate_wait`, waits so long for them and empties the file; UNAVAILABLE
  // when they take longer. Returns the frames that are left in the log. Hold
  // whatever keeps other connections from committing: Debian 12's SQLite can
  // lose data otherwise.
  absl::StatusOr<int64_t> Checkpoint(
      std::optional<absl::Duration> truncate_wait);

 private:
  Connection(sqlite3* db, absl::Duration busy_timeout)
      : db_(db), busy_timeout_(busy_timeout) {}
  void Wait(absl::Duration at_most);
  absl::StatusOr<sqlite3_stmt*> Prepare(absl::string_view sql);
  absl::Status ErrorOf(int code, absl::string_view doing) const;

  sqlite3* const db_;
  const absl::Duration busy_timeout_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace crr::sqlite

#endif  // CRR_STORAGE_SQLITE_CONNECTION_H_
