#ifndef CRR_SERVER_CORE_LEASE_MESSAGES_H_
#define CRR_SERVER_CORE_LEASE_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "server/core/checkpoint.h"
#include "server/core/work.h"
#include "storage/segment_table.h"

namespace crr {

// What goes over a copier's stream, as plain values; crr.v1's
// copier_service.proto says what each means.

struct LeaseRef {
  int64_t unit_id = 0;
  int64_t token = 0;
  int64_t received_sequence = 0;
  friend bool operator==(const LeaseRef&, const LeaseRef&) = default;
};

struct HelloMessage {
  std::string copier;
  std::optional<int64_t> session_number;
  std::string region;  // Id, or empty.
  int64_t lease_credit = 1;
  int64_t segment_credit_bytes = 0;
  std::vector<LeaseRef> held;
};

struct WelcomeMessage {
  int64_t session_number = 0;
  std::vector<LeaseRef> not_held;
};

struct HeartbeatAckMessage {
  int64_t number = 0;
  std::vector<LeaseRef> not_renewed;
};

struct ReleaseMessage {
  LeaseRef lease;
  std::string reason;
  std::string message;
  bool object_failed = false;
};

struct SegmentMessage {
  int64_t unit_id = 0;
  int64_t token = 0;
  Segment segment;
};

struct CheckpointAckMessage {
  enum class Result {
    kRecorded,
    kCursorDiffers,
    kFenced,
    kStorageFull,
    kObjectsFull
  };
  int64_t unit_id = 0;
  int64_t token = 0;
  Result result = Result::kFenced;
  Cursor cursor;
  bool complete = false;
};

struct RevokeMessage {
  int64_t unit_id = 0;
  int64_t token = 0;
  std::string reason;
  absl::Duration deadline;
};

struct ReleaseAckMessage {
  int64_t unit_id = 0;
  int64_t token = 0;
};

using LeaseMessage =
    std::variant<WelcomeMessage, HeartbeatAckMessage, LeaseSpec,
                 SegmentMessage, CheckpointAckMessage, RevokeMessage,
                 ReleaseAckMessage>;

}  // namespace crr

#endif  // CRR_SERVER_CORE_LEASE_MESSAGES_H_
