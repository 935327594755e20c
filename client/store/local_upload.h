#ifndef CRR_CLIENT_STORE_LOCAL_UPLOAD_H_
#define CRR_CLIENT_STORE_LOCAL_UPLOAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/store/blob_files.h"
#include "client/store/files.h"
#include "client/store/group_commit.h"
#include "client/store/object_store.h"
#include "client/store/upload_tables.h"

namespace crr {

// An upload in parts of a local store: a blob that the index's `uploads` refers
// to until an object does. One transaction hands it over, so whoever is killed
// leaves the upload or the object, and no file ever moves.
//
// A process that was frozen since before the Commit may write its part to what
// is an object by then: the bytes are those that the part has already, so no
// reader can tell.
class LocalUpload final : public ObjectUpload {
 public:
  // `file` is the blob of `row`, an upload to `bucket`. `commits` must outlive
  // the upload.
  LocalUpload(absl::string_view bucket, UploadRow row, FileDescriptor file,
              GroupCommit& commits)
      : bucket_(bucket),
        row_(std::move(row)),
        file_(std::move(file)),
        commits_(commits) {}

  const std::string& id() const override { return row_.id; }
  int64_t part_bytes() const override { return row_.part_bytes; }
  absl::Status WritePart(int64_t number, absl::string_view bytes) override;
  absl::StatusOr<WriteOutcome> Commit(
      int64_t size, const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override;

 private:
  const std::string bucket_;
  const UploadRow row_;
  const FileDescriptor file_;  // For reading and writing.
  GroupCommit& commits_;
};

// Begins an upload in the bucket, which can be written to, and returns its id.
// Expires others on the way.
absl::StatusOr<std::string> BeginLocalUpload(absl::string_view bucket,
                                             absl::string_view key,
                                             int64_t part_bytes,
                                             const BlobFiles& blobs,
                                             GroupCommit& commits);

// Forgets the upload; its blob goes after the commit. OK when there is none.
absl::Status AbortLocalUpload(const std::string& id, GroupCommit& commits);

// Forgets uploads that nobody has gone on with for long, a bounded number at
// once; their blobs go after the commit.
absl::Status ExpireUploads(IndexTransaction& txn);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_LOCAL_UPLOAD_H_
