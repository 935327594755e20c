#ifndef CRR_CLIENT_STORE_LOCAL_OBJECT_H_
#define CRR_CLIENT_STORE_LOCAL_OBJECT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/hash.h"
#include "client/store/blob_files.h"
#include "client/store/group_commit.h"
#include "client/store/object_store.h"

namespace crr {

// Reads an object of a local store from its inline bytes or its open file,
// which stays whole when the object is replaced. At the end it has proven the
// bytes, unless it skipped some: DATA_LOSS when size or hash are not those of
// the index.
class LocalReader final : public ObjectReader {
 public:
  LocalReader(KeyState state, std::string bytes)
      : state_(std::move(state)), bytes_(std::move(bytes)) {}
  LocalReader(KeyState state, FileDescriptor file)
      : state_(std::move(state)), bytes_(std::move(file)) {}

  const KeyState& state() const override { return state_; }
  absl::StatusOr<std::string> Read(size_t limit) override;
  absl::Status Skip(int64_t bytes) override;

 private:
  absl::StatusOr<std::string> Next(size_t limit);

  const KeyState state_;  // With an object.
  const std::variant<std::string, FileDescriptor> bytes_;
  int64_t position_ = 0;
  bool skipped_ = false;
  ContentHash hash_;  // Of what was read.
};

// Collects an object's bytes, those of a small one in memory, of a large one in
// a blob.
class LocalWriter final : public ObjectWriter {
 public:
  // `blobs` and `commits` must outlive the writer.
  LocalWriter(absl::string_view bucket, absl::string_view key,
              const BlobFiles& blobs, GroupCommit& commits)
      : bucket_(bucket), key_(key), blobs_(blobs), commits_(commits) {}

  absl::Status Append(absl::string_view bytes) override;
  absl::StatusOr<WriteOutcome> Commit(
      const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override;

 private:
  absl::Status Store(absl::string_view bytes);

  const std::string bucket_;
  const std::string key_;
  const BlobFiles& blobs_;
  GroupCommit& commits_;
  // Of the Appends, since a gap must not be committed; not OK after Commit.
  absl::Status status_;
  int64_t size_ = 0;
  ContentHash hash_;
  std::string buffer_;  // Follows what is in the blob.
  std::optional<NewBlob> blob_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_LOCAL_OBJECT_H_
