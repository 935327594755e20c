#include "absl/strings/str_cat.h"
#include "tests/rpc/fields_rows.h"

namespace crr::test {
namespace {

void Append(std::vector<BadField>& all, std::vector<BadField> more) {
  all.insert(all.end(), more.begin(), more.end());
}

// A region as CreateRegion and UpdateRegion take it.
std::vector<BadField> TextRows(const std::string& rpc) {
  std::vector<BadField> rows;
  const auto bad = [&](const std::string& field, const std::string& value) {
    rows.push_back({rpc, {absl::StrCat(field, ": ", value)},
                    {absl::StrCat("INVALID_NAME ", field)}});
  };
  bad("region.display_name", Long(256));
  bad("region.display_name", R"("a\000b")");
  bad("region.credentials", Long(254));
  bad("region.credentials", R"("a\000b")");
  for (const char* root :
       {R"("data")", R"("/")", R"("./data")", R"("/data/../etc")", R"("/..")",
        R"("/data/.")", R"("/da\000ta")"}) {
    bad("region.store.local.root", root);
  }
  bad("region.store.local.root", Long(1024, "/"));
  Append(rows, {
      {rpc, {"region.store.local.root: \"\""},
       {"REQUIRED_FIELD_MISSING region.store.local.root"}},
      {rpc, {"region.store: {}"},
       {"REQUIRED_FIELD_MISSING region.store.local.root"}},
      {rpc, {"region.store.local: {}"},
       {"REQUIRED_FIELD_MISSING region.store.local.root"}},
      {rpc,
       {"region.display_name: " + Long(256), "region.credentials: " + Long(254),
        R"(region.store.local.root: "data")"},
       {"INVALID_NAME region.display_name", "INVALID_NAME region.credentials",
        "INVALID_NAME region.store.local.root"}},
  });
  return rows;
}

std::vector<BadField> PolicyRows() {
  constexpr char kRpc[] = "UpdateRegionPairPolicy";
  constexpr char kNoProfile[] = "-region_pair_policy.profile";
  const auto entries = [](const std::string& text) {
    return absl::StrCat("region_pair_policy.entries: [", text, "]");
  };
  std::string too_many = "{}";
  for (int i = 0; i < 1000; ++i) too_many += ",{}";
  const std::string source = "INVALID_POLICY region_pair_policy.entries[0]"
                             ".source";
  const std::string destination = "INVALID_POLICY region_pair_policy.entries[0]"
                                  ".destination";
  std::vector<BadField> rows = {
      {kRpc, {"-region_pair_policy"},
       {"REQUIRED_FIELD_MISSING region_pair_policy"}},
      {kRpc, {"region_pair_policy.name: \"policy\""},
       {"INVALID_NAME region_pair_policy.name"}},
      {kRpc, {kNoProfile}, {"INVALID_POLICY region_pair_policy"}},
      {kRpc, {entries("{}")}, {"INVALID_POLICY region_pair_policy"}},
      {kRpc, {kNoProfile, entries(too_many)},
       {"INVALID_POLICY region_pair_policy.entries"}},
      {kRpc,
       {kNoProfile,
        entries(R"({ allow: true source { region: "Hangzhou" } })")},
       {source}},
      {kRpc, {kNoProfile, entries(R"({ source { region: "" } })")}, {source}},
      {kRpc, {kNoProfile, entries("{ source { area: 0 } }")}, {source}},
      {kRpc, {kNoProfile, entries("{ source { area: 3 } }")}, {source}},
      {kRpc, {kNoProfile, entries(R"({ destination { region: "regions/" } })")},
       {destination}},
      {kRpc,
       {kNoProfile, entries(absl::StrCat("{ destination { region: ",
                                         Long(64, "regions/"), " } }"))},
       {destination}},
      {kRpc, {kNoProfile, entries("{ destination { area: -1 } }")},
       {destination}},
      {kRpc,
       {kNoProfile,
        entries(R"({ source { region: "regions/nowhere" } }, {},
                   { destination { region: "regions/nowhere" } })")},
       {"REGION_NOT_FOUND region_pair_policy.entries[0].source",
        "REGION_NOT_FOUND region_pair_policy.entries[2].destination"}},
      {kRpc,
       {kNoProfile, entries(R"({ source { region: "regions/nowhere" } },
                               { destination { region: "?" } })")},
       {"INVALID_POLICY region_pair_policy.entries[1].destination",
        "REGION_NOT_FOUND region_pair_policy.entries[0].source"}},
      {kRpc, {"region_pair_policy.etag: \"old\""},
       {"ETAG_MISMATCH region_pair_policy.etag"}},
      {kRpc,
       {"region_pair_policy.etag: \"old\"", "region_pair_policy.name: \"x\"",
        "region_pair_policy.profile: \"seed-2021\""},
       {"INVALID_NAME region_pair_policy.name",
        "INVALID_POLICY region_pair_policy.profile",
        "ETAG_MISMATCH region_pair_policy.etag"}},
  };
  for (const std::string& profile :
       {std::string(R"("custom")"), std::string(R"("Seed-2019")"),
        std::string(R"("any-pair\000")"), Long(100'000)}) {
    rows.push_back({kRpc, {"region_pair_policy.profile: " + profile},
                    {"INVALID_POLICY region_pair_policy.profile"}});
  }
  return rows;
}

}  // namespace

std::vector<BadField> RegionRows() {
  const std::string taken = R"(region_id: "test-1")";
  std::vector<BadField> rows = {
      // CreateRegion.
      {"CreateRegion", {"-region_id"}, {"REQUIRED_FIELD_MISSING region_id"}},
      {"CreateRegion", {R"(region_id: "Test")"}, {"INVALID_NAME region_id"}},
      {"CreateRegion", {R"(region_id: "-test")"}, {"INVALID_NAME region_id"}},
      {"CreateRegion", {R"(region_id: "te\000st")"},
       {"INVALID_NAME region_id"}},
      {"CreateRegion", {R"(region_id: "regions/test")"},
       {"INVALID_NAME region_id"}},
      {"CreateRegion", {"region_id: " + Long(64)}, {"INVALID_NAME region_id"}},
      {"CreateRegion", {taken}, {"REGION_ALREADY_EXISTS region_id"}},
      {"CreateRegion", {"-region"},
       {"REQUIRED_FIELD_MISSING region", "REQUIRED_FIELD_MISSING region.area"}},
      {"CreateRegion", {R"(region.name: "regions/other")"},
       {"INVALID_NAME region.name"}},
      {"CreateRegion", {R"(region.name: "new-1")"},
       {"INVALID_NAME region.name"}},
      {"CreateRegion", {"-region.area"},
       {"REQUIRED_FIELD_MISSING region.area"}},
      {"CreateRegion", {"region.area: 3"}, {"INVALID_NAME region.area"}},
      {"CreateRegion", {"region.area: -1"}, {"INVALID_NAME region.area"}},
      {"CreateRegion", {taken, "region.area: 3", R"(request_id: "1")"},
       {"INVALID_NAME region.area", "INVALID_REQUEST_ID request_id",
        "REGION_ALREADY_EXISTS region_id"}},
      {"CreateRegion", {"validate_only: true", taken},
       {"REGION_ALREADY_EXISTS region_id"}},
      // UpdateRegion.
      {"UpdateRegion", {"-region"},
       {"REQUIRED_FIELD_MISSING region.name", "REQUIRED_FIELD_MISSING region"}},
      {"UpdateRegion", {"-region.display_name"},
       {"REQUIRED_FIELD_MISSING region"}},
      {"UpdateRegion", {"region.area: OUTSIDE_MAINLAND_CHINA"},
       {"IMMUTABLE_FIELD region.area"}},
      {"UpdateRegion", {"region.area: 3"}, {"IMMUTABLE_FIELD region.area"}},
      {"UpdateRegion",
       {"region.area: OUTSIDE_MAINLAND_CHINA", R"(update_mask.paths: "*")",
        R"(region.store.local.root: "/data")"},
       {"IMMUTABLE_FIELD region.area"}},
      {"UpdateRegion", {R"(update_mask.paths: "*")"},
       {"REQUIRED_FIELD_MISSING region.store.local.root"}},
      {"UpdateRegion", {R"(region.etag: "old")"},
       {"ETAG_MISMATCH region.etag"}},
      {"UpdateRegion", {"region.etag: " + Long(100'000)},
       {"ETAG_MISMATCH region.etag"}},
      {"UpdateRegion", {R"(update_mask.paths: "area")"},
       {"IMMUTABLE_FIELD region.area"}},
      {"UpdateRegion", {R"(update_mask.paths: ["name", "etag"])"},
       {"IMMUTABLE_FIELD region.etag", "IMMUTABLE_FIELD region.name"}},
      {"UpdateRegion",
       {R"(update_mask.paths: ["store.local.root", "display_name"])"},
       {"REQUIRED_FIELD_MISSING region.store.local.root"}},
      // Another store under a rule.
      {"UpdateRegion",
       {R"(region.name: "regions/oss-cn-hangzhou")",
        R"(region.store.local.root: "/data/other")"},
       {"REGION_IN_USE region.store"}},
      // Everything that can still be decided.
      {"UpdateRegion",
       {R"(region.name: "regions/nowhere")", "region.credentials: " + Long(254),
        R"(update_mask.paths: ["credentials", "area", "nothing"])"},
       {"IMMUTABLE_FIELD region.area", "INVALID_UPDATE_MASK update_mask",
        "INVALID_NAME region.credentials", "REGION_NOT_FOUND region.name"}},
      {"UpdateRegion",
       {R"(region.name: "regions/oss-cn-hangzhou")",
        R"(region.store.local.root: "/data/other")",
        "region.area: OUTSIDE_MAINLAND_CHINA",
        "region.display_name: " + Long(256)},
       {"INVALID_NAME region.display_name", "IMMUTABLE_FIELD region.area",
        "REGION_IN_USE region.store"}},
      {"UpdateRegion",
       {"region.display_name: " + Long(256), R"(region.etag: "old")"},
       {"INVALID_NAME region.display_name", "ETAG_MISMATCH region.etag"}},
      // DeleteRegion.
      {"DeleteRegion", {R"(etag: "old")"}, {"ETAG_MISMATCH etag"}},
      {"DeleteRegion", {"etag: " + Long(100'000)}, {"ETAG_MISMATCH etag"}},
      {"DeleteRegion", {R"(name: "regions/oss-cn-hangzhou")"},
       {"REGION_IN_USE name"}},
      // GetRegionPairPolicy.
      {"GetRegionPairPolicy", {R"(name: "policy")"}, {"INVALID_NAME name"}},
      {"GetRegionPairPolicy", {"name: " + Long(100'000)},
       {"INVALID_NAME name"}},
  };
  for (const char* path :
       {"nothing", "", ".", "store.", ".store", "store..local", "store.s3",
        "store.local.root.x", "display_name.x", "region.store", "Store",
        "display name"}) {
    rows.push_back({"UpdateRegion",
                    {absl::StrCat("update_mask.paths: \"", path, "\"")},
                    {"INVALID_UPDATE_MASK update_mask"}});
  }
  rows.push_back({"UpdateRegion",
                  {R"(update_mask.paths: ["*", "display_name"])"},
                  {"INVALID_UPDATE_MASK update_mask"}});
  rows.push_back({"UpdateRegion", {"update_mask.paths: " + Long(100'000)},
                  {"INVALID_UPDATE_MASK update_mask"}});
  Append(rows, RequestIdRows("CreateRegion"));
  Append(rows, TextRows("CreateRegion"));
  Append(rows, TextRows("UpdateRegion"));
  Append(rows, PageRows("ListRegions"));
  Append(rows, PolicyRows());
  for (const char* rpc : {"GetRegion", "DeleteRegion"}) {
    Append(rows, NameRows(rpc, "name", "regions/", "REGION_NOT_FOUND"));
  }
  Append(rows, NameRows("UpdateRegion", "region.name", "regions/",
                        "REGION_NOT_FOUND"));
  Append(rows, NameRows("ListDestinationRegions", "parent", "regions/",
                        "REGION_NOT_FOUND"));
  return rows;
}

}  // namespace crr::test
