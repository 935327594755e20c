#ifndef CRR_CLIENT_COPIER_PART_COPY_H_
#define CRR_CLIENT_COPIER_PART_COPY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/copier/checkpointer.h"
#include "client/copier/copy_key.h"
#include "client/copier/copy_lane.h"
#include "client/copier/run_end.h"

namespace crr {

// Bytes of one part of an upload.
inline constexpr int64_t kLargePartBytes = 8 << 20;

// Brings the object of an OBJECT lease to the destination in parts, and goes on
// where an earlier holder of the lease stopped.
//
// An upload holds parts of one content of the source, by its etag; when the
// source has moved, it is aborted and another is begun. Its id is recorded
// before its first part is sent, so that whoever comes next can find it, and
// the number of its parts as they come. Belongs to the runner's thread.
class PartCopy final : public LargeCopy {
 public:
  // `before_part` as in CopyTask. All must outlive this object.
  PartCopy(const CopyRule& rule, const RunnerContext& context,
           Checkpointer& checkpointer,
           std::function<absl::Status(int64_t)> before_part);

  // CANCELLED when the lease was asked for between two parts, ABORTED when it
  // is over; otherwise the stores' statuses.
  absl::StatusOr<Parts> Bring(ObjectReader& reader) override;

  // Call after the copy ended with `status`: records the parts that are there,
  // or frees what is of no use any more. Returns the end of the run when a
  // checkpoint, now or earlier, ended it.
  std::optional<RunEnd> Finish(const absl::Status& status);

  // Whether parts of it were at the destination.
  bool took_room() const { return parts_ > 0; }
  // Sent, and in no checkpoint.
  int64_t unreported_bytes() const { return unreported_bytes_; }

 private:
  absl::StatusOr<std::unique_ptr<ObjectUpload>> Resume(
      const ObjectInfo& origin);
  absl::StatusOr<std::unique_ptr<ObjectUpload>> Begin(const ObjectInfo& origin);
  absl::Status Abort();
  // Records where the upload stands. ABORTED when that ended the run.
  absl::Status Report(bool begun);

  const CopyRule& rule_;
  LeaseLink& link_;
  const Clock& clock_;
  const RunnerTiming& timing_;
  Checkpointer& checkpointer_;
  const std::function<absl::Status(int64_t)> before_part_;
  std::optional<v1::Upload> upload_;
  int64_t parts_;  // Of `upload_`, from its start without a gap.
  int64_t unreported_bytes_ = 0;
  std::optional<RunEnd> end_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_PART_COPY_H_
