#include "server/rpc/change_converters.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"
#include "crr/v1/change.pb.h"
#include "proto/cc/resource_name.h"
#include "server/core/limits.h"
#include "server/rpc/converters.h"

namespace crr {
namespace {

// One record of a ChangeBatch: records stand one after the other in the log,
// and together they are a serialised ChangeBatch.
std::string Encode(const v1::Change& change) {
  v1::ChangeBatch one;
  *one.add_changes() = change;
  return one.SerializeAsString();
}

bool IsKind(v1::Change::Kind kind) {
  return kind != v1::Change::KIND_UNSPECIFIED && v1::Change::Kind_IsValid(kind);
}

}  // namespace

Publisher FromProto(const v1::PublishChangesRequest::Hello& hello,
                    std::vector<Violation>& found) {
  Publisher publisher{.id = hello.publisher_id(),
                      .scope = {},
                      .epoch = hello.epoch(),
                      .last_number = 0};
  if (!publisher.id.empty() && !IsId(publisher.id)) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "hello.publisher_id",
                     .description = "1 to 63 of [a-z0-9-], alphanumeric at "
                                    "both ends"});
  }
  if (publisher.epoch < 0) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "hello.epoch",
                     .description = "an epoch is 0 or more"});
  }
  if (const auto region = ParseRegionName(hello.scope()); region.ok()) {
    publisher.scope = {PublisherScope::Kind::kRegion, *region};
  } else if (const auto bucket = ParseBucketName(hello.scope()); bucket.ok()) {
    publisher.scope = {PublisherScope::Kind::kBucket, *bucket};
  } else {
    found.push_back({.reason = hello.scope().empty() ? "REQUIRED_FIELD_MISSING"
                                                     : "INVALID_NAME",
                     .field = "hello.scope",
                     .description =
                         "a scope is regions/{region} or buckets/{bucket}"});
  }
  return publisher;
}

std::vector<PublishedChange> FromProto(
    const v1::PublishChangesRequest::Batch& batch, absl::Time default_time,
    std::vector<Violation>& found) {
  std::vector<PublishedChange> changes;
  const auto refuse = [&](absl::string_view reason, int i,
                          absl::string_view field,
                          absl::string_view description) {
    if (found.size() > limits::kViolationsMax) return;
    found.push_back({.reason = std::string(reason),
                     .field = absl::StrCat("batch.changes[", i, "].", field),
                     .description = std::string(description)});
  };
  if (batch.number() <= 0) {
    found.push_back({.reason = "REQUIRED_FIELD_MISSING",
                     .field = "batch.number",
                     .description = "a number is above 0"});
  }
  if (static_cast<size_t>(batch.changes_size()) > limits::kBatchChangesMax ||
      batch.ByteSizeLong() > limits::kBatchBytesMax) {
    found.push_back(
        {.reason = "MALFORMED_MESSAGE",
         .field = "batch.changes",
         .description = absl::StrCat("a batch has at most ",
                                     limits::kBatchChangesMax, " changes and ",
                                     limits::kBatchBytesMax, " bytes")});
    return changes;
  }
  changes.reserve(static_cast<size_t>(batch.changes_size()));
  for (int i = 0; i < batch.changes_size(); ++i) {
    const v1::Change& change = batch.changes(i);
    PublishedChange parsed{.bucket = "",
                           .key = change.key(),
                           .kind = PublishedChange::Kind::kPut,
                           .replica = change.replica(),
                           .event_time = default_time,
                           .is_timed = change.has_event_time(),
                           .encoded = ""};
    if (auto bucket = ParseBucketName(change.bucket()); bucket.ok()) {
      parsed.bucket = *std::move(bucket);
    } else {
      refuse(change.bucket().empty() ? "REQUIRED_FIELD_MISSING"
                                     : "INVALID_NAME",
             i, "bucket", bucket.status().message());
    }
    if (change.key().empty() || change.key().size() > limits::kKeyBytesMax ||
        !IsTextWithoutNul(change.key())) {
      refuse("INVALID_KEY", i, "key",
             "a key is valid UTF-8 without NUL of 1 to 1,024 bytes");
    }
    if (change.version_id().size() > limits::kVersionIdBytesMax) {
      refuse("INVALID_NAME", i, "version_id",
             "a version id has at most 512 bytes");
    }
    if (change.etag().size() > limits::kEtagBytesMax) {
      refuse("INVALID_NAME", i, "etag", "an etag has at most 256 bytes");
    }
    if (IsKind(change.kind())) {
      // The enum mirrors the message's, without its zero.
      parsed.kind =
          static_cast<PublishedChange::Kind>(static_cast<int>(change.kind()) -
                                             static_cast<int>(v1::Change::PUT));
    } else {
      refuse(change.kind() == v1::Change::KIND_UNSPECIFIED
                 ? "REQUIRED_FIELD_MISSING"
                 : "INVALID_NAME",
             i, "kind", "not a known kind");
    }
    if (change.has_event_time()) {
      parsed.event_time = FromProto(change.event_time());
      if (!IsTime(change.event_time())) {
        refuse("INVALID_TIME", i, "event_time", "not a time");
      }
    }
    parsed.small = change.size_bytes() <= limits::kSmallObjectBytes;
    parsed.encoded = Encode(change);
    changes.push_back(std::move(parsed));
  }
  return changes;
}

}  // namespace crr
