#ifndef CRR_SERVER_CORE_NAMES_H_
#define CRR_SERVER_CORE_NAMES_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "storage/rule_table.h"

namespace crr {

// Resource names as refusals and leases show them. Parsing is done at the edge
// (proto/cc/resource_name.h), which core does not know.
inline std::string NameOfBucket(absl::string_view id) {
  return absl::StrCat("buckets/", id);
}
inline std::string NameOfRegion(absl::string_view id) {
  return absl::StrCat("regions/", id);
}
inline std::string NameOfRule(const Rule& rule) {
  return absl::StrCat("buckets/", rule.source, "/rules/", rule.id);
}

}  // namespace crr

#endif  // CRR_SERVER_CORE_NAMES_H_
