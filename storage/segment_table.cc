#include "storage/segment_table.h"

namespace crr::segment_table {

using sqlite::Bytes;
using sqlite::Int;
using sqlite::Row;

void Append(Transaction& txn, int64_t rule_uid, int64_t partition,
            const Segment& changes, int64_t bytes_max) {
  const auto size = static_cast<int64_t>(changes.changes.size());
  const sqlite::Value small =
      changes.oldest_small_event
          ? Int(absl::ToUnixMicros(*changes.oldest_small_event))
          : sqlite::Null();
  const int64_t joined = txn.Execute(
      "UPDATE change_segments SET last_sequence = $5, "
      "oldest_event_us = min(oldest_event_us, $6), "
      "oldest_small_event_us = coalesce("
      "min(oldest_small_event_us, $10), oldest_small_event_us, $10), "
      "bytes = bytes + $7, "
      "changes = CAST(changes || $8 AS BLOB) "
      "WHERE rule_uid = $1 AND partition = $2 AND last_sequence = $4 - 1 "
      "AND commit_group = $3 AND bytes + $7 <= $9",
      {Int(rule_uid), Int(partition), Int(txn.group()),
       Int(changes.first_sequence), Int(changes.last_sequence),
       Int(absl::ToUnixMicros(changes.oldest_event)), Int(size),
       Bytes(changes.changes), Int(bytes_max), small});
  if (joined == 1) return;
  txn.Execute(
      "INSERT INTO change_segments (rule_uid, partition, first_sequence, "
      "last_sequence, oldest_event_us, commit_group, bytes, changes, "
      "oldest_small_event_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {Int(rule_uid), Int(partition), Int(changes.first_sequence),
       Int(changes.last_sequence),
       Int(absl::ToUnixMicros(changes.oldest_event)), Int(txn.group()),
       Int(size), Bytes(changes.changes), small});
}

std::vector<Segment> Read(ReadTransaction& txn, int64_t rule_uid,
                          int64_t partition, int64_t after, int64_t bytes_max,
                          int64_t segments_max) {
  // One query a segment keeps memory bounded, however long the log is.
  std::vector<Segment> segments;
  while (static_cast<int64_t>(segments.size()) < segments_max) {
    auto next = First(txn, rule_uid, partition, after);
    if (!next) break;
    bytes_max -= static_cast<int64_t>(next->changes.size());
    if (bytes_max < 0) break;
    after = next->last_sequence;
    segments.push_back(*std::move(next));
  }
  return segments;
}

std::optional<Segment> First(ReadTransaction& txn, int64_t rule_uid,
                             int64_t partition, int64_t after) {
  const auto row = txn.QueryOne(
      "SELECT first_sequence, last_sequence, oldest_event_us, changes "
      "FROM change_segments WHERE rule_uid = $1 AND partition = $2 "
      "AND last_sequence > $3 ORDER BY last_sequence LIMIT 1",
      {Int(rule_uid), Int(partition), Int(after)});
  if (!row) return std::nullopt;
  return Segment{.first_sequence = row->Int(0),
                 .last_sequence = row->Int(1),
                 .oldest_event = absl::FromUnixMicros(row->Int(2)),
                 .changes = row->Bytes(3)};
}

int64_t DeleteThrough(Transaction& txn, int64_t rule_uid, int64_t partition,
                      int64_t cursor) {
  int64_t bytes = 0;
  for (const Row& row : txn.Query(
           "DELETE FROM change_segments WHERE rule_uid = $1 "
           "AND partition = $2 AND last_sequence <= $3 RETURNING bytes",
           {Int(rule_uid), Int(partition), Int(cursor)})) {
    bytes += row.Int(0);
  }
  return bytes;
}

