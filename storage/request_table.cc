#include "storage/request_table.h"

namespace crr::request_table {

using sqlite::Bytes;
using sqlite::Int;
using sqlite::Text;

std::optional<StoredRequest> Get(ReadTransaction& txn, const RequestKey& key,
                                 absl::Time now) {
  const auto row = txn.QueryOne(
      "SELECT request_hash, response FROM requests WHERE caller = $1 "
      "AND method = $2 AND request_id = $3 AND expire_time_us > $4",
      {Text(key.caller), Text(key.method), Text(key.request_id),
       Int(absl::ToUnixMicros(now))});
  if (!row) return std::nullopt;
  return StoredRequest{.hash = row->Int(0), .response = row->Bytes(1)};
}

void Put(Transaction& txn, const RequestKey& key, const StoredRequest& request,
         absl::Time now, absl::Time expire_time) {
  // Two go for each that comes, so the table shrinks back by itself.
  txn.Execute(
      "DELETE FROM requests WHERE (caller, method, request_id) IN ("
      "SELECT caller, method, request_id FROM requests "
      "WHERE expire_time_us <= $1 ORDER BY expire_time_us LIMIT 2)",
      {Int(absl::ToUnixMicros(now))});
  txn.Execute(
      "INSERT INTO requests (caller, method, request_id, request_hash, "
      "response, expire_time_us) VALUES ($1, $2, $3, $4, $5, $6) "
      "ON CONFLICT (caller, method, request_id) DO UPDATE SET "
      "request_hash = excluded.request_hash, response = excluded.response, "
      "expire_time_us = excluded.expire_time_us",
      {Text(key.caller), Text(key.method), Text(key.request_id),
       Int(request.hash), Bytes(request.response),
       Int(absl::ToUnixMicros(expire_time))});
}

}  // namespace crr::request_table
