#include "storage/object_work_table.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace crr::object_work_table {

using sqlite::Bool;
using sqlite::Bytes;
using sqlite::Int;
using sqlite::Null;
using sqlite::Row;
using sqlite::Text;
using sqlite::Value;

namespace {

constexpr char kSelect[] =
    "SELECT rule_uid, key, unit_id, generation, granted, changes, historical, "
    "repair, deletion, oldest_event_us, size_bytes, attempts, reason, message, "
    "first_failure_us, last_failure_us, upload_id, upload_etag, parts_most, "
    "failing_since_us FROM object_work ";

Value Time(const std::optional<absl::Time>& time) {
  return time ? Int(absl::ToUnixMicros(*time)) : Null();
}

ObjectWork FromRow(const Row& row) {
  ObjectWork work{.rule_uid = row.Int(0),
                  .key = row.Bytes(1),
                  .unit_id = std::nullopt,
                  .generation = row.Int(3),
                  .granted = row.Int(4),
                  .changes = row.Int(5),
                  .historical = row.Bool(6),
                  .repair = row.Bool(7),
                  .deletion = row.Bool(8),
                  .oldest_event = std::nullopt,
                  .size_bytes = row.Int(10),
                  .attempts = row.Int(11),
                  .reason = row.Text(12),
                  .message = row.Text(13),
                  .first_failure = absl::FromUnixMicros(row.Int(14)),
                  .last_failure = absl::FromUnixMicros(row.Int(15)),
                  .failing_since = std::nullopt,
                  .upload_id = row.Text(16),
                  .upload_etag = row.Text(17),
                  .parts_most = row.Int(18)};
  if (!row.IsNull(2)) work.unit_id = row.Int(2);
  if (!row.IsNull(9)) work.oldest_event = absl::FromUnixMicros(row.Int(9));
  if (!row.IsNull(19)) work.failing_since = absl::FromUnixMicros(row.Int(19));
  return work;
}

// Whether `work`, one of the filter's keys, fits the rest of it.
bool Fits(const ObjectWork& work, const ObjectWorkFilter& filter) {
  return absl::StartsWith(work.key, filter.prefix) &&
         (filter.reason.empty() || work.reason == filter.reason) &&
         (!filter.first_failure_until ||
          work.first_failure <= *filter.first_failure_until) &&
         (!filter.dead || *filter.dead == !work.unit_id.has_value()) &&
         (!filter.failing || *filter.failing == work.failing_since.has_value());
}

bool Any(ReadTransaction& txn, absl::string_view where, int64_t rule_uid) {
  return txn
      .QueryOne(absl::StrCat("SELECT 1 FROM object_work WHERE rule_uid = $1 ",
                             where, " LIMIT 1"),
                {Int(rule_uid)})
      .has_value();
}

}  // namespace

