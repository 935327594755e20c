#include "server/rpc/failed_object_converters.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "server/core/limits.h"
#include "server/rpc/converters.h"

namespace crr {
namespace {

// As duration.proto bounds it, and not below 0.
bool IsAge(const google::protobuf::Duration& age) {
  return age.seconds() >= 0 && age.seconds() <= 315'576'000'000 &&
         age.nanos() >= 0 && age.nanos() <= 999'999'999;
}

bool IsReason(const std::string& reason) {
  return reason.size() <= limits::kReasonBytesMax &&
         std::all_of(reason.begin(), reason.end(), [](char c) {
           return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  c == '_';
         });
}

bool IsPartOfKey(const std::string& part) {
  return part.size() <= limits::kKeyBytesMax && IsTextWithoutNul(part);
}

}  // namespace

v1::FailedObject ToProto(const ObjectWork& work) {
  v1::FailedObject message;
  message.set_key(work.key);
  message.set_state(work.unit_id ? v1::FailedObject::RETRYING
                                 : v1::FailedObject::DEAD);
  message.set_reason(work.reason);
  message.set_message(work.message);
  message.set_attempts(static_cast<int32_t>(work.attempts));
  message.set_changes(work.changes);
  message.set_historical(work.historical);
  message.set_repair(work.repair);
  message.set_size_bytes(work.size_bytes);
  *message.mutable_first_failure_time() = ToProto(work.first_failure);
  *message.mutable_last_failure_time() = ToProto(work.last_failure);
  return message;
}

bool SelectsAny(const v1::FailedObjectSelection& selection) {
  return selection.keys_size() > 0 || !selection.prefix().empty() ||
         !selection.reason().empty() || selection.has_min_age() ||
         selection.all();
}

ObjectWorkFilter FromProto(const v1::FailedObjectSelection& selection,
                           absl::Time now, std::vector<Violation>& found) {
  const auto refuse = [&](const std::string& reason, const std::string& field,
                          const std::string& why) {
    if (found.size() > limits::kViolationsMax) return;
    found.push_back({.reason = reason,
                     .field = absl::StrCat("selection.", field),
                     .description = why});
  };
  if (static_cast<size_t>(selection.keys_size()) > limits::kSelectionKeysMax) {
    refuse("INVALID_KEY", "keys",
           absl::StrCat("at most ", limits::kSelectionKeysMax, " keys"));
  }
  for (int i = 0; i < selection.keys_size(); ++i) {
    if (!selection.keys(i).empty() && IsPartOfKey(selection.keys(i))) continue;
    refuse("INVALID_KEY", absl::StrCat("keys[", i, "]"),
           "a key is valid UTF-8 without NUL of 1 to 1,024 bytes");
  }
  if (!IsPartOfKey(selection.prefix())) {
    refuse("INVALID_KEY", "prefix",
           "a prefix is valid UTF-8 without NUL of at most 1,024 bytes");
  }
  if (!IsReason(selection.reason())) {
    refuse("INVALID_NAME", "reason",
           absl::StrCat("a reason is upper snake case of at most ",
                        limits::kReasonBytesMax, " bytes"));
  }
  if (!IsAge(selection.min_age())) {
    refuse("INVALID_TIME", "min_age", "an age is 0 or more");
  }
  if (selection.all()) {
    v1::FailedObjectSelection others = selection;
    others.clear_all();
    if (SelectsAny(others)) {
      refuse("INVALID_FILTER", "all",
             "all of them, or those that fit the rest");
    }
  }
  ObjectWorkFilter filter{
      .keys = {selection.keys().begin(), selection.keys().end()},
      .prefix = selection.prefix(),
      .reason = selection.reason(),
      .first_failure_until = std::nullopt,
      .dead = std::nullopt};
  if (selection.has_min_age()) {
    filter.first_failure_until = now -
                                 absl::Seconds(selection.min_age().seconds()) -
                                 absl::Nanoseconds(selection.min_age().nanos());
  }
  return filter;
}

}  // namespace crr
