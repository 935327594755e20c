#include "storage/bucket_table.h"

namespace crr::bucket_table {

using sqlite::Bool;
using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

namespace {

Bucket FromRow(const Row& row) {
  return {.id = row.Text(0),
          .region = row.Text(1),
          .versioning = static_cast<Versioning>(row.Int(2)),
          .acceleration = row.Bool(3),
          .owner = row.Text(4),
          .create_time = absl::FromUnixMicros(row.Int(5)),
          .update_time = absl::FromUnixMicros(row.Int(6))};
}

std::optional<std::string> FirstText(const std::optional<Row>& row) {
  if (!row) return std::nullopt;
  return row->Text(0);
}

}  // namespace

bool Insert(Transaction& txn, const Bucket& bucket) {
  return txn.Execute(
             "INSERT INTO buckets (bucket, region, versioning, acceleration, "
             "owner, create_time_us, update_time_us) "
             "VALUES ($1, $2, $3, $4, $5, $6, $7) "
             "ON CONFLICT (bucket) DO NOTHING",
             {Text(bucket.id), Text(bucket.region),
              Int(static_cast<int64_t>(bucket.versioning)),
              Bool(bucket.acceleration), Text(bucket.owner),
              Int(absl::ToUnixMicros(bucket.create_time)),
              Int(absl::ToUnixMicros(bucket.update_time))}) == 1;
}

std::optional<Bucket> Get(ReadTransaction& txn, absl::string_view id) {
  const auto row = txn.QueryOne(
      "SELECT bucket, region, versioning, acceleration, owner, "
      "create_time_us, update_time_us FROM buckets WHERE bucket = $1",
      {Text(id)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::vector<Bucket> List(ReadTransaction& txn, absl::string_view after,
                         int limit) {
  std::vector<Bucket> buckets;
  for (const Row& row : txn.Query(
           "SELECT bucket, region, versioning, acceleration, owner, "
           "create_time_us, update_time_us FROM buckets "
           "WHERE bucket > $1 ORDER BY bucket LIMIT $2",
           {Text(after), Int(limit)})) {
    buckets.push_back(FromRow(row));
  }
  return buckets;
}

void SetAcceleration(Transaction& txn, absl::string_view id, absl::Time now) {
  txn.Execute(
      "UPDATE buckets SET acceleration = 1, update_time_us = $2 "
      "WHERE bucket = $1 AND acceleration = 0",
      {Text(id), Int(absl::ToUnixMicros(now))});
}

void Update(Transaction& txn, const Bucket& bucket) {
  txn.Execute(
      "UPDATE buckets SET versioning = $2, acceleration = $3, "
      "update_time_us = $4 WHERE bucket = $1",
      {Text(bucket.id), Int(static_cast<int64_t>(bucket.versioning)),
       Bool(bucket.acceleration), Int(absl::ToUnixMicros(bucket.update_time))});
}

void Delete(Transaction& txn, absl::string_view id) {
  txn.Execute("DELETE FROM buckets WHERE bucket = $1", {Text(id)});
}

std::optional<std::string> Partner(ReadTransaction& txn,
                                   absl::string_view bucket) {
  return FirstText(txn.QueryOne("SELECT peer FROM pairings WHERE bucket = $1",
                                {Text(bucket)}));
}

bool ClaimPair(Transaction& txn, absl::string_view a, absl::string_view b,
               Versioning versioning) {
  // Both directions in one statement: each row is the other's foreign key. A
  // bucket with another peer meets the WHERE and is not returned.
  return txn
             .Query(
                 "INSERT INTO pairings (bucket, peer, versioning) "
                 "VALUES ($1, $2, $3), ($2, $1, $3) "
                 "ON CONFLICT (bucket) DO UPDATE SET peer = excluded.peer "
                 "WHERE pairings.peer = excluded.peer RETURNING bucket",
                 {Text(a), Text(b), Int(static_cast<int64_t>(versioning))})
             .size() == 2;
}

void FreePair(Transaction& txn, absl::string_view a, absl::string_view b) {
  txn.Execute("DELETE FROM pairings WHERE bucket IN ($1, $2)",
              {Text(a), Text(b)});
}

std::optional<std::string> PairedBucketOf(ReadTransaction& txn,
                                          absl::string_view region) {
  return FirstText(txn.QueryOne(
      "SELECT b.bucket FROM buckets b JOIN pairings p ON p.bucket = b.bucket "
      "WHERE b.region = $1 ORDER BY b.bucket LIMIT 1",
      {Text(region)}));
}

}  // namespace crr::bucket_table
