#include "storage/session_table.h"

namespace crr::session_table {

using sqlite::Bool;
using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

namespace {

SessionRecord FromRow(const Row& row) {
  return {.number = row.Int(0),
          .copier = row.Text(1),
          .region = row.Text(2),
          .successor_of = row.Int(3),
          .draining = row.Bool(4)};
}

}  // namespace

void Insert(Transaction& txn, const SessionRecord& session, absl::Time now) {
  txn.Execute(
      "INSERT INTO sessions (session_number, copier, region, successor_of, "
      "start_time_us, draining) VALUES ($1, $2, $3, $4, $5, $6)",
      {Int(session.number), Text(session.copier), Text(session.region),
       Int(session.successor_of), Int(absl::ToUnixMicros(now)),
       Bool(session.draining)});
}

std::optional<SessionRecord> Newest(ReadTransaction& txn,
                                    absl::string_view copier) {
  const auto row = txn.QueryOne(
      "SELECT session_number, copier, region, successor_of, draining "
      "FROM sessions WHERE copier = $1 ORDER BY session_number DESC LIMIT 1",
      {Text(copier)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::vector<SessionRecord> All(ReadTransaction& txn) {
  std::vector<SessionRecord> sessions;
  for (const Row& row : txn.Query(
           "SELECT session_number, copier, region, successor_of, draining "
           "FROM sessions ORDER BY session_number")) {
    sessions.push_back(FromRow(row));
  }
  return sessions;
}

void SetDraining(Transaction& txn, int64_t number) {
  txn.Execute("UPDATE sessions SET draining = 1 WHERE session_number = $1",
              {Int(number)});
}

void DeleteSuperseded(Transaction& txn, absl::string_view copier) {
  txn.Execute(
      "DELETE FROM sessions WHERE copier = $1 AND session_number < "
      "(SELECT max(session_number) FROM sessions WHERE copier = $1) "
      "AND session_number NOT IN (SELECT session_number FROM leases)",
      {Text(copier)});
}

void DeleteIdle(Transaction& txn, int64_t number) {
  txn.Execute(
      "DELETE FROM sessions WHERE session_number = $1 "
      "AND NOT EXISTS (SELECT 1 FROM leases WHERE session_number = $1)",
      {Int(number)});
}

}  // namespace crr::session_table
