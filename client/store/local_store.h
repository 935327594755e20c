#ifndef CRR_CLIENT_STORE_LOCAL_STORE_H_
#define CRR_CLIENT_STORE_LOCAL_STORE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "client/store/change_journal.h"
#include "client/store/object_store.h"

namespace crr {

class BlobFiles;
class FileLock;
class GroupCommit;
class ReaderPool;
struct UploadRow;

// A region's objects in a folder:
//
//   index.db      one SQLite index for all buckets: objects, small ones with
//                 their bytes, tombstones, the journal, uploads in parts
//   blobs/xx/...  the bytes of larger objects and of uploads in parts
//   writing/      names of blobs that are being written, each file locked by
//                 its writer
//   tmp/          the same of older programs, which lock none
//   write.lock    held by whoever writes to the index
//   open.lock     held, shared, by every process that has the store open: only
//                 who is alone knows that what is in tmp/ is nobody's
//   changed       touched after each commit
//
// Any number of processes and threads may use one folder on a local disk; a
// write that was answered survives kill and power loss, one that was not
// leaves nothing behind once its process is dead and the store is next opened.
// An upload in parts stays for a week after its last part; opening the store
// and beginning an upload forget older ones. Neither keys nor ids that a caller
// names are used as paths. Objects with versions are not served yet: their
// buckets refuse writes with FAILED_PRECONDITION.
//
// Readers, writers, uploads and journals must not outlive the store.
// Thread-safe.
class LocalStore final : public ObjectStore {
 public:
  struct Options {
    bool create = false;  // Make what is missing.
    const Clock* clock = &Clock::Real();
  };

  // Statuses: UNAVAILABLE without `create`, there is no store at `root`, which
  // may be a disk that is not mounted; FAILED_PRECONDITION a newer program made
  // it.
  static absl::StatusOr<std::unique_ptr<LocalStore>> Open(
      const std::string& root, const Options& options);
  ~LocalStore() override;

  // The bucket `name`, made with `versioning` if it is missing.
  absl::StatusOr<BucketInfo> EnsureBucket(absl::string_view name,
                                          BucketVersioning versioning);
  // By name.
  absl::StatusOr<std::vector<BucketInfo>> ListBuckets();
  absl::StatusOr<std::unique_ptr<ChangeJournal>> OpenJournal();

  Capabilities capabilities() const override;
  absl::StatusOr<BucketInfo> GetBucket(absl::string_view bucket) override;
  absl::StatusOr<ListPage> List(absl::string_view bucket,
                                const ListRequest& request) override;
  absl::StatusOr<KeyState> Head(absl::string_view bucket,
                                absl::string_view key) override;
  absl::StatusOr<std::unique_ptr<ObjectReader>> Read(
      absl::string_view bucket, absl::string_view key) override;
  absl::StatusOr<std::unique_ptr<ObjectWriter>> Write(
      absl::string_view bucket, absl::string_view key) override;
  absl::StatusOr<std::unique_ptr<ObjectUpload>> BeginUpload(
      absl::string_view bucket, absl::string_view key,
      int64_t part_bytes) override;
  absl::StatusOr<std::unique_ptr<ObjectUpload>> ResumeUpload(
      absl::string_view bucket, absl::string_view key,
      absl::string_view id) override;
  absl::Status AbortUpload(absl::string_view bucket, absl::string_view key,
                           absl::string_view id) override;
  absl::StatusOr<WriteOutcome> SetFacts(
      absl::string_view bucket, absl::string_view key,
      absl::string_view if_etag, const ObjectFacts& facts,
      std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override;
  absl::StatusOr<WriteOutcome> Delete(
      absl::string_view bucket, absl::string_view key,
      const std::optional<ReplicaWrite>& replica) override;
  absl::StatusOr<WriteOutcome> Touch(absl::string_view bucket,
                                     absl::string_view key,
                                     const ReplicaWrite& replica) override;
  absl::StatusOr<Proof> Prove(absl::string_view bucket,
                              absl::string_view key) override;

 private:
  LocalStore(const std::string& root, const Clock& clock);
  // nullopt when the key has no such upload.
  absl::StatusOr<std::optional<UploadRow>> FindUpload(absl::string_view bucket,
                                                      absl::string_view key,
                                                      absl::string_view id);

  const std::string root_;
  const Clock& clock_;
  const std::unique_ptr<BlobFiles> blobs_;
  const std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<FileLock> open_lock_;
  std::unique_ptr<GroupCommit> commits_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_LOCAL_STORE_H_