std::optional<ObjectWork> Get(ReadTransaction& txn, int64_t rule_uid,
                              absl::string_view key) {
  const auto row =
      txn.QueryOne(absl::StrCat(kSelect, "WHERE rule_uid = $1 AND key = $2"),
                   {Int(rule_uid), Bytes(key)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::optional<ObjectWork> OfUnit(ReadTransaction& txn, int64_t unit_id) {
  const auto row = txn.QueryOne(absl::StrCat(kSelect, "WHERE unit_id = $1"),
                                {Int(unit_id)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

void Put(Transaction& txn, const ObjectWork& work) {
  txn.Execute(
      "INSERT INTO object_work (rule_uid, key, unit_id, generation, granted, "
      "changes, historical, repair, deletion, oldest_event_us, size_bytes, "
      "attempts, reason, message, first_failure_us, last_failure_us, "
      "upload_id, upload_etag, parts_most, failing_since_us) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
      "$15, $16, $17, $18, $19, $20) "
      "ON CONFLICT (rule_uid, key) DO UPDATE SET "
      "unit_id = excluded.unit_id, generation = excluded.generation, "
      "granted = excluded.granted, changes = excluded.changes, "
      "historical = excluded.historical, repair = excluded.repair, "
      "deletion = excluded.deletion, "
      "oldest_event_us = excluded.oldest_event_us, "
      "size_bytes = excluded.size_bytes, attempts = excluded.attempts, "
      "reason = excluded.reason, message = excluded.message, "
      "first_failure_us = excluded.first_failure_us, "
      "last_failure_us = excluded.last_failure_us, "
      "upload_id = excluded.upload_id, upload_etag = excluded.upload_etag, "
      "parts_most = excluded.parts_most, "
      "failing_since_us = excluded.failing_since_us",
      {Int(work.rule_uid), Bytes(work.key),
       work.unit_id ? Int(*work.unit_id) : Null(), Int(work.generation),
       Int(work.granted), Int(work.changes), Bool(work.historical),
       Bool(work.repair), Bool(work.deletion), Time(work.oldest_event),
       Int(work.size_bytes), Int(work.attempts), Text(work.reason),
       Text(work.message), Int(absl::ToUnixMicros(work.first_failure)),
       Int(absl::ToUnixMicros(work.last_failure)), Text(work.upload_id),
       Text(work.upload_etag), Int(work.parts_most),
       Time(work.failing_since)});
}

void Delete(Transaction& txn, int64_t rule_uid, absl::string_view key) {
  txn.Execute("DELETE FROM object_work WHERE rule_uid = $1 AND key = $2",
              {Int(rule_uid), Bytes(key)});
}

std::vector<ObjectWork> List(ReadTransaction& txn, int64_t rule_uid,
                             const ObjectWorkFilter& filter,
                             absl::string_view after, int limit) {
  std::vector<ObjectWork> list;
  if (!filter.keys.empty()) {
    for (const std::string& key :
         std::set<std::string>(filter.keys.begin(), filter.keys.end())) {
      if (key <= after) continue;
      if (static_cast<int>(list.size()) == limit) break;
      const auto work = Get(txn, rule_uid, key);
      if (work && Fits(*work, filter)) list.push_back(*work);
    }
    return list;
  }
  static const std::string sql = absl::StrCat(
      kSelect,
      "WHERE rule_uid = $1 AND key > $2 "
      "AND substr(key, 1, length($3)) = $3 "
      "AND ($4 = '' OR reason = $4) "
      "AND ($5 IS NULL OR first_failure_us <= $5) "
      "AND ($6 IS NULL OR (unit_id IS NULL) = $6) "
      "AND ($7 IS NULL OR (failing_since_us IS NOT NULL) = $7) "
      "ORDER BY key LIMIT $8");
  for (const Row& row : txn.Query(
           sql, {Int(rule_uid), Bytes(after), Bytes(filter.prefix),
                 Text(filter.reason), Time(filter.first_failure_until),
                 filter.dead ? Bool(*filter.dead) : Null(),
                 filter.failing ? Bool(*filter.failing) : Null(), Int(limit)})) {
    list.push_back(FromRow(row));
  }
  return list;
}

ObjectWorkTotals Totals(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT count(unit_id), count(*) - count(unit_id), "
      "coalesce(sum(CASE WHEN unit_id IS NULL THEN 0 ELSE changes END), 0), "
      "coalesce(sum(CASE WHEN unit_id IS NULL THEN changes ELSE 0 END), 0), "
      "coalesce(sum(historical), 0), coalesce(sum(repair), 0) "
      "FROM object_work WHERE rule_uid = $1",
      {Int(rule_uid)});
  if (!row) return {};
  return {.retrying = row->Int(0),
          .dead = row->Int(1),
          .pending = row->Int(2),
          .failed = row->Int(3),
          .historical = row->Int(4),
          .repair = row->Int(5)};
}

std::optional<ObjectWork> OldestPending(ReadTransaction& txn,
                                        int64_t rule_uid) {
  const auto row = txn.QueryOne(
      absl::StrCat(kSelect,
                   "WHERE rule_uid = $1 AND oldest_event_us IS NOT NULL "
                   "AND unit_id IS NOT NULL ORDER BY oldest_event_us LIMIT 1"),
      {Int(rule_uid)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::optional<absl::Time> OldestEvent(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT oldest_event_us FROM object_work WHERE rule_uid = $1 "
      "AND oldest_event_us IS NOT NULL ORDER BY oldest_event_us LIMIT 1",
      {Int(rule_uid)});
  if (!row) return std::nullopt;
  return absl::FromUnixMicros(row->Int(0));
}

bool HasHistorical(ReadTransaction& txn, int64_t rule_uid) {
  return Any(txn, "AND historical = 1", rule_uid);
}

bool HasRepair(ReadTransaction& txn, int64_t rule_uid) {
  return Any(txn, "AND repair = 1", rule_uid);
}

bool HasAny(ReadTransaction& txn, int64_t rule_uid) {
  return Any(txn, "", rule_uid);
}

DeadLetters Dead(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT count(*), coalesce(min(last_failure_us), 0) FROM object_work "
      "WHERE rule_uid = $1 AND unit_id IS NULL",
      {Int(rule_uid)});
  if (!row) return {};
  return {.count = row->Int(0), .since = absl::FromUnixMicros(row->Int(1))};
}

int64_t Count(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT count(*) FROM object_work WHERE rule_uid = $1", {Int(rule_uid)});
  return row ? row->Int(0) : 0;
}

absl::Time Newest(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT coalesce(max(first_failure_us), 0) FROM object_work "
      "WHERE rule_uid = $1",
      {Int(rule_uid)});
  return absl::FromUnixMicros(row ? row->Int(0) : 0);
}

std::vector<int64_t> Rules(ReadTransaction& txn) {
  std::vector<int64_t> uids;
  // From one rule to the next, past all rows of each.
  for (const Row& row : txn.Query(
           "WITH RECURSIVE found (uid) AS ("
           "SELECT min(rule_uid) FROM object_work UNION ALL "
           "SELECT (SELECT min(rule_uid) FROM object_work "
           "WHERE rule_uid > found.uid) FROM found "
           "WHERE found.uid IS NOT NULL) "
           "SELECT uid FROM found WHERE uid IS NOT NULL")) {
    uids.push_back(row.Int(0));
  }
  return uids;
}

void ForgetDeletions(Transaction& txn) {
  txn.Execute(
      "UPDATE object_work SET deletion = 0 WHERE rule_uid > 0 "
      "AND deletion = 1");
}

ObjectWorkCounts CountAll(ReadTransaction& txn) {
  const auto row = txn.QueryOne(
      "SELECT (SELECT count(*) FROM object_work WHERE unit_id IS NOT NULL), "
      "(SELECT count(*) FROM object_work WHERE unit_id IS NULL)");
  if (!row) return {};
  return {.retrying = row->Int(0), .dead = row->Int(1)};
}

}  // namespace crr::object_work_table
