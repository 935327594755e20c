#include "server/rpc/converters.h"
#include "server/rpc/progress_converters.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>

#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "crr/v1/change.pb.h"
#include "proto/cc/resource_name.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/region_pair_policy.h"

namespace crr {
namespace {

// An etag of what the caller sees, without what changes by itself. With the time
// of creation: what was created anew is another thing.
template <typename Message>
std::string EtagOf(Message message) {
  message.clear_update_time();
  return absl::StrCat(
      absl::Hex(Hash64(CanonicalBytes(message)), absl::kZeroPad16));
}

Violation Missing(absl::string_view field) {
  return {.reason = "REQUIRED_FIELD_MISSING",
          .field = std::string(field),
          .description = absl::StrCat(field, " is required")};
}

Violation BadName(absl::string_view field, const absl::Status& why) {
  return {.reason = "INVALID_NAME",
          .field = std::string(field),
          .description = std::string(why.message())};
}

std::optional<std::string> BucketIdFrom(absl::string_view name,
                                        absl::string_view field,
                                        std::vector<Violation>& found) {
  if (name.empty()) {
    found.push_back(Missing(field));
    return std::nullopt;
  }
  auto id = ParseBucketName(name);
  if (!id.ok()) {
    found.push_back(BadName(field, id.status()));
    return std::nullopt;
  }
  return *std::move(id);
}

Violation UnknownValue(absl::string_view field) {
  return {.reason = "INVALID_NAME",
          .field = std::string(field),
          .description = "the value is not a known one"};
}

// A field that repeats what the request says elsewhere must agree.
void CheckEcho(absl::string_view given, absl::string_view expected,
               absl::string_view field, std::vector<Violation>& found) {
  if (given.empty() || given == expected) return;
  found.push_back({.reason = "INVALID_NAME",
                   .field = std::string(field),
                   .description = absl::StrCat(
                       field, " says something else than the request does")});
}

}  // namespace

std::string CanonicalBytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::string ToJson(const google::protobuf::Message& message) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  // A message of ours always has a JSON form.
  static_cast<void>(
      google::protobuf::util::MessageToJsonString(message, &json, options));
  return json;
}

bool IsUuid(absl::string_view id) {
  if (id.size() != 36) return false;
  for (size_t i = 0; i < id.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? id[i] != '-'
                : !absl::ascii_isxdigit(static_cast<unsigned char>(id[i]))) {
      return false;
    }
  }
  return true;
}

std::string RandomId(absl::string_view prefix) {
  std::random_device random;
  const uint64_t number = static_cast<uint64_t>(random()) << 32 | random();
  return absl::StrCat(prefix, absl::Hex(number, absl::kZeroPad16));
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp message;
  const int64_t seconds = absl::ToUnixSeconds(time);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return message;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration message;
  const int64_t seconds = absl::ToInt64Seconds(duration);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(duration - absl::Seconds(seconds))));
  return message;
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

bool IsTime(const google::protobuf::Timestamp& time) {
  // The bounds that timestamp.proto documents.
  return time.seconds() >= -62'135'596'800 && time.seconds() <= 253'402'300'799 &&
         time.nanos() >= 0 && time.nanos() <= 999'999'999;
}

v1::Bucket::Versioning ToProto(Versioning versioning) {
  switch (versioning) {
    case Versioning::kUnversioned: return v1::Bucket::UNVERSIONED;
    case Versioning::kEnabled: return v1::Bucket::ENABLED;
    case Versioning::kSuspended: return v1::Bucket::SUSPENDED;
  }
  return v1::Bucket::VERSIONING_UNSPECIFIED;
}

Versioning FromProto(v1::Bucket::Versioning versioning) {
  switch (versioning) {
    case v1::Bucket::ENABLED: return Versioning::kEnabled;
    case v1::Bucket::SUSPENDED: return Versioning::kSuspended;
    default: return Versioning::kUnversioned;
  }
}

v1::Region ToProto(const Region& region) {
  v1::Region message;
  message.set_name(NameOfRegion(region.id));
  message.set_area(region.area == Area::kMainlandChina
                       ? v1::Region::MAINLAND_CHINA
                       : v1::Region::OUTSIDE_MAINLAND_CHINA);
  message.set_display_name(region.display_name);
  if (region.store_root) {
    message.mutable_store()->mutable_local()->set_root(*region.store_root);
  }
  message.set_credentials(region.credentials);
  *message.mutable_create_time() = ToProto(region.create_time);
  *message.mutable_update_time() = ToProto(region.update_time);
  message.set_etag(EtagOf(message));
  return message;
}

