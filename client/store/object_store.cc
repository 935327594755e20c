#include "client/store/object_store.h"

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "client/store/facts_codec.h"

namespace crr {
namespace {

constexpr char kGonePayload[] = "crr/content_gone";
constexpr size_t kKeyBytesMax = 1'024;
constexpr size_t kBucketBytesMin = 3;
constexpr size_t kBucketBytesMax = 63;

// Length of the UTF-8 sequence that `text` begins with, or 0 when it begins
// with none. Overlong forms, surrogates and what lies beyond U+10FFFF are none
// (Unicode, table 3-7).
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto between = [&](size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const auto tail = [&](size_t i) { return between(i, 0x80, 0xbf); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = between(1, lead == 0xe0 ? 0xa0 : 0x80,
                                lead == 0xed ? 0x9f : 0xbf);
    return second && tail(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = between(1, lead == 0xf0 ? 0x90 : 0x80,
                                lead == 0xf4 ? 0x8f : 0xbf);
    return second && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

bool IsAlphanumeric(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c));
}

}  // namespace

absl::Status ContentGoneError(absl::string_view message) {
  absl::Status status = absl::DataLossError(message);
  status.SetPayload(kGonePayload, absl::Cord());
  return status;
}

bool IsContentGone(const absl::Status& status) {
  return status.GetPayload(kGonePayload).has_value();
}

std::string DigestOf(const ObjectFacts& facts, int64_t size,
                     absl::string_view etag) {
  return ContentHash::Of(
      absl::StrCat(EncodeFacts(facts), "/", size, "/", etag));
}

bool IsValidReplica(absl::string_view bucket, const ObjectInfo& object) {
  return object.mark.has_value() && object.mark->destination_bucket == bucket &&
         object.mark->key == object.key &&
         object.mark->digest ==
             DigestOf(object.facts, object.size, object.etag);
}

absl::Status CheckKey(absl::string_view key) {
  if (key.empty() || key.size() > kKeyBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a key has 1 to ", kKeyBytesMax, " bytes, not ",
                     key.size()));
  }
  if (key.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("a key has no NUL in it");
  }
  for (absl::string_view rest = key; !rest.empty();) {
    const size_t length = SequenceLength(rest);
    if (length == 0) {
      return absl::InvalidArgumentError("a key is valid UTF-8");
    }
    rest.remove_prefix(length);
  }
  return absl::OkStatus();
}

absl::Status CheckBucketName(absl::string_view name) {
  bool valid = name.size() >= kBucketBytesMin &&
               name.size() <= kBucketBytesMax && IsAlphanumeric(name.front()) &&
               IsAlphanumeric(name.back());
  for (const char c : name) valid = valid && (IsAlphanumeric(c) || c == '-');
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a bucket's name has 3 to 63 of a-z, 0-9 and -, and none of - at its "
      "ends");
}

}  // namespace crr
