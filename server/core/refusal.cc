#include "server/core/refusal.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "server/core/limits.h"

namespace crr {
namespace {

using enum absl::StatusCode;

// Reasons as design §10 names them; OSS codes from semantics.md §1.9.
constexpr std::array kCatalogue = {
    ReasonInfo{"REQUIRED_FIELD_MISSING", kInvalidArgument, "MissingArgument",
               "give the field"},
    ReasonInfo{"INVALID_NAME", kInvalidArgument, "InvalidArgument",
               "use the form that the field documents"},
    ReasonInfo{"INVALID_BUCKET_NAME", kInvalidArgument, "InvalidBucketName",
               "use 3 to 63 of [a-z0-9-], alphanumeric at both ends"},
    ReasonInfo{"INVALID_RULE_ID", kInvalidArgument, "InvalidArgument",
               "use 1 to 63 of [a-z0-9-], alphanumeric at both ends"},
    ReasonInfo{"INVALID_REQUEST_ID", kInvalidArgument, "InvalidArgument",
               "use a UUID, or leave it out"},
    ReasonInfo{"REQUEST_ID_REUSED", kInvalidArgument, "InvalidArgument",
               "use a new UUID for another request"},
    ReasonInfo{"INVALID_PAGE_SIZE", kInvalidArgument, "InvalidArgument",
               "use 0 or more"},
    ReasonInfo{"INVALID_PAGE_TOKEN", kInvalidArgument, "InvalidArgument",
               "use next_page_token of the page before, with the same query"},
    ReasonInfo{"INVALID_FILTER", kInvalidArgument, "InvalidArgument",
               "use the form that the field documents"},
    ReasonInfo{"INVALID_UPDATE_MASK", kInvalidArgument, "InvalidArgument",
               "name fields that can be updated"},
    ReasonInfo{"IMMUTABLE_FIELD", kInvalidArgument, "InvalidArgument",
               "leave the field out; delete and create to change it"},
    ReasonInfo{"INVALID_POLICY", kInvalidArgument, "InvalidArgument",
               "give a known profile, or entries, not both"},
    ReasonInfo{"INVALID_PREFIX", kInvalidArgument, "InvalidArgument",
               "use valid UTF-8 without NUL, 1 to 1,023 bytes"},
    ReasonInfo{"TOO_MANY_PREFIXES", kInvalidArgument, "TooManyPrefixes",
               "use at most 5 prefixes"},
    ReasonInfo{"OVERLAPPING_PREFIXES", kInvalidArgument, "InvalidArgument",
               "leave out the longer one: the shorter covers it"},
    ReasonInfo{"OPERATIONS_REQUIRED", kInvalidArgument, "MissingArgument",
               "choose ADD_DELETE_CHANGE or ADD_CHANGE"},
    ReasonInfo{"HISTORICAL_REQUIRED", kInvalidArgument, "MissingArgument",
               "say true or false"},
    ReasonInfo{"SAME_BUCKET", kInvalidArgument, "InvalidTargetBucket",
               "name another bucket as the destination"},
    // Beyond design §10's table: fields that it lists but gives no reason.
    ReasonInfo{"INVALID_LIMITS", kInvalidArgument, "InvalidArgument",
               "stay within the range that the field documents"},
    ReasonInfo{"INVALID_LABELS", kInvalidArgument, "InvalidArgument",
               "use fewer or shorter labels"},
    ReasonInfo{"INVALID_TIME", kInvalidArgument, "InvalidArgument",
               "use a time between the years 1 and 9999, not in the future; "
               "an age is 0 or more"},
    ReasonInfo{"INVALID_KEY", kInvalidArgument, "InvalidArgument",
               "use valid UTF-8 without NUL, 1 to 1,024 bytes"},
    ReasonInfo{"MALFORMED_MESSAGE", kInvalidArgument, "MalformedXML",
               "follow the protocol that the RPC documents"},
    ReasonInfo{"BUCKET_NOT_FOUND", kNotFound, "NoSuchBucket",
               "register the bucket with CreateBucket"},
    ReasonInfo{"REGION_NOT_FOUND", kNotFound, "InvalidTargetLocation",
               "use a region that ListRegions shows"},
    ReasonInfo{"RULE_NOT_FOUND", kNotFound, "NoSuchReplicationRule",
               "use a rule that ListRules shows"},
    ReasonInfo{"PUBLISHER_NOT_FOUND", kNotFound, "",
               "use a publisher that ListPublishers shows"},
    ReasonInfo{"COPIER_NOT_FOUND", kNotFound, "",
               "use a copier that ListCopiers shows"},
    ReasonInfo{"LEASE_NOT_FOUND", kNotFound, "",
               "use a lease that ListLeases shows"},
    ReasonInfo{"RULE_ALREADY_EXISTS", kAlreadyExists,
               "BucketReplicationAlreadyExist",
               "use the rule that is there, or delete it first"},
    ReasonInfo{"BUCKET_ALREADY_EXISTS", kAlreadyExists, "BucketAlreadyExists",
               "use the bucket that is there, or another name"},
    ReasonInfo{"REGION_ALREADY_EXISTS", kAlreadyExists, "",
               "use the region that is there, or another id"},
    ReasonInfo{"SAME_REGION", kFailedPrecondition, "BadReplicationLocation",
               "choose buckets in two regions"},
    ReasonInfo{"REGION_PAIR_NOT_SUPPORTED", kFailedPrecondition,
               "BadReplicationLocation",
               "choose a pair that the region-pair policy allows"},
    ReasonInfo{"TRANSFER_ACCELERATION_REQUIRED", kFailedPrecondition,
               "InvalidArgument",
               "set transfer to ACCELERATED: the pair crosses the border of "
               "mainland China"},
    ReasonInfo{"TRANSFER_ACCELERATION_NOT_APPLICABLE", kFailedPrecondition,
               "InvalidArgument",
               "set transfer to STANDARD: the pair does not cross the border "
               "of mainland China"},
    ReasonInfo{"VERSIONING_MISMATCH", kFailedPrecondition,
               "InvalidBucketStatus",
               "give both buckets the same versioning state"},
    ReasonInfo{"VERSIONING_SUSPENDED", kFailedPrecondition,
               "InvalidBucketStatus",
               "enable versioning, or use a bucket that never had it"},
    ReasonInfo{"BUCKET_PAIRED_ELSEWHERE", kFailedPrecondition,
               "BucketAlreadyHasReplicationConfiguration",
               "delete the rule in the way and wait until it is gone"},
    ReasonInfo{"DIFFERENT_OWNER", kFailedPrecondition, "InvalidTargetBucket",
               "choose two buckets of one owner"},
    ReasonInfo{"REGION_IN_USE", kFailedPrecondition, "InvalidArgument",
               "delete the rules that hold buckets of the region first"},
    ReasonInfo{"BUCKET_HELD_BY_RULE", kFailedPrecondition,
               "InvalidBucketStatus",
               "delete the rule and wait until it is gone"},
    ReasonInfo{"RULE_STATE", kFailedPrecondition,
               "BucketReplicationInClosingStatus",
               "wait for, or choose, a state that allows this"},
    ReasonInfo{"NO_WATERMARK", kFailedPrecondition, "",
               "publish with a name, and send complete_through"},
    ReasonInfo{"PUBLISHER_ATTACHED", kFailedPrecondition, "",
               "stop the publisher first"},
    ReasonInfo{"ETAG_MISMATCH", kAborted, "PreconditionFailed",
               "read again and decide anew"},
    ReasonInfo{"SESSION_SUPERSEDED", kAborted, "",
               "do not connect again: another process took over"},
    ReasonInfo{"STORAGE_FULL", kResourceExhausted, "",
               "wait: the server's disk is full"},
    ReasonInfo{"OVERLOADED", kUnavailable, "", "come back later"},
    ReasonInfo{"DRAINING", kUnavailable, "",
               "connect again: the server is stopping"},
};

constexpr char kPayloadUrl[] = "crr/violations";

// Class order of a refusal that has violations of several codes.
int ClassOf(const Violation& violation) {
  switch (InfoOf(violation.reason).code) {
    case kInvalidArgument: return 0;
    case kNotFound: return 1;
    case kAlreadyExists: return 2;
    case kFailedPrecondition: return 3;
    default: return 4;
  }
}

void PutField(std::string& out, absl::string_view field) {
  absl::StrAppend(&out, field.size(), ":", field);
}

std::string TakeField(absl::string_view& in) {
  const size_t colon = in.find(':');
  uint64_t size = 0;
  CRR_CHECK(colon != absl::string_view::npos &&
            absl::SimpleAtoi(in.substr(0, colon), &size) &&
            in.size() >= colon + 1 + size);
  std::string field(in.substr(colon + 1, size));
  in.remove_prefix(colon + 1 + size);
  return field;
}

}  // namespace

const ReasonInfo& InfoOf(absl::string_view reason) {
  const auto* const found =
      std::find_if(kCatalogue.begin(), kCatalogue.end(),
                   [&](const ReasonInfo& info) { return info.reason == reason; });
  CRR_CHECK(found != kCatalogue.end());
  return *found;
}

absl::Status RefuseAll(std::vector<Violation> violations) {
  CRR_CHECK(!violations.empty());
  std::stable_sort(violations.begin(), violations.end(),
                   [](const Violation& a, const Violation& b) {
                     return ClassOf(a) < ClassOf(b);
                   });
  const size_t count = violations.size();
  if (count > limits::kViolationsMax) {
    violations.resize(limits::kViolationsMax);
  }
  std::string payload;
  for (const Violation& v : violations) {
    for (const std::string* field :
         {&v.reason, &v.field, &v.subject, &v.description, &v.rule, &v.partner,
          &v.oss_code}) {
      PutField(payload, *field);
    }
  }
  const Violation& first = violations.front();
  absl::Status status(
      InfoOf(first.reason).code,
      count == 1
          ? first.description
          : absl::StrCat(first.description, " (and ", count - 1,
                         " more: see the details)"));
  status.SetPayload(kPayloadUrl, absl::Cord(payload));
  return status;
}

absl::Status Refuse(Violation violation) {
  std::vector<Violation> violations;
  violations.push_back(std::move(violation));
  return RefuseAll(std::move(violations));
}

absl::Status Draining() {
  return Refuse(
      {.reason = "DRAINING", .description = "the server is stopping"});
}

absl::Status RefuseIfAny(std::vector<Violation> violations) {
  return violations.empty() ? absl::OkStatus() : RefuseAll(std::move(violations));
}

std::vector<Violation> ViolationsOf(const absl::Status& status) {
  std::vector<Violation> violations;
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return violations;
  const std::string text(*payload);
  absl::string_view in = text;
  while (!in.empty()) {
    Violation v;
    for (std::string* field : {&v.reason, &v.field, &v.subject, &v.description,
                               &v.rule, &v.partner, &v.oss_code}) {
      *field = TakeField(in);
    }
    violations.push_back(std::move(v));
  }
  return violations;
}

absl::Status RefuseWith(std::vector<Violation> found,
                        const absl::Status& status) {
  std::vector<Violation> more = ViolationsOf(status);
  if (!status.ok() && more.empty()) return status;
  for (Violation& violation : more) found.push_back(std::move(violation));
  return RefuseIfAny(std::move(found));
}

}  // namespace crr