v1::Bucket ToProto(const Bucket& bucket) {
  v1::Bucket message;
  message.set_name(NameOfBucket(bucket.id));
  message.set_region(NameOfRegion(bucket.region));
  message.set_versioning(ToProto(bucket.versioning));
  message.set_transfer_acceleration(bucket.acceleration);
  message.set_owner(bucket.owner);
  *message.mutable_create_time() = ToProto(bucket.create_time);
  *message.mutable_update_time() = ToProto(bucket.update_time);
  message.set_etag(EtagOf(message));
  return message;
}

v1::Rule ToProto(const RuleView& view) {
  const Rule& rule = view.rule;
  v1::Rule message;
  message.set_name(NameOfRule(rule));
  message.set_source_bucket(NameOfBucket(rule.source));
  message.set_destination_bucket(NameOfBucket(rule.destination));
  message.mutable_prefixes()->Assign(rule.prefixes.begin(),
                                     rule.prefixes.end());
  message.set_operations(static_cast<v1::Rule::Operations>(rule.operations));
  message.set_replicate_historical(rule.historical);
  message.set_transfer(static_cast<v1::Rule::Transfer>(rule.transfer));
  if (rule.kms_replicate) {
    message.mutable_sse_kms()->set_replicate(true);
    message.mutable_sse_kms()->set_replica_kms_key(rule.kms_key);
  }
  if (rule.max_leases != 0 || rule.max_bytes_per_second != 0) {
    message.mutable_limits()->set_max_leases(
        static_cast<int32_t>(rule.max_leases));
    message.mutable_limits()->set_max_bytes_per_second(
        rule.max_bytes_per_second);
  }
  message.mutable_labels()->insert(rule.labels.begin(), rule.labels.end());
  message.set_state(static_cast<v1::Rule::State>(rule.state));
  *message.mutable_create_time() = ToProto(rule.create_time);
  *message.mutable_update_time() = ToProto(rule.update_time);
  message.set_etag(EtagOf(message));  // Before the conditions: they come and go.
  for (const ShownCondition& condition : view.conditions) {
    *message.add_conditions() = ToProto(condition);
  }
  return message;
}

NewRule FromProto(const v1::CreateRuleRequest& request,
                  std::vector<Violation>& found) {
  const v1::Rule& message = request.rule();
  NewRule rule;
  rule.source = BucketIdFrom(request.parent(), "parent", found);
  if (!request.has_rule()) found.push_back(Missing("rule"));
  rule.destination = BucketIdFrom(message.destination_bucket(),
                                  "rule.destination_bucket", found);
  rule.id = request.rule_id().empty() ? RandomId("r-") : request.rule_id();
  if (!IsId(rule.id)) {
    found.push_back({.reason = "INVALID_RULE_ID",
                     .field = "rule_id",
                     .description = "not a rule id"});
  }
  if (rule.source) {
    CheckEcho(message.source_bucket(), request.parent(), "rule.source_bucket",
              found);
    CheckEcho(message.name(), RuleName(*rule.source, rule.id), "rule.name",
              found);
  }
  rule.prefixes.assign(message.prefixes().begin(), message.prefixes().end());
  if (message.operations() == v1::Rule::ADD_DELETE_CHANGE ||
      message.operations() == v1::Rule::ADD_CHANGE) {
    rule.operations = static_cast<Operations>(message.operations());
  }
  if (message.has_replicate_historical()) {
    rule.historical = message.replicate_historical();
  }
  switch (message.transfer()) {
    case v1::Rule::TRANSFER_UNSPECIFIED:
      break;
    case v1::Rule::STANDARD:
    case v1::Rule::ACCELERATED:
      rule.transfer = static_cast<Transfer>(message.transfer());
      break;
    default:
      found.push_back(UnknownValue("rule.transfer"));
      rule.transfer_unknown = true;
  }
  rule.kms_replicate = message.sse_kms().replicate();
  rule.kms_key = message.sse_kms().replica_kms_key();
  rule.max_leases = message.limits().max_leases();
  rule.max_bytes_per_second = message.limits().max_bytes_per_second();
  rule.labels.insert(message.labels().begin(), message.labels().end());
  return rule;
}