PurgeResult Purge(Transaction& txn, int64_t rule_uid, int limit) {
  const sqlite::Rows rows = txn.Query(
      "DELETE FROM change_segments WHERE segment_id IN ("
      "SELECT segment_id FROM change_segments WHERE rule_uid = $1 LIMIT $2) "
      "RETURNING max(0, last_sequence - max(first_sequence - 1, coalesce("
      "(SELECT u.cursor_sequence FROM work_units u "
      "WHERE u.rule_uid = change_segments.rule_uid AND u.kind = 4 "
      "AND u.partition = change_segments.partition), 0))), bytes",
      {Int(rule_uid), Int(limit)});
  PurgeResult result{.changes = 0,
                     .bytes = 0,
                     .log_empty = static_cast<int64_t>(rows.size()) < limit};
  for (const Row& row : rows) {
    result.changes += row.Int(0);
    result.bytes += row.Int(1);
  }
  return result;
}

std::optional<int64_t> LowestPartition(ReadTransaction& txn,
                                       int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT partition FROM change_segments WHERE rule_uid = $1 "
      "ORDER BY partition LIMIT 1",
      {Int(rule_uid)});
  if (!row) return std::nullopt;
  return row->Int(0);
}

std::optional<int64_t> LastSequence(ReadTransaction& txn, int64_t rule_uid,
                                    int64_t partition) {
  const auto row = txn.QueryOne(
      "SELECT last_sequence FROM change_segments WHERE rule_uid = $1 "
      "AND partition = $2 ORDER BY last_sequence DESC LIMIT 1",
      {Int(rule_uid), Int(partition)});
  if (!row) return std::nullopt;
  return row->Int(0);
}

std::optional<int64_t> FirstSequence(ReadTransaction& txn, int64_t rule_uid,
                                     int64_t partition) {
  const auto row = txn.QueryOne(
      "SELECT first_sequence FROM change_segments WHERE rule_uid = $1 "
      "AND partition = $2 ORDER BY last_sequence LIMIT 1",
      {Int(rule_uid), Int(partition)});
  if (!row) return std::nullopt;
  return row->Int(0);
}

std::optional<absl::Time> OldestEventIn(ReadTransaction& txn, int64_t rule_uid,
                                        int64_t partition, int64_t from,
                                        int64_t to) {
  const auto row = txn.QueryOne(
      "SELECT min(oldest_event_us) FROM change_segments WHERE rule_uid = $1 "
      "AND partition = $2 AND last_sequence > $3 AND first_sequence <= $4",
      {Int(rule_uid), Int(partition), Int(from), Int(to)});
  if (!row || row->IsNull(0)) return std::nullopt;
  return absl::FromUnixMicros(row->Int(0));
}

std::optional<absl::Time> OldestEvent(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT oldest_event_us FROM change_segments WHERE rule_uid = $1 "
      "ORDER BY oldest_event_us LIMIT 1",
      {Int(rule_uid)});
  if (!row) return std::nullopt;
  return absl::FromUnixMicros(row->Int(0));
}

std::vector<StateTotal> Totals(ReadTransaction& txn) {
  std::vector<StateTotal> totals;
  for (const Row& row : txn.Query(
           "SELECT r.state, count(*), sum(c.logged), sum(c.log_bytes) "
           "FROM rule_counters c JOIN rules r ON r.rule_uid = c.rule_uid "
           "WHERE c.log_bytes > 0 GROUP BY r.state ORDER BY r.state")) {
    totals.push_back({.rule_state = row.Int(0),
                      .rules = row.Int(1),
                      .changes = row.Int(2),
                      .bytes = row.Int(3)});
  }
  return totals;
}

