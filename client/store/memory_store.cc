#include "client/store/memory_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace crr {
namespace {

class MemoryReader final : public ObjectReader {
 public:
  MemoryReader(KeyState state, std::shared_ptr<const std::string> bytes)
      : state_(std::move(state)), bytes_(std::move(bytes)) {}

  const KeyState& state() const override { return state_; }
  absl::StatusOr<std::string> Read(size_t limit) override {
    std::string read = bytes_->substr(position_, limit);
    position_ += read.size();
    return read;
  }
  absl::Status Skip(int64_t bytes) override {
    CRR_RETURN_IF_ERROR(
        CheckSkip(state_, static_cast<int64_t>(position_), bytes));
    position_ += static_cast<size_t>(bytes);
    return absl::OkStatus();
  }

 private:
  const KeyState state_;
  const std::shared_ptr<const std::string> bytes_;
  size_t position_ = 0;
};

}  // namespace

class MemoryWriter final : public ObjectWriter {
 public:
  MemoryWriter(MemoryStore& store, absl::string_view bucket,
               absl::string_view key)
      : store_(store), bucket_(bucket), key_(key) {}

  absl::Status Append(absl::string_view bytes) override {
    absl::StrAppend(&bytes_, bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<WriteOutcome> Commit(
      const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override {
    MutexLock lock(store_.mu_);
    return store_.Put(bucket_, key_, std::move(bytes_), facts, mark, replica);
  }

 private:
  MemoryStore& store_;
  const std::string bucket_;
  const std::string key_;
  std::string bytes_;
};

class MemoryUpload final : public ObjectUpload {
 public:
  MemoryUpload(MemoryStore& store, absl::string_view id, int64_t part_bytes)
      : store_(store), id_(id), part_bytes_(part_bytes) {}

  const std::string& id() const override { return id_; }
  int64_t part_bytes() const override { return part_bytes_; }

  absl::Status WritePart(int64_t number, absl::string_view bytes) override {
    CRR_RETURN_IF_ERROR(CheckPart(part_bytes_, number, bytes.size()));
    MutexLock lock(store_.mu_);
    const auto found = store_.uploads_.find(id_);
    if (found == store_.uploads_.end()) {
      return absl::FailedPreconditionError("the upload is gone");
    }
    found->second.parts.try_emplace(number, bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<WriteOutcome> Commit(
      int64_t size, const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) override {
    MutexLock lock(store_.mu_);
    const auto found = store_.uploads_.find(id_);
    if (found == store_.uploads_.end()) return WriteOutcome::kMissing;
    const MemoryStore::Upload& upload = found->second;
    std::string bytes;
    bool gap = false;
    for (const auto& [number, part] : upload.parts) {
      gap |= number * part_bytes_ != static_cast<int64_t>(bytes.size());
      absl::StrAppend(&bytes, part);
    }
    if (gap || static_cast<int64_t>(bytes.size()) != size) {
      return absl::DataLossError(
          absl::StrCat("the upload's parts do not make up ", size, " bytes"));
    }
    const absl::StatusOr<WriteOutcome> outcome =
        store_.Put(upload.bucket, upload.key, std::move(bytes), facts, mark,
                   replica);
    if (outcome.ok() && (*outcome == WriteOutcome::kApplied ||
                         *outcome == WriteOutcome::kStale)) {
      store_.uploads_.erase(found);
    }
    return outcome;
  }

 private:
  MemoryStore& store_;
  const std::string id_;
  const int64_t part_bytes_;
};

class MemoryJournal final : public ChangeJournal {
 public:
  explicit MemoryJournal(MemoryStore& store) : store_(store) {}

  int64_t epoch() const override { return store_.epoch_; }

  absl::StatusOr<std::vector<JournalEntry>> Read(int64_t position,
                                                 int limit) override {
    MutexLock lock(store_.mu_);
    const size_t size = store_.journal_.size();
    seen_ = size;
    // The entry at index i has position i + 1.
    const size_t first = std::min(static_cast<size_t>(position), size);
    const size_t end = first + std::min(static_cast<size_t>(limit),
                                        size - first);
    return std::vector<JournalEntry>(
        store_.journal_.begin() + static_cast<ptrdiff_t>(first),
        store_.journal_.begin() + static_cast<ptrdiff_t>(end));
  }

  absl::StatusOr<Sample> TakeSample() override {
    MutexLock lock(store_.mu_);
    return Sample{.position = static_cast<int64_t>(store_.journal_.size()),
                  .time = store_.Now()};
  }

  void Wait(absl::Duration timeout) override {
    MutexLock lock(store_.mu_);
    // A Wake that the last Wait returned for counts for this one too.
    if (std::exchange(woken_, false)) return;
    const absl::Time deadline = absl::Now() + timeout;
    while (!woken_ && store_.journal_.size() == seen_) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return;
      if (left == absl::InfiniteDuration()) {
        store_.changed_.Wait(store_.mu_);
      } else {
        store_.changed_.WaitFor(store_.mu_, left);
      }
    }
    seen_ = store_.journal_.size();
  }

  void Wake() override {
    MutexLock lock(store_.mu_);
    woken_ = true;
    store_.changed_.NotifyAll();
  }

 private:
  MemoryStore& store_;
  // Guarded by the store's mutex.
  bool woken_ = false;
  size_t seen_ = 0;  // The journal's size when it was last read or waited for.
};

MemoryStore::MemoryStore(const Clock& clock)
    : clock_(clock), epoch_(absl::ToUnixMicros(clock.WallNow())) {}

absl::StatusOr<BucketInfo> MemoryStore::EnsureBucket(
    absl::string_view name, BucketVersioning versioning) {
  CRR_RETURN_IF_ERROR(CheckBucketName(name));
  MutexLock lock(mu_);
  const auto [found, made] = buckets_.try_emplace(std::string(name));
  BucketInfo& info = found->second.info;
  if (made) {
    info = {.name = std::string(name),
            .identity = absl::StrCat(epoch_, "-", buckets_.size(), "-", name),
            .versioning = versioning};
  }
  return info;
}

absl::StatusOr<std::vector<BucketInfo>> MemoryStore::ListBuckets() {
  MutexLock lock(mu_);
  std::vector<BucketInfo> buckets;
  for (const auto& [name, bucket] : buckets_) buckets.push_back(bucket.info);
  return buckets;
}

absl::StatusOr<std::unique_ptr<ChangeJournal>> MemoryStore::OpenJournal() {
  return std::make_unique<MemoryJournal>(*this);
}

Capabilities MemoryStore::capabilities() const {
  return {.fences_by_revision = true, .etag_is_content_hash = true};
}

absl::StatusOr<BucketInfo> MemoryStore::GetBucket(absl::string_view bucket) {
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const Bucket* found, Find(bucket));
  return found->info;
}

absl::StatusOr<ListPage> MemoryStore::List(absl::string_view bucket,
                                           const ListRequest& request) {
  CRR_RETURN_IF_ERROR(CheckListRequest(request));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const Bucket* found, Find(bucket));
  const KeyRange range = RangeOf(request);
  ListPage page;
  for (auto i = found->entries.lower_bound(range.first);
       i != found->entries.end() && i->first < range.end; ++i) {
    if (!i->second.state.object.has_value()) continue;
    if (page.objects.size() == static_cast<size_t>(request.limit)) return page;
    page.objects.push_back(*i->second.state.object);
  }
  page.complete = true;
  return page;
}

absl::StatusOr<KeyState> MemoryStore::Head(absl::string_view bucket,
                                           absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const Bucket* found, Find(bucket));
  const auto entry = found->entries.find(std::string(key));
  return entry == found->entries.end() ? KeyState() : entry->second.state;
}

absl::StatusOr<std::unique_ptr<ObjectReader>> MemoryStore::Read(
    absl::string_view bucket, absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const Bucket* found, Find(bucket));
  const auto entry = found->entries.find(std::string(key));
  if (entry == found->entries.end() ||
      !entry->second.state.object.has_value()) {
    return nullptr;
  }
  return std::make_unique<MemoryReader>(entry->second.state,
                                        entry->second.bytes);
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> MemoryStore::Write(
    absl::string_view bucket, absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_RETURN_IF_ERROR(FindWritable(bucket).status());
  return std::make_unique<MemoryWriter>(*this, bucket, key);
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> MemoryStore::BeginUpload(
    absl::string_view bucket, absl::string_view key, int64_t part_bytes) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  CRR_RETURN_IF_ERROR(CheckPartBytes(part_bytes));
  MutexLock lock(mu_);
  CRR_RETURN_IF_ERROR(FindWritable(bucket).status());
  const std::string id = absl::StrCat("upload-", ++last_upload_);
  uploads_[id] = {.bucket = std::string(bucket),
                  .key = std::string(key),
                  .part_bytes = part_bytes};
  return std::make_unique<MemoryUpload>(*this, id, part_bytes);
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> MemoryStore::ResumeUpload(
    absl::string_view bucket, absl::string_view key, absl::string_view id) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const auto found, FindUpload(bucket, key, id));
  if (found == uploads_.end()) return nullptr;
  return std::make_unique<MemoryUpload>(*this, id, found->second.part_bytes);
}