void CheckRegionText(const v1::Region& region, std::vector<Violation>& found) {
  const auto check = [&](const std::string& text, absl::string_view field,
                         size_t max) {
    if (text.size() <= max && IsTextWithoutNul(text)) return;
    found.push_back({.reason = "INVALID_NAME",
                     .field = absl::StrCat("region.", field),
                     .description = absl::StrCat("at most ", max,
                                                 " bytes without NUL")});
  };
  check(region.display_name(), "display_name", limits::kDisplayNameBytesMax);
  check(region.credentials(), "credentials", limits::kCredentialsBytesMax);
}

Region FromProto(const v1::CreateRegionRequest& request, absl::Time now,
                 std::vector<Violation>& found) {
  const v1::Region& message = request.region();
  Region region{.id = "",
                .display_name = message.display_name(),
                .store_root = std::nullopt,
                .credentials = message.credentials(),
                .create_time = now,
                .update_time = now};
  if (request.region_id().empty()) {
    found.push_back(Missing("region_id"));
  } else if (!IsId(request.region_id())) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "region_id",
                     .description = "not a region id"});
  } else {
    region.id = request.region_id();
    CheckEcho(message.name(), RegionName(region.id), "region.name", found);
  }
  if (!request.has_region()) found.push_back(Missing("region"));
  switch (message.area()) {
    case v1::Region::MAINLAND_CHINA:
      region.area = Area::kMainlandChina;
      break;
    case v1::Region::OUTSIDE_MAINLAND_CHINA:
      region.area = Area::kOutsideMainlandChina;
      break;
    case v1::Region::AREA_UNSPECIFIED:
      found.push_back(Missing("region.area"));
      break;
    default:
      found.push_back(UnknownValue("region.area"));
  }
  CheckRegionText(message, found);
  if (message.has_store()) {
    region.store_root = LocalRootFrom(message.store(), "region.store", found);
  }
  return region;
}

v1::RegionPairPolicy ToProto(const RegionPairPolicy& policy) {
  v1::RegionPairPolicy message;
  message.set_name("regionPairPolicy");
  message.set_profile(policy.profile);
  const auto put = [](const RegionPattern& from,
                      v1::RegionPairPolicy::Pattern& to) {
    switch (from.kind) {
      case RegionPattern::Kind::kAny:
        break;
      case RegionPattern::Kind::kArea:
        to.set_area(from.value == "1" ? v1::Region::MAINLAND_CHINA
                                      : v1::Region::OUTSIDE_MAINLAND_CHINA);
        break;
      case RegionPattern::Kind::kRegion:
        to.set_region(NameOfRegion(from.value));
        break;
    }
  };
  for (const RegionPairEntry& entry : policy.entries) {
    auto& to = *message.add_entries();
    to.set_allow(entry.allow);
    put(entry.source, *to.mutable_source());
    put(entry.destination, *to.mutable_destination());
  }
  message.set_etag(absl::StrCat(
      absl::Hex(Hash64(CanonicalBytes(message)), absl::kZeroPad16)));
  *message.mutable_update_time() = ToProto(policy.update_time);
  return message;
}

