#include "server/rpc/lease_converters.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/cc/resource_name.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/rpc/converters.h"

namespace crr {
namespace {

Cursor CursorFrom(const v1::Cursor& cursor) {
  return {.sequence = cursor.sequence(), .key = cursor.key()};
}

void Put(const Cursor& cursor, v1::Cursor& message) {
  message.set_sequence(cursor.sequence);
  message.set_key(cursor.key);
}

Checkpoint::Finding FindingFrom(
    const v1::Checkpoint::Probe::Finding& finding) {
  return {.identity = finding.identity(),
          .versioning = FromProto(finding.versioning()),
          .problem = BoundedReport(finding.problem())};
}

void Put(const LeaseEndpoint& endpoint, v1::Lease::Endpoint& message) {
  message.set_bucket(NameOfBucket(endpoint.bucket.id));
  message.set_region(NameOfRegion(endpoint.bucket.region));
  if (!endpoint.store_root.empty()) {
    message.mutable_store()->mutable_local()->set_root(endpoint.store_root);
  }
  message.set_credentials(endpoint.credentials);
  message.set_versioning(ToProto(endpoint.bucket.versioning));
  message.set_identity(endpoint.identity);
}

void Put(const std::vector<LeaseRef>& leases,
         google::protobuf::RepeatedPtrField<v1::HeldLease>& messages) {
  for (const LeaseRef& lease : leases) {
    v1::HeldLease& message = *messages.Add();
    message.set_unit(lease.unit_id);
    message.set_token(lease.token);
  }
}

// Fills the one case of the answer that the message is.
struct Filler {
  v1::SessionResponse& response;
  const LeaseOptions& options;

