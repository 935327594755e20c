#include "client/store/index_schema.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/store/files.h"

namespace crr {
namespace {

constexpr int64_t kSchemaVersion = 1;

// Times are microseconds since 1970, UTC. Keys are BLOBs, so their order is
// that of their bytes. Kept true by the schema:
//   * a key has at most one current version     (objects_current)
//   * an object has its bytes in one place, and an absence has none   (CHECK)
//   * two objects never share a blob            (objects_blob)
//   * a number of the journal is never reused   (AUTOINCREMENT)
constexpr char kSchema[] = R"sql(
-- What this store is, in one row.
CREATE TABLE meta (
  row_id   INTEGER NOT NULL PRIMARY KEY CHECK (row_id = 1),
  identity TEXT    NOT NULL CHECK (length(identity) = 32),
  epoch    INTEGER NOT NULL CHECK (epoch > 0)  -- When it was made.
) STRICT;

CREATE TABLE buckets (
  bucket_id  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 3 AND 63),
  identity   TEXT    NOT NULL UNIQUE CHECK (length(identity) = 32),
  -- 0 unversioned, 1 enabled, 2 suspended.
  versioning INTEGER NOT NULL CHECK (versioning IN (0, 1, 2))
) STRICT;

-- Every operation, in the order in which they became visible.
CREATE TABLE journal (
  position   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  bucket_id  INTEGER NOT NULL REFERENCES buckets (bucket_id),
  key        BLOB    NOT NULL,
  version_id TEXT    NOT NULL,
  -- 0 put, 1 ACL, 2 tags, 3 metadata, 4 delete.
  kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4),
  time_us    INTEGER NOT NULL,  -- Never falls from one row to the next.
  size       INTEGER NOT NULL CHECK (size >= 0),
  etag       TEXT    NOT NULL,
  is_replica INTEGER NOT NULL CHECK (is_replica IN (0, 1))
) STRICT;

-- The state of each version of each key. A marker says that the key is absent:
-- the tombstone of an unversioned bucket, kept for its revision and stamp.
CREATE TABLE objects (
  bucket_id   INTEGER NOT NULL REFERENCES buckets (bucket_id),
  key         BLOB    NOT NULL CHECK (length(key) BETWEEN 1 AND 1024),
  version_id  TEXT    NOT NULL,  -- Empty in an unversioned bucket.
  is_current  INTEGER NOT NULL CHECK (is_current IN (0, 1)),
  is_marker   INTEGER NOT NULL CHECK (is_marker IN (0, 1)),
  revision    INTEGER NOT NULL CHECK (revision > 0),
  stamp       INTEGER NOT NULL,
  modified_us INTEGER NOT NULL,
  size        INTEGER NOT NULL CHECK (size >= 0),
  etag        TEXT    NOT NULL,
  facts       BLOB    NOT NULL,  -- client/store/facts_codec.h
  mark        BLOB,
  inline_id   INTEGER,           -- The bytes: a row of inline_bytes, or
  blob        TEXT,              -- a file.
  PRIMARY KEY (bucket_id, key, version_id),
  CHECK ((inline_id IS NOT NULL) + (blob IS NOT NULL) = 1 - is_marker)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX objects_current ON objects (bucket_id, key)
  WHERE is_current = 1;
CREATE UNIQUE INDEX objects_blob ON objects (blob) WHERE blob IS NOT NULL;

-- Bytes of small objects, apart from their rows so that a listing does not
-- read through them; numbered by the operation that brought them.
CREATE TABLE inline_bytes (
  inline_id INTEGER NOT NULL PRIMARY KEY,
  bytes     BLOB    NOT NULL CHECK (length(bytes) <= 32768)
) STRICT;

-- Per key, the highest revision of its source that copiers have applied.
CREATE TABLE applied_revisions (
  bucket_id       INTEGER NOT NULL REFERENCES buckets (bucket_id),
  key             BLOB    NOT NULL CHECK (length(key) BETWEEN 1 AND 1024),
  source_identity TEXT    NOT NULL,
  revision        INTEGER NOT NULL,
  PRIMARY KEY (bucket_id, key)
) STRICT, WITHOUT ROWID;

-- Blobs that nothing refers to any more and that may still have their file.
CREATE TABLE garbage (
  blob TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
)sql";

// What came after the first program of this schema version. It is only added
// to, so that an older program can go on with the store, through an upgrade in
// steps and back again: it neither sees these tables nor has to keep them true.
constexpr char kAdditions[] = R"sql(
-- Uploads in parts that are neither committed nor aborted. The id is the name
-- of the blob.
CREATE TABLE IF NOT EXISTS uploads (
  upload_id  TEXT    NOT NULL PRIMARY KEY CHECK (length(upload_id) = 32),
  bucket_id  INTEGER NOT NULL REFERENCES buckets (bucket_id),
  key        BLOB    NOT NULL CHECK (length(key) BETWEEN 1 AND 1024),
  part_bytes INTEGER NOT NULL CHECK (part_bytes > 0),
  touched_us INTEGER NOT NULL  -- When it began or last got a part.
) STRICT, WITHOUT ROWID;

-- The parts that are whole and durable.
CREATE TABLE IF NOT EXISTS upload_parts (
  upload_id TEXT    NOT NULL REFERENCES uploads (upload_id) ON DELETE CASCADE,
  number    INTEGER NOT NULL CHECK (number >= 0),
  bytes     INTEGER NOT NULL CHECK (bytes > 0),
  PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;
)sql";

absl::Status CreateSchema(IndexConnection& db, absl::Time now) {
  CRR_RETURN_IF_ERROR(db.ExecuteScript("BEGIN IMMEDIATE"));
  CRR_RETURN_IF_ERROR(db.ExecuteScript(kSchema));
  CRR_RETURN_IF_ERROR(
      db.Execute("INSERT INTO meta (row_id, identity, epoch)"
                 " VALUES (1, $1, $2)",
                 {sqlite::Text(RandomName()),
                  sqlite::Int(absl::ToUnixMicros(now))})
          .status());
  return db.ExecuteScript(
      absl::StrCat("PRAGMA user_version = ", kSchemaVersion, "; COMMIT"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexConnection>> OpenIndex(
    const std::string& path, bool create, absl::Time now) {
  CRR_ASSIGN_OR_RETURN(
      std::unique_ptr<IndexConnection> db,
      IndexConnection::Open(path, {.create = create}));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows version,
                       db->Query("PRAGMA user_version"));
  const int64_t found = version.at(0).Int(0);
  if (found > kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has schema ", found, ", made by a newer program; ",
                     "this one knows ", kSchemaVersion));
  }
  if (found == 0 && !create) {
    return absl::UnavailableError(
        absl::StrCat(path, " is the index of no store"));
  }
  CRR_RETURN_IF_ERROR(db->ExecuteScript(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  if (found == 0) CRR_RETURN_IF_ERROR(CreateSchema(*db, now));
  CRR_RETURN_IF_ERROR(db->ExecuteScript(kAdditions));
  return db;
}

absl::StatusOr<std::unique_ptr<IndexConnection>> OpenIndexReader(
    const std::string& path) {
  return IndexConnection::Open(path, {.read_only = true, .create = false});
}

}  // namespace crr
