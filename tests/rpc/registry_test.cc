#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// Regions and buckets.
namespace crr {
namespace {

using test::Call;
using test::FromJson;
using test::RefusalOf;
using ::testing::UnorderedElementsAre;

class RegistryTest : public ::testing::Test {
 protected:
  grpc::Status Update(const std::string& json, v1::Region* region = nullptr) {
    return Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                FromJson<v1::UpdateRegionRequest>(json), region);
  }
  // UpdateRegion of Hangzhou.
  grpc::Status SetRoot(const std::string& root, v1::Region* region = nullptr) {
    return Update(
        absl::StrCat(R"({"region":{"name":"regions/oss-cn-hangzhou","store":)",
                     R"({"local":{"root":")", root, R"("}}}})"),
        region);
  }
  v1::Region GetHangzhou() {
    v1::Region region;
    EXPECT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::GetRegion,
                     FromJson<v1::GetRegionRequest>(
                         R"({"name":"regions/oss-cn-hangzhou"})"),
                     &region)
                    .ok());
    return region;
  }
  grpc::Status CreateBucket(const std::string& json,
                            v1::Bucket* bucket = nullptr) {
    return Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                FromJson<v1::CreateBucketRequest>(json), bucket);
  }
  static std::string BucketJson(const std::string& id) {
    return absl::StrCat(
        R"({"bucketId":")", id,
        R"(","bucket":{"region":"regions/oss-cn-hangzhou","owner":"acme"}})");
  }

  test::TestServer server_;
};

// -------------------------------------------------------------------- regions

TEST_F(RegistryTest, AStoreIsSet) {
  v1::Region region;
  ASSERT_TRUE(Update(R"({"region":{"name":"regions/oss-cn-hangzhou",
                         "store":{"local":{"root":"/data/hz"}}},
                         "updateMask":"store"})",
                     &region)
                  .ok());
  EXPECT_EQ(region.store().local().root(), "/data/hz");
  EXPECT_EQ(region.display_name(), "China (Hangzhou)");
  EXPECT_EQ(GetHangzhou().SerializeAsString(), region.SerializeAsString());
  server_.Restart();
  EXPECT_EQ(GetHangzhou().SerializeAsString(), region.SerializeAsString());
}

TEST_F(RegistryTest, SettingWhatIsSetChangesNothing) {
  v1::Region first;
  ASSERT_TRUE(SetRoot("/data/hz", &first).ok());
  server_.clock().Advance(absl::Hours(1));
  v1::Region second;
  ASSERT_TRUE(SetRoot("/data/hz", &second).ok());
  EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());
}

TEST_F(RegistryTest, AStoreIsFrozenWhileARuleHoldsABucketOfItsRegion) {
  server_.AddBucket("hz-1", test::kHangzhou);
  server_.AddBucket("sh-1", test::kShanghai);
  // Before: free to change.
  ASSERT_TRUE(SetRoot("/data/one").ok());
  ASSERT_TRUE(SetRoot("/data/two").ok());
  // As a destination, too.
  const v1::Rule rule = server_.AddRule("sh-1", "hz-1");
  const auto status = SetRoot("/data/three");
  EXPECT_REFUSED(status, FAILED_PRECONDITION, "REGION_IN_USE");
  EXPECT_EQ(RefusalOf(status).violations[0].subject(),
            "regions/oss-cn-hangzhou");
  EXPECT_TRUE(SetRoot("/data/two").ok());
  EXPECT_EQ(GetHangzhou().store().local().root(), "/data/two");
  // After: free again.
  ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
  EXPECT_TRUE(test::Eventually([&] { return SetRoot("/data/three").ok(); }));
}

TEST_F(RegistryTest, TheFirstStoreMayComeAfterTheRule) {
  server_.AddBucket("hz-1", test::kHangzhou);
  server_.AddBucket("sh-1", test::kShanghai);
  server_.AddRule("hz-1", "sh-1");
  EXPECT_TRUE(SetRoot("/data/one").ok());
  EXPECT_REFUSED(SetRoot("/data/two"), FAILED_PRECONDITION, "REGION_IN_USE");
}

TEST_F(RegistryTest, AnOldEtagIsRefused) {
  const std::string old_etag = GetHangzhou().etag();
  ASSERT_FALSE(old_etag.empty());
  const auto update = [&](const std::string& etag, const std::string& root) {
    return Update(absl::StrCat(
        R"({"region":{"name":"regions/oss-cn-hangzhou","etag":")", etag,
        R"(","store":{"local":{"root":")", root, R"("}}}})"));
  };
  ASSERT_TRUE(update(old_etag, "/data/one").ok());
  EXPECT_REFUSED(update(old_etag, "/data/two"), ABORTED, "ETAG_MISMATCH");
  EXPECT_EQ(GetHangzhou().store().local().root(), "/data/one");
  EXPECT_TRUE(update(GetHangzhou().etag(), "/data/two").ok());
}

