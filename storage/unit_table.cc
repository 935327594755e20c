#include "storage/unit_table.h"

#include "absl/strings/str_cat.h"

namespace crr::unit_table {

using sqlite::Bytes;
using sqlite::Int;
using sqlite::Row;
using sqlite::Value;

namespace {

constexpr char kSelect[] =
    "SELECT unit_id, rule_uid, kind, partition, cursor_sequence, cursor_key, "
    "range_start, range_end, listed, visited, token, attempts "
    "FROM work_units ";

std::vector<Unit> Select(ReadTransaction& txn, absl::string_view where,
                         const std::vector<Value>& args) {
  std::vector<Unit> units;
  for (const Row& row : txn.Query(absl::StrCat(kSelect, where), args)) {
    units.push_back({.id = row.Int(0),
                     .rule_uid = row.Int(1),
                     .kind = static_cast<UnitKind>(row.Int(2)),
                     .partition = row.Int(3),
                     .cursor = {row.Int(4), row.Bytes(5)},
                     .range_start = row.Bytes(6),
                     .range_end = row.Bytes(7),
                     .listed = row.Int(8),
                     .visited = row.Int(9),
                     .token = row.Int(10),
                     .attempts = row.Int(11)});
  }
  return units;
}

std::optional<Unit> First(std::vector<Unit> units) {
  if (units.empty()) return std::nullopt;
  return std::move(units.front());
}

LeaseRecord LeaseFromRow(const Row& row) {
  return {.unit_id = row.Int(0),
          .session_number = row.Int(1),
          .token = row.Int(2)};
}

}  // namespace

void Insert(Transaction& txn, const Unit& unit) {
  txn.Execute(
      "INSERT INTO work_units (unit_id, rule_uid, kind, partition, "
      "cursor_sequence, cursor_key, range_start, range_end, listed) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {Int(unit.id), Int(unit.rule_uid), Int(static_cast<int64_t>(unit.kind)),
       Int(unit.partition), Int(unit.cursor.sequence), Bytes(unit.cursor.key),
       Bytes(unit.range_start), Bytes(unit.range_end), Int(unit.listed)});
}

std::optional<Unit> Get(ReadTransaction& txn, int64_t unit_id) {
  return First(Select(txn, "WHERE unit_id = $1", {Int(unit_id)}));
}

void Delete(Transaction& txn, int64_t unit_id) {
  txn.Execute("DELETE FROM work_units WHERE unit_id = $1", {Int(unit_id)});
}

std::vector<Unit> All(ReadTransaction& txn) {
  return Select(txn, "ORDER BY unit_id", {});
}

std::vector<Unit> OfRule(ReadTransaction& txn, int64_t rule_uid, int limit) {
  return Select(txn, "WHERE rule_uid = $1 ORDER BY unit_id LIMIT $2",
                {Int(rule_uid), Int(limit)});
}

std::vector<Unit> OfKind(ReadTransaction& txn, int64_t rule_uid, UnitKind kind,
                         int limit) {
  return Select(txn,
                "WHERE rule_uid = $1 AND kind = $2 ORDER BY unit_id LIMIT $3",
                {Int(rule_uid), Int(static_cast<int64_t>(kind)), Int(limit)});
}

std::optional<Unit> FindSingle(ReadTransaction& txn, int64_t rule_uid,
                               UnitKind kind, int64_t partition) {
  return First(
      Select(txn, "WHERE rule_uid = $1 AND kind = $2 AND partition = $3",
             {Int(rule_uid), Int(static_cast<int64_t>(kind)), Int(partition)}));
}

bool HasHistoricalWork(ReadTransaction& txn, int64_t rule_uid) {
  return txn
      .QueryOne(
          "SELECT 1 FROM work_units WHERE rule_uid = $1 "
          "AND (kind = 3 OR kind = 2 AND partition = 0) LIMIT 1",
          {Int(rule_uid)})
      .has_value();
}

bool HasKind(ReadTransaction& txn, int64_t rule_uid, UnitKind kind) {
  return txn
      .QueryOne(
          "SELECT 1 FROM work_units WHERE rule_uid = $1 AND kind = $2 LIMIT 1",
          {Int(rule_uid), Int(static_cast<int64_t>(kind))})
      .has_value();
}