absl::Status MemoryStore::AbortUpload(absl::string_view bucket,
                                      absl::string_view key,
                                      absl::string_view id) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const auto found, FindUpload(bucket, key, id));
  if (found != uploads_.end()) uploads_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<MemoryStore::Uploads::iterator> MemoryStore::FindUpload(
    absl::string_view bucket, absl::string_view key, absl::string_view id) {
  CRR_RETURN_IF_ERROR(Find(bucket).status());
  const auto found = uploads_.find(id);
  if (found != uploads_.end() &&
      (found->second.bucket != bucket || found->second.key != key)) {
    return uploads_.end();
  }
  return found;
}

absl::StatusOr<WriteOutcome> MemoryStore::Put(
    absl::string_view bucket, const std::string& key, std::string bytes,
    const ObjectFacts& facts, const std::optional<ReplicaMark>& mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_ASSIGN_OR_RETURN(Bucket * found, FindWritable(bucket));
  Entry& entry = found->entries[key];
  if (const WriteOutcome admitted = Admit(entry, replica);
      admitted != WriteOutcome::kApplied) {
    return admitted;
  }
  const absl::Time now = Now();
  ObjectInfo object;
  object.key = key;
  object.size = static_cast<int64_t>(bytes.size());
  object.etag = ContentHash::Of(bytes);
  object.last_modified = now;
  object.stamp = entry.state.stamp = NextStamp(now, entry.state.stamp, mark);
  object.facts = Completed(facts, now);
  object.mark = Sealed(mark, object.facts, object.size, object.etag);
  entry.bytes = std::make_shared<const std::string>(std::move(bytes));
  entry.state.revision = Record(*found, JournalEntry::Kind::kPut, object,
                                replica.has_value());
  entry.state.object = std::move(object);
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> MemoryStore::SetFacts(
    absl::string_view bucket, absl::string_view key, absl::string_view if_etag,
    const ObjectFacts& facts, std::optional<ReplicaMark> mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(Bucket * found, FindWritable(bucket));
  Entry& entry = found->entries[std::string(key)];
  if (const WriteOutcome fenced =
          CheckFence(entry.applied, entry.state, replica);
      fenced != WriteOutcome::kApplied) {
    return fenced;
  }
  if (!entry.state.object.has_value() || entry.state.object->etag != if_etag) {
    return WriteOutcome::kMissing;
  }
  if (const WriteOutcome admitted = Admit(entry, replica);
      admitted != WriteOutcome::kApplied) {
    return admitted;
  }
  ObjectInfo& object = *entry.state.object;
  const ObjectFacts edited = Completed(facts, object.facts.creation_time);
  const JournalEntry::Kind kind = KindOfEdit(object.facts, edited);
  object.facts = edited;
  object.mark = Sealed(std::move(mark), edited, object.size, object.etag);
  entry.state.stamp = NextStamp(Now(), entry.state.stamp, object.mark);
  object.stamp = entry.state.stamp;
  entry.state.revision = Record(*found, kind, object, replica.has_value());
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> MemoryStore::Delete(
    absl::string_view bucket, absl::string_view key,
    const std::optional<ReplicaWrite>& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(Bucket * found, FindWritable(bucket));
  Entry& entry = found->entries[std::string(key)];
  if (const WriteOutcome admitted = Admit(entry, replica);
      admitted != WriteOutcome::kApplied) {
    return admitted;
  }
  if (!entry.state.object.has_value()) return WriteOutcome::kApplied;
  ObjectInfo gone;
  gone.key = std::string(key);
  entry.state.stamp = NextStamp(Now(), entry.state.stamp, std::nullopt);
  entry.state.revision = Record(*found, JournalEntry::Kind::kDelete, gone,
                                replica.has_value());
  entry.state.object.reset();
  entry.bytes.reset();
  return WriteOutcome::kApplied;
}

absl::StatusOr<WriteOutcome> MemoryStore::Touch(absl::string_view bucket,
                                                absl::string_view key,
                                                const ReplicaWrite& replica) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(Bucket * found, FindWritable(bucket));
  return Admit(found->entries[std::string(key)], replica);
}

absl::StatusOr<Proof> MemoryStore::Prove(absl::string_view bucket,
                                         absl::string_view key) {
  CRR_RETURN_IF_ERROR(CheckKey(key));
  MutexLock lock(mu_);
  CRR_ASSIGN_OR_RETURN(const Bucket* found, Find(bucket));
  const auto entry = found->entries.find(std::string(key));
  if (entry == found->entries.end() ||
      !entry->second.state.object.has_value()) {
    return absl::NotFoundError(absl::StrCat("there is no object ", key));
  }
  const std::string& bytes = *entry->second.bytes;
  return Proof{.size = static_cast<int64_t>(bytes.size()),
               .content_hash = ContentHash::Of(bytes),
               .etag = entry->second.state.object->etag};
}

absl::StatusOr<MemoryStore::Bucket*> MemoryStore::Find(
    absl::string_view bucket) {
  const auto found = buckets_.find(bucket);
  if (found != buckets_.end()) return &found->second;
  return absl::NotFoundError(absl::StrCat("there is no bucket ", bucket));
}

absl::StatusOr<MemoryStore::Bucket*> MemoryStore::FindWritable(
    absl::string_view bucket) {
  CRR_ASSIGN_OR_RETURN(Bucket * found, Find(bucket));
  CRR_RETURN_IF_ERROR(CheckWritable(found->info));
  return found;
}

WriteOutcome MemoryStore::Admit(Entry& entry,
                                const std::optional<ReplicaWrite>& replica) {
  if (!replica.has_value()) return WriteOutcome::kApplied;
  if (const WriteOutcome fenced =
          CheckFence(entry.applied, entry.state, replica);
      fenced != WriteOutcome::kApplied) {
    return fenced;
  }
  if (replica->may_commit && !replica->may_commit()) {
    return WriteOutcome::kNotAllowed;
  }
  entry.applied = {.source_identity = replica->source_identity,
                   .revision = replica->revision};
  return WriteOutcome::kApplied;
}

absl::Time MemoryStore::Now() {
  const int64_t now_us = absl::ToUnixMicros(clock_.WallNow());
  last_now_ = std::max(last_now_, absl::FromUnixMicros(now_us));
  return last_now_;
}

int64_t MemoryStore::Record(const Bucket& bucket, JournalEntry::Kind kind,
                            const ObjectInfo& object, bool replica) {
  const auto position = static_cast<int64_t>(journal_.size()) + 1;
  journal_.push_back({.position = position,
                      .bucket = bucket.info.name,
                      .key = object.key,
                      .version_id = object.version_id,
                      .kind = kind,
                      .time = last_now_,
                      .size = object.size,
                      .etag = object.etag,
                      .replica = replica});
  changed_.NotifyAll();
  return position;
}

}  // namespace crr
