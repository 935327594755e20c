#ifndef CRR_SERVER_RPC_NAME_FROM_H_
#define CRR_SERVER_RPC_NAME_FROM_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/cc/resource_name.h"
#include "server/core/refusal.h"

namespace crr {

// Parses a resource name of a request; empty, with a violation, when bad.
template <typename Id>
Id NameFrom(absl::StatusOr<Id> (*parse)(absl::string_view),
            const std::string& name, const std::string& field,
            std::vector<Violation>& found) {
  auto id = parse(name);
  if (id.ok()) return *std::move(id);
  found.push_back(
      {.reason = name.empty() ? "REQUIRED_FIELD_MISSING" : "INVALID_NAME",
       .field = field,
       .description = std::string(id.status().message())});
  return Id{};
}

}  // namespace crr

#endif  // CRR_SERVER_RPC_NAME_FROM_H_
