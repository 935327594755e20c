#include "client/store/group_commit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "client/store/index_tables.h"

namespace crr {
namespace {

// Operations in one commit: enough to share an fsync widely, few enough that
// none waits long for its neighbours, nor commits long after it was allowed to.
constexpr size_t kGroupMax = 256;

// The log is written back once it is this long: 4,000 pages.
constexpr int64_t kLogBytesMax = 16 << 20;

int64_t SizeOf(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? found.st_size : 0;
}

// Of the file system that the file is on, for this process's user.
int64_t FreeBytes(const std::string& path) {
  struct statvfs found {};
  return statvfs(path.c_str(), &found) == 0
             ? static_cast<int64_t>(found.f_bavail * found.f_frsize)
             : std::numeric_limits<int64_t>::max();
}

}  // namespace

absl::StatusOr<std::unique_ptr<GroupCommit>> GroupCommit::Make(
    const std::string& index_path, const std::string& changed_path,
    WriteLock lock, std::unique_ptr<IndexConnection> db,
    const BlobFiles& blobs, const Clock& clock) {
  CRR_ASSIGN_OR_RETURN(FileDescriptor changed,
                       OpenFile(changed_path, O_WRONLY));
  return std::unique_ptr<GroupCommit>(
      new GroupCommit(index_path, std::move(changed), std::move(lock),
                      std::move(db), blobs, clock));
}

GroupCommit::GroupCommit(const std::string& index_path, FileDescriptor changed,
                         WriteLock lock, std::unique_ptr<IndexConnection> db,
                         const BlobFiles& blobs, const Clock& clock)
    : wal_path_(index_path + "-wal"),
      blobs_(blobs),
      clock_(clock),
      changed_(std::move(changed)),
      lock_(std::move(lock)),
      db_(std::move(db)),
      checkpoint_at_bytes_(kLogBytesMax) {}

GroupCommit::Result GroupCommit::Run(
    Body body, const std::optional<ReplicaWrite>& replica) {
  Operation operation{.body = std::move(body),
                      .replica = replica,
                      .result = {},
                      .done = false};
  {
    MutexLock lock(mu_);
    waiting_.push_back(&operation);
    while (!operation.done && waiting_.front() != &operation) done_.Wait(mu_);
    if (operation.done) return std::move(operation.result);
  }
  WriteForAll();
  return std::move(operation.result);
}

std::vector<GroupCommit::Operation*> GroupCommit::TakeGroup() {
  MutexLock lock(mu_);
  const size_t count = std::min(waiting_.size(), kGroupMax);
  return {waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count)};
}

void GroupCommit::FinishGroup(const std::vector<Operation*>& group) {
  MutexLock lock(mu_);
  for (Operation* operation : group) operation->done = true;
  waiting_.erase(waiting_.begin(),
                 waiting_.begin() + static_cast<ptrdiff_t>(group.size()));
  done_.NotifyAll();
}

void GroupCommit::WriteForAll() {
  std::vector<Operation*> group;
  {
    const absl::StatusOr<WriteLock::Hold> hold = lock_.Acquire();
    // Not before: more have come while another process held the lock.
    group = TakeGroup();
    const absl::Status status =
        AsIndexError(hold.ok() ? Transact(group) : hold.status());
    // On a full disk the log may be what fills it.
    if (status.ok() || absl::IsResourceExhausted(status)) MaybeCheckpoint();
    if (!status.ok()) {
      for (Operation* operation : group) {
        // Each has its own: copies share a counter of references, and
        // ThreadSanitizer does not see into the library that keeps it.
        operation->result.outcome =
            absl::Status(status.code(), status.message());
      }
    }
  }
  RemoveGarbageFiles();
  FinishGroup(group);
}

absl::Status GroupCommit::Transact(const std::vector<Operation*>& group) {
  struct RollBack {
    ~RollBack() {
      if (db.InTransaction()) db.ExecuteScript("ROLLBACK").IgnoreError();
    }
    IndexConnection& db;
  } roll_back_on_return{*db_};

  CRR_ASSIGN_OR_RETURN(IndexTransaction txn, Begin());
  for (Operation* operation : group) {
    CRR_RETURN_IF_ERROR(RunInSavepoint(*operation, txn));
  }
  if (const absl::Status committed = db_->Execute("COMMIT").status();
      !committed.ok()) {
    // A full disk keeps the log's last frame from being written; after any
    // other error it may be there, to be found by a recovery.
    for (Operation* operation : group) {
      operation->result.unknown = !absl::IsResourceExhausted(committed);
    }
    return committed;
  }
  garbage_ = std::move(txn.removed_blobs);
  // Only now, when a reader of the journal that wakes up sees the commit.
  futimens(changed_.get(), nullptr);
  return absl::OkStatus();
}

absl::StatusOr<IndexTransaction> GroupCommit::Begin() {
  CRR_RETURN_IF_ERROR(db_->Execute("BEGIN IMMEDIATE").status());
  CRR_ASSIGN_OR_RETURN(const JournalEnd end, ReadJournalEnd(*db_));
  CRR_ASSIGN_OR_RETURN(const absl::Time now, lock_.Now(clock_, end.time));
  for (const std::string& blob : garbage_) {
    CRR_RETURN_IF_ERROR(RemoveGarbage(*db_, blob));
  }
  return IndexTransaction{.db = *db_, .now = now, .removed_blobs = {}};
}

absl::Status GroupCommit::RunInSavepoint(Operation& operation,
                                         IndexTransaction& txn) {
  const size_t removed_before = txn.removed_blobs.size();
  CRR_RETURN_IF_ERROR(db_->Execute("SAVEPOINT operation").status());
  absl::StatusOr<WriteOutcome>& outcome = operation.result.outcome;
  outcome = operation.body(txn);
  if (outcome.ok() && *outcome == WriteOutcome::kApplied &&
      operation.replica.has_value() && operation.replica->may_commit &&
      !operation.replica->may_commit()) {
    outcome = WriteOutcome::kNotAllowed;
  }
  // SQLite may answer a full disk by rolling everything back, what the
  // neighbours did included.
  if (!db_->InTransaction()) {
    CRR_CHECK(!outcome.ok());
    return outcome.status();
  }
  if (!outcome.ok() || *outcome != WriteOutcome::kApplied) {
    CRR_RETURN_IF_ERROR(db_->Execute("ROLLBACK TO operation").status());
    txn.removed_blobs.resize(removed_before);
  }
  return db_->Execute("RELEASE operation").status();
}

void GroupCommit::RemoveGarbageFiles() {
  // One that cannot be removed keeps its garbage row for the next sweep.
  std::erase_if(garbage_, [&](const std::string& blob) {
    return !blobs_.Remove(blob).ok();
  });
}

void GroupCommit::MaybeCheckpoint() {
  const int64_t size = SizeOf(wal_path_);
  // To be written back it needs as much room again, at most: one that were
  // longer than what is free could fill the disk for good.
  if (size < std::min(checkpoint_at_bytes_, FreeBytes(wal_path_))) return;
  absl::StatusOr<int64_t> left = db_->Checkpoint(std::nullopt);
  // Truncating waits for readers: not for one that holds an old snapshot.
  if (left.ok() && *left == 0) left = db_->Checkpoint(absl::Seconds(5));
  if (!left.ok() && !absl::IsUnavailable(left.status()) &&
      !absl::IsResourceExhausted(left.status())) {
    LogWarning("index_checkpoint_failed",
               {{"log", wal_path_}, {"error", left.status().ToString()}});
  }
  checkpoint_at_bytes_ = SizeOf(wal_path_) + kLogBytesMax;
}

}  // namespace crr