TEST_F(RegistryTest, BadUpdatesOfARegionAreRefused) {
  EXPECT_REFUSED(Update(R"({"region":{"name":"regions/nowhere",
                            "store":{"local":{"root":"/x"}}}})"),
                 NOT_FOUND, "REGION_NOT_FOUND");
  EXPECT_REFUSED(Update(R"({"region":{"store":{"local":{"root":"/x"}}}})"),
                 INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
  EXPECT_REFUSED(Update(R"({"region":{"name":"oss-cn-hangzhou",
                            "store":{"local":{"root":"/x"}}}})"),
                 INVALID_ARGUMENT, "INVALID_NAME");
  EXPECT_REFUSED(Update(R"({"region":{"name":"regions/oss-cn-hangzhou"}})"),
                 INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
  for (const auto& [mask, reason] :
       {std::pair("area", "IMMUTABLE_FIELD"),
        std::pair("name", "IMMUTABLE_FIELD"),
        std::pair("store,etag", "IMMUTABLE_FIELD"),
        std::pair("store,nothing", "INVALID_UPDATE_MASK"),
        std::pair("store.s3", "INVALID_UPDATE_MASK"),
        std::pair("*,store", "INVALID_UPDATE_MASK")}) {
    v1::UpdateRegionRequest request;
    request.mutable_region()->set_name("regions/oss-cn-hangzhou");
    request.mutable_region()->mutable_store()->mutable_local()->set_root("/x");
    for (absl::string_view path : absl::StrSplit(mask, ',')) {
      request.mutable_update_mask()->add_paths(std::string(path));
    }
    EXPECT_REFUSED(
        Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion, request),
        INVALID_ARGUMENT, reason);
  }
  EXPECT_FALSE(GetHangzhou().has_store());
}

// "An absent mask means the fields that are present."
TEST_F(RegistryTest, AFieldThatCannotBeSetIsNotDroppedInSilence) {
  // What was read may come back as it is.
  v1::UpdateRegionRequest request;
  *request.mutable_region() = GetHangzhou();
  request.mutable_region()->mutable_store()->mutable_local()->set_root("/x");
  const auto update = [&] {
    return Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                request);
  };
  EXPECT_TRUE(update().ok());
  request.mutable_region()->clear_etag();
  request.mutable_region()->set_area(v1::Region::OUTSIDE_MAINLAND_CHINA);
  EXPECT_REFUSED(update(), INVALID_ARGUMENT, "IMMUTABLE_FIELD");
  request.mutable_update_mask()->add_paths("*");
  EXPECT_REFUSED(update(), INVALID_ARGUMENT, "IMMUTABLE_FIELD");
  // A mask says what is meant.
  request.mutable_update_mask()->clear_paths();
  request.mutable_update_mask()->add_paths("store");
  EXPECT_TRUE(update().ok());
  EXPECT_EQ(GetHangzhou().area(), v1::Region::MAINLAND_CHINA);
}

TEST_F(RegistryTest, ARootIsAPlainAbsolutePath) {
  for (const std::string& root :
       {std::string("data"), std::string("/"), std::string("/data/../etc"),
        std::string("/.."), std::string("/data/."), std::string("./data"),
        std::string("/a\\u0000b"), "/" + std::string(1024, 'x')}) {
    EXPECT_REFUSED(SetRoot(root), INVALID_ARGUMENT, "INVALID_NAME");
  }
  for (const std::string& root :
       {std::string("/d"), std::string("/data/..a/b..c/..."),
        std::string("/with a space"), "/" + std::string(1023, 'x')}) {
    EXPECT_TRUE(SetRoot(root).ok()) << root;
  }
}

