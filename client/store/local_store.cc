#include "client/store/local_store.h"

#include <fcntl.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "client/store/blob_files.h"
#include "client/store/file_lock.h"
#include "client/store/group_commit.h"
#include "client/store/index_schema.h"
#include "client/store/index_tables.h"
#include "client/store/local_journal.h"
#include "client/store/local_object.h"
#include "client/store/local_upload.h"
#include "client/store/local_writes.h"
#include "client/store/reader_pool.h"
#include "client/store/upload_tables.h"
#include "client/store/write_lock.h"
#include "client/store/write_rules.h"

namespace crr {
namespace {

constexpr size_t kProofChunkBytes = 1 << 20;

std::string IndexPath(const std::string& root) { return root + "/index.db"; }
std::string WriteLockPath(const std::string& root) {
  return root + "/write.lock";
}
std::string OpenLockPath(const std::string& root) {
  return root + "/open.lock";
}
std::string ChangedPath(const std::string& root) { return root + "/changed"; }

// Makes everything but the index, whose presence says that the rest is there.
absl::Status MakeSkeleton(const std::string& root, const BlobFiles& blobs) {
  CRR_RETURN_IF_ERROR(blobs.MakeFolders());
  CRR_RETURN_IF_ERROR(OpenFile(ChangedPath(root), O_WRONLY | O_CREAT).status());
  return SyncFolder(root);
}

// Removes the files that dead processes left and that the index does not refer
// to, and forgets uploads that nobody will finish. Other processes may be at
// work, unless `alone` says that none has the store open.
absl::Status Sweep(GroupCommit& commits, const BlobFiles& blobs, bool alone) {
  CRR_ASSIGN_OR_RETURN(const std::vector<BlobFiles::Leftover> leftovers,
                       blobs.Leftovers(alone));
  bool any = false;
  const auto collect =
      [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
    // A process that died in its commit may have left the whole of it in the
    // index's log, unseen by those who had the index open. Written over, it is
    // not found by a later recovery, when its blobs are gone.
    CRR_RETURN_IF_ERROR(RewriteMeta(txn.db));
    for (const BlobFiles::Leftover& leftover : leftovers) {
      CRR_ASSIGN_OR_RETURN(const bool referred,
                           IsBlobReferred(txn.db, leftover.blob));
      if (!referred) CRR_RETURN_IF_ERROR(DiscardBlob(txn, leftover.blob));
    }
    CRR_RETURN_IF_ERROR(ExpireUploads(txn));
    // Of processes that died before they removed the file, too. One that lives
    // and is about to finds it gone.
    CRR_ASSIGN_OR_RETURN(txn.removed_blobs, ReadGarbage(txn.db));
    any = !txn.removed_blobs.empty();
    return WriteOutcome::kApplied;
  };
  CRR_RETURN_IF_ERROR(commits.Run(collect, std::nullopt).outcome.status());
  for (const BlobFiles::Leftover& leftover : leftovers) {
    CRR_RETURN_IF_ERROR(RemoveFile(leftover.path));
  }
  if (!any) return absl::OkStatus();
  // A transaction takes the rows of the last one's garbage away.
  const auto nothing = [](IndexTransaction&) { return WriteOutcome::kApplied; };
  return commits.Run(nothing, std::nullopt).outcome.status();
}

}  // namespace

LocalStore::LocalStore(const std::string& root, const Clock& clock)
    : root_(root),
      clock_(clock),
      blobs_(std::make_unique<BlobFiles>(root)),
      readers_(std::make_unique<ReaderPool>(IndexPath(root))) {}

LocalStore::~LocalStore() = default;

absl::StatusOr<std::unique_ptr<LocalStore>> LocalStore::Open(
    const std::string& root, const Options& options) {
  const std::string index = IndexPath(root);
  if (options.create) {
    std::error_code error;
    std::filesystem::create_directories(root, error);
    if (error) return ErrnoStatus(error.value(), "make", root);
  } else if (!FileExists(index)) {
    return absl::UnavailableError(absl::StrCat("there is no store at ", root));
  }
  std::unique_ptr<LocalStore> store(new LocalStore(root, *options.clock));
  CRR_ASSIGN_OR_RETURN(FileLock open_lock,
                       FileLock::Open(OpenLockPath(root), options.create));
  store->open_lock_ = std::make_unique<FileLock>(std::move(open_lock));
  CRR_ASSIGN_OR_RETURN(const bool alone, store->open_lock_->TryLockExclusive());
  // Waits for a process that is alone and sweeps.
  if (!alone) CRR_RETURN_IF_ERROR(store->open_lock_->LockShared());

  CRR_ASSIGN_OR_RETURN(WriteLock write_lock,
                       WriteLock::Open(WriteLockPath(root), options.create));
  std::unique_ptr<IndexConnection> db;
  {
    CRR_ASSIGN_OR_RETURN(const WriteLock::Hold hold, write_lock.Acquire());
    const bool fresh = !FileExists(index);
    if (fresh) CRR_RETURN_IF_ERROR(MakeSkeleton(root, *store->blobs_));
    CRR_ASSIGN_OR_RETURN(
        db, OpenIndex(index, options.create, options.clock->WallNow()));
    if (fresh) CRR_RETURN_IF_ERROR(SyncFolder(root));
  }
  CRR_ASSIGN_OR_RETURN(
      store->commits_,
      GroupCommit::Make(index, ChangedPath(root), std::move(write_lock),
                        std::move(db), *store->blobs_, *options.clock));
  // What is left only takes space: a full disk must not keep the store shut.
  if (const absl::Status swept =
          Sweep(*store->commits_, *store->blobs_, alone);
      !swept.ok()) {
    LogWarning("store_sweep_failed",
               {{"root", root}, {"error", swept.ToString()}});
  }
  // Another process may sweep between the two locks of this step: nothing of
  // ours is there yet.
  if (alone) CRR_RETURN_IF_ERROR(store->open_lock_->LockShared());
  return store;
}

absl::StatusOr<BucketInfo> LocalStore::EnsureBucket(
    absl::string_view name, BucketVersioning versioning) {
  CRR_RETURN_IF_ERROR(CheckBucketName(name));
  absl::StatusOr<BucketInfo> found = GetBucket(name);
  if (!absl::IsNotFound(found.status())) return found;
  BucketInfo ensured;
  const GroupCommit::Result result = commits_->Run(
      [&](IndexTransaction& txn) -> absl::StatusOr<WriteOutcome> {
        CRR_RETURN_IF_ERROR(AddBucket(txn.db, {.name = std::string(name),
                                               .identity = RandomName(),
                                               .versioning = versioning}));
        CRR_ASSIGN_OR_RETURN(BucketRow row, ReadBucket(txn.db, name));
        ensured = std::move(row.info);
        return WriteOutcome::kApplied;
      },
      /*replica=*/std::nullopt);
  CRR_RETURN_IF_ERROR(result.outcome.status());
  return ensured;
}

absl::StatusOr<std::vector<BucketInfo>> LocalStore::ListBuckets() {
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  return ReadBuckets(reader.db());
}

absl::StatusOr<std::unique_ptr<ChangeJournal>> LocalStore::OpenJournal() {
  CRR_ASSIGN_OR_RETURN(
      WriteLock lock, WriteLock::Open(WriteLockPath(root_), /*create=*/false));
  return LocalJournal::Open(IndexPath(root_), ChangedPath(root_),
                            std::move(lock), clock_);
}

Capabilities LocalStore::capabilities() const {
  return {.fences_by_revision = true, .etag_is_content_hash = true};
}

absl::StatusOr<BucketInfo> LocalStore::GetBucket(absl::string_view bucket) {
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  CRR_ASSIGN_OR_RETURN(BucketRow row, ReadBucket(reader.db(), bucket));
  return std::move(row.info);
}

absl::StatusOr<ListPage> LocalStore::List(absl::string_view bucket,
                                          const ListRequest& request) {
  CRR_RETURN_IF_ERROR(CheckListRequest(request));
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  CRR_ASSIGN_OR_RETURN(const BucketRow row, ReadBucket(reader.db(), bucket));
  ListPage page;
  CRR_ASSIGN_OR_RETURN(page.objects,
                       ReadObjects(reader.db(), row.id, RangeOf(request),
                                   request.limit + 1));
  const auto limit = static_cast<size_t>(request.limit);
  page.complete = page.objects.size() <= limit;
  if (!page.complete) page.objects.pop_back();
  return page;
}

absl::StatusOr<KeyState> LocalStore::Head(absl::string_view bucket,
                                          absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  CRR_ASSIGN_OR_RETURN(const BucketRow row, ReadBucket(reader.db(), bucket));
  CRR_ASSIGN_OR_RETURN(std::optional<ObjectRow> found,
                       ReadObject(reader.db(), row.id, key));
  return found.has_value() ? std::move(found->state) : KeyState();
}

absl::StatusOr<std::unique_ptr<ObjectReader>> LocalStore::Read(
    absl::string_view bucket, absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  CRR_ASSIGN_OR_RETURN(const BucketRow row, ReadBucket(reader.db(), bucket));
  int64_t missing_at = 0;
  while (true) {
    CRR_ASSIGN_OR_RETURN(std::optional<ObjectRow> found,
                         ReadObject(reader.db(), row.id, key));
    if (!found.has_value() || !found->state.object.has_value()) return nullptr;
    const int64_t revision = found->state.revision;
    if (found->inline_id.has_value()) {
      CRR_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                           ReadInlineBytes(reader.db(), *found->inline_id));
      if (bytes.has_value()) {
        return std::make_unique<LocalReader>(std::move(found->state),
                                             *std::move(bytes));
      }
    } else {
      CRR_ASSIGN_OR_RETURN(std::optional<FileDescriptor> file,
                           blobs_->Open(*found->blob));
      if (file.has_value()) {
        return std::make_unique<LocalReader>(std::move(found->state),
                                             *std::move(file));
      }
    }
    // The object was replaced or deleted since its row was read: look again.
    // A row that still stands refers to bytes that are lost.
    if (revision == missing_at) {
      return ContentGoneError(
          absl::StrCat("the bytes of ", key, " are missing"));
    }
    missing_at = revision;
  }
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> LocalStore::Write(
    absl::string_view bucket, absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_ASSIGN_OR_RETURN(const BucketInfo info, GetBucket(bucket));
  CRR_RETURN_IF_ERROR(CheckWritable(info));
  return std::make_unique<LocalWriter>(bucket, key, *blobs_, *commits_);
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> LocalStore::BeginUpload(
    absl::string_view bucket, absl::string_view key, int64_t part_bytes) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_RETURN_IF_ERROR(CheckPartBytes(part_bytes));
  CRR_ASSIGN_OR_RETURN(const BucketInfo info, GetBucket(bucket));
  CRR_RETURN_IF_ERROR(CheckWritable(info));
  CRR_ASSIGN_OR_RETURN(
      const std::string id,
      BeginLocalUpload(bucket, key, part_bytes, *blobs_, *commits_));
  return ResumeUpload(bucket, key, id);
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> LocalStore::ResumeUpload(
    absl::string_view bucket, absl::string_view key, absl::string_view id) {
  CRR_ASSIGN_OR_RETURN(std::optional<UploadRow> row,
                       FindUpload(bucket, key, id));
  if (!row.has_value()) return nullptr;
  CRR_ASSIGN_OR_RETURN(std::optional<FileDescriptor> file,
                       blobs_->OpenUpload(row->id));
  // Aborted since, or the blob is lost: no reason not to begin another.
  if (!file.has_value()) return nullptr;
  return std::make_unique<LocalUpload>(bucket, *std::move(row),
                                       *std::move(file), *commits_);
}

absl::Status LocalStore::AbortUpload(absl::string_view bucket,
                                     absl::string_view key,
                                     absl::string_view id) {
  CRR_ASSIGN_OR_RETURN(const std::optional<UploadRow> row,
                       FindUpload(bucket, key, id));
  if (!row.has_value()) return absl::OkStatus();
  return AbortLocalUpload(row->id, *commits_);
}

absl::StatusOr<std::optional<UploadRow>> LocalStore::FindUpload(
    absl::string_view bucket, absl::string_view key, absl::string_view id) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_->Borrow());
  CRR_ASSIGN_OR_RETURN(const BucketRow bucket_row,
                       ReadBucket(reader.db(), bucket));
  if (!IsRandomName(id)) return std::optional<UploadRow>();
  return ReadUpload(reader.db(), bucket_row.id, key, id);
}

