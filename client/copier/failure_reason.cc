#include "client/copier/failure_reason.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace crr {
namespace {

constexpr char kPayload[] = "crr/reason";
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
