#ifndef CRR_SERVER_RPC_PAGING_H_
#define CRR_SERVER_RPC_PAGING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/core/refusal.h"
#include "storage/rule_table.h"

namespace crr {

// Where a list goes on and how many it shows.
struct Page {
  std::string after;  // Last key shown; empty for the start.
  int size = 0;
};

// `query` is everything that must be the same over all pages of one list.
// Violations: INVALID_PAGE_SIZE, INVALID_PAGE_TOKEN.
Page ParsePage(int32_t page_size, absl::string_view page_token,
               absl::string_view query, std::vector<Violation>& found);

// The token that goes on after `last`. Opaque, and good for `query` only.
std::string MakePageToken(absl::string_view last, absl::string_view query);

// `field = value` terms joined by AND; see ListRulesRequest. Violation:
// INVALID_FILTER.
RuleFilter ParseRuleFilter(absl::string_view filter,
                           std::vector<Violation>& found);

}  // namespace crr

#endif  // CRR_SERVER_RPC_PAGING_H_
