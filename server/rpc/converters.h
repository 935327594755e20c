#ifndef CRR_SERVER_RPC_CONVERTERS_H_
#define CRR_SERVER_RPC_CONVERTERS_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "crr/v1/bucket.pb.h"
#include "crr/v1/bucket_service.pb.h"
#include "crr/v1/region.pb.h"
#include "crr/v1/region_service.pb.h"
#include "crr/v1/replication_service.pb.h"
#include "crr/v1/rule.pb.h"
#include "server/core/rule_manager.h"
#include "server/core/rule_validator.h"
#include "storage/bucket_table.h"
#include "storage/region_table.h"

namespace crr {

// Between messages and plain values. What cannot be parsed is left out of the
// value, and its violation is added to `found`.

v1::Region ToProto(const Region& region);
v1::Bucket ToProto(const Bucket& bucket);
v1::Rule ToProto(const RuleView& view);
v1::RegionPairPolicy ToProto(const RegionPairPolicy& policy);
RegionPairPolicy FromProto(const v1::UpdateRegionPairPolicyRequest& request,
                           absl::Time now, std::vector<Violation>& found);
v1::Bucket::Versioning ToProto(Versioning versioning);
Versioning FromProto(v1::Bucket::Versioning versioning);
google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Time FromProto(const google::protobuf::Timestamp& time);
// Whether it is a time that every client can show: the years 1 to 9999, with
// nanoseconds below a second.
bool IsTime(const google::protobuf::Timestamp& time);

NewRule FromProto(const v1::CreateRuleRequest& request,
                  std::vector<Violation>& found);
Region FromProto(const v1::CreateRegionRequest& request, absl::Time now,
                 std::vector<Violation>& found);
Bucket FromProto(const v1::CreateBucketRequest& request, absl::Time now,
                 std::vector<Violation>& found);

// The root of a local store, checked; empty, with a violation, when bad.
std::string LocalRootFrom(const v1::Store& store, const std::string& field,
                          std::vector<Violation>& found);

// The text fields of a region that have a bound of their own.
void CheckRegionText(const v1::Region& region, std::vector<Violation>& found);

// That a bucket's versioning is one that there is, or unset.
void CheckVersioning(const v1::Bucket& bucket, std::vector<Violation>& found);

// The message as one line of JSON, with its default values.
std::string ToJson(const google::protobuf::Message& message);

// Bytes that are the same for equal messages (maps in order).
std::string CanonicalBytes(const google::protobuf::Message& message);

// Whether `id` is a UUID (RFC 9562) in its usual form.
bool IsUuid(absl::string_view id);

// An id for what its creator left unnamed: `prefix` and 16 random hex digits.
std::string RandomId(absl::string_view prefix);

}  // namespace crr

#endif  // CRR_SERVER_RPC_CONVERTERS_H_
