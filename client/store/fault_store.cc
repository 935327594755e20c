#include "client/store/fault_store.h"

#include <type_traits>

namespace crr {

template <typename Body>
auto FaultStore::Around(Call call, absl::string_view bucket,
                        absl::string_view key, Body body) -> decltype(body()) {
  const Plan plan = PlanOf(call, key);
  if (plan.before) plan.before(bucket, key);
  if (!plan.fail.ok()) return plan.fail;
  auto answer = body();
  if (plan.after) plan.after(bucket, key);
  if (!plan.lose.ok()) return plan.lose;
  return answer;
}

class FaultReader final : public ObjectReader {
 public:
  FaultReader(FaultStore& store, absl::string_view bucket,
              absl::string_view key, std::unique_ptr<ObjectReader> base)
      : store_(store), bucket_(bucket), key_(key), base_(std::move(base)) {}

  const KeyState& state() const override { return base_->state(); }
  absl::StatusOr<std::string> Read(size_t limit) override {
    return store_.Around(FaultStore::Call::kReadBytes, bucket_, key_,
                         [&] { return base_->Read(limit); });
  }
  absl::Status Skip(int64_t bytes) override {
    return store_.Around(FaultStore::Call::kSkip, bucket_, key_,
                         [&] { return base_->Skip(bytes); });
  }

 private:
  FaultStore& store_;
  const std::string bucket_;
  const std::string key_;
  const std::unique_ptr<ObjectReader> base_;
};

class FaultWriter final : public ObjectWriter {
 public:
  FaultWriter(FaultStore& store, absl::string_view bucket,
              absl::string_view key, std::unique_ptr<ObjectWriter> base)
      : store_(store),
        bucket_(bucket),
        key_(key),
        base_(std::move(base)),
        corrupt_next_(store.Corrupts(key)) {}

  absl::Status Append(absl::string_view bytes) override {
    return store_.Around(FaultStore::Call::kAppend, bucket_, key_, [&] {
      std::string sent(bytes);
      if (corrupt_next_ && !sent.empty()) {
        sent[0] = static_cast<char>(sent[0] ^ 1);
        corrupt_next_ = false;
      }
      return base_->Append(sent);
    });
  }
  absl::StatusOr<WriteOutcome> Commit(
      const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override {
    return store_.Around(FaultStore::Call::kCommit, bucket_, key_, [&] {
      return base_->Commit(facts, std::move(mark), replica);
    });
  }

 private:
  FaultStore& store_;
  const std::string bucket_;
  const std::string key_;
  const std::unique_ptr<ObjectWriter> base_;
  bool corrupt_next_;
};

class FaultUpload final : public ObjectUpload {
 public:
  FaultUpload(FaultStore& store, absl::string_view bucket,
              absl::string_view key, std::unique_ptr<ObjectUpload> base)
      : store_(store), bucket_(bucket), key_(key), base_(std::move(base)) {}

