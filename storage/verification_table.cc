#include "storage/verification_table.h"

namespace crr::verification_table {

using sqlite::Bool;
using sqlite::Bytes;
using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

int64_t Start(Transaction& txn, int64_t rule_uid, VerificationCause cause,
              bool read_bytes, absl::Time now) {
  txn.Execute("DELETE FROM verification_differences WHERE rule_uid = $1",
              {Int(rule_uid)});
  txn.Execute("DELETE FROM verification_samples WHERE rule_uid = $1",
              {Int(rule_uid)});
  const auto row = txn.QueryOne(
      "INSERT INTO verifications (rule_uid, number, cause, read_bytes, "
      "start_time_us) VALUES ($1, 1, $2, $3, $4) "
      "ON CONFLICT (rule_uid) DO UPDATE SET number = verifications.number + 1, "
      "cause = excluded.cause, read_bytes = excluded.read_bytes, "
      "start_time_us = excluded.start_time_us, end_time_us = NULL, "
      "compared = 0, equal = 0 RETURNING number",
      {Int(rule_uid), Int(static_cast<int64_t>(cause)), Bool(read_bytes),
       Int(absl::ToUnixMicros(now))});
  return row ? row->Int(0) : 0;
}

std::optional<Verification> Get(ReadTransaction& txn, int64_t rule_uid) {
  const auto row = txn.QueryOne(
      "SELECT number, cause, read_bytes, start_time_us, end_time_us, compared, "
      "equal FROM verifications WHERE rule_uid = $1",
      {Int(rule_uid)});
  if (!row) return std::nullopt;
  Verification verification{
      .number = row->Int(0),
      .cause = static_cast<VerificationCause>(row->Int(1)),
      .read_bytes = row->Bool(2),
      .start_time = absl::FromUnixMicros(row->Int(3)),
      .end_time = std::nullopt,
      .compared = row->Int(5),
      .equal = row->Int(6),
      .differences = {},
      .samples = {}};
  if (!row->IsNull(4)) {
    verification.end_time = absl::FromUnixMicros(row->Int(4));
  }
  for (const Row& difference :
       txn.Query("SELECT reason, objects FROM verification_differences "
                 "WHERE rule_uid = $1",
                 {Int(rule_uid)})) {
    verification.differences[difference.Text(0)] = difference.Int(1);
  }
  for (const Row& sample :
       txn.Query("SELECT key, reason FROM verification_samples "
                 "WHERE rule_uid = $1 ORDER BY key",
                 {Int(rule_uid)})) {
    verification.samples.emplace_back(sample.Bytes(0), sample.Text(1));
  }
  return verification;
}

void Add(Transaction& txn, int64_t rule_uid, int64_t compared, int64_t equal,
         const std::map<std::string, int64_t>& differences,
         const std::vector<std::pair<std::string, std::string>>& samples,
         int samples_max) {
  txn.Execute(
      "UPDATE verifications SET compared = compared + $2, equal = equal + $3 "
      "WHERE rule_uid = $1",
      {Int(rule_uid), Int(compared), Int(equal)});
  for (const auto& [reason, objects] : differences) {
    txn.Execute(
        "INSERT INTO verification_differences (rule_uid, reason, objects) "
        "VALUES ($1, $2, $3) ON CONFLICT (rule_uid, reason) "
        "DO UPDATE SET objects = verification_differences.objects + "
        "excluded.objects",
        {Int(rule_uid), Text(reason), Int(objects)});
  }
  if (samples.empty()) return;
  for (const auto& [key, reason] : samples) {
    txn.Execute(
        "INSERT INTO verification_samples (rule_uid, key, reason) "
        "VALUES ($1, $2, $3) ON CONFLICT (rule_uid, key) "
        "DO UPDATE SET reason = excluded.reason",
        {Int(rule_uid), Bytes(key), Text(reason)});
  }
  txn.Execute(
      "DELETE FROM verification_samples WHERE rule_uid = $1 AND key NOT IN "
      "(SELECT key FROM verification_samples WHERE rule_uid = $1 "
      "ORDER BY key LIMIT $2)",
      {Int(rule_uid), Int(samples_max)});
}

void Finish(Transaction& txn, int64_t rule_uid, absl::Time now) {
  txn.Execute(
      "UPDATE verifications SET end_time_us = $2 WHERE rule_uid = $1",
      {Int(rule_uid), Int(absl::ToUnixMicros(now))});
}

}  // namespace crr::verification_table
