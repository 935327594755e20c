#include "proto/cc/resource_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace crr {
namespace {

bool IsIdOfLength(absl::string_view id, size_t min, size_t max) {
  const auto is_lower_alnum = [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c));
  };
  return id.size() >= min && id.size() <= max && is_lower_alnum(id.front()) &&
         is_lower_alnum(id.back()) &&
         std::all_of(id.begin(), id.end(), [&](char c) {
           return c == '-' || is_lower_alnum(c);
         });
}

absl::Status NotA(absl::string_view pattern) {
  // The name itself is left out: it may be of any length and content.
  return absl::InvalidArgumentError(
      absl::StrCat("the name must have the form ", pattern));
}

}  // namespace

bool IsBucketId(absl::string_view id) { return IsIdOfLength(id, 3, 63); }
bool IsId(absl::string_view id) { return IsIdOfLength(id, 1, 63); }

std::string RegionName(absl::string_view region) {
  return absl::StrCat("regions/", region);
}
std::string BucketName(absl::string_view bucket) {
  return absl::StrCat("buckets/", bucket);
}
std::string PublisherName(absl::string_view publisher) {
  return absl::StrCat("publishers/", publisher);
}
std::string CopierName(absl::string_view copier) {
  return absl::StrCat("copiers/", copier);
}
std::string LeaseName(int64_t unit) { return absl::StrCat("leases/", unit); }
std::string RuleName(absl::string_view source, absl::string_view rule) {
  return absl::StrCat("buckets/", source, "/rules/", rule);
}

absl::StatusOr<std::string> ParseRegionName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "regions/") || !IsId(name)) {
    return NotA("regions/{region}");
  }
  return std::string(name);
}

absl::StatusOr<std::string> ParseBucketName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "buckets/") || !IsBucketId(name)) {
    return NotA("buckets/{bucket}");
  }
  return std::string(name);
}

absl::StatusOr<std::string> ParsePublisherName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "publishers/") || !IsId(name)) {
    return NotA("publishers/{publisher}");
  }
  return std::string(name);
}

absl::StatusOr<std::string> ParseCopierName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "copiers/") || !IsId(name)) {
    return NotA("copiers/{copier}");
  }
  return std::string(name);
}

absl::StatusOr<int64_t> ParseLeaseName(absl::string_view name) {
  int64_t unit = 0;
  // Only as LeaseName writes it: one lease has one name.
  if (!absl::ConsumePrefix(&name, "leases/") ||
      !absl::SimpleAtoi(name, &unit) || unit < 1 ||
      absl::StrCat(unit) != name) {
    return NotA("leases/{unit}");
  }
  return unit;
}

absl::StatusOr<RuleId> ParseRuleName(absl::string_view name) {
  const size_t slash = name.find("/rules/");
  if (slash == absl::string_view::npos) {
    return NotA("buckets/{bucket}/rules/{rule}");
  }
  const auto bucket = ParseBucketName(name.substr(0, slash));
  const absl::string_view rule = name.substr(slash + 7);
  if (!bucket.ok() || !IsId(rule)) {
    return NotA("buckets/{bucket}/rules/{rule}");
  }
  return RuleId{*bucket, std::string(rule)};
}

}  // namespace crr
