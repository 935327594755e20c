#include "storage/sqlite/connection.h"

#include <sqlite3.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace crr::sqlite {

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(
    const std::string& path, const OpenOptions& options) {
  int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (options.create && !options.read_only) flags |= SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Connection> connection(
      new Connection(db, options.busy_timeout));
  if (code != SQLITE_OK) {
    return connection->ErrorOf(code, absl::StrCat("open ", path));
  }
  sqlite3_extended_result_codes(db, 1);
  connection->Wait(options.busy_timeout);
  // A file from elsewhere must not be able to run code, and the last reader to
  // close must not checkpoint (see Checkpoint).
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  CRR_RETURN_IF_ERROR(connection->ExecuteScript(
      "PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;"
      "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0;"));
  return connection;
}

namespace {

// Which of the file system's answers an I/O error is about.
absl::string_view OperationOf(int code) {
  switch (code) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
      return "read";
    case SQLITE_IOERR_WRITE:
      return "write";
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
      return "fsync";
    case SQLITE_IOERR_TRUNCATE:
      return "truncate";
    default:
      return "use the file";
  }
}

}  // namespace

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::Status Connection::ErrorOf(int code, absl::string_view doing) const {
  std::string text =
      absl::StrCat("SQLite: ", doing, ": ",
                   db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_),
                   " (", code, ")");
  if ((code & 0xff) == SQLITE_IOERR && db_ != nullptr) {
    absl::StrAppend(&text, " to ", OperationOf(code), ": ",
                    strerror(sqlite3_system_errno(db_)));
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CONSTRAINT:
      return code == SQLITE_CONSTRAINT_UNIQUE ||
                     code == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? absl::AlreadyExistsError(text)
                 : absl::FailedPreconditionError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(text);
    case SQLITE_CORRUPT:
    case SQLITE_IOERR:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::StatusOr<sqlite3_stmt*> Connection::Prepare(absl::string_view sql) {
  const auto found = statements_.find(std::string(sql));
  if (found != statements_.end()) return found->second;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(),
                                      static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement,
                                      nullptr);
  if (code != SQLITE_OK) return ErrorOf(code, sql);
  statements_.emplace(std::string(sql), statement);
  return statement;
}

namespace {

// SQLite takes `$1` for a name and numbers names by first appearance.
int IndexOf(sqlite3_stmt* statement, size_t position) {
  return sqlite3_bind_parameter_index(
      statement, absl::StrCat("$", position + 1).c_str());
}

int BindOne(sqlite3_stmt* statement, int index, const Value& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *i);
  }
  // The arguments outlive the statement's run, so nothing is copied.
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, index, text->data(), text->size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<Blob>(&value)) {
    // A null pointer would bind NULL.
    return sqlite3_bind_blob64(statement, index,
                               blob->bytes.empty() ? "" : blob->bytes.data(),
                               blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, index);
}

Value ColumnOf(sqlite3_stmt* statement, int i) {
  const auto bytes = [&](const void* data) {
    return std::string(static_cast<const char*>(data),
                       static_cast<size_t>(sqlite3_column_bytes(statement, i)));
  };
  switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
      return static_cast<int64_t>(sqlite3_column_int64(statement, i));
    case SQLITE_TEXT:
      return bytes(sqlite3_column_text(statement, i));
    case SQLITE_BLOB: {
      const void* data = sqlite3_column_blob(statement, i);
      return Blob{data == nullptr ? std::string() : bytes(data)};
    }
    case SQLITE_NULL:
      return std::monostate{};
    default:
      CRR_CHECK(false && "no column is REAL");
      return std::monostate{};
  }
}

}  // namespace

absl::StatusOr<Rows> Connection::Query(absl::string_view sql,
                                       const std::vector<Value>& args) {
  CRR_ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
  struct Reset {
    ~Reset() {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
    sqlite3_stmt* statement;
  } reset{statement};
  for (size_t i = 0; i < args.size(); ++i) {
    const int index = IndexOf(statement, i);
    if (index == 0) {
      return absl::InternalError(absl::StrCat("no $", i + 1, " in ", sql));
    }
    if (const int code = BindOne(statement, index, args[i]);
        code != SQLITE_OK) {
      return ErrorOf(code, sql);
    }
  }
  Rows rows;
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    std::vector<Value> values;
    const int columns = sqlite3_column_count(statement);
    values.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) values.push_back(ColumnOf(statement, i));
    rows.emplace_back(std::move(values));
  }
  if (code != SQLITE_DONE) return ErrorOf(code, sql);
  return rows;
}

absl::StatusOr<int64_t> Connection::Execute(absl::string_view sql,
                                            const std::vector<Value>& args) {
  const int64_t before = sqlite3_total_changes64(db_);
  CRR_ASSIGN_OR_RETURN(const Rows rows, Query(sql, args));
  if (!rows.empty()) return static_cast<int64_t>(rows.size());
  // Not sqlite3_changes: that keeps the count of an earlier statement.
  return sqlite3_total_changes64(db_) == before ? 0 : sqlite3_changes64(db_);
}

absl::Status Connection::ExecuteScript(absl::string_view sql) {
  const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr,
                                nullptr);
  if (code != SQLITE_OK) return ErrorOf(code, "script");
  return absl::OkStatus();
}

bool Connection::InTransaction() const {
  return sqlite3_get_autocommit(db_) == 0;
}

void Connection::Wait(absl::Duration at_most) {
  sqlite3_busy_timeout(db_,
                       static_cast<int>(absl::ToInt64Milliseconds(at_most)));
}

absl::StatusOr<int64_t> Connection::Checkpoint(
    std::optional<absl::Duration> truncate_wait) {
  int log = 0;
  int done = 0;
  Wait(truncate_wait.value_or(busy_timeout_));
  const int code = sqlite3_wal_checkpoint_v2(
      db_, nullptr,
      truncate_wait ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
      &log, &done);
  Wait(busy_timeout_);
  if (code != SQLITE_OK) return ErrorOf(code, "checkpoint");
  return static_cast<int64_t>(log) - done;
}

}  // namespace crr::sqlite