TEST_F(RegistryTest, GetRegionTellsBadNamesFromUnknownOnes) {
  const auto get = [&](const std::string& name) {
    v1::GetRegionRequest request;
    request.set_name(name);
    return Call(server_.regions(), &v1::RegionService::Stub::GetRegion,
                request);
  };
  EXPECT_REFUSED(get(""), INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
  EXPECT_REFUSED(get("oss-cn-hangzhou"), INVALID_ARGUMENT, "INVALID_NAME");
  EXPECT_REFUSED(get("regions/x"), NOT_FOUND, "REGION_NOT_FOUND");
}

// -------------------------------------------------------------------- buckets

TEST_F(RegistryTest, ABucketIsRegistered) {
  v1::Bucket bucket;
  ASSERT_TRUE(CreateBucket(R"({"bucketId":"photos","bucket":{
                  "region":"regions/oss-cn-hangzhou","versioning":"ENABLED",
                  "owner":"acme","transferAcceleration":true}})",
                           &bucket)
                  .ok());
  EXPECT_EQ(bucket.name(), "buckets/photos");
  EXPECT_EQ(bucket.versioning(), v1::Bucket::ENABLED);
  EXPECT_TRUE(bucket.transfer_acceleration());
  v1::GetBucketRequest request;
  request.set_name("buckets/photos");
  v1::Bucket stored;
  ASSERT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::GetBucket,
                   request, &stored)
                  .ok());
  EXPECT_EQ(stored.SerializeAsString(), bucket.SerializeAsString());
}

TEST_F(RegistryTest, VersioningUnsetIsUnversioned) {
  v1::Bucket bucket;
  ASSERT_TRUE(CreateBucket(BucketJson("photos"), &bucket).ok());
  EXPECT_EQ(bucket.versioning(), v1::Bucket::UNVERSIONED);
  EXPECT_TRUE(bucket.has_transfer_acceleration());
}

TEST_F(RegistryTest, ABucketNameIsCheckedOnBothSides) {
  for (const std::string& id :
       {std::string("ab"), std::string("Abc"), std::string("-abc"),
        std::string("abc-"), std::string("a.c"), std::string("a_c"),
        std::string("buckets/abc"), std::string(64, 'a')}) {
    EXPECT_REFUSED(CreateBucket(BucketJson(id)), INVALID_ARGUMENT,
                   "INVALID_BUCKET_NAME");
  }
  for (const std::string& id :
       {std::string("abc"), std::string("0-0"), std::string(63, 'a')}) {
    EXPECT_TRUE(CreateBucket(BucketJson(id)).ok()) << id;
  }
}

TEST_F(RegistryTest, EverythingWrongWithABucketIsSaidAtOnce) {
  const auto refusal = RefusalOf(CreateBucket(R"({"bucketId":"X",
      "requestId":"x","bucket":{"region":"nowhere","versioning":9}})"));
  EXPECT_EQ(refusal.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refusal.flaws, ::testing::IsEmpty()) << refusal;
  EXPECT_THAT(refusal.ReasonsAndFields(),
              UnorderedElementsAre("INVALID_BUCKET_NAME bucket_id",
                                   "INVALID_REQUEST_ID request_id",
                                   "INVALID_NAME bucket.region",
                                   "REQUIRED_FIELD_MISSING bucket.owner",
                                   "INVALID_NAME bucket.versioning"));
}

TEST_F(RegistryTest, RefusalsOfABucketHaveTheirCodes) {
  ASSERT_TRUE(CreateBucket(BucketJson("photos")).ok());
  EXPECT_REFUSED(CreateBucket(BucketJson("photos")), ALREADY_EXISTS,
                 "BUCKET_ALREADY_EXISTS");
  EXPECT_REFUSED(CreateBucket(R"({"bucketId":"other","bucket":{
                     "region":"regions/nowhere","owner":"acme"}})"),
                 NOT_FOUND, "REGION_NOT_FOUND");
  EXPECT_REFUSED(CreateBucket(R"({"bucketId":"other"})"), INVALID_ARGUMENT,
                 "REQUIRED_FIELD_MISSING");
  EXPECT_REFUSED(
      CreateBucket(absl::StrCat(
          R"({"bucketId":"other","bucket":{"region":)",
          R"("regions/oss-cn-hangzhou","owner":")", std::string(129, 'x'),
          "\"}}")),
      INVALID_ARGUMENT, "INVALID_NAME");
  v1::GetBucketRequest request;
  request.set_name("buckets/other");
  EXPECT_REFUSED(Call(server_.buckets(), &v1::BucketService::Stub::GetBucket,
                      request),
                 NOT_FOUND, "BUCKET_NOT_FOUND");
}

TEST_F(RegistryTest, ValidateOnlyRegistersNoBucket) {
  auto request = FromJson<v1::CreateBucketRequest>(BucketJson("photos"));
  request.set_validate_only(true);
  EXPECT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                   request)
                  .ok());
  EXPECT_TRUE(CreateBucket(BucketJson("photos")).ok());
  EXPECT_REFUSED(Call(server_.buckets(),
                      &v1::BucketService::Stub::CreateBucket, request),
                 ALREADY_EXISTS, "BUCKET_ALREADY_EXISTS");
}

}  // namespace
}  // namespace crr
