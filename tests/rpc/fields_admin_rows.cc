#include "tests/rpc/fields_rows.h"

#include "absl/strings/str_cat.h"

namespace crr::test {

std::vector<BadField> AdminRows() {
  std::vector<BadField> rows = PageRows("ListPublishers");
  for (const auto& more :
       {PageRows("ListAuditEvents"),
        NameRows("DeletePublisher", "name", "publishers/",
                 "PUBLISHER_NOT_FOUND")}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  for (const auto& more :
       {PageRows("ListCopiers"), PageRows("ListLeases"),
        NameRows("DrainCopier", "name", "copiers/", "COPIER_NOT_FOUND")}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  for (const char* copier : {"copier-1", "copiers/", "copiers/A"}) {
    rows.push_back({"ListLeases", {absl::StrCat("copier: \"", copier, "\"")},
                    {"INVALID_NAME copier"}});
  }
  for (const char* rule : {"dr", "buckets/photos", "buckets/photos/rules/"}) {
    rows.push_back({"ListLeases", {absl::StrCat("rule: \"", rule, "\"")},
                    {"INVALID_NAME rule"}});
  }
  rows.push_back({"RevokeLease", {"-name"}, {"REQUIRED_FIELD_MISSING name"}});
  for (const char* unit : {"", "0", "-1", "+3", "03", "3/", "x", "3 ",
                           "9223372036854775808"}) {
    rows.push_back({"RevokeLease",
                    {absl::StrCat("name: \"leases/", unit, "\"")},
                    {"INVALID_NAME name"}});
  }
  // The first probe, which is done, and a unit that never was.
  for (const char* unit : {"1", "4711", "9223372036854775807"}) {
    rows.push_back({"RevokeLease",
                    {absl::StrCat("name: \"leases/", unit, "\"")},
                    {"LEASE_NOT_FOUND name"}});
  }
  rows.push_back({"DeletePublisher", {R"(name: "publishers/gw")"},
                  {"PUBLISHER_ATTACHED name"}});
  return rows;
}

}  // namespace crr::test