RegionPairPolicy FromProto(const v1::UpdateRegionPairPolicyRequest& request,
                           absl::Time now, std::vector<Violation>& found) {
  const v1::RegionPairPolicy& message = request.region_pair_policy();
  RegionPairPolicy policy{
      .profile = "custom", .entries = {}, .update_time = now};
  const auto refuse = [&](const std::string& field, const std::string& why) {
    found.push_back({.reason = "INVALID_POLICY",
                     .field = absl::StrCat("region_pair_policy", field),
                     .description = why});
  };
  if (!request.has_region_pair_policy()) {
    found.push_back(Missing("region_pair_policy"));
    return policy;
  }
  CheckEcho(message.name(), "regionPairPolicy", "region_pair_policy.name",
            found);
  if (message.profile().empty() && message.entries().empty()) {
    refuse("", "either a profile or entries must be given");
    return policy;
  }
  if (message.entries().empty()) {
    if (auto known = PolicyOfProfile(message.profile())) {
      policy = *std::move(known);
      policy.update_time = now;
    } else {
      refuse(".profile", "a profile is one of any-pair, seed-2019, seed-2020, "
                         "seeds-union");
    }
    return policy;
  }
  if (message.entries_size() > limits::kPolicyEntriesMax) {
    refuse(".entries", absl::StrCat("at most ", limits::kPolicyEntriesMax));
    return policy;
  }
  for (int i = 0; i < message.entries_size(); ++i) {
    const auto pattern = [&](const v1::RegionPairPolicy::Pattern& from,
                             absl::string_view end) -> RegionPattern {
      const std::string field = absl::StrCat(".entries[", i, "].", end);
      switch (from.kind_case()) {
        case v1::RegionPairPolicy::Pattern::kRegion: {
          const auto id = ParseRegionName(from.region());
          if (!id.ok()) refuse(field, std::string(id.status().message()));
          return {RegionPattern::Kind::kRegion, id.value_or("")};
        }
        case v1::RegionPairPolicy::Pattern::kArea:
          if (from.area() != v1::Region::MAINLAND_CHINA &&
              from.area() != v1::Region::OUTSIDE_MAINLAND_CHINA) {
            refuse(field, "not a known area");
          }
          return {RegionPattern::Kind::kArea,
                  absl::StrCat(static_cast<int>(from.area()))};
        case v1::RegionPairPolicy::Pattern::KIND_NOT_SET:
          return {};
      }
      return {};
    };
    const auto& entry = message.entries(i);
    policy.entries.push_back(
        {.allow = entry.allow(),
         .source = pattern(entry.source(), "source"),
         .destination = pattern(entry.destination(), "destination")});
  }
  // What GetRegionPairPolicy answers may come back as it is.
  if (!message.profile().empty() && message.profile() != policy.profile) {
    const auto known = PolicyOfProfile(message.profile());
    if (!known || known->entries != policy.entries) {
      refuse("", "profile and entries do not agree: give one of them");
    }
    policy.profile = message.profile();
  }
  return policy;
}

void CheckVersioning(const v1::Bucket& bucket, std::vector<Violation>& found) {
  if (v1::Bucket::Versioning_IsValid(bucket.versioning())) return;
  found.push_back(UnknownValue("bucket.versioning"));
}

Bucket FromProto(const v1::CreateBucketRequest& request, absl::Time now,
                 std::vector<Violation>& found) {
  const v1::Bucket& message = request.bucket();
  Bucket bucket{.acceleration = message.transfer_acceleration(),
                .create_time = now,
                .update_time = now};
  if (request.bucket_id().empty()) {
    found.push_back(Missing("bucket_id"));
  } else if (!IsBucketId(request.bucket_id())) {
    found.push_back({.reason = "INVALID_BUCKET_NAME",
                     .field = "bucket_id",
                     .description = "not a bucket name"});
  } else {
    bucket.id = request.bucket_id();
    CheckEcho(message.name(), BucketName(bucket.id), "bucket.name", found);
  }
  if (!request.has_bucket()) found.push_back(Missing("bucket"));
  if (message.region().empty()) {
    found.push_back(Missing("bucket.region"));
  } else if (auto region = ParseRegionName(message.region()); region.ok()) {
    bucket.region = *std::move(region);
  } else {
    found.push_back(BadName("bucket.region", region.status()));
  }
  if (message.owner().empty()) {
    found.push_back(Missing("bucket.owner"));
  } else if (message.owner().size() > limits::kOwnerBytesMax ||
             !IsTextWithoutNul(message.owner())) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "bucket.owner",
                     .description =
                         absl::StrCat("an owner has 1 to ",
                                      limits::kOwnerBytesMax, " bytes")});
  }
  bucket.owner = message.owner();
  CheckVersioning(message, found);
  bucket.versioning = FromProto(message.versioning());
  return bucket;
}

std::string LocalRootFrom(const v1::Store& store, const std::string& field,
                          std::vector<Violation>& found) {
  const std::string& root = store.local().root();
  if (!store.has_local() || root.empty()) {
    found.push_back(Missing(absl::StrCat(field, ".local.root")));
    return "";
  }
  bool good = root.front() == '/' && root.size() > 1 &&
              root.size() <= limits::kStoreRootBytesMax &&
              IsTextWithoutNul(root);
  for (absl::string_view part : absl::StrSplit(root, '/')) {
    good = good && part != "." && part != "..";
  }
  if (good) return root;
  found.push_back(
      {.reason = "INVALID_NAME",
       .field = absl::StrCat(field, ".local.root"),
       .description = absl::StrCat(
           "a root is an absolute path without `.` and `..`, of at most ",
           limits::kStoreRootBytesMax, " bytes")});
  return "";
}

}  // namespace crr
