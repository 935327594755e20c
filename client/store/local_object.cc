#include "client/store/local_object.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/store/index_schema.h"
#include "client/store/local_writes.h"
#include "client/store/write_rules.h"

namespace crr {

absl::StatusOr<std::string> LocalReader::Read(size_t limit) {
  CRR_ASSIGN_OR_RETURN(std::string bytes, Next(limit));
  const ObjectInfo& object = *state_.object;
  position_ += static_cast<int64_t>(bytes.size());
  hash_.Update(bytes);
  if (!bytes.empty() || limit == 0) return bytes;
  if (position_ != object.size || (!skipped_ && hash_.Hex() != object.etag)) {
    return absl::DataLossError(
        absl::StrCat("the bytes of ", object.key, " are not those written: ",
                     position_, " of ", object.size, " bytes were found"));
  }
  return bytes;
}

absl::Status LocalReader::Skip(int64_t bytes) {
  CRR_RETURN_IF_ERROR(CheckSkip(state_, position_, bytes));
  if (const auto* file = std::get_if<FileDescriptor>(&bytes_)) {
    CRR_RETURN_IF_ERROR(SkipBytes(*file, bytes));
  }
  position_ += bytes;
  skipped_ = skipped_ || bytes > 0;
  return absl::OkStatus();
}

absl::StatusOr<std::string> LocalReader::Next(size_t limit) {
  if (const auto* file = std::get_if<FileDescriptor>(&bytes_)) {
    // One byte more than there should be is enough to notice it.
    const int64_t left =
        std::max<int64_t>(state_.object->size - position_, 0) + 1;
    return ReadSome(*file, std::min(limit, static_cast<size_t>(left)));
  }
  const std::string& bytes = std::get<std::string>(bytes_);
  return bytes.substr(static_cast<size_t>(position_), limit);
}

absl::Status LocalWriter::Append(absl::string_view bytes) {
  if (status_.ok()) status_ = Store(bytes);
  return status_;
}

absl::Status LocalWriter::Store(absl::string_view bytes) {
  size_ += static_cast<int64_t>(bytes.size());
  hash_.Update(bytes);
  if (buffer_.size() + bytes.size() <= kInlineBytesMax) {
    absl::StrAppend(&buffer_, bytes);
    return absl::OkStatus();
  }
  if (!blob_.has_value()) {
    CRR_ASSIGN_OR_RETURN(NewBlob blob, blobs_.Create());
    blob_.emplace(std::move(blob));
  }
  CRR_RETURN_IF_ERROR(blob_->Append(buffer_));
  buffer_.clear();
  return blob_->Append(bytes);
}

absl::StatusOr<WriteOutcome> LocalWriter::Commit(
    const ObjectFacts& facts, std::optional<ReplicaMark> mark,
    const std::optional<ReplicaWrite>& replica) {
  CRR_RETURN_IF_ERROR(std::exchange(
      status_, absl::FailedPreconditionError("the writer has committed")));
  NewContent content = {.size = size_, .etag = hash_.Hex()};
  if (blob_.has_value()) {
    CRR_RETURN_IF_ERROR(blob_->Append(buffer_));
    CRR_RETURN_IF_ERROR(blob_->Publish());
    content.blob = blob_->name();
  } else {
    content.inline_bytes = std::move(buffer_);
  }
  GroupCommit::Result result = commits_.Run(
      [&](IndexTransaction& txn) {
        return PutObject(txn, bucket_, key_, content, facts, mark, replica);
      },
      replica);
  if (blob_.has_value()) {
    if (result.unknown) {
      blob_->LeaveToSweep();
    } else if (result.outcome.ok() &&
               *result.outcome == WriteOutcome::kApplied) {
      blob_->Keep();
    }
    blob_.reset();
  }
  return std::move(result.outcome);
}

}  // namespace crr
