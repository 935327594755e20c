#include "client/crrctl/buckets.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crr/v1/violations.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using ::testing::HasSubstr;
using test::HasCode;

// One region with a store, and one bucket in it.
class Registry final : public v1::BucketService::Service {
 public:
  grpc::Status GetBucket(grpc::ServerContext*,
                         const v1::GetBucketRequest* request,
                         v1::Bucket* bucket) override {
    if (request->name() != "buckets/photos") {
      v1::Violations violations;
      auto& violation = *violations.add_violations();
      violation.set_reason("BUCKET_NOT_FOUND");
      violation.set_subject(request->name());
      violation.set_description("it is not registered");
      violation.set_remedy("register it");
      google::rpc::Status rich;
      rich.add_details()->PackFrom(violations);
      return grpc::Status(grpc::NOT_FOUND, "no", rich.SerializeAsString());
    }
    bucket->set_name(request->name());
    bucket->set_region("regions/hz");
    bucket->set_versioning(versioning);
    return grpc::Status::OK;
  }
  v1::Bucket::Versioning versioning = v1::Bucket::UNVERSIONED;
};

class Regions final : public v1::RegionService::Service {
 public:
  explicit Regions(std::string root) : root_(std::move(root)) {}
  grpc::Status GetRegion(grpc::ServerContext*,
                         const v1::GetRegionRequest* request,
                         v1::Region* region) override {
    region->set_name(request->name());
    region->mutable_store()->mutable_local()->set_root(root_);
    return grpc::Status::OK;
  }

 private:
  const std::string root_;
};

// Two rules on each page but the last.
class Rules final : public v1::ReplicationService::Service {
 public:
  grpc::Status ListRules(grpc::ServerContext*,
                         const v1::ListRulesRequest* request,
                         v1::ListRulesResponse* page) override {
    const size_t first = request->page_token().size();
    for (size_t i = first; i < 5 && i < first + 2; ++i) {
      page->add_rules()->set_name(absl::StrCat(request->parent(), i));
    }
    if (first + 2 < 5) page->set_next_page_token(std::string(first + 2, 'x'));
    return grpc::Status::OK;
  }
};

class BucketsTest : public ::testing::Test {
 protected:
  BucketsTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&registry_);
    builder.RegisterService(&regions_);
    builder.RegisterService(&rules_);
    server_ = builder.BuildAndStart();
    control_ = std::make_unique<Control>(server_->InProcessChannel({}));
    buckets_ = std::make_unique<Buckets>(*control_, stores_);
  }

  test::TempDir dir_;
  const std::string root_ = dir_ / "hz";
  Registry registry_;
  Regions regions_{root_};
  Rules rules_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Control> control_;
  RegionStores stores_{{dir_.path()}};
  std::unique_ptr<Buckets> buckets_;
};

TEST_F(BucketsTest, MakesStoreAndBucketAsRegistered) {
  registry_.versioning = v1::Bucket::ENABLED;
  const auto bucket = buckets_->FindOrMake("photos");
  ASSERT_OK(bucket);
  EXPECT_EQ(bucket->id, "photos");
  const auto info = bucket->store->GetBucket("photos");
  ASSERT_OK(info);
  EXPECT_EQ(info->versioning, BucketVersioning::kEnabled);
}

TEST_F(BucketsTest, ABareIdAndAResourceNameMeanTheSame) {
  const auto bare = buckets_->FindOrMake("photos");
  const auto full = buckets_->FindOrMake("buckets/photos");
  ASSERT_OK(bare);
  ASSERT_OK(full);
  EXPECT_EQ(bare->id, full->id);
  EXPECT_EQ(bare->store, full->store);
}

TEST_F(BucketsTest, LookingForABucketMakesNothing) {
  EXPECT_FALSE(buckets_->Find("photos").ok());
  EXPECT_FALSE(std::filesystem::exists(root_));
  ASSERT_OK(stores_.Open(control_->GetRegion("regions/hz")->store(),
                         /*create=*/true));
  const auto bucket = buckets_->Find("photos");
  ASSERT_OK(bucket);
  EXPECT_THAT(bucket->store->GetBucket("photos"),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_F(BucketsTest, ARefusalSaysAllThatTheServerSaid) {
  const absl::Status status = buckets_->Find("nope").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("BUCKET_NOT_FOUND buckets/nope: it is not registered "
                        "(register it)"));
}

TEST_F(BucketsTest, RulesAreReadToTheLastPage) {
  const auto rules = control_->ListRules();
  ASSERT_OK(rules);
  ASSERT_EQ(rules->size(), 5u);
  EXPECT_EQ(rules->front().name(), "buckets/-0");
  EXPECT_EQ(rules->back().name(), "buckets/-4");
}

}  // namespace
}  // namespace crr
