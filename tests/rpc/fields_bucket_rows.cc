#include "absl/strings/str_cat.h"
#include "tests/rpc/fields_rows.h"

namespace crr::test {
namespace {

void Append(std::vector<BadField>& all, std::vector<BadField> more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

std::vector<BadField> BucketRows() {
  const std::string taken = R"(bucket_id: "photos")";
  const std::string held = R"(bucket.name: "buckets/photos-dr")";
  std::vector<BadField> rows = {
      // CreateBucket.
      {"CreateBucket", {"-bucket_id"}, {"REQUIRED_FIELD_MISSING bucket_id"}},
      {"CreateBucket", {taken}, {"BUCKET_ALREADY_EXISTS bucket_id"}},
      {"CreateBucket", {"-bucket"},
       {"REQUIRED_FIELD_MISSING bucket", "REQUIRED_FIELD_MISSING bucket.region",
        "REQUIRED_FIELD_MISSING bucket.owner"}},
      {"CreateBucket", {R"(bucket.name: "buckets/other")"},
       {"INVALID_NAME bucket.name"}},
      {"CreateBucket", {R"(bucket.name: "new-bucket")"},
       {"INVALID_NAME bucket.name"}},
      {"CreateBucket", {"bucket.versioning: 4"},
       {"INVALID_NAME bucket.versioning"}},
      {"CreateBucket", {"bucket.versioning: -1"},
       {"INVALID_NAME bucket.versioning"}},
      {"CreateBucket", {"-bucket.owner"},
       {"REQUIRED_FIELD_MISSING bucket.owner"}},
      {"CreateBucket", {"bucket.owner: " + Long(129)},
       {"INVALID_NAME bucket.owner"}},
      {"CreateBucket", {R"(bucket.owner: "ac\000me")"},
       {"INVALID_NAME bucket.owner"}},
      {"CreateBucket",
       {R"(bucket_id: "X")", R"(bucket.region: "nowhere")", "-bucket.owner",
        "bucket.versioning: 4", R"(request_id: "1")"},
       {"INVALID_BUCKET_NAME bucket_id", "INVALID_NAME bucket.region",
        "REQUIRED_FIELD_MISSING bucket.owner", "INVALID_NAME bucket.versioning",
        "INVALID_REQUEST_ID request_id"}},
      {"CreateBucket",
       {taken, R"(bucket.region: "regions/nowhere")", "-bucket.owner"},
       {"REQUIRED_FIELD_MISSING bucket.owner", "REGION_NOT_FOUND bucket.region",
        "BUCKET_ALREADY_EXISTS bucket_id"}},
      {"CreateBucket", {"validate_only: true", taken},
       {"BUCKET_ALREADY_EXISTS bucket_id"}},
      // UpdateBucket.
      {"UpdateBucket", {"-bucket"},
       {"REQUIRED_FIELD_MISSING bucket.name", "REQUIRED_FIELD_MISSING bucket"}},
      {"UpdateBucket", {"-bucket.versioning"},
       {"REQUIRED_FIELD_MISSING bucket"}},
      {"UpdateBucket", {"bucket.versioning: 4"},
       {"INVALID_NAME bucket.versioning"}},
      {"UpdateBucket", {R"(bucket.region: "regions/oss-cn-shanghai")"},
       {"IMMUTABLE_FIELD bucket.region"}},
      {"UpdateBucket", {R"(bucket.owner: "rival")"},
       {"IMMUTABLE_FIELD bucket.owner"}},
      {"UpdateBucket",
       {R"(bucket.owner: "rival")", R"(update_mask.paths: "*")"},
       {"IMMUTABLE_FIELD bucket.owner"}},
      {"UpdateBucket", {R"(bucket.etag: "old")"},
       {"ETAG_MISMATCH bucket.etag"}},
      {"UpdateBucket", {R"(update_mask.paths: ["owner", "region", "name"])"},
       {"IMMUTABLE_FIELD bucket.name", "IMMUTABLE_FIELD bucket.owner",
        "IMMUTABLE_FIELD bucket.region"}},
      {"UpdateBucket", {R"(update_mask.paths: ["versioning", "*"])"},
       {"INVALID_UPDATE_MASK update_mask"}},
      {"UpdateBucket", {R"(update_mask.paths: "bucket.versioning")"},
       {"INVALID_UPDATE_MASK update_mask"}},
      {"UpdateBucket", {R"(update_mask.paths: "")"},
       {"INVALID_UPDATE_MASK update_mask"}},
      // What a rule holds.
      {"UpdateBucket", {held}, {"BUCKET_HELD_BY_RULE bucket.versioning"}},
      {"UpdateBucket",
       {R"(bucket.name: "buckets/starting-dr")",
        "bucket.transfer_acceleration: false"},
       {"BUCKET_HELD_BY_RULE bucket.versioning",
        "BUCKET_HELD_BY_RULE bucket.transfer_acceleration"}},
      {"UpdateBucket",
       {held, R"(bucket.owner: "rival")",
        R"(update_mask.paths: ["versioning", "nothing"])"},
       {"INVALID_UPDATE_MASK update_mask",
        "BUCKET_HELD_BY_RULE bucket.versioning"}},
      {"UpdateBucket",
       {R"(bucket.name: "buckets/nowhere")", "bucket.versioning: 4",
        R"(update_mask.paths: ["versioning", "region"])"},
       {"IMMUTABLE_FIELD bucket.region", "INVALID_NAME bucket.versioning",
        "BUCKET_NOT_FOUND bucket.name"}},
      // DeleteBucket.
      {"DeleteBucket", {R"(etag: "old")"}, {"ETAG_MISMATCH etag"}},
      {"DeleteBucket", {"etag: " + Long(100'000)}, {"ETAG_MISMATCH etag"}},
      {"DeleteBucket", {R"(name: "buckets/photos")"},
       {"BUCKET_HELD_BY_RULE name"}},
  };
  for (const std::string& id :
       {std::string(R"("ab")"), std::string(R"("New")"),
        std::string(R"("-ab")"), std::string(R"("ab-")"),
        std::string(R"("a.b")"), std::string(R"("a\000b")"),
        std::string(R"("buckets/new")"), Long(64), Long(100'000)}) {
    rows.push_back({"CreateBucket", {"bucket_id: " + id},
                    {"INVALID_BUCKET_NAME bucket_id"}});
  }
  Append(rows, RequestIdRows("CreateBucket"));
  Append(rows, NameRows("CreateBucket", "bucket.region", "regions/",
                        "REGION_NOT_FOUND"));
  for (const char* rpc : {"GetBucket", "DeleteBucket"}) {
    Append(rows, NameRows(rpc, "name", "buckets/", "BUCKET_NOT_FOUND"));
  }
  Append(rows, NameRows("UpdateBucket", "bucket.name", "buckets/",
                        "BUCKET_NOT_FOUND"));
  Append(rows, PageRows("ListBuckets"));
  return rows;
}

}  // namespace crr::test
