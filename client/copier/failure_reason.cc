#include "client/copier/failure_reason.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/store/object_store.h"

namespace crr {
namespace {

constexpr char kPayload[] = "crr/reason";
constexpr char kSizePayload[] = "crr/size";
constexpr size_t kMessageBytesMax = 1'024;

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  status.SetPayload(kPayload, absl::Cord(reason));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  if (const auto reason = status.GetPayload(kPayload)) {
    return std::string(*reason);
  }
  if (IsContentGone(status)) return "CONTENT_GONE";
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return "BUCKET_NOT_FOUND";
    case absl::StatusCode::kUnavailable:
      return "STORE_UNREACHABLE";
    case absl::StatusCode::kResourceExhausted:
      return "STORE_FULL";
    case absl::StatusCode::kDataLoss:
      return "CONTENT_DAMAGED";
    case absl::StatusCode::kPermissionDenied:
      return "STORE_NOT_ALLOWED";
    default:
      return "STORE_FAILED";
  }
}

absl::Status WithSize(absl::Status status, int64_t size_bytes) {
  status.SetPayload(kSizePayload, absl::Cord(absl::StrCat(size_bytes)));
  return status;
}

int64_t SizeOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kSizePayload);
  int64_t size = 0;
  return payload && absl::SimpleAtoi(std::string(*payload), &size) ? size : 0;
}

FailureScope ScopeOf(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  if (reason == kBucketIdentityChanged) return FailureScope::kLease;
  if (reason == kLargeObject) return FailureScope::kLarge;
  if (reason == kObjectMoving) return FailureScope::kObject;
  switch (status.code()) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
      return FailureScope::kLease;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return FailureScope::kStore;
    default:
      return FailureScope::kObject;
  }
}

std::string MessageOf(const absl::Status& status) {
  std::string text(absl::StrCat(absl::StatusCodeToString(status.code()), ": ",
                                status.message()));
  if (text.size() > kMessageBytesMax) {
    // Not in the middle of a character.
    size_t end = kMessageBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
      --end;
    }
    text.resize(end);
  }
  return text;
}

}  // namespace crr
