#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// Repeats of every RPC that has a request_id.
namespace crr {
namespace {

using test::Call;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

constexpr char kId[] = "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e80";
constexpr char kId2[] = "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e81";

// Of every RPC that has one.
class RequestIdTest : public test::RuleWorld {
 protected:
  struct Create {
    const char* method;
    // With this request id; `variant` is the content; what is created
    // serialised, or the refusal.
    std::function<grpc::Status(const std::string& id, int variant,
                               bool validate_only, std::string& answer)>
        call;
    // Undoes it.
    std::function<void()> remove;
  };

  std::vector<Create> Creates() {
    const auto region = [this](const std::string& id, int variant,
                               bool validate_only, std::string& answer) {
      v1::CreateRegionRequest request;
      request.set_region_id("mars-1");
      request.set_request_id(id);
      request.set_validate_only(validate_only);
      request.mutable_region()->set_area(v1::Region::MAINLAND_CHINA);
      request.mutable_region()->set_display_name(absl::StrCat("M", variant));
      v1::Region made;
      const auto status =
          Call(server_.regions(), &v1::RegionService::Stub::CreateRegion,
               request, &made);
      answer = made.SerializeAsString();
      return status;
    };
    const auto bucket = [this](const std::string& id, int variant,
                               bool validate_only, std::string& answer) {
      v1::CreateBucketRequest request;
      request.set_bucket_id("red");
      request.set_request_id(id);
      request.set_validate_only(validate_only);
      request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
      request.mutable_bucket()->set_owner(absl::StrCat("o", variant));
      v1::Bucket made;
      const auto status =
          Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
               request, &made);
      answer = made.SerializeAsString();
      return status;
    };
    const auto rule = [this](const std::string& id, int variant,
                             bool validate_only, std::string& answer) {
      auto request = test::RuleRequest("hz-1", "sh-1");
      request.set_request_id(id);
      request.set_validate_only(validate_only);
      request.mutable_rule()->add_prefixes(absl::StrCat("p", variant));
      v1::Rule made;
      const auto status = server_.CreateRule(request, &made);
      answer = made.SerializeAsString();
      return status;
    };
    return {{"CreateRegion", region,
             [this] { ASSERT_TRUE(DeleteRegion("mars-1").ok()); }},
            {"CreateBucket", bucket,
             [this] { ASSERT_TRUE(DeleteBucket("red").ok()); }},
            {"CreateRule", rule, [this] {
               // The clock was moved: it may pass for lost until it is heard.
               PassTimeUntilAGrant();
               const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
               ASSERT_TRUE(server_.DeleteRule(kRule).ok());
               copier_->Release(probe, "REVOKED");
               ASSERT_TRUE(Gone(kRule));
             }}};
  }
};

TEST_F(RequestIdTest, ARepeatGetsTheFirstAnswer) {
  for (const Create& c : Creates()) {
    SCOPED_TRACE(c.method);
    std::string first;
    std::string again;
    // What was refused is not remembered.
    EXPECT_FALSE(c.call("no-uuid", 1, false, again).ok());
    ASSERT_TRUE(c.call(kId, 1, false, first).ok());
    server_.clock().Advance(absl::Minutes(1));
    ASSERT_TRUE(c.call(kId, 1, false, again).ok());
    EXPECT_EQ(again, first);
    EXPECT_REFUSED(c.call(kId, 2, false, again), INVALID_ARGUMENT,
                   "REQUEST_ID_REUSED");
    // The same wish under another id is another request.
    EXPECT_EQ(c.call(kId2, 1, false, again).error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
    c.remove();
    // kId2 was refused: it is as good as new, with other content.
    ASSERT_TRUE(c.call(kId2, 2, false, again).ok());
    ASSERT_TRUE(c.call(kId, 1, false, again).ok());
    EXPECT_EQ(again, first);
  }
}

TEST_F(RequestIdTest, TheNextServerKnowsTheAnswers) {
  std::vector<std::string> first;
  for (const Create& c : Creates()) {
    ASSERT_TRUE(c.call(kId, 1, false, first.emplace_back()).ok());
  }
  Restart();
  size_t i = 0;
  for (const Create& c : Creates()) {
    SCOPED_TRACE(c.method);
    std::string again;
    ASSERT_TRUE(c.call(kId, 1, false, again).ok());
    EXPECT_EQ(again, first[i++]);
    EXPECT_REFUSED(c.call(kId, 2, false, again), INVALID_ARGUMENT,
                   "REQUEST_ID_REUSED");
  }
}

TEST_F(RequestIdTest, AValidationNeitherStoresNorReplays) {
  for (const Create& c : Creates()) {
    SCOPED_TRACE(c.method);
    std::string promised;
    std::string made;
    ASSERT_TRUE(c.call(kId, 1, true, promised).ok());
    // The id is unused: other content may have it.
    ASSERT_TRUE(c.call(kId, 2, false, made).ok());
    EXPECT_NE(made, promised);
    EXPECT_EQ(c.call(kId, 2, true, made).error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
  }
}

}  // namespace
}  // namespace crr
