#include "tests/rpc/fields_rows.h"

#include "absl/strings/str_cat.h"

namespace crr::test {

std::vector<GoodCall> GoodCalls() {
  return {
      {"CreateRegion",
       R"(region_id: "new-1" region { area: MAINLAND_CHINA })"},
      {"GetRegion", R"(name: "regions/test-1")"},
      {"ListRegions", "page_size: 10"},
      {"UpdateRegion",
       R"(region { name: "regions/test-1" display_name: "Test" })"},
      {"DeleteRegion", R"(name: "regions/test-1")"},
      {"GetRegionPairPolicy", R"(name: "regionPairPolicy")"},
      {"UpdateRegionPairPolicy",
       R"(region_pair_policy { profile: "any-pair" })"},
      {"ListDestinationRegions", R"(parent: "regions/oss-cn-hangzhou")"},
      {"CreateBucket",
       R"(bucket_id: "new-bucket"
          bucket { region: "regions/oss-cn-hangzhou" owner: "acme" })"},
      {"GetBucket", R"(name: "buckets/alone")"},
      {"ListBuckets", "page_size: 10"},
      {"UpdateBucket",
       R"(bucket { name: "buckets/alone" versioning: ENABLED })"},
      {"DeleteBucket", R"(name: "buckets/alone")"},
      {"CreateRule",
       R"(parent: "buckets/free" rule_id: "new"
          rule { destination_bucket: "buckets/free-dr"
                 operations: ADD_CHANGE replicate_historical: false })"},
      {"GetRule", R"(name: "buckets/photos/rules/dr")"},
      {"ListRules", R"(parent: "buckets/-" filter: "state = ACTIVE")"},
      {"GetRuleProgress", R"(name: "buckets/photos/rules/dr")"},
      {"WatchRuleProgress", R"(name: "buckets/photos/rules/dr")"},
      {"WaitForSync",
       R"(name: "buckets/photos/rules/dr" time { seconds: 1000 })"},
      {"VerifyRule", R"(name: "buckets/photos/rules/dr" read_bytes: true)"},
      {"ListFailedObjects",
       R"(parent: "buckets/photos/rules/dr" page_size: 10 state: DEAD)"},
      {"RetryFailedObjects",
       R"(name: "buckets/photos/rules/dr" selection { reason: "NO_ACCESS" })"},
      {"SkipFailedObjects",
       R"(name: "buckets/photos/rules/dr" selection { all: true })"},
      {"UpdateRule",
       R"(rule { name: "buckets/photos/rules/dr" limits { max_leases: 1 } })"},
      {"PauseRule", R"(name: "buckets/photos/rules/dr")"},
      {"ResumeRule", R"(name: "buckets/photos/rules/dr")"},
      {"DeleteRule", R"(name: "buckets/photos/rules/dr")"},
      {"ListPublishers", "page_size: 10"},
      {"DeletePublisher", R"(name: "publishers/old")"},
      {"ListCopiers", "page_size: 10"},
      {"DrainCopier", R"(name: "copiers/copier-1")"},
      {"ListLeases",
       R"(page_size: 10 copier: "copiers/copier-1"
          rule: "buckets/closing/rules/dr")"},
      // The third probe, which the copier keeps.
      {"RevokeLease", R"(name: "leases/3")"},
      {"ListAuditEvents", R"(page_size: 10 subject: "buckets/photos")"},
  };
}

std::string Long(size_t length, absl::string_view before) {
  return absl::StrCat("\"", before, std::string(length, 'x'), "\"");
}

std::vector<BadField> NameRows(const std::string& rpc, const std::string& field,
                               const std::string& prefix,
                               const std::string& not_found) {
  const auto with = [&](const std::string& value, const std::string& reason) {
    return BadField{rpc, {absl::StrCat(field, ": ", value)},
                    {absl::StrCat(reason, " ", field)}};
  };
  return {
      with("\"\"", "REQUIRED_FIELD_MISSING"),
      with("\"some\"", "INVALID_NAME"),
      with(absl::StrCat("\"", prefix, "\""), "INVALID_NAME"),
      with(absl::StrCat("\"", prefix, "-some\""), "INVALID_NAME"),
      with(absl::StrCat("\"", prefix, "Some\""), "INVALID_NAME"),
      with(absl::StrCat("\"", prefix, "some/more\""), "INVALID_NAME"),
      with(absl::StrCat("\"", prefix, "so\\000me\""), "INVALID_NAME"),
      with(absl::StrCat("\"/", prefix, "some\""), "INVALID_NAME"),
      with(Long(64, prefix), "INVALID_NAME"),
      with(Long(100'000, prefix), "INVALID_NAME"),
      with(Long(63, prefix), not_found),
  };
}

std::vector<BadField> PageRows(const std::string& rpc) {
  return {
      {rpc, {"page_size: -1"}, {"INVALID_PAGE_SIZE page_size"}},
      {rpc, {"page_size: -2147483648"}, {"INVALID_PAGE_SIZE page_size"}},
      {rpc, {"page_token: \"!\""}, {"INVALID_PAGE_TOKEN page_token"}},
      {rpc, {"page_token: \"AAAA\""}, {"INVALID_PAGE_TOKEN page_token"}},
      {rpc, {"page_token: " + Long(100'000)},
       {"INVALID_PAGE_TOKEN page_token"}},
      {rpc, {"page_size: -1", "page_token: \"x\""},
       {"INVALID_PAGE_SIZE page_size", "INVALID_PAGE_TOKEN page_token"}},
  };
}

std::vector<BadField> RequestIdRows(const std::string& rpc) {
  std::vector<BadField> rows = {
      {rpc, {absl::StrCat("request_id: \"", kUsedRequestId, "\"")},
       {"REQUEST_ID_REUSED request_id"}}};
  for (const std::string& id :
       {std::string("\"17\""),
        // A digit, a dash and a length that no UUID has.
        std::string("\"6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e8g\""),
        std::string("\"6a1c2f5e8-b0d-4c7a-9a3e-2f4b5d6c7e80\""),
        std::string("\"6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e800\""),
        std::string("\"6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e8\\000\""),
        Long(100'000)}) {
    rows.push_back({rpc, {"request_id: " + id},
                    {"INVALID_REQUEST_ID request_id"}});
  }
  return rows;
}

}  // namespace crr::test
