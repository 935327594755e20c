#include "client/copier/part_copy.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace crr {
namespace {

// Readers may give less at once than they are asked for.
absl::StatusOr<std::string> ReadPart(ObjectReader& reader, int64_t bytes) {
  std::string part;
  part.reserve(static_cast<size_t>(bytes));
  while (static_cast<int64_t>(part.size()) < bytes) {
    CRR_ASSIGN_OR_RETURN(const std::string more,
                         reader.Read(static_cast<size_t>(bytes) - part.size()));
    if (more.empty()) {
      return absl::DataLossError("the source gave less than its size");
    }
    absl::StrAppend(&part, more);
  }
  return part;
}

}  // namespace

PartCopy::PartCopy(const CopyRule& rule, const RunnerContext& context,
                   Checkpointer& checkpointer,
                   std::function<absl::Status(int64_t)> before_part)
    : rule_(rule),
      link_(context.link),
      clock_(context.clock),
      timing_(context.timing),
      checkpointer_(checkpointer),
      before_part_(std::move(before_part)),
      parts_(link_.lease().cursor().sequence()) {
  if (link_.lease().object().has_upload()) {
    upload_ = link_.lease().object().upload();
  }
}

absl::StatusOr<LargeCopy::Parts> PartCopy::Bring(ObjectReader& reader) {
  const ObjectInfo& origin = *reader.state().object;
  CRR_ASSIGN_OR_RETURN(std::unique_ptr<ObjectUpload> upload, Resume(origin));
  if (upload == nullptr) {
    CRR_ASSIGN_OR_RETURN(upload, Begin(origin));
  }
  const int64_t there = std::min(origin.size, parts_ * upload->part_bytes());
  CRR_RETURN_IF_ERROR(reader.Skip(there));
  ContentHash hash;
  Ticks last_report = clock_.Now();
  for (int64_t left = origin.size - there; left > 0;) {
    // Nothing is lost by stopping here.
    if (link_.draining().has_value()) {
      return absl::CancelledError("the lease was asked for");
    }
    CRR_ASSIGN_OR_RETURN(
        const std::string part,
        ReadPart(reader, std::min(left, upload->part_bytes())));
    const auto bytes = static_cast<int64_t>(part.size());
    CRR_RETURN_IF_ERROR(before_part_(bytes));
    const absl::Status written = upload->WritePart(parts_, part);
    if (absl::IsFailedPrecondition(written)) {
      upload_.reset();
      return Parts();
    }
    CRR_RETURN_IF_ERROR(written);
    ++parts_;
    unreported_bytes_ += bytes;
    left -= bytes;
    hash.Update(part);
    if (clock_.Now() - last_report >= timing_.checkpoint_interval) {
      CRR_RETURN_IF_ERROR(Report(/*begun=*/false));
      last_report = clock_.Now();
    }
  }
  // Only at its end a reader knows whether what it gave was right.
  CRR_ASSIGN_OR_RETURN(const std::string rest, reader.Read(1));
  if (!rest.empty()) {
    return absl::DataLossError("the source gave more than its size");
  }
  Parts parts{.upload = std::move(upload), .content_hash = {}};
  if (there == 0) parts.content_hash = hash.Hex();
  return parts;
}

std::optional<RunEnd> PartCopy::Finish(const absl::Status& status) {
  if (end_.has_value() || !upload_.has_value() || link_.lost()) return end_;
  if (status.ok() || absl::IsDataLoss(status) ||
      absl::IsResourceExhausted(status)) {
    // Committed; or the source has moved on to what needs no upload; or its
    // parts are not what they should be; or they take the room that others, and
    // it itself, would need. A store forgets uploads in the end, so this may
    // fail; and it is for the holder of the lease to do.
    if (link_.MayCommit()) Abort().IgnoreError();
  } else if (unreported_bytes_ > 0) {
    Report(/*begun=*/false).IgnoreError();
  }
  return end_;
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> PartCopy::Resume(
    const ObjectInfo& origin) {
  if (!upload_.has_value()) return nullptr;
  if (upload_->source_etag() == origin.etag) {
    CRR_ASSIGN_OR_RETURN(std::unique_ptr<ObjectUpload> upload,
                         rule_.destination->ResumeUpload(
                             rule_.destination_bucket,
                             link_.lease().object().key(), upload_->id()));
    if (upload != nullptr) return upload;
  }
  CRR_RETURN_IF_ERROR(Abort());
  return nullptr;
}

absl::StatusOr<std::unique_ptr<ObjectUpload>> PartCopy::Begin(
    const ObjectInfo& origin) {
  CRR_ASSIGN_OR_RETURN(std::unique_ptr<ObjectUpload> upload,
                       rule_.destination->BeginUpload(
                           rule_.destination_bucket,
                           link_.lease().object().key(), kLargePartBytes));
  upload_.emplace();
  upload_->set_id(upload->id());
  upload_->set_source_etag(origin.etag);
  parts_ = 0;
  if (absl::Status status = Report(/*begun=*/true); !status.ok()) {
    // Nobody would find it again.
    Abort().IgnoreError();
    return status;
  }
  return upload;
}

absl::Status PartCopy::Abort() {
  const std::string id = upload_->id();
  upload_.reset();
  return rule_.destination->AbortUpload(rule_.destination_bucket,
                                        link_.lease().object().key(), id);
}

absl::Status PartCopy::Report(bool begun) {
  v1::Checkpoint checkpoint;
  if (begun) *checkpoint.mutable_upload() = *upload_;
  checkpoint.mutable_to()->set_sequence(parts_);
  checkpoint.set_bytes(unreported_bytes_);
  end_ = checkpointer_.Record(std::move(checkpoint));
  if (end_.has_value()) return absl::AbortedError("the lease is over");
  unreported_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace crr
