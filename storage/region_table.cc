#include "storage/region_table.h"

namespace crr::region_table {

using sqlite::Bool;
using sqlite::Int;
using sqlite::Null;
using sqlite::Row;
using sqlite::Text;

namespace {

constexpr char kColumns[] =
    "region, area, display_name, store_root, credentials, create_time_us, "
    "update_time_us";

Region FromRow(const Row& row) {
  Region region{.id = row.Text(0),
                .area = static_cast<Area>(row.Int(1)),
                .display_name = row.Text(2),
                .store_root = std::nullopt,
                .credentials = row.Text(4),
                .create_time = absl::FromUnixMicros(row.Int(5)),
                .update_time = absl::FromUnixMicros(row.Int(6))};
  if (!row.IsNull(3)) region.store_root = row.Text(3);
  return region;
}

std::vector<Region> FromRows(const sqlite::Rows& rows) {
  std::vector<Region> regions;
  for (const Row& row : rows) regions.push_back(FromRow(row));
  return regions;
}

}  // namespace

bool Insert(Transaction& txn, const Region& region) {
  return txn.Execute(
      "INSERT INTO regions (region, area, display_name, store_root, "
      "credentials, create_time_us, update_time_us) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (region) DO NOTHING",
      {Text(region.id), Int(static_cast<int64_t>(region.area)),
       Text(region.display_name),
       region.store_root ? Text(*region.store_root) : Null(),
       Text(region.credentials), Int(absl::ToUnixMicros(region.create_time)),
       Int(absl::ToUnixMicros(region.update_time))}) == 1;
}

std::optional<Region> Get(ReadTransaction& txn, absl::string_view id) {
  static const std::string sql =
      std::string("SELECT ") + kColumns + " FROM regions WHERE region = $1";
  const auto row = txn.QueryOne(sql, {Text(id)});
  if (!row) return std::nullopt;
  return FromRow(*row);
}

std::vector<Region> List(ReadTransaction& txn, absl::string_view after,
                         int limit) {
  static const std::string sql =
      std::string("SELECT ") + kColumns +
      " FROM regions WHERE region > $1 ORDER BY region LIMIT $2";
  return FromRows(txn.Query(sql, {Text(after), Int(limit)}));
}

bool HasPolicy(ReadTransaction& txn) {
  return txn.QueryOne("SELECT 1 FROM region_pair_policy").has_value();
}

void Update(Transaction& txn, const Region& region) {
  txn.Execute(
      "UPDATE regions SET store_root = $2, display_name = $3, "
      "credentials = $4, update_time_us = $5 WHERE region = $1",
      {Text(region.id), region.store_root ? Text(*region.store_root) : Null(),
       Text(region.display_name), Text(region.credentials),
       Int(absl::ToUnixMicros(region.update_time))});
}

void Delete(Transaction& txn, absl::string_view id) {
  txn.Execute("DELETE FROM regions WHERE region = $1", {Text(id)});
}

std::optional<std::string> AnyBucketOf(ReadTransaction& txn,
                                       absl::string_view id) {
  const auto row = txn.QueryOne(
      "SELECT bucket FROM buckets WHERE region = $1 ORDER BY bucket LIMIT 1",
      {Text(id)});
  if (!row) return std::nullopt;
  return row->Text(0);
}

void SetPolicy(Transaction& txn, const RegionPairPolicy& policy) {
  txn.Execute(
      "INSERT INTO region_pair_policy (id, profile, update_time_us) "
      "VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET "
      "profile = excluded.profile, update_time_us = excluded.update_time_us",
      {Text(policy.profile), Int(absl::ToUnixMicros(policy.update_time))});
  txn.Execute("DELETE FROM region_pair_entries");
  int64_t position = 0;
  for (const RegionPairEntry& entry : policy.entries) {
    txn.Execute(
        "INSERT INTO region_pair_entries (position, allow, source_kind, "
        "source, destination_kind, destination) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        {Int(position++), Bool(entry.allow),
         Int(static_cast<int64_t>(entry.source.kind)),
         Text(entry.source.value),
         Int(static_cast<int64_t>(entry.destination.kind)),
         Text(entry.destination.value)});
  }
}

RegionPairPolicy GetPolicy(ReadTransaction& txn) {
  RegionPairPolicy policy;
  if (const auto row = txn.QueryOne(
          "SELECT profile, update_time_us FROM region_pair_policy "
          "WHERE id = 1")) {
    policy.profile = row->Text(0);
    policy.update_time = absl::FromUnixMicros(row->Int(1));
  }
  for (const Row& row : txn.Query(
           "SELECT allow, source_kind, source, destination_kind, destination "
           "FROM region_pair_entries ORDER BY position")) {
    policy.entries.push_back(
        {.allow = row.Bool(0),
         .source = {static_cast<RegionPattern::Kind>(row.Int(1)), row.Text(2)},
         .destination = {static_cast<RegionPattern::Kind>(row.Int(3)),
                         row.Text(4)}});
  }
  return policy;
}

}  // namespace crr::region_table