absl::StatusOr<WriteOutcome> LocalStore::SetFacts(
    absl::string_view bucket, absl::string_view key, absl::string_view if_etag,
    const ObjectFacts& facts, std::optional<ReplicaMark> mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  return commits_
      ->Run(
          [&](IndexTransaction& txn) {
            return EditFacts(txn, bucket, key, if_etag, facts, mark, replica);
          },
          replica)
      .outcome;
}

absl::StatusOr<WriteOutcome> LocalStore::Delete(
    absl::string_view bucket, absl::string_view key,
    const std::optional<ReplicaWrite>& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  return commits_
      ->Run(
          [&](IndexTransaction& txn) {
            return DeleteObject(txn, bucket, key, replica);
          },
          replica)
      .outcome;
}

absl::StatusOr<WriteOutcome> LocalStore::Touch(absl::string_view bucket,
                                               absl::string_view key,
                                               const ReplicaWrite& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  return commits_
      ->Run(
          [&](IndexTransaction& txn) {
            return TouchKey(txn, bucket, key, replica);
          },
          replica)
      .outcome;
}

absl::StatusOr<Proof> LocalStore::Prove(absl::string_view bucket,
                                        absl::string_view key) {
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectReader> reader,
                       Read(bucket, key));
  if (reader == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no object ", key));
  }
  const ObjectInfo& object = *reader->state().object;
  while (true) {
    CRR_ASSIGN_OR_RETURN(const std::string bytes,
                         reader->Read(kProofChunkBytes));
    // At the end the reader has found size and hash to be these.
    if (bytes.empty()) {
      return Proof{.size = object.size,
                   .content_hash = object.etag,
                   .etag = object.etag};
    }
  }
}

}  // namespace crr
