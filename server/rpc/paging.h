#ifndef CRR_SERVER_RPC_PAGING_H_
#define CRR_SERVER_RPC_PAGING_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/core/limits.h"
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

// Shows `rows` in a list's answer, up to a page in number and bytes, and sets
// its token when there are more: `rows` holds one beyond the page. `show` adds
// one to the answer and returns what it added; the next page goes on after
// `key_of` the last.
template <typename Row, typename Answer, typename Show, typename KeyOf>
void FillPage(const std::vector<Row>& rows, const Page& page,
              absl::string_view query, Answer& answer, Show show,
              KeyOf key_of) {
  size_t bytes = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == static_cast<size_t>(page.size) || bytes >= limits::kPageBytesMax) {
      answer.set_next_page_token(MakePageToken(key_of(rows[i - 1]), query));
      return;
    }
    const google::protobuf::Message& shown = show(rows[i]);
    bytes += shown.ByteSizeLong();
  }
}

// `field = value` terms joined by AND; see ListRulesRequest. Violation:
// INVALID_FILTER.
RuleFilter ParseRuleFilter(absl::string_view filter,
                           std::vector<Violation>& found);

}  // namespace crr

#endif  // CRR_SERVER_RPC_PAGING_H_
