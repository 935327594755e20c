#ifndef CRR_CLIENT_STORE_MEMORY_STORE_H_
#define CRR_CLIENT_STORE_MEMORY_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/store/change_journal.h"
#include "client/store/object_store.h"
#include "client/store/write_rules.h"

namespace crr {

// A region's objects in memory, with the contract of LocalStore: for tests and
// simulations. Readers, writers, uploads and journals must not outlive it.
// Thread-safe.
class MemoryStore final : public ObjectStore {
 public:
  // `clock` must outlive the store.
  explicit MemoryStore(const Clock& clock = Clock::Real());

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
  friend class MemoryJournal;
  friend class MemoryUpload;
  friend class MemoryWriter;

  struct Entry {
    KeyState state;
    std::shared_ptr<const std::string> bytes;  // Shared with open readers.
    std::optional<AppliedRevision> applied;
  };
  struct Bucket {
    BucketInfo info;
    std::map<std::string, Entry> entries;
  };
  struct Upload {
    std::string bucket;
    std::string key;
    int64_t part_bytes = 0;
    std::map<int64_t, std::string> parts;
  };
  using Uploads = std::map<std::string, Upload, std::less<>>;

  absl::StatusOr<Bucket*> Find(absl::string_view bucket)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A bucket that can be written to.
  absl::StatusOr<Bucket*> FindWritable(absl::string_view bucket)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The commit point: kApplied when `replica` may be written, whose revision
  // is recorded then.
  static WriteOutcome Admit(Entry& entry,
                            const std::optional<ReplicaWrite>& replica);
  // The clock's time, or that of the last operation or sample if it is later.
  absl::Time Now() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Adds to the journal; returns the revision.
  int64_t Record(const Bucket& bucket, JournalEntry::Kind kind,
                 const ObjectInfo& object, bool replica)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<WriteOutcome> Put(absl::string_view bucket,
                                   const std::string& key, std::string bytes,
                                   const ObjectFacts& facts,
                                   const std::optional<ReplicaMark>& mark,
                                   const std::optional<ReplicaWrite>& replica)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The end when the key has no such upload.
  absl::StatusOr<Uploads::iterator> FindUpload(absl::string_view bucket,
                                               absl::string_view key,
                                               absl::string_view id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  const int64_t epoch_;
  Mutex mu_;
  CondVar changed_;  // The journal grew or a reader of it was woken.
  absl::Time last_now_ ABSL_GUARDED_BY(mu_) = absl::UnixEpoch();
  std::map<std::string, Bucket, std::less<>> buckets_ ABSL_GUARDED_BY(mu_);
  std::vector<JournalEntry> journal_ ABSL_GUARDED_BY(mu_);
  Uploads uploads_ ABSL_GUARDED_BY(mu_);
  int64_t last_upload_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_MEMORY_STORE_H_