std::vector<OldestUnfinished> OldestOfRules(ReadTransaction& txn,
                                            absl::Time after, int limit) {
  std::vector<OldestUnfinished> rules;
  for (const Row& row : txn.Query(
           "SELECT rule_uid, min(oldest) FROM ("
           "SELECT c.rule_uid AS rule_uid, "
           "(SELECT min(s.oldest_event_us) FROM change_segments s "
           "WHERE s.rule_uid = c.rule_uid AND s.oldest_event_us > $1) "
           "AS oldest FROM rule_counters c WHERE c.log_bytes > 0 "
           "UNION ALL SELECT o.rule_uid, "
           "(SELECT min(w.oldest_event_us) FROM object_work w "
           "WHERE w.rule_uid = o.rule_uid AND w.oldest_event_us > $1) "
           "FROM rule_counters o WHERE o.apart + o.failed > 0 "
           "UNION ALL SELECT q.rule_uid, q.resync_floor_us FROM rules q "
           "WHERE q.resync <> 0 AND q.resync_floor_us > $1) AS unfinished "
           "WHERE oldest IS NOT NULL AND (SELECT r.state FROM rules r "
           "WHERE r.rule_uid = unfinished.rule_uid) IN (1, 2) "
           "GROUP BY rule_uid ORDER BY 2, rule_uid LIMIT $2",
           {Int(absl::ToUnixMicros(after)), Int(limit)})) {
    rules.push_back({.rule_uid = row.Int(0),
                     .oldest_event = absl::FromUnixMicros(row.Int(1))});
  }
  return rules;
}

std::optional<absl::Time> OldestSmallEvent(ReadTransaction& txn,
                                           absl::Time after,
                                           int64_t bytes_max) {
  const auto row = txn.QueryOne(
      "SELECT oldest FROM (SELECT c.rule_uid AS rule_uid, "
      "(SELECT min(s.oldest_small_event_us) FROM change_segments s "
      "WHERE s.rule_uid = c.rule_uid AND s.oldest_small_event_us > $1) "
      "AS oldest FROM rule_counters c WHERE c.log_bytes > 0 "
      "UNION ALL SELECT o.rule_uid, "
      "(SELECT w.oldest_event_us FROM object_work w "
      "WHERE w.rule_uid = o.rule_uid AND w.oldest_event_us > $1 "
      "AND w.size_bytes <= $2 ORDER BY w.oldest_event_us LIMIT 1) "
      "FROM rule_counters o WHERE o.apart + o.failed > 0 "
      "UNION ALL SELECT q.rule_uid, q.resync_floor_us FROM rules q "
      "WHERE q.resync <> 0 AND q.resync_floor_us > $1) AS unfinished "
      "WHERE oldest IS NOT NULL AND (SELECT r.state FROM rules r "
      "WHERE r.rule_uid = unfinished.rule_uid) IN (1, 2) "
      "ORDER BY oldest LIMIT 1",
      {Int(absl::ToUnixMicros(after)), Int(bytes_max)});
  if (!row) return std::nullopt;
  return absl::FromUnixMicros(row->Int(0));
}

std::vector<FullLog> FullestLogs(ReadTransaction& txn, int limit) {
  std::vector<FullLog> logs;
  for (const Row& row : txn.Query(
           "SELECT rule_uid, log_bytes FROM rule_counters WHERE log_bytes > 0 "
           "ORDER BY log_bytes DESC, rule_uid LIMIT $1",
           {Int(limit)})) {
    logs.push_back({.rule_uid = row.Int(0), .bytes = row.Int(1)});
  }
  return logs;
}

LogSummary Summarize(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT count(*), coalesce(sum(s.last_sequence - "
      "max(s.first_sequence - 1, coalesce(u.cursor_sequence, 0))), 0), "
      "coalesce(min(s.oldest_event_us), 0) FROM change_segments s "
      "LEFT JOIN work_units u ON u.rule_uid = s.rule_uid AND u.kind = 4 "
      "AND u.partition = s.partition WHERE s.rule_uid = $1 "
      "AND s.last_sequence > coalesce(u.cursor_sequence, 0)",
      {Int(rule_uid)});
  LogSummary summary;
  if (!row || row->Int(0) == 0) return summary;
  summary.pending = row->Int(1);
  summary.oldest_event = absl::FromUnixMicros(row->Int(2));
  return summary;
}

}  // namespace crr::segment_table
