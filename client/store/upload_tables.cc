#include "client/store/upload_tables.h"

#include "base/status_macros.h"

namespace crr {

using sqlite::Bytes;
using sqlite::Int;
using sqlite::Row;
using sqlite::Rows;
using sqlite::Text;

absl::Status AddUpload(IndexConnection& db, const UploadRow& upload,
                       absl::Time now) {
  return db
      .Execute(
          "INSERT INTO uploads"
          " (upload_id, bucket_id, key, part_bytes, touched_us)"
          " VALUES ($1, $2, $3, $4, $5)",
          {Text(upload.id), Int(upload.bucket_id), Bytes(upload.key),
           Int(upload.part_bytes), Int(absl::ToUnixMicros(now))})
      .status();
}

absl::StatusOr<std::optional<UploadRow>> ReadUpload(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    absl::string_view key,
                                                    absl::string_view id) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT upload_id, bucket_id, key, part_bytes FROM uploads"
               " WHERE upload_id = $1 AND bucket_id = $2 AND key = $3",
               {Text(id), Int(bucket_id), Bytes(key)}));
  if (rows.empty()) return std::optional<UploadRow>();
  const Row& row = rows[0];
  return std::optional<UploadRow>({.id = row.Text(0),
                                   .bucket_id = row.Int(1),
                                   .key = row.Bytes(2),
                                   .part_bytes = row.Int(3)});
}

absl::StatusOr<bool> RemoveUpload(IndexConnection& db,
                                  absl::string_view id) {
  CRR_ASSIGN_OR_RETURN(
      const int64_t removed,
      db.Execute("DELETE FROM uploads WHERE upload_id = $1", {Text(id)}));
  return removed > 0;
}

absl::StatusOr<std::vector<std::string>> ReadUploadsBefore(IndexConnection& db,
                                                           absl::Time time,
                                                           int limit) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT upload_id FROM uploads WHERE touched_us < $1 LIMIT $2",
               {Int(absl::ToUnixMicros(time)), Int(limit)}));
  std::vector<std::string> ids;
  for (const Row& row : rows) ids.push_back(row.Text(0));
  return ids;
}

absl::StatusOr<bool> AddPart(IndexConnection& db, absl::string_view id,
                             int64_t number, int64_t bytes, absl::Time now) {
  CRR_ASSIGN_OR_RETURN(
      const int64_t found,
      db.Execute("UPDATE uploads SET touched_us = $2 WHERE upload_id = $1",
                 {Text(id), Int(absl::ToUnixMicros(now))}));
  if (found == 0) return false;
  CRR_RETURN_IF_ERROR(
      db.Execute("INSERT INTO upload_parts (upload_id, number, bytes)"
                 " VALUES ($1, $2, $3)"
                 " ON CONFLICT (upload_id, number) DO NOTHING",
                 {Text(id), Int(number), Int(bytes)})
          .status());
  return true;
}

absl::StatusOr<PartsExtent> ReadPartsExtent(IndexConnection& db,
                                            absl::string_view id) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT COALESCE(SUM(bytes), 0),"
               " COALESCE(MAX(number * part_bytes + bytes), 0)"
               " FROM upload_parts JOIN uploads USING (upload_id)"
               " WHERE upload_id = $1",
               {Text(id)}));
  return PartsExtent{.bytes = rows.at(0).Int(0), .end = rows.at(0).Int(1)};
}

}  // namespace crr
