#include "client/store/local_writes.h"

#include <utility>

#include "base/status_macros.h"
#include "client/store/index_tables.h"
#include "client/store/write_rules.h"

namespace crr {
namespace {

// A key as a body finds it.
struct Found {
  int64_t bucket_id = 0;
  // What the fence says to the operation: kApplied, or what it ends with.
  WriteOutcome admitted = WriteOutcome::kApplied;
  ObjectRow row;  // Revision 0 when the key never was.
};

// Finds the key and records the revision of `replica`.
absl::StatusOr<Found> Find(IndexTransaction& txn, absl::string_view bucket,
                           absl::string_view key,
                           const std::optional<ReplicaWrite>& replica) {
  CRR_ASSIGN_OR_RETURN(const BucketRow bucket_row, ReadBucket(txn.db, bucket));
  CRR_RETURN_IF_ERROR(CheckWritable(bucket_row.info));
  Found found;
  found.bucket_id = bucket_row.id;
  CRR_ASSIGN_OR_RETURN(std::optional<ObjectRow> row,
                       ReadObject(txn.db, found.bucket_id, key));
  if (row.has_value()) found.row = *std::move(row);
  if (replica.has_value()) {
    CRR_ASSIGN_OR_RETURN(const std::optional<AppliedRevision> applied,
                         ReadApplied(txn.db, found.bucket_id, key));
    found.admitted = CheckFence(applied, found.row.state, replica);
    // Taken back unless the operation is applied.
    CRR_RETURN_IF_ERROR(
        StoreApplied(txn.db, found.bucket_id, key,
                     {.source_identity = replica->source_identity,
                      .revision = replica->revision}));
  }
  return found;
}

// Takes the bytes of `row` out of the index.
absl::Status RemoveBytes(IndexTransaction& txn, const ObjectRow& row) {
  if (row.inline_id.has_value()) {
    CRR_RETURN_IF_ERROR(RemoveInlineBytes(txn.db, *row.inline_id));
  }
  if (row.blob.has_value()) {
    CRR_RETURN_IF_ERROR(DiscardBlob(txn, *row.blob));
  }
  return absl::OkStatus();
}

// Adds what happened to `object` to the journal; returns its revision.
absl::StatusOr<int64_t> Record(IndexTransaction& txn, int64_t bucket_id,
                               JournalEntry::Kind kind,
                               const ObjectInfo& object, bool replica) {
  JournalEntry entry;
  entry.key = object.key;
  entry.version_id = object.version_id;
  entry.kind = kind;
  entry.time = txn.now;
  entry.size = object.size;
  entry.etag = object.etag;
  entry.replica = replica;
  return AddJournalEntry(txn.db, bucket_id, entry);
}

}  // namespace

absl::Status DiscardBlob(IndexTransaction& txn, const std::string& blob) {
  CRR_RETURN_IF_ERROR(AddGarbage(txn.db, blob));
  txn.removed_blobs.push_back(blob);
  return absl::OkStatus();
}

absl::StatusOr<WriteOutcome> PutObject(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    const NewContent& content, const ObjectFacts& facts,
    const std::optional<ReplicaMark>& mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_ASSIGN_OR_RETURN(const Found found, Find(txn, bucket, key, replica));
  if (found.admitted != WriteOutcome::kApplied) return found.admitted;

  ObjectInfo object;
  object.key = std::string(key);
  object.size = content.size;
  object.etag = content.etag;
  object.last_modified = txn.now;
  object.stamp = NextStamp(txn.now, found.row.state.stamp, mark);
  object.facts = Completed(facts, txn.now);
  object.mark = Sealed(mark, object.facts, object.size, object.etag);

  CRR_ASSIGN_OR_RETURN(
      const int64_t revision,
      Record(txn, found.bucket_id, JournalEntry::Kind::kPut, object,
             replica.has_value()));
  CRR_RETURN_IF_ERROR(RemoveBytes(txn, found.row));
  ObjectRow row;
  row.state.stamp = object.stamp;
  row.state.revision = revision;
  row.state.object = std::move(object);
  if (content.blob.has_value()) {
    row.blob = content.blob;
  } else {
    row.inline_id = revision;
    CRR_RETURN_IF_ERROR(
        AddInlineBytes(txn.db, revision, content.inline_bytes));
  }
  CRR_RETURN_IF_ERROR(StoreObject(txn.db, found.bucket_id, key, row));
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> EditFacts(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    absl::string_view if_etag, const ObjectFacts& facts,
    const std::optional<ReplicaMark>& mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_ASSIGN_OR_RETURN(Found found, Find(txn, bucket, key, replica));
  if (found.admitted != WriteOutcome::kApplied) return found.admitted;
  ObjectRow& row = found.row;
  if (!row.state.object.has_value() || row.state.object->etag != if_etag) {
    return WriteOutcome::kMissing;
  }

  ObjectInfo& object = *row.state.object;
  const ObjectFacts edited = Completed(facts, object.facts.creation_time);
  const JournalEntry::Kind kind = KindOfEdit(object.facts, edited);
  object.facts = edited;
  object.mark = Sealed(mark, object.facts, object.size, object.etag);
  object.stamp = NextStamp(txn.now, row.state.stamp, mark);
  row.state.stamp = object.stamp;
  CRR_ASSIGN_OR_RETURN(
      row.state.revision,
      Record(txn, found.bucket_id, kind, object, replica.has_value()));
  CRR_RETURN_IF_ERROR(StoreObject(txn.db, found.bucket_id, key, row));
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> DeleteObject(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    const std::optional<ReplicaWrite>& replica) {
  CRR_ASSIGN_OR_RETURN(const Found found, Find(txn, bucket, key, replica));
  if (found.admitted != WriteOutcome::kApplied) return found.admitted;
  // Nothing changes, so nothing is journalled; the fence is recorded.
  if (!found.row.state.object.has_value()) return WriteOutcome::kApplied;

  ObjectInfo gone;
  gone.key = std::string(key);
  ObjectRow tombstone;
  tombstone.state.stamp =
      NextStamp(txn.now, found.row.state.stamp, std::nullopt);
  CRR_ASSIGN_OR_RETURN(
      tombstone.state.revision,
      Record(txn, found.bucket_id, JournalEntry::Kind::kDelete, gone,
             replica.has_value()));
  CRR_RETURN_IF_ERROR(RemoveBytes(txn, found.row));
  CRR_RETURN_IF_ERROR(StoreObject(txn.db, found.bucket_id, key, tombstone));
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> TouchKey(IndexTransaction& txn,
                                      absl::string_view bucket,
                                      absl::string_view key,
                                      const ReplicaWrite& replica) {
  CRR_ASSIGN_OR_RETURN(const Found found, Find(txn, bucket, key, replica));
  return found.admitted;
}

}  // namespace crr
