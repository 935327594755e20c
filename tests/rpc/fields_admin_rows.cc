#include "tests/rpc/fields_rows.h"

namespace crr::test {

std::vector<BadField> AdminRows() {
  std::vector<BadField> rows = PageRows("ListPublishers");
  for (const auto& more :
       {PageRows("ListAuditEvents"),
        NameRows("DeletePublisher", "name", "publishers/",
                 "PUBLISHER_NOT_FOUND")}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  rows.push_back({"DeletePublisher", {R"(name: "publishers/gw")"},
                  {"PUBLISHER_ATTACHED name"}});
  return rows;
}

}  // namespace crr::test