  void operator()(const WelcomeMessage& from) const {
    auto& to = *response.mutable_welcome();
    to.set_session_number(from.session_number);
    *to.mutable_ttl() = ToProto(options.ttl);
    *to.mutable_heartbeat_interval() = ToProto(options.heartbeat_interval);
    *to.mutable_margin() = ToProto(options.margin);
    *to.mutable_commit_bound() = ToProto(options.commit_bound);
    Put(from.not_held, *to.mutable_not_held());
  }
  void operator()(const HeartbeatAckMessage& from) const {
    auto& to = *response.mutable_heartbeat_ack();
    to.set_number(from.number);
    Put(from.not_renewed, *to.mutable_not_renewed());
  }
  void operator()(const LeaseSpec& from) const {
    auto& to = *response.mutable_grant();
    to.set_unit(from.unit_id);
    to.set_token(from.token);
    to.set_kind(static_cast<v1::Lease::Kind>(from.kind));
    to.set_rule(NameOfRule(from.rule));
    Put(from.source, *to.mutable_source());
    Put(from.destination, *to.mutable_destination());
    to.mutable_prefixes()->Assign(from.rule.prefixes.begin(),
                                  from.rule.prefixes.end());
    to.set_operations(static_cast<v1::Rule::Operations>(from.rule.operations));
    Put(from.cursor, *to.mutable_cursor());
    to.set_range_start(from.range_start);
    to.set_range_end(from.range_end);
    to.set_range_objects(limits::kRangeObjects);
    to.set_bytes_per_second(from.bytes_per_second);
    to.mutable_sse_kms()->set_replicate(from.rule.kms_replicate);
    to.mutable_sse_kms()->set_replica_kms_key(from.rule.kms_key);
    to.set_serial(from.serial);
    to.set_isolate_first(from.isolate_first);
    to.set_large_object_bytes(limits::kLargeObjectBytes);
    to.set_read_bytes(from.read_bytes);
    *to.mutable_rule_create_time() = ToProto(from.rule.create_time);
    if (from.changed_since) {
      *to.mutable_changed_since() = ToProto(*from.changed_since);
    }
    if (from.object) {
      v1::Lease::Object& object = *to.mutable_object();
      object.set_key(from.object->key);
      object.set_deletion(from.object->deletion);
      if (!from.object->upload_id.empty()) {
        object.mutable_upload()->set_id(from.object->upload_id);
        object.mutable_upload()->set_source_etag(from.object->upload_etag);
      }
    }
  }
  void operator()(const SegmentMessage& from) const {
    auto& to = *response.mutable_segment();
    to.set_unit(from.unit_id);
    to.set_token(from.token);
    to.set_first_sequence(from.segment.first_sequence);
    to.set_last_sequence(from.segment.last_sequence);
    to.set_changes(from.segment.changes);
  }
  void operator()(const CheckpointAckMessage& from) const {
    using Result = CheckpointAckMessage::Result;
    auto& to = *response.mutable_checkpoint_ack();
    to.set_unit(from.unit_id);
    to.set_token(from.token);
    switch (from.result) {
      case Result::kRecorded:
        to.set_result(v1::CheckpointAck::RECORDED);
        break;
      case Result::kCursorDiffers:
        to.set_result(v1::CheckpointAck::CURSOR_DIFFERS);
        break;
      case Result::kFenced:
        to.set_result(v1::CheckpointAck::FENCED);
        break;
      case Result::kStorageFull:
        to.set_result(v1::CheckpointAck::STORAGE_FULL);
        break;
      case Result::kObjectsFull:
        to.set_result(v1::CheckpointAck::OBJECTS_FULL);
        break;
    }
    Put(from.cursor, *to.mutable_cursor());
    to.set_complete(from.complete);
  }
  void operator()(const RevokeMessage& from) const {
    auto& to = *response.mutable_revoke();
    to.set_unit(from.unit_id);
    to.set_token(from.token);
    to.set_reason(from.reason);
    *to.mutable_deadline() = ToProto(from.deadline);
  }
  void operator()(const ReleaseAckMessage& from) const {
    auto& to = *response.mutable_release_ack();
    to.set_unit(from.unit_id);
    to.set_token(from.token);
  }
};

}  // namespace

std::string BoundedReport(const std::string& text) {
  size_t size = std::min(text.size(), limits::kReportBytesMax);
  while (size > 0 && size < text.size() &&
         (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

HelloMessage FromProto(const v1::Hello& hello, std::vector<Violation>& found) {
  const auto refuse = [&](absl::string_view reason, absl::string_view field,
                          absl::string_view description) {
    found.push_back({.reason = std::string(reason),
                     .field = absl::StrCat("hello.", field),
                     .description = std::string(description)});
  };
  HelloMessage parsed{.copier = hello.copier_id(),
                      .session_number = std::nullopt,
                      .region = "",
                      .lease_credit = hello.lease_credit(),
                      .segment_credit_bytes =
                          std::min(hello.segment_credit_bytes(),
                                   limits::kSegmentCreditBytesMax),
                      .held = {}};
  if (!IsId(hello.copier_id())) {
    refuse(hello.copier_id().empty() ? "REQUIRED_FIELD_MISSING"
                                     : "INVALID_NAME",
           "copier_id", "1 to 63 of [a-z0-9-], alphanumeric at both ends");
  }
  if (hello.has_session_number()) {
    parsed.session_number = hello.session_number();
  }
  if (!hello.region().empty()) {
    if (const auto region = ParseRegionName(hello.region()); region.ok()) {
      parsed.region = *region;
    } else {
      refuse("INVALID_NAME", "region", region.status().message());
    }
  }
  constexpr int64_t kNoMax = std::numeric_limits<int64_t>::max();
  const auto check = [&](int64_t value, int64_t min, int64_t max,
                         absl::string_view field) {
    if (value >= min && value <= max) return;
    refuse(value == 0 ? "REQUIRED_FIELD_MISSING" : "INVALID_LIMITS", field,
           max == kNoMax ? absl::StrCat("must be ", min, " or more")
                         : absl::StrCat("must be ", min, " to ", max));
  };
  check(hello.slots(), 1, limits::kSlotsMax, "slots");
  check(hello.lease_credit(), 1, limits::kLeaseCreditMax, "lease_credit");
  // More than is used is taken for what is used.
  check(hello.segment_credit_bytes(), limits::kSegmentCreditBytesMin, kNoMax,
        "segment_credit_bytes");
  if (hello.held_size() > limits::kLeaseCreditMax) {
    refuse("MALFORMED_MESSAGE", "held", "more leases than can be held");
    return parsed;
  }
  for (const v1::HeldLease& lease : hello.held()) {
    parsed.held.push_back(
        {lease.unit(), lease.token(), lease.received_sequence()});
  }
  return parsed;
}

Checkpoint FromProto(const v1::Checkpoint& message) {
  Checkpoint checkpoint{
      .unit_id = message.unit(),
      .token = message.token(),
      .from = CursorFrom(message.from()),
      .to = CursorFrom(message.to()),
      .complete = message.complete(),
      .applied = message.applied(),
      .collapsed = message.collapsed(),
      .filtered = {message.filtered().begin(), message.filtered().end()},
      .bytes = message.bytes(),
      .ranges = {},
      .probe = std::nullopt};
  for (const v1::Checkpoint::Range& range : message.ranges()) {
    checkpoint.ranges.push_back({range.end(), range.objects()});
  }
  if (message.has_probe()) {
    checkpoint.probe = {
        .source = FindingFrom(message.probe().source()),
        .destination = FindingFrom(message.probe().destination())};
  }
  for (const v1::ObjectFailure& failure : message.failed()) {
    checkpoint.failed.push_back({.key = failure.key(),
                                 .reason = failure.reason(),
                                 .message = BoundedReport(failure.message()),
                                 .changes = failure.changes(),
                                 .deletion = failure.deletion(),
                                 .size_bytes = failure.size_bytes()});
  }
  if (message.has_upload()) {
    checkpoint.upload = {.id = message.upload().id(),
                         .source_etag = message.upload().source_etag()};
  }
  if (message.has_compared()) {
    const v1::Checkpoint::Compared& compared = message.compared();
    checkpoint.compared = {
        .equal = compared.equal(),
        .foreign = compared.foreign(),
        .foreign_keys = {compared.foreign_keys().begin(),
                         compared.foreign_keys().end()}};
  }
  return checkpoint;
}

v1::SessionResponse ToProto(const LeaseMessage& message,
                            const LeaseOptions& options) {
  v1::SessionResponse response;
  std::visit(Filler{response, options}, message);
  return response;
}

bool IsUrgent(const LeaseMessage& message) {
  // A grant is urgent too, and stays ahead of its own segments that way.
  return !std::holds_alternative<SegmentMessage>(message);
}

}  // namespace crr
