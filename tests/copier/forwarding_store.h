#ifndef CRR_TESTS_COPIER_FORWARDING_STORE_H_
#define CRR_TESTS_COPIER_FORWARDING_STORE_H_

#include <memory>
#include <optional>
#include <utility>

#include "client/store/object_store.h"

namespace crr::test {

// Another store; tests override what is to be odd about it. Thread-safe.
class ForwardingStore : public ObjectStore {
 public:
  // `base` must outlive this object.
  explicit ForwardingStore(ObjectStore& base) : base_(base) {}

  Capabilities capabilities() const override { return base_.capabilities(); }
  absl::StatusOr<BucketInfo> GetBucket(absl::string_view bucket) override {
    return base_.GetBucket(bucket);
  }
  absl::StatusOr<ListPage> List(absl::string_view bucket,
                                const ListRequest& request) override {
    return base_.List(bucket, request);
  }
  absl::StatusOr<KeyState> Head(absl::string_view bucket,
                                absl::string_view key) override {
    return base_.Head(bucket, key);
  }
  absl::StatusOr<std::unique_ptr<ObjectReader>> Read(
      absl::string_view bucket, absl::string_view key) override {
    return base_.Read(bucket, key);
  }
  absl::StatusOr<std::unique_ptr<ObjectWriter>> Write(
      absl::string_view bucket, absl::string_view key) override {
    return base_.Write(bucket, key);
  }
  absl::StatusOr<std::unique_ptr<ObjectUpload>> BeginUpload(
      absl::string_view bucket, absl::string_view key,
      int64_t part_bytes) override {
    return base_.BeginUpload(bucket, key, part_bytes);
  }
  absl::StatusOr<std::unique_ptr<ObjectUpload>> ResumeUpload(
      absl::string_view bucket, absl::string_view key,
      absl::string_view id) override {
    return base_.ResumeUpload(bucket, key, id);
  }
  absl::Status AbortUpload(absl::string_view bucket, absl::string_view key,
                           absl::string_view id) override {
    return base_.AbortUpload(bucket, key, id);
  }
  absl::StatusOr<WriteOutcome> SetFacts(
      absl::string_view bucket, absl::string_view key,
      absl::string_view if_etag, const ObjectFacts& facts,
      std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override {
    return base_.SetFacts(bucket, key, if_etag, facts, std::move(mark),
                          replica);
  }
  absl::StatusOr<WriteOutcome> Delete(
      absl::string_view bucket, absl::string_view key,
      const std::optional<ReplicaWrite>& replica) override {
    return base_.Delete(bucket, key, replica);
  }
  absl::StatusOr<WriteOutcome> Touch(absl::string_view bucket,
                                     absl::string_view key,
                                     const ReplicaWrite& replica) override {
    return base_.Touch(bucket, key, replica);
  }
  absl::StatusOr<Proof> Prove(absl::string_view bucket,
                              absl::string_view key) override {
    return base_.Prove(bucket, key);
  }

 private:
  ObjectStore& base_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_COPIER_FORWARDING_STORE_H_
