#include "client/notifier/pump.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/cc/resource_name.h"

namespace crr {
namespace {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(time));
}

v1::Change::Kind ToKind(JournalEntry::Kind kind) {
  switch (kind) {
    case JournalEntry::Kind::kPut: return v1::Change::PUT;
    case JournalEntry::Kind::kAcl: return v1::Change::ACL;
    case JournalEntry::Kind::kTagging: return v1::Change::TAGGING;
    case JournalEntry::Kind::kMetadata: return v1::Change::METADATA;
    case JournalEntry::Kind::kDelete: return v1::Change::DELETE;
  }
  return v1::Change::KIND_UNSPECIFIED;
}

v1::Change ToChange(JournalEntry entry) {
  v1::Change change;
  change.set_bucket(BucketName(entry.bucket));
  change.set_key(std::move(entry.key));
  change.set_version_id(std::move(entry.version_id));
  change.set_kind(ToKind(entry.kind));
  *change.mutable_event_time() = ToTimestamp(entry.time);
  change.set_size_bytes(entry.size);
  change.set_etag(std::move(entry.etag));
  change.set_replica(entry.replica);
  return change;
}

}  // namespace

absl::StatusOr<std::optional<v1::PublishChangesRequest>> Pump::Next() {
  if (!sample_.has_value() && UntilSample() == absl::ZeroDuration()) {
    CRR_RETURN_IF_ERROR(TakeSample());
  }
  if (sample_.has_value() && sample_->position <= acknowledged_) {
    v1::PublishChangesRequest message;
    *message.mutable_complete_through()->mutable_time() =
        ToTimestamp(sample_->time);
    told_ = sample_->position;
    sample_.reset();
    return message;
  }
  if (in_flight_.size() >= limits_.batches_in_flight) return std::nullopt;
  return NextBatch();
}

absl::StatusOr<std::optional<v1::PublishChangesRequest>> Pump::NextBatch() {
  CRR_ASSIGN_OR_RETURN(std::vector<JournalEntry> entries,
                       journal_.Read(sent_, limits_.batch_changes));
  if (entries.empty()) return std::nullopt;
  v1::PublishChangesRequest message;
  auto& batch = *message.mutable_batch();
  size_t bytes = 0;
  for (JournalEntry& entry : entries) {
    if (bytes >= limits_.batch_bytes) break;
    batch.set_number(entry.position);
    v1::Change& change = *batch.add_changes();
    change = ToChange(std::move(entry));
    bytes += change.ByteSizeLong();
  }
  sent_ = batch.number();
  in_flight_.push_back(sent_);
  return message;
}

absl::Duration Pump::UntilSample() const {
  if (!last_sample_.has_value()) return absl::ZeroDuration();
  // Once all that was sent has arrived, that is news.
  const bool news = in_flight_.empty() && acknowledged_ > told_;
  const absl::Duration interval =
      news ? limits_.sample_interval_min : limits_.sample_interval;
  return std::max(absl::ZeroDuration(),
                  interval - (clock_.Now() - *last_sample_));
}

absl::Status Pump::TakeSample() {
  CRR_ASSIGN_OR_RETURN(sample_, journal_.TakeSample());
  last_sample_ = clock_.Now();
  if (sample_->position >= acknowledged_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the server holds the journal up to ", acknowledged_,
      ", but it ends at ", sample_->position,
      ": the store was put back to an older state"));
}

absl::Status Pump::Acknowledge(int64_t number) {
  if (in_flight_.empty() || in_flight_.front() != number) {
    return absl::InternalError(absl::StrCat(
        "the server acknowledged batch ", number,
        ", which is not the oldest one in flight"));
  }
  in_flight_.pop_front();
  acknowledged_ = number;
  return absl::OkStatus();
}

absl::Duration Pump::IdleTime() const {
  // A sample that is there waits for an acknowledgement.
  return sample_.has_value() ? limits_.sample_interval : UntilSample();
}

}  // namespace crr
