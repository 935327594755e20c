#include "client/copier/region_store_access.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using ::crr::test::HasCode;
using ::crr::test::IsOk;

class RegionStoreAccessTest : public ::testing::Test {
 protected:
  RegionStoreAccessTest() {
    endpoint_.set_bucket("buckets/photos");
    endpoint_.set_region("regions/x");
    endpoint_.set_versioning(v1::Bucket::UNVERSIONED);
    endpoint_.mutable_store()->mutable_local()->set_root(folder_ / "x");
  }

  test::TempDir folder_;
  RegionStores stores_{{folder_.path()}};
  RegionStoreAccess access_{stores_};
  v1::Lease::Endpoint endpoint_;
};

TEST_F(RegionStoreAccessTest, OpensNoStoreThatIsNotThere) {
  EXPECT_THAT(access_.Open(endpoint_), HasCode(absl::StatusCode::kUnavailable));
}

TEST_F(RegionStoreAccessTest, ABucketIsMadeOnceByItsRegistration) {
  const auto made = access_.PrepareBucket(endpoint_);
  ASSERT_OK(made);
  EXPECT_NE(made->identity, "");
  EXPECT_EQ(made->versioning, BucketVersioning::kUnversioned);
  EXPECT_EQ(access_.PrepareBucket(endpoint_)->identity, made->identity);
  const auto store = access_.Open(endpoint_);
  ASSERT_OK(store);
  EXPECT_EQ((*store)->GetBucket("photos")->identity, made->identity);
}

TEST_F(RegionStoreAccessTest, AVersionedBucketIsMadeWithVersions) {
  endpoint_.set_versioning(v1::Bucket::ENABLED);
  const auto made = access_.PrepareBucket(endpoint_);
  ASSERT_OK(made);
  EXPECT_EQ(made->versioning, BucketVersioning::kEnabled);
}

TEST_F(RegionStoreAccessTest, NothingIsMadeForAVersioningThatIsNotKnown) {
  endpoint_.set_versioning(v1::Bucket::VERSIONING_UNSPECIFIED);
  EXPECT_THAT(access_.PrepareBucket(endpoint_),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace crr
