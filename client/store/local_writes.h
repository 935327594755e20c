#ifndef CRR_CLIENT_STORE_LOCAL_WRITES_H_
#define CRR_CLIENT_STORE_LOCAL_WRITES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/store/group_commit.h"
#include "client/store/object_store.h"

namespace crr {

// The operations of a local store as bodies of its group commit: each checks
// the bucket and the fence, adds to the journal and changes the key's row.
// Statuses: NOT_FOUND there is no such bucket; FAILED_PRECONDITION it keeps
// versions; others as the index's.

// An object's content on its way into the index.
struct NewContent {
  int64_t size = 0;
  std::string etag;
  // The bytes, or the published blob that has them.
  std::string inline_bytes;
  std::optional<std::string> blob;
};

absl::StatusOr<WriteOutcome> PutObject(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    const NewContent& content, const ObjectFacts& facts,
    const std::optional<ReplicaMark>& mark,
    const std::optional<ReplicaWrite>& replica);

absl::StatusOr<WriteOutcome> EditFacts(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    absl::string_view if_etag, const ObjectFacts& facts,
    const std::optional<ReplicaMark>& mark,
    const std::optional<ReplicaWrite>& replica);

absl::StatusOr<WriteOutcome> DeleteObject(
    IndexTransaction& txn, absl::string_view bucket, absl::string_view key,
    const std::optional<ReplicaWrite>& replica);

absl::StatusOr<WriteOutcome> TouchKey(IndexTransaction& txn,
                                      absl::string_view bucket,
                                      absl::string_view key,
                                      const ReplicaWrite& replica);

// Makes `blob`, which nothing refers to any more, garbage: its file goes after
// the commit.
absl::Status DiscardBlob(IndexTransaction& txn, const std::string& blob);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_LOCAL_WRITES_H_
