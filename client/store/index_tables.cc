#include "client/store/index_tables.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/store/facts_codec.h"

namespace crr {
namespace {

using sqlite::Bool;
using sqlite::Bytes;
using sqlite::Int;
using sqlite::Null;
using sqlite::Row;
using sqlite::Rows;
using sqlite::Text;

BucketRow BucketOf(const Row& row) {
  return {.id = row.Int(0),
          .info = {.name = row.Text(1),
                   .identity = row.Text(2),
                   .versioning = static_cast<BucketVersioning>(row.Int(3))}};
}

// From the columns key, version_id, stamp, modified_us, size, etag, facts and
// mark, which come first.
absl::StatusOr<ObjectInfo> ObjectOf(const Row& row) {
  ObjectInfo object;
  object.key = row.Bytes(0);
  object.version_id = row.Text(1);
  object.stamp = row.Int(2);
  object.last_modified = absl::FromUnixMicros(row.Int(3));
  object.size = row.Int(4);
  object.etag = row.Text(5);
  CRR_ASSIGN_OR_RETURN(object.facts, DecodeFacts(row.Bytes(6)));
  if (!row.IsNull(7)) {
    CRR_ASSIGN_OR_RETURN(object.mark, DecodeMark(row.Bytes(7)));
  }
  return object;
}

}  // namespace

absl::StatusOr<int64_t> ReadEpoch(IndexConnection& db) {
  CRR_ASSIGN_OR_RETURN(const Rows rows, db.Query("SELECT epoch FROM meta"));
  if (rows.size() != 1) return absl::DataLossError("the index has no epoch");
  return rows[0].Int(0);
}

absl::Status RewriteMeta(IndexConnection& db) {
  // SQLite writes no page for an update that changes nothing.
  return db.ExecuteScript(
      "UPDATE meta SET epoch = epoch + 1; UPDATE meta SET epoch = epoch - 1");
}

absl::StatusOr<BucketRow> ReadBucket(IndexConnection& db,
                                     absl::string_view name) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT bucket_id, name, identity, versioning FROM buckets"
               " WHERE name = $1",
               {Text(name)}));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no bucket ", name));
  }
  return BucketOf(rows[0]);
}

absl::Status AddBucket(IndexConnection& db, const BucketInfo& bucket) {
  return db
      .Execute("INSERT INTO buckets (name, identity, versioning)"
               " VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
               {Text(bucket.name), Text(bucket.identity),
                Int(static_cast<int64_t>(bucket.versioning))})
      .status();
}

absl::StatusOr<std::vector<BucketInfo>> ReadBuckets(IndexConnection& db) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT bucket_id, name, identity, versioning FROM buckets"
               " ORDER BY name"));
  std::vector<BucketInfo> buckets;
  for (const Row& row : rows) buckets.push_back(BucketOf(row).info);
  return buckets;
}

absl::StatusOr<std::optional<ObjectRow>> ReadObject(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    absl::string_view key) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT key, version_id, stamp, modified_us, size, etag, facts,"
               " mark, is_marker, revision, inline_id, blob FROM objects"
               " WHERE bucket_id = $1 AND key = $2 AND is_current = 1",
               {Int(bucket_id), Bytes(key)}));
  if (rows.empty()) return std::optional<ObjectRow>();
  const Row& found = rows[0];
  ObjectRow row;
  row.state.stamp = found.Int(2);
  if (!found.Bool(8)) {
    CRR_ASSIGN_OR_RETURN(row.state.object, ObjectOf(found));
  }
  row.state.revision = found.Int(9);
  if (!found.IsNull(10)) row.inline_id = found.Int(10);
  if (!found.IsNull(11)) row.blob = found.Text(11);
  return std::optional<ObjectRow>(std::move(row));
}

absl::StatusOr<std::vector<ObjectInfo>> ReadObjects(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    const KeyRange& range,
                                                    int limit) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT key, version_id, stamp, modified_us, size, etag, facts,"
               " mark FROM objects"
               " WHERE bucket_id = $1 AND key >= $2 AND key < $3"
               " AND is_current = 1 AND is_marker = 0 ORDER BY key LIMIT $4",
               {Int(bucket_id), Bytes(range.first), Bytes(range.end),
                Int(limit)}));
  std::vector<ObjectInfo> objects;
  objects.reserve(rows.size());
  for (const Row& row : rows) {
    CRR_ASSIGN_OR_RETURN(ObjectInfo object, ObjectOf(row));
    objects.push_back(std::move(object));
  }
  return objects;
}

absl::Status StoreObject(IndexConnection& db, int64_t bucket_id,
                         absl::string_view key, const ObjectRow& row) {
  static const ObjectInfo kNone;
  const bool is_marker = !row.state.object.has_value();
  const ObjectInfo& object = is_marker ? kNone : *row.state.object;
  return db
      .Execute(
          "INSERT INTO objects (bucket_id, key, version_id, is_current,"
          " is_marker, revision, stamp, modified_us, size, etag, facts, mark,"
          " inline_id, blob)"
          " VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
          " ON CONFLICT (bucket_id, key, version_id) DO UPDATE SET"
          " is_current = 1, is_marker = excluded.is_marker,"
          " revision = excluded.revision, stamp = excluded.stamp,"
          " modified_us = excluded.modified_us, size = excluded.size,"
          " etag = excluded.etag, facts = excluded.facts,"
          " mark = excluded.mark, inline_id = excluded.inline_id,"
          " blob = excluded.blob",
          {Int(bucket_id), Bytes(key), Text(object.version_id),
           Bool(is_marker), Int(row.state.revision), Int(row.state.stamp),
           Int(absl::ToUnixMicros(object.last_modified)), Int(object.size),
           Text(object.etag), Bytes(EncodeFacts(object.facts)),
           object.mark.has_value() ? Bytes(EncodeMark(*object.mark)) : Null(),
           row.inline_id.has_value() ? Int(*row.inline_id) : Null(),
           row.blob.has_value() ? Text(*row.blob) : Null()})
      .status();
}

