#include "client/store/local_upload.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "client/store/index_tables.h"
#include "client/store/local_writes.h"
#include "client/store/write_rules.h"

namespace crr {
namespace {

constexpr size_t kHashChunkBytes = 1 << 20;

// Rules are paused and regions mended within a week; what nobody has come back
// for by then only takes space.
constexpr absl::Duration kUploadAgeMax = absl::Hours(7 * 24);
// Expired in one transaction, which holds up every other writer.
constexpr int kExpiredMax = 100;

absl::Status PartsMissing(int64_t found, int64_t size) {
  return absl::DataLossError(absl::StrCat("the upload's parts do not make up ",
                                          size, " bytes: ", found, " found"));
}

// The hash of the whole `file`, which has `size` bytes.
absl::StatusOr<std::string> HashOf(const FileDescriptor& file, int64_t size) {
  ContentHash hash;
  int64_t found = 0;
  while (true) {
    CRR_ASSIGN_OR_RETURN(const std::string bytes,
                         ReadSomeAt(file, kHashChunkBytes, found));
    if (bytes.empty()) break;
    found += static_cast<int64_t>(bytes.size());
    if (found > size) break;
    hash.Update(bytes);
  }
  if (found != size) return PartsMissing(found, size);
  return hash.Hex();
}

}  // namespace

absl::Status LocalUpload::WritePart(int64_t number, absl::string_view bytes) {
  CRR_RETURN_IF_ERROR(CheckPart(row_.part_bytes, number, bytes.size()));
  CRR_RETURN_IF_ERROR(WriteAllAt(file_, bytes, number * row_.part_bytes));
  CRR_RETURN_IF_ERROR(SyncFile(file_));
  // Only now: a part that is known of is whole.
  return commits_
      .Run(
          [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
            CRR_ASSIGN_OR_RETURN(
                const bool found,
                AddPart(txn.db, row_.id, number,
                        static_cast<int64_t>(bytes.size()), txn.now));
            if (found) return WriteOutcome::kApplied;
            return absl::FailedPreconditionError("the upload is gone");
          },
          /*replica=*/std::nullopt)
      .outcome.status();
}

absl::StatusOr<WriteOutcome> LocalUpload::Commit(
    int64_t size, const ObjectFacts& facts, std::optional<ReplicaMark> mark,
    const std::optional<ReplicaWrite>& replica) {
  NewContent content = {.size = size, .blob = row_.id};
  // Ahead of the transaction, which holds up every other writer.
  CRR_ASSIGN_OR_RETURN(content.etag, HashOf(file_, size));
  absl::StatusOr<WriteOutcome> outcome =
      commits_
          .Run(
              [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
                CRR_ASSIGN_OR_RETURN(const PartsExtent parts,
                                     ReadPartsExtent(txn.db, row_.id));
                CRR_ASSIGN_OR_RETURN(const bool found,
                                     RemoveUpload(txn.db, row_.id));
                if (!found) return WriteOutcome::kMissing;
                if (parts.bytes != size || parts.end != size) {
                  return PartsMissing(parts.bytes, size);
                }
                return PutObject(txn, bucket_, row_.key, content, facts, mark,
                                 replica);
              },
              replica)
          .outcome;
  if (outcome.ok() && *outcome == WriteOutcome::kStale) {
    CRR_RETURN_IF_ERROR(AbortLocalUpload(row_.id, commits_));
  }
  return outcome;
}

absl::StatusOr<std::string> BeginLocalUpload(absl::string_view bucket,
                                             absl::string_view key,
                                             int64_t part_bytes,
                                             const BlobFiles& blobs,
                                             GroupCommit& commits) {
  CRR_ASSIGN_OR_RETURN(NewBlob blob, blobs.Create());
  CRR_RETURN_IF_ERROR(blob.Publish());
  const GroupCommit::Result result = commits.Run(
      [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
        CRR_ASSIGN_OR_RETURN(const BucketRow row, ReadBucket(txn.db, bucket));
        CRR_RETURN_IF_ERROR(AddUpload(txn.db,
                                      {.id = blob.name(),
                                       .bucket_id = row.id,
                                       .key = std::string(key),
                                       .part_bytes = part_bytes},
                                      txn.now));
        CRR_RETURN_IF_ERROR(ExpireUploads(txn));
        return WriteOutcome::kApplied;
      },
      /*replica=*/std::nullopt);
  if (result.unknown) blob.LeaveToSweep();
  CRR_RETURN_IF_ERROR(result.outcome.status());
  blob.Keep();
  return blob.name();
}

absl::Status AbortLocalUpload(const std::string& id, GroupCommit& commits) {
  return commits
      .Run(
          [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
            CRR_ASSIGN_OR_RETURN(const bool found, RemoveUpload(txn.db, id));
            if (!found) return WriteOutcome::kMissing;
            CRR_RETURN_IF_ERROR(DiscardBlob(txn, id));
            return WriteOutcome::kApplied;
          },
          /*replica=*/std::nullopt)
      .outcome.status();
}

absl::Status ExpireUploads(IndexTransaction& txn) {
  CRR_ASSIGN_OR_RETURN(
      const std::vector<std::string> expired,
      ReadUploadsBefore(txn.db, txn.now - kUploadAgeMax, kExpiredMax));
  for (const std::string& id : expired) {
    CRR_RETURN_IF_ERROR(RemoveUpload(txn.db, id).status());
    CRR_RETURN_IF_ERROR(DiscardBlob(txn, id));
  }
  return absl::OkStatus();
}

}  // namespace crr
