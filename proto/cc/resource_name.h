#ifndef CRR_PROTO_CC_RESOURCE_NAME_H_
#define CRR_PROTO_CC_RESOURCE_NAME_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crr {

// Resource names of crr.v1, taken apart and put together. Parsers answer
// INVALID_ARGUMENT with a sentence that says what was expected.

// 3 to 63 of [a-z0-9-], alphanumeric at both ends.
bool IsBucketId(absl::string_view id);
// 1 to 63 of [a-z0-9-], alphanumeric at both ends: rules, regions, copiers,
// publishers.
bool IsId(absl::string_view id);

std::string RegionName(absl::string_view region);
std::string BucketName(absl::string_view bucket);
std::string PublisherName(absl::string_view publisher);
std::string CopierName(absl::string_view copier);
std::string LeaseName(int64_t unit);
std::string RuleName(absl::string_view source, absl::string_view rule);

absl::StatusOr<std::string> ParseRegionName(absl::string_view name);
absl::StatusOr<std::string> ParseBucketName(absl::string_view name);
absl::StatusOr<std::string> ParsePublisherName(absl::string_view name);
absl::StatusOr<std::string> ParseCopierName(absl::string_view name);
// The unit's number.
absl::StatusOr<int64_t> ParseLeaseName(absl::string_view name);

struct RuleId {
  std::string source;
  std::string rule;
};
absl::StatusOr<RuleId> ParseRuleName(absl::string_view name);

}  // namespace crr

#endif  // CRR_PROTO_CC_RESOURCE_NAME_H_
