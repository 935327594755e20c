#ifndef CRR_CLIENT_STORE_INDEX_TABLES_H_
#define CRR_CLIENT_STORE_INDEX_TABLES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/store/change_journal.h"
#include "client/store/index_connection.h"
#include "client/store/object_store.h"
#include "client/store/write_rules.h"

namespace crr {

// The statements on a store's index (client/store/index_schema.cc), each a
// function over a connection. Those that write need a transaction. Statuses are
// the connection's, unless said otherwise.

// meta
absl::StatusOr<int64_t> ReadEpoch(IndexConnection& db);
// Writes what is there already: the transaction is then one that writes.
absl::Status RewriteMeta(IndexConnection& db);

// buckets
struct BucketRow {
  int64_t id = 0;
  BucketInfo info;
};
// NOT_FOUND when there is no such bucket.
absl::StatusOr<BucketRow> ReadBucket(IndexConnection& db,
                                     absl::string_view name);
// Does nothing when there is one of this name.
absl::Status AddBucket(IndexConnection& db, const BucketInfo& bucket);
// By name.
absl::StatusOr<std::vector<BucketInfo>> ReadBuckets(IndexConnection& db);

// objects

// One key: an object and where its bytes are, or a tombstone.
struct ObjectRow {
  KeyState state;
  // One of them, of an object.
  std::optional<int64_t> inline_id;
  std::optional<std::string> blob;
};
// nullopt when the key never was.
absl::StatusOr<std::optional<ObjectRow>> ReadObject(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    absl::string_view key);
// The objects in `range`, by key, and no tombstone.
absl::StatusOr<std::vector<ObjectInfo>> ReadObjects(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    const KeyRange& range,
                                                    int limit);
// Replaces the state of `key`.
absl::Status StoreObject(IndexConnection& db, int64_t bucket_id,
                         absl::string_view key, const ObjectRow& row);
// Whether an object or an upload has it.
absl::StatusOr<bool> IsBlobReferred(IndexConnection& db,
                                    absl::string_view blob);

// inline_bytes
absl::Status AddInlineBytes(IndexConnection& db, int64_t inline_id,
                            absl::string_view bytes);
absl::Status RemoveInlineBytes(IndexConnection& db, int64_t inline_id);
// nullopt when there are none of this number (any more).
absl::StatusOr<std::optional<std::string>> ReadInlineBytes(
    IndexConnection& db, int64_t inline_id);

// applied_revisions
absl::StatusOr<std::optional<AppliedRevision>> ReadApplied(
    IndexConnection& db, int64_t bucket_id, absl::string_view key);
absl::Status StoreApplied(IndexConnection& db, int64_t bucket_id,
                          absl::string_view key,
                          const AppliedRevision& applied);

// garbage
// Does nothing when it is there.
absl::Status AddGarbage(IndexConnection& db, absl::string_view blob);
absl::Status RemoveGarbage(IndexConnection& db, absl::string_view blob);
absl::StatusOr<std::vector<std::string>> ReadGarbage(IndexConnection& db);

// journal

// Adds `entry` to the bucket; returns its position. The position and the name
// of the bucket in `entry` do not count.
absl::StatusOr<int64_t> AddJournalEntry(IndexConnection& db,
                                        int64_t bucket_id,
                                        const JournalEntry& entry);
// Up to `limit` entries after `position`, in order.
absl::StatusOr<std::vector<JournalEntry>> ReadJournal(IndexConnection& db,
                                                      int64_t position,
                                                      int limit);
struct JournalEnd {
  int64_t position = 0;
  absl::Time time;
};
absl::StatusOr<JournalEnd> ReadJournalEnd(IndexConnection& db);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_INDEX_TABLES_H_
