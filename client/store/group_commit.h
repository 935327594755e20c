#ifndef CRR_CLIENT_STORE_GROUP_COMMIT_H_
#define CRR_CLIENT_STORE_GROUP_COMMIT_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/store/blob_files.h"
#include "client/store/files.h"
#include "client/store/index_connection.h"
#include "client/store/object_store.h"
#include "client/store/write_lock.h"

namespace crr {

// What the body of a write works on.
struct IndexTransaction {
  IndexConnection& db;
  // The time of everything in this transaction: not before that of any earlier
  // one.
  absl::Time now;
  // Blobs that the body took out of the index, each a row of its `garbage`.
  // Their files go after the commit.
  std::vector<std::string> removed_blobs;
};

// Writes to a store's index, many at once in one transaction and one fsync.
//
// Whoever waits longest writes for all who wait by then: there is no thread of
// its own. Across processes the write lock keeps writers apart. An operation
// stands in a savepoint, so that one that fails leaves its neighbours alone.
// The log is written back by the same hand in the same critical section.
//
// Thread-safe.
class GroupCommit {
 public:
  // Anything but kApplied takes back what the body did.
  using Body = std::function<absl::StatusOr<WriteOutcome>(IndexTransaction&)>;

  struct Result {
    absl::StatusOr<WriteOutcome> outcome = absl::InternalError("not run");
    // The commit itself failed: the operation may or may not come back after
    // the next crash.
    bool unknown = false;
  };

  // `db` is the index at `index_path`. Each commit that changed something
  // touches the file at `changed_path`. `blobs` and `clock` must outlive this
  // object.
  static absl::StatusOr<std::unique_ptr<GroupCommit>> Make(
      const std::string& index_path, const std::string& changed_path,
      WriteLock lock, std::unique_ptr<IndexConnection> db,
      const BlobFiles& blobs, const Clock& clock);

  // Runs `body`, asks the `may_commit` of `replica` if there is one, both on
  // any thread that writes, and returns once the outcome is durable. Neither
  // may call this store. Statuses: the body's; RESOURCE_EXHAUSTED the disk is
  // full and nothing was applied.
  Result Run(Body body, const std::optional<ReplicaWrite>& replica);

 private:
  struct Operation {
    const Body body;
    const std::optional<ReplicaWrite>& replica;
    Result result;
    bool done = false;
  };

  GroupCommit(const std::string& index_path, FileDescriptor changed,
              WriteLock lock, std::unique_ptr<IndexConnection> db,
              const BlobFiles& blobs, const Clock& clock);

  std::vector<Operation*> TakeGroup();
  void FinishGroup(const std::vector<Operation*>& group);

  // The rest is called by the one writer only.

  // Waits for the other processes, then commits those who wait here.
  void WriteForAll();
  // Runs and commits `group` and fills in its results. When it fails, nothing
  // was applied, or nobody knows (`unknown` is set).
  absl::Status Transact(const std::vector<Operation*>& group);
  absl::StatusOr<IndexTransaction> Begin();
  // Fails when the whole transaction is lost.
  absl::Status RunInSavepoint(Operation& operation, IndexTransaction& txn);
  void RemoveGarbageFiles();
  // Writes the index's log back once it is long, or room is short.
  void MaybeCheckpoint();

  const std::string wal_path_;
  const BlobFiles& blobs_;
  const Clock& clock_;

  // Used by the writer.
  const FileDescriptor changed_;
  WriteLock lock_;
  const std::unique_ptr<IndexConnection> db_;
  // Blobs of the last transaction's garbage rows; the next one takes the rows
  // of those away whose files are gone.
  std::vector<std::string> garbage_;
  int64_t checkpoint_at_bytes_;

  Mutex mu_;
  CondVar done_;
  // The first is the writer.
  std::deque<Operation*> waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_GROUP_COMMIT_H_
