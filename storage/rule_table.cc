#include "storage/rule_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "storage/ledger_table.h"

namespace crr::rule_table {

using sqlite::Bool;
using sqlite::Bytes;
using sqlite::Int;
using sqlite::Null;
using sqlite::Row;
using sqlite::Text;
using sqlite::Value;

namespace {

constexpr char kSelect[] =
    "SELECT rule_uid, source, destination, rule_id, operations, historical, "
    "transfer, kms_replicate, kms_key, max_leases, max_bytes_per_second, "
    "state, source_identity, destination_identity, create_time_us, "
    "update_time_us, active_time_us, resync, resync_cause, resync_floor_us, "
    "first_partition, partitions, resync_since_us FROM rules ";

Rule FromRow(ReadTransaction& txn, const Row& row) {
  Rule rule{.uid = row.Int(0),
            .source = row.Text(1),
            .destination = row.Text(2),
            .id = row.Text(3),
            .prefixes = {},
            .operations = static_cast<Operations>(row.Int(4)),
            .historical = row.Bool(5),
            .transfer = static_cast<Transfer>(row.Int(6)),
            .kms_replicate = row.Bool(7),
            .kms_key = row.Text(8),
            .max_leases = row.Int(9),
            .max_bytes_per_second = row.Int(10),
            .labels = {},
            .state = static_cast<RuleState>(row.Int(11)),
            .source_identity = row.Text(12),
            .destination_identity = row.Text(13),
            .create_time = absl::FromUnixMicros(row.Int(14)),
            .update_time = absl::FromUnixMicros(row.Int(15)),
            .active_time = absl::FromUnixMicros(row.Int(16)),
            .resync = static_cast<Resync>(row.Int(17)),
            .restored = row.Int(18) == 3,
            .resync_floor = row.IsNull(19) ? absl::InfiniteFuture()
                                           : absl::FromUnixMicros(row.Int(19)),
            .resync_since = row.IsNull(22) ? absl::UnixEpoch()
                                           : absl::FromUnixMicros(row.Int(22)),
            .first_partition = row.Int(20),
            .partitions = row.Int(21)};
  for (const Row& prefix :
       txn.Query("SELECT prefix FROM rule_prefixes WHERE rule_uid = $1 "
                 "ORDER BY prefix",
                 {Int(rule.uid)})) {
    rule.prefixes.push_back(prefix.Bytes(0));
  }
  for (const Row& label :
       txn.Query("SELECT label, value FROM rule_labels WHERE rule_uid = $1 "
                 "ORDER BY label",
                 {Int(rule.uid)})) {
    rule.labels.emplace(label.Text(0), label.Text(1));
  }
  return rule;
}

void InsertLabels(Transaction& txn, const Rule& rule) {
  for (const auto& [label, value] : rule.labels) {
    txn.Execute(
        "INSERT INTO rule_labels (rule_uid, label, value) VALUES ($1, $2, $3)",
        {Int(rule.uid), Text(label), Text(value)});
  }
}

std::optional<Rule> GetWhere(ReadTransaction& txn, absl::string_view where,
                             const Value& value) {
  const auto row = txn.QueryOne(absl::StrCat(kSelect, where), {value});
  if (!row) return std::nullopt;
  return FromRow(txn, *row);
}

}  // namespace

void Insert(Transaction& txn, const Rule& rule) {
  txn.Execute(
      "INSERT INTO rules (rule_uid, source, destination, rule_id, operations, "
      "historical, transfer, kms_replicate, kms_key, max_leases, "
      "max_bytes_per_second, state, source_identity, destination_identity, "
      "next_sequence, next_token, create_time_us, update_time_us, "
      "active_time_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
      "$12, $13, $14, 1, 1, $15, $16, $17)",
      {Int(rule.uid), Text(rule.source), Text(rule.destination), Text(rule.id),
       Int(static_cast<int64_t>(rule.operations)), Bool(rule.historical),
       Int(static_cast<int64_t>(rule.transfer)), Bool(rule.kms_replicate),
       Text(rule.kms_key), Int(rule.max_leases),
       Int(rule.max_bytes_per_second), Int(static_cast<int64_t>(rule.state)),
       Text(rule.source_identity), Text(rule.destination_identity),
       Int(absl::ToUnixMicros(rule.create_time)),
       Int(absl::ToUnixMicros(rule.update_time)),
       Int(absl::ToUnixMicros(rule.active_time))});
  int64_t position = 0;
  for (const std::string& prefix : rule.prefixes) {
    txn.Execute(
        "INSERT INTO rule_prefixes (rule_uid, prefix, position) "
        "VALUES ($1, $2, $3)",
        {Int(rule.uid), Bytes(prefix), Int(position++)});
  }
  InsertLabels(txn, rule);
  txn.Execute("INSERT INTO rule_counters (rule_uid) VALUES ($1)",
              {Int(rule.uid)});
}

void Delete(Transaction& txn, int64_t uid) {
  txn.Execute("DELETE FROM rules WHERE rule_uid = $1", {Int(uid)});
}

std::optional<Rule> Get(ReadTransaction& txn, int64_t uid) {
  return GetWhere(txn, "WHERE rule_uid = $1", Int(uid));
}

std::optional<Rule> GetBySource(ReadTransaction& txn,
                                absl::string_view source) {
  return GetWhere(txn, "WHERE source = $1", Text(source));
}

std::vector<Rule> List(ReadTransaction& txn, const RuleFilter& filter,
                       absl::string_view after, int limit) {
  static const std::string sql = absl::StrCat(
      kSelect,
      "WHERE source || '/' > $1 AND ($2 IS NULL OR state = $2) "
      "AND ($3 IS NULL OR source = $3) AND ($4 IS NULL OR destination = $4) "
      "ORDER BY source || '/' LIMIT $5");
  const auto text = [](const std::optional<std::string>& value) {
    return value ? Text(*value) : Null();
  };
  std::vector<Rule> rules;
  for (const Row& row : txn.Query(
           sql, {Text(after),
                 filter.state ? Int(static_cast<int64_t>(*filter.state))
                              : Null(),
                 text(filter.source), text(filter.destination), Int(limit)})) {
    rules.push_back(FromRow(txn, row));
  }
  return rules;
}

std::vector<int64_t> UidsInState(ReadTransaction& txn, RuleState state,
                                 const std::optional<std::string>& region) {
  std::vector<int64_t> uids;
  CRR_CHECK(state != RuleState::kActive);
  // `state <> 2`: what the index says of itself.
  const sqlite::Rows rows =
      region ? txn.Query(
                   "SELECT r.rule_uid FROM rules r "
                   "JOIN buckets s ON s.bucket = r.source "
                   "JOIN buckets d ON d.bucket = r.destination "
                   "WHERE r.state <> 2 AND r.state = $1 "
                   "AND $2 IN (s.region, d.region) "
                   "ORDER BY r.rule_uid",
                   {Int(static_cast<int64_t>(state)), Text(*region)})
             : txn.Query(
                   "SELECT rule_uid FROM rules WHERE state <> 2 "
                   "AND state = $1 ORDER BY rule_uid",
                   {Int(static_cast<int64_t>(state))});
  for (const Row& row : rows) uids.push_back(row.Int(0));
  return uids;
}

void SetState(Transaction& txn, int64_t uid, RuleState state, absl::Time now) {
  txn.Execute(
      "UPDATE rules SET state = $2, update_time_us = $3 WHERE rule_uid = $1",
      {Int(uid), Int(static_cast<int64_t>(state)),
       Int(absl::ToUnixMicros(now))});
}

void Update(Transaction& txn, const Rule& rule) {
  txn.Execute(
      "UPDATE rules SET max_leases = $2, max_bytes_per_second = $3, "
      "update_time_us = $4 WHERE rule_uid = $1",
      {Int(rule.uid), Int(rule.max_leases), Int(rule.max_bytes_per_second),
       Int(absl::ToUnixMicros(rule.update_time))});
  txn.Execute("DELETE FROM rule_labels WHERE rule_uid = $1", {Int(rule.uid)});
  InsertLabels(txn, rule);
}

void SetActive(Transaction& txn, int64_t uid,
               absl::string_view source_identity,
               absl::string_view destination_identity, absl::Time now) {
  txn.Execute(
      "UPDATE rules SET state = 2, source_identity = $2, "
      "destination_identity = $3, update_time_us = $4, active_time_us = $4 "
      "WHERE rule_uid = $1",
      {Int(uid), Text(source_identity), Text(destination_identity),
       Int(absl::ToUnixMicros(now))});
}

void NeedResync(Transaction& txn, int64_t uid, absl::Time floor,
                absl::Time now) {
  txn.Execute(
      "UPDATE rules SET resync = 1, "
      "resync_cause = CASE WHEN resync = 0 THEN 2 ELSE resync_cause END, "
      "resync_floor_us = min(coalesce(resync_floor_us, $2), $2), "
      "resync_since_us = coalesce(resync_since_us, $3) WHERE rule_uid = $1",
      {Int(uid), Int(absl::ToUnixMicros(floor)),
       Int(absl::ToUnixMicros(now))});
}

int64_t MarkAllForResync(Transaction& txn, absl::Time now) {
  return txn.Execute(
      "UPDATE rules SET resync = 1, resync_cause = 3, resync_floor_us = 0, "
      "resync_since_us = $1 WHERE rule_uid > 0",
      {Int(absl::ToUnixMicros(now))});
}

void SetVerifying(Transaction& txn, int64_t uid) {
  txn.Execute("UPDATE rules SET resync = 2 WHERE rule_uid = $1", {Int(uid)});
}

void ClearResync(Transaction& txn, int64_t uid) {
  txn.Execute(
      "UPDATE rules SET resync = 0, resync_floor_us = NULL, "
      "resync_since_us = NULL WHERE rule_uid = $1",
      {Int(uid)});
}

std::vector<int64_t> UidsInResync(ReadTransaction& txn, Resync resync) {
  std::vector<int64_t> uids;
  for (const Row& row : txn.Query(
           "SELECT rule_uid FROM rules WHERE resync <> 0 AND resync = $1 "
           "ORDER BY rule_uid",
           {Int(static_cast<int64_t>(resync))})) {
    uids.push_back(row.Int(0));
  }
  return uids;
}

std::vector<int64_t> UidsWithLog(ReadTransaction& txn) {
  std::vector<int64_t> uids;
  for (const Row& row :
       txn.Query("SELECT rule_uid FROM rule_counters WHERE log_bytes > 0 "
                 "ORDER BY rule_uid")) {
    uids.push_back(row.Int(0));
  }
  return uids;
}

void SetPartitions(Transaction& txn, int64_t uid, int64_t first,
                   int64_t count) {
  txn.Execute(
      "UPDATE rules SET first_partition = $2, partitions = $3 "
      "WHERE rule_uid = $1",
      {Int(uid), Int(first), Int(count)});
  txn.Execute(
      "DELETE FROM rule_partitions WHERE rule_uid = $1 AND partition < $2",
      {Int(uid), Int(first)});
}

int64_t TakeSequences(Transaction& txn, int64_t uid, int64_t partition,
                      int64_t count) {
  const auto row =
      partition == 0
          ? txn.QueryOne(
                "UPDATE rules SET next_sequence = next_sequence + $2 "
                "WHERE rule_uid = $1 RETURNING next_sequence - $2",
                {Int(uid), Int(count)})
          : txn.QueryOne(
                "INSERT INTO rule_partitions (rule_uid, partition, "
                "next_sequence) VALUES ($1, $2, 1 + $3) "
                "ON CONFLICT (rule_uid, partition) DO UPDATE SET "
                "next_sequence = rule_partitions.next_sequence + $3 "
                "RETURNING next_sequence - $3",
                {Int(uid), Int(partition), Int(count)});
  return row ? row->Int(0) : 0;
}

int64_t TakeToken(Transaction& txn, int64_t uid) {
  const auto row = txn.QueryOne(
      "UPDATE rules SET next_token = next_token + 1 "
      "WHERE rule_uid = $1 RETURNING next_token - 1",
      {Int(uid)});
  return row ? row->Int(0) : 0;
}

void SkipTokens(Transaction& txn, int64_t at_least) {
  txn.Execute(
      "UPDATE rules SET next_token = max(next_token, $1) WHERE rule_uid > 0",
      {Int(at_least)});
}

void SetCondition(Transaction& txn, int64_t uid, const Condition& condition) {
  txn.Execute(
      "INSERT INTO rule_conditions (rule_uid, type, unit_id, message, "
      "since_us) VALUES ($1, $2, $3, $4, $5) "
      "ON CONFLICT (rule_uid, type, unit_id) "
      "DO UPDATE SET message = excluded.message",
      {Int(uid), Text(condition.type), Int(condition.unit_id),
       Text(condition.message), Int(absl::ToUnixMicros(condition.since))});
}

void ClearConditions(Transaction& txn, int64_t uid, int64_t unit_id) {
  txn.Execute(
      "DELETE FROM rule_conditions WHERE rule_uid = $1 AND unit_id = $2",
      {Int(uid), Int(unit_id)});
}

std::vector<Condition> GetConditions(ReadTransaction& txn, int64_t uid) {
  std::vector<Condition> conditions;
  for (const Row& row : txn.Query(
           "SELECT type, unit_id, message, since_us FROM rule_conditions "
           "WHERE rule_uid = $1 ORDER BY type, unit_id LIMIT 20",
           {Int(uid)})) {
    conditions.push_back({.type = row.Text(0),
                          .unit_id = row.Int(1),
                          .message = row.Text(2),
                          .since = absl::FromUnixMicros(row.Int(3))});
  }
  return conditions;
}

RuleCounters GetCounters(ReadTransaction& txn, int64_t uid) {
  const auto row = txn.QueryOne(
      "SELECT published, applied, collapsed, resync, apart, failed, log_bytes, "
      "inventory_complete, historical_total, historical_done, "
      "historical_skipped, historical_bytes, logged "
      "FROM rule_counters WHERE rule_uid = $1",
      {Int(uid)});
  if (!row) return {};
  return {.published = row->Int(0),
          .applied = row->Int(1),
          .collapsed = row->Int(2),
          .resync = row->Int(3),
          .apart = row->Int(4),
          .failed = row->Int(5),
          .logged = row->Int(12),
          .log_bytes = row->Int(6),
          .inventory_complete = row->Bool(7),
          .historical_total = row->Int(8),
          .historical_done = row->Int(9),
          .historical_skipped = row->Int(10),
          .historical_bytes = row->Int(11)};
}

void AddCounters(Transaction& txn, int64_t uid, const RuleCounters& delta) {
  txn.Execute(
      "UPDATE rule_counters SET published = published + $2, "
      "applied = applied + $3, collapsed = collapsed + $4, "
      "resync = resync + $5, apart = apart + $6, failed = failed + $7, "
      "log_bytes = log_bytes + $8, "
      "inventory_complete = max(inventory_complete, $9), "
      "historical_total = historical_total + $10, "
      "historical_done = historical_done + $11, "
      "historical_skipped = historical_skipped + $12, "
      "historical_bytes = historical_bytes + $13, "
      "logged = logged + $14 WHERE rule_uid = $1",
      {Int(uid), Int(delta.published), Int(delta.applied),
       Int(delta.collapsed), Int(delta.resync), Int(delta.apart),
       Int(delta.failed), Int(delta.log_bytes), Bool(delta.inventory_complete),
       Int(delta.historical_total), Int(delta.historical_done),
       Int(delta.historical_skipped), Int(delta.historical_bytes),
       Int(delta.logged)});
  ledger_table::Add(txn, "published", "", delta.published);
  ledger_table::Add(txn, "applied", "", delta.applied);
  ledger_table::Add(txn, "collapsed", "", delta.collapsed);
  ledger_table::Add(txn, "resync", "", delta.resync);
  ledger_table::Add(txn, "apart", "", delta.apart);
  ledger_table::Add(txn, "failed", "", delta.failed);
}

void SetImbalanced(Transaction& txn, int64_t uid, bool imbalanced) {
  txn.Execute("UPDATE rule_counters SET imbalanced = $2 WHERE rule_uid = $1",
              {Int(uid), Bool(imbalanced)});
}

bool IsImbalanced(ReadTransaction& txn, int64_t uid) {
  return txn
      .QueryOne(
          "SELECT 1 FROM rule_counters WHERE rule_uid = $1 AND imbalanced = 1",
          {Int(uid)})
      .has_value();
}

std::vector<int64_t> UidsImbalanced(ReadTransaction& txn) {
  std::vector<int64_t> uids;
  for (const Row& row : txn.Query(
           "SELECT rule_uid FROM rule_counters WHERE imbalanced = 1 "
           "ORDER BY rule_uid")) {
    uids.push_back(row.Int(0));
  }
  return uids;
}

void AddFiltered(Transaction& txn, int64_t uid,
                 const std::map<std::string, int64_t>& delta) {
  for (const auto& [reason, count] : delta) {
    if (count == 0) continue;
    txn.Execute(
        "INSERT INTO rule_filtered (rule_uid, reason, changes) "
        "VALUES ($1, $2, $3) ON CONFLICT (rule_uid, reason) "
        "DO UPDATE SET changes = rule_filtered.changes + excluded.changes",
        {Int(uid), Text(reason), Int(count)});
    ledger_table::Add(txn, "filtered", reason, count);
  }
}

std::map<std::string, int64_t> GetFiltered(ReadTransaction& txn, int64_t uid) {
  std::map<std::string, int64_t> filtered;
  for (const Row& row : txn.Query(
           "SELECT reason, changes FROM rule_filtered WHERE rule_uid = $1 "
           "ORDER BY reason",
           {Int(uid)})) {
    filtered.emplace(row.Text(0), row.Int(1));
  }
  return filtered;
}

}  // namespace crr::rule_table
