#ifndef CRR_CLIENT_STORE_FAULT_STORE_H_
#define CRR_CLIENT_STORE_FAULT_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "client/store/object_store.h"

namespace crr {

// A store that fails on demand, around one that works: for tests. Thread-safe.
class FaultStore final : public ObjectStore {
 public:
  enum class Call {
    kGetBucket,
    kList,
    kHead,
    kRead,       // Opening a reader.
    kReadBytes,  // ObjectReader::Read
    kSkip,       // ObjectReader::Skip
    kWrite,      // Opening a writer.
    kAppend,     // ObjectWriter::Append
    kCommit,     // ObjectWriter::Commit
    kBeginUpload,
    kResumeUpload,
    kAbortUpload,
    kWritePart,     // ObjectUpload::WritePart
    kCommitUpload,  // ObjectUpload::Commit
    kSetFacts,
    kDelete,
    kTouch,
    kProve,
  };
  // Gets bucket and key; no key in kGetBucket and kList.
  using Hook =
      std::function<void(absl::string_view bucket, absl::string_view key)>;

  // `base` must outlive this object.
  explicit FaultStore(ObjectStore& base) : base_(base) {}

  // The `n`-th such call from now on, 1 being the next, fails with `status` and
  // does nothing.
  void FailCall(Call call, int n, absl::Status status);
  // The `n`-th such call from now on does what it should, and its answer is
  // lost: the caller gets `status`.
  void LoseAnswer(Call call, int n, absl::Status status);
  // Every call on `key` fails, until it is healed by an OK status.
  void FailKey(absl::string_view key, absl::Status status);
  // Every object written to `key` has its first byte changed on the way.
  void CorruptKey(absl::string_view key);
  // Run at every such call, without any lock: before or after what it does.
  // An empty hook ends that.
  void Before(Call call, Hook hook);
  void After(Call call, Hook hook);
  // How many such calls came, failed ones included.
  int Calls(Call call) const;

  Capabilities capabilities() const override { return base_.capabilities(); }
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
  friend class FaultReader;
  friend class FaultUpload;
  friend class FaultWriter;

  // What happens to one call.
  struct Plan {
    absl::Status fail;  // Instead of it.
    absl::Status lose;  // Instead of its answer.
    Hook before;
    Hook after;
  };
  Plan PlanOf(Call call, absl::string_view key);
  bool Corrupts(absl::string_view key) const;
  // Runs `body` with what is planned around it.
  template <typename Body>
  auto Around(Call call, absl::string_view bucket, absl::string_view key,
              Body body) -> decltype(body());

  ObjectStore& base_;
  mutable Mutex mu_;
  std::map<Call, int> calls_ ABSL_GUARDED_BY(mu_);
  // By the number of the call.
  std::map<std::pair<Call, int>, absl::Status> failures_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<Call, int>, absl::Status> losses_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, absl::Status, std::less<>> bad_keys_
      ABSL_GUARDED_BY(mu_);
  std::set<std::string, std::less<>> corrupted_keys_ ABSL_GUARDED_BY(mu_);
  std::map<Call, Hook> before_ ABSL_GUARDED_BY(mu_);
  std::map<Call, Hook> after_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_FAULT_STORE_H_