  const std::string& id() const override { return base_->id(); }
  int64_t part_bytes() const override { return base_->part_bytes(); }
  absl::Status WritePart(int64_t number, absl::string_view bytes) override {
    return store_.Around(FaultStore::Call::kWritePart, bucket_, key_, [&] {
      std::string sent(bytes);
      if (number == 0 && !sent.empty() && store_.Corrupts(key_)) {
        sent[0] = static_cast<char>(sent[0] ^ 1);
      }
      return base_->WritePart(number, sent);
    });
  }
  absl::StatusOr<WriteOutcome> Commit(
      int64_t size, const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override {
    return store_.Around(FaultStore::Call::kCommitUpload, bucket_, key_, [&] {
      return base_->Commit(size, facts, std::move(mark), replica);
    });
  }

 private:
  FaultStore& store_;
  const std::string bucket_;
  const std::string key_;
  const std::unique_ptr<ObjectUpload> base_;
};

void FaultStore::FailCall(Call call, int n, absl::Status status) {
  MutexLock lock(mu_);
  failures_[{call, calls_[call] + n}] = std::move(status);
}

void FaultStore::LoseAnswer(Call call, int n, absl::Status status) {
  MutexLock lock(mu_);
  losses_[{call, calls_[call] + n}] = std::move(status);
}

void FaultStore::FailKey(absl::string_view key, absl::Status status) {
  MutexLock lock(mu_);
  bad_keys_[std::string(key)] = std::move(status);
}

void FaultStore::CorruptKey(absl::string_view key) {
  MutexLock lock(mu_);
  corrupted_keys_.emplace(key);
}

void FaultStore::Before(Call call, Hook hook) {
  MutexLock lock(mu_);
  before_[call] = std::move(hook);
}

void FaultStore::After(Call call, Hook hook) {
  MutexLock lock(mu_);
  after_[call] = std::move(hook);
}

int FaultStore::Calls(Call call) const {
  MutexLock lock(mu_);
  const auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

FaultStore::Plan FaultStore::PlanOf(Call call, absl::string_view key) {
  MutexLock lock(mu_);
  const std::pair<Call, int> number(call, ++calls_[call]);
  Plan plan;
  if (const auto bad = bad_keys_.find(key); bad != bad_keys_.end()) {
    plan.fail = bad->second;
  }
  if (const auto failure = failures_.find(number);
      failure != failures_.end()) {
    plan.fail = failure->second;
  }
  if (const auto loss = losses_.find(number); loss != losses_.end()) {
    plan.lose = loss->second;
  }
  plan.before = before_[call];
  plan.after = after_[call];
  return plan;
}

bool FaultStore::Corrupts(absl::string_view key) const {
  MutexLock lock(mu_);
  return corrupted_keys_.find(key) != corrupted_keys_.end();
}

absl::StatusOr<BucketInfo> FaultStore::GetBucket(absl::string_view bucket) {
  return Around(Call::kGetBucket, bucket, "",
                [&] { return base_.GetBucket(bucket); });
}

absl::StatusOr<ListPage> FaultStore::List(absl::string_view bucket,
                                          const ListRequest& request) {
  return Around(Call::kList, bucket, "",
                [&] { return base_.List(bucket, request); });
}

absl::StatusOr<KeyState> FaultStore::Head(absl::string_view bucket,
                                          absl::string_view key) {
  return Around(Call::kHead, bucket, key,
                [&] { return base_.Head(bucket, key); });
}

absl::StatusOr<std::unique_ptr<ObjectReader>> FaultStore::Read(
    absl::string_view bucket, absl::string_view key) {
  auto reader = Around(Call::kRead, bucket, key,
                       [&] { return base_.Read(bucket, key); });
  if (!reader.ok() || *reader == nullptr) return reader;
  return std::make_unique<FaultReader>(*this, bucket, key, *std::move(reader));
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> FaultStore::Write(
    absl::string_view bucket, absl::string_view key) {
  auto writer = Around(Call::kWrite, bucket, key,
                       [&] { return base_.Write(bucket, key); });
  if (!writer.ok()) return writer;
  return std::make_unique<FaultWriter>(*this, bucket, key, *std::move(writer));
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> FaultStore::BeginUpload(
    absl::string_view bucket, absl::string_view key, int64_t part_bytes) {
  auto upload = Around(Call::kBeginUpload, bucket, key, [&] {
    return base_.BeginUpload(bucket, key, part_bytes);
  });
  if (!upload.ok()) return upload;
  return std::make_unique<FaultUpload>(*this, bucket, key, *std::move(upload));
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> FaultStore::ResumeUpload(
    absl::string_view bucket, absl::string_view key, absl::string_view id) {
  auto upload = Around(Call::kResumeUpload, bucket, key,
                       [&] { return base_.ResumeUpload(bucket, key, id); });
  if (!upload.ok() || *upload == nullptr) return upload;
  return std::make_unique<FaultUpload>(*this, bucket, key, *std::move(upload));
}

absl::Status FaultStore::AbortUpload(absl::string_view bucket,
                                     absl::string_view key,
                                     absl::string_view id) {
  return Around(Call::kAbortUpload, bucket, key,
                [&] { return base_.AbortUpload(bucket, key, id); });
}

absl::StatusOr<WriteOutcome> FaultStore::SetFacts(
    absl::string_view bucket, absl::string_view key, absl::string_view if_etag,
    const ObjectFacts& facts, std::optional<ReplicaMark> mark,
    const std::optional<ReplicaWrite>& replica) {
  return Around(Call::kSetFacts, bucket, key, [&] {
    return base_.SetFacts(bucket, key, if_etag, facts, std::move(mark),
                          replica);
  });
}

absl::StatusOr<WriteOutcome> FaultStore::Delete(
    absl::string_view bucket, absl::string_view key,
    const std::optional<ReplicaWrite>& replica) {
  return Around(Call::kDelete, bucket, key,
                [&] { return base_.Delete(bucket, key, replica); });
}

absl::StatusOr<WriteOutcome> FaultStore::Touch(absl::string_view bucket,
                                               absl::string_view key,
                                               const ReplicaWrite& replica) {
  return Around(Call::kTouch, bucket, key,
                [&] { return base_.Touch(bucket, key, replica); });
}

absl::StatusOr<Proof> FaultStore::Prove(absl::string_view bucket,
                                        absl::string_view key) {
  return Around(Call::kProve, bucket, key,
                [&] { return base_.Prove(bucket, key); });
}

}  // namespace crr