absl::StatusOr<bool> IsBlobReferred(IndexConnection& db,
                                    absl::string_view blob) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT 1 FROM objects WHERE blob = $1"
               " UNION ALL SELECT 1 FROM uploads WHERE upload_id = $1",
               {Text(blob)}));
  return !rows.empty();
}

absl::Status AddInlineBytes(IndexConnection& db, int64_t inline_id,
                            absl::string_view bytes) {
  return db
      .Execute("INSERT INTO inline_bytes (inline_id, bytes) VALUES ($1, $2)",
               {Int(inline_id), Bytes(bytes)})
      .status();
}

absl::Status RemoveInlineBytes(IndexConnection& db, int64_t inline_id) {
  return db
      .Execute("DELETE FROM inline_bytes WHERE inline_id = $1",
               {Int(inline_id)})
      .status();
}

absl::StatusOr<std::optional<std::string>> ReadInlineBytes(
    IndexConnection& db, int64_t inline_id) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT bytes FROM inline_bytes WHERE inline_id = $1",
               {Int(inline_id)}));
  if (rows.empty()) return std::optional<std::string>();
  return std::optional<std::string>(rows[0].Bytes(0));
}

absl::StatusOr<std::optional<AppliedRevision>> ReadApplied(
    IndexConnection& db, int64_t bucket_id, absl::string_view key) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT source_identity, revision FROM applied_revisions"
               " WHERE bucket_id = $1 AND key = $2",
               {Int(bucket_id), Bytes(key)}));
  if (rows.empty()) return std::optional<AppliedRevision>();
  return std::optional<AppliedRevision>(
      {.source_identity = rows[0].Text(0), .revision = rows[0].Int(1)});
}

absl::Status StoreApplied(IndexConnection& db, int64_t bucket_id,
                          absl::string_view key,
                          const AppliedRevision& applied) {
  return db
      .Execute("INSERT INTO applied_revisions"
               " (bucket_id, key, source_identity, revision)"
               " VALUES ($1, $2, $3, $4)"
               " ON CONFLICT (bucket_id, key) DO UPDATE SET"
               " source_identity = excluded.source_identity,"
               " revision = excluded.revision",
               {Int(bucket_id), Bytes(key), Text(applied.source_identity),
                Int(applied.revision)})
      .status();
}

absl::Status AddGarbage(IndexConnection& db, absl::string_view blob) {
  return db
      .Execute("INSERT INTO garbage (blob) VALUES ($1)"
               " ON CONFLICT (blob) DO NOTHING",
               {Text(blob)})
      .status();
}

absl::Status RemoveGarbage(IndexConnection& db, absl::string_view blob) {
  return db.Execute("DELETE FROM garbage WHERE blob = $1", {Text(blob)})
      .status();
}

absl::StatusOr<std::vector<std::string>> ReadGarbage(IndexConnection& db) {
  CRR_ASSIGN_OR_RETURN(const Rows rows, db.Query("SELECT blob FROM garbage"));
  std::vector<std::string> blobs;
  for (const Row& row : rows) blobs.push_back(row.Text(0));
  return blobs;
}

absl::StatusOr<int64_t> AddJournalEntry(IndexConnection& db,
                                        int64_t bucket_id,
                                        const JournalEntry& entry) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("INSERT INTO journal (bucket_id, key, version_id, kind, time_us,"
               " size, etag, is_replica)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING position",
               {Int(bucket_id), Bytes(entry.key), Text(entry.version_id),
                Int(static_cast<int64_t>(entry.kind)),
                Int(absl::ToUnixMicros(entry.time)), Int(entry.size),
                Text(entry.etag), Bool(entry.replica)}));
  return rows.at(0).Int(0);
}

absl::StatusOr<std::vector<JournalEntry>> ReadJournal(IndexConnection& db,
                                                      int64_t position,
                                                      int limit) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT position, name, key, version_id, kind, time_us, size,"
               " etag, is_replica FROM journal JOIN buckets USING (bucket_id)"
               " WHERE position > $1 ORDER BY position LIMIT $2",
               {Int(position), Int(limit)}));
  std::vector<JournalEntry> entries;
  entries.reserve(rows.size());
  for (const Row& row : rows) {
    entries.push_back({.position = row.Int(0),
                       .bucket = row.Text(1),
                       .key = row.Bytes(2),
                       .version_id = row.Text(3),
                       .kind = static_cast<JournalEntry::Kind>(row.Int(4)),
                       .time = absl::FromUnixMicros(row.Int(5)),
                       .size = row.Int(6),
                       .etag = row.Text(7),
                       .replica = row.Bool(8)});
  }
  return entries;
}

absl::StatusOr<JournalEnd> ReadJournalEnd(IndexConnection& db) {
  CRR_ASSIGN_OR_RETURN(
      const Rows rows,
      db.Query("SELECT position, time_us FROM journal"
               " ORDER BY position DESC LIMIT 1"));
  if (rows.empty()) return JournalEnd{.time = absl::UnixEpoch()};
  return JournalEnd{.position = rows[0].Int(0),
                    .time = absl::FromUnixMicros(rows[0].Int(1))};
}

}  // namespace crr