void Progress(Transaction& txn, int64_t unit_id, const Cursor& cursor,
              int64_t visited) {
  txn.Execute(
      "UPDATE work_units SET cursor_sequence = $2, cursor_key = $3, "
      "visited = $4, attempts = 0 WHERE unit_id = $1",
      {Int(unit_id), Int(cursor.sequence), Bytes(cursor.key), Int(visited)});
}

void MoveCursor(Transaction& txn, int64_t unit_id, const Cursor& cursor) {
  txn.Execute(
      "UPDATE work_units SET cursor_sequence = $2, cursor_key = $3 "
      "WHERE unit_id = $1",
      {Int(unit_id), Int(cursor.sequence), Bytes(cursor.key)});
}

void TakeBackAttempt(Transaction& txn, int64_t unit_id) {
  txn.Execute(
      "UPDATE work_units SET attempts = max(0, attempts - 1) "
      "WHERE unit_id = $1",
      {Int(unit_id)});
}

void Grant(Transaction& txn, const LeaseRecord& lease, absl::Time now) {
  txn.Execute(
      "UPDATE work_units SET token = $2, attempts = attempts + 1 "
      "WHERE unit_id = $1",
      {Int(lease.unit_id), Int(lease.token)});
  txn.Execute(
      "INSERT INTO leases (unit_id, session_number, token, grant_time_us) "
      "VALUES ($1, $2, $3, $4)",
      {Int(lease.unit_id), Int(lease.session_number), Int(lease.token),
       Int(absl::ToUnixMicros(now))});
}

std::optional<LeaseRecord> GetLease(ReadTransaction& txn, int64_t unit_id) {
  const auto row = txn.QueryOne(
      "SELECT unit_id, session_number, token FROM leases WHERE unit_id = $1",
      {Int(unit_id)});
  if (!row) return std::nullopt;
  return LeaseFromRow(*row);
}

void EndLease(Transaction& txn, int64_t unit_id) {
  txn.Execute("DELETE FROM leases WHERE unit_id = $1", {Int(unit_id)});
}

std::vector<LeaseRecord> AllLeases(ReadTransaction& txn) {
  std::vector<LeaseRecord> leases;
  for (const Row& row : txn.Query(
           "SELECT unit_id, session_number, token FROM leases "
           "ORDER BY unit_id")) {
    leases.push_back(LeaseFromRow(row));
  }
  return leases;
}

std::vector<LeaseOverview> ListLeases(ReadTransaction& txn, int64_t after,
                                      absl::string_view copier,
                                      int64_t rule_uid, int limit) {
  std::vector<LeaseOverview> leases;
  for (const Row& row : txn.Query(
           "SELECT l.unit_id, l.session_number, l.token, s.copier, u.rule_uid, "
           "u.kind, u.attempts, l.grant_time_us FROM leases l "
           "JOIN work_units u ON u.unit_id = l.unit_id "
           "JOIN sessions s ON s.session_number = l.session_number "
           "WHERE l.unit_id > $1 AND ($2 = '' OR s.copier = $2) "
           "AND ($3 = 0 OR u.rule_uid = $3) ORDER BY l.unit_id LIMIT $4",
           {Int(after), sqlite::Text(copier), Int(rule_uid), Int(limit)})) {
    leases.push_back({.lease = LeaseFromRow(row),
                      .copier = row.Text(3),
                      .rule_uid = row.Int(4),
                      .kind = static_cast<UnitKind>(row.Int(5)),
                      .attempts = row.Int(6),
                      .grant_time = absl::FromUnixMicros(row.Int(7))});
  }
  return leases;
}

bool RuleHasLease(ReadTransaction& txn, int64_t rule_uid) {
  return txn
      .QueryOne(
          "SELECT 1 FROM leases l JOIN work_units u ON u.unit_id = l.unit_id "
          "WHERE u.rule_uid = $1 LIMIT 1",
          {Int(rule_uid)})
      .has_value();
}

}  // namespace crr::unit_table
