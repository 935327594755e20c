#include "storage/publisher_table.h"

namespace crr::publisher_table {

using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

namespace {

Publisher FromRow(const Row& row) {
  return {
      .id = row.Text(0),
      .scope = {static_cast<PublisherScope::Kind>(row.Int(1)), row.Text(2)},
      .epoch = row.Int(3),
      .last_number = row.Int(4),
      .attachment = row.Int(5),
      .create_time = absl::FromUnixMicros(row.Int(6))};
}

}  // namespace

std::optional<Publisher> Get(ReadTransaction& txn, absl::string_view id) {
  const auto row = txn.QueryOne(
      "SELECT publisher, scope_kind, scope, epoch, last_number, "
      "attachment, create_time_us FROM publishers WHERE publisher = $1",
      {Text(id)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::vector<Publisher> List(ReadTransaction& txn, absl::string_view after,
                            int limit) {
  std::vector<Publisher> publishers;
  for (const Row& row : txn.Query(
           "SELECT publisher, scope_kind, scope, epoch, last_number, "
           "attachment, create_time_us FROM publishers WHERE publisher > $1 "
           "ORDER BY publisher LIMIT $2",
           {Text(after), Int(limit)})) {
    publishers.push_back(FromRow(row));
  }
  return publishers;
}

void Delete(Transaction& txn, absl::string_view id) {
  txn.Execute("DELETE FROM publishers WHERE publisher = $1", {Text(id)});
}

int64_t Count(ReadTransaction& txn) {
  const auto row = txn.QueryOne("SELECT count(*) FROM publishers");
  return row ? row->Int(0) : 0;
}

std::vector<std::string> DeleteOf(Transaction& txn,
                                  const PublisherScope& scope) {
  std::vector<std::string> ids;
  for (const Row& row : txn.Query(
           "DELETE FROM publishers WHERE scope_kind = $1 AND scope = $2 "
           "RETURNING publisher",
           {Int(static_cast<int64_t>(scope.kind)), Text(scope.id)})) {
    ids.push_back(row.Text(0));
  }
  return ids;
}

std::optional<std::string> AnyOf(ReadTransaction& txn,
                                 const PublisherScope& scope) {
  const auto row = txn.QueryOne(
      "SELECT publisher FROM publishers WHERE scope_kind = $1 AND scope = $2 "
      "ORDER BY publisher LIMIT 1",
      {Int(static_cast<int64_t>(scope.kind)), Text(scope.id)});
  if (!row) return std::nullopt;
  return row->Text(0);
}

void Put(Transaction& txn, const Publisher& publisher, absl::Time now) {
  txn.Execute(
      "INSERT INTO publishers (publisher, scope_kind, scope, epoch, "
      "last_number, attachment, create_time_us) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7) "
      "ON CONFLICT (publisher) DO UPDATE SET scope_kind = excluded.scope_kind, "
      "scope = excluded.scope, epoch = excluded.epoch, "
      "last_number = excluded.last_number, attachment = excluded.attachment",
      {Text(publisher.id), Int(static_cast<int64_t>(publisher.scope.kind)),
       Text(publisher.scope.id), Int(publisher.epoch),
       Int(publisher.last_number), Int(publisher.attachment),
       Int(absl::ToUnixMicros(now))});
}

std::vector<Publisher> Covering(ReadTransaction& txn, absl::string_view bucket,
                                absl::string_view region) {
  std::vector<Publisher> publishers;
  for (const Row& row : txn.Query(
           "SELECT publisher, scope_kind, scope, epoch, last_number, "
           "attachment, create_time_us FROM publishers "
           "WHERE (scope_kind = 2 AND scope = $1) "
           "OR (scope_kind = 1 AND scope = $2) ORDER BY publisher",
           {Text(bucket), Text(region)})) {
    publishers.push_back(FromRow(row));
  }
  return publishers;
}

}  // namespace crr::publisher_table
