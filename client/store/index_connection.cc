#include "client/store/index_connection.h"

#include "absl/strings/str_cat.h"

namespace crr {
namespace {

template <typename T>
absl::StatusOr<T> Mapped(absl::StatusOr<T> answer) {
  if (answer.ok()) return answer;
  return AsIndexError(answer.status());
}

}  // namespace

absl::Status AsIndexError(const absl::Status& status) {
  if (!absl::IsDataLoss(status) && !absl::IsInternal(status)) return status;
  return absl::UnavailableError(
      absl::StrCat("the store's index cannot be used: ", status.message()));
}

absl::StatusOr<std::unique_ptr<IndexConnection>> IndexConnection::Open(
    const std::string& path, const sqlite::OpenOptions& options) {
  absl::StatusOr<std::unique_ptr<sqlite::Connection>> db =
      sqlite::Connection::Open(path, options);
  if (!db.ok()) return AsIndexError(db.status());
  return std::unique_ptr<IndexConnection>(
      new IndexConnection(*std::move(db)));
}

absl::StatusOr<sqlite::Rows> IndexConnection::Query(
    absl::string_view sql, const std::vector<sqlite::Value>& args) {
  return Mapped(db_->Query(sql, args));
}

absl::StatusOr<int64_t> IndexConnection::Execute(
    absl::string_view sql, const std::vector<sqlite::Value>& args) {
  return Mapped(db_->Execute(sql, args));
}

absl::Status IndexConnection::ExecuteScript(absl::string_view sql) {
  return AsIndexError(db_->ExecuteScript(sql));
}

}  // namespace crr
