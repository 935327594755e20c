#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// What an etag covers, and what it stops.
namespace crr {
namespace {

using test::Call;
using test::Eventually;
using test::kOldEtag;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

using EtagTest = test::RuleWorld;

// What was created anew is another thing.
TEST_F(EtagTest, AnEtagDoesNotOutliveItsResource) {
  const std::string old_etag = GetBucket("hz-1").etag();
  ASSERT_TRUE(DeleteBucket("hz-1").ok());
  server_.clock().Advance(absl::Seconds(1));
  ASSERT_TRUE(AddBucketIn("hz-1", test::kHangzhou).ok());
  EXPECT_NE(GetBucket("hz-1").etag(), old_etag);
  v1::DeleteBucketRequest request;
  request.set_name("buckets/hz-1");
  request.set_etag(old_etag);
  EXPECT_REFUSED(test::Call(server_.buckets(),
                            &v1::BucketService::Stub::DeleteBucket, request),
                 ABORTED, "ETAG_MISMATCH");
}

TEST_F(EtagTest, AnEtagThatIsNotThePresentOneStopsAnUpdate) {
  struct Case {
    const char* method;
    std::function<std::string()> etag;
    // Changes something each time.
    std::function<grpc::Status(const std::string& etag)> call;
  };
  int n = 0;
  StartRule("hz-1", "sh-1");
  const auto rule_etag = [&] { return server_.GetRule(kRule).etag(); };
  for (const Case& c : {
           Case{"UpdateRegion",
                [&] { return GetRegion(test::kSydney)->etag(); },
                [&](const std::string& etag) {
                  return UpdateRegion(absl::StrCat(
                      R"({"region":{"name":"regions/)", test::kSydney,
                      R"(","displayName":"D)", ++n, R"(","etag":")", etag,
                      "\"}}"));
                }},
           Case{"UpdateRegionPairPolicy", [&] { return GetPolicy().etag(); },
                [&](const std::string& etag) {
                  std::string entries = R"({"allow":true})";
                  for (int i = ++n; i > 0; --i) entries += R"(,{"allow":true})";
                  return SetPolicy(absl::StrCat(R"({"entries":[)", entries,
                                                R"(],"etag":")", etag,
                                                "\"}"));
                }},
           Case{"UpdateBucket", [&] { return GetBucket("hz-2").etag(); },
                [&](const std::string& etag) {
                  return UpdateBucket(absl::StrCat(
                      R"({"bucket":{"name":"buckets/hz-2","versioning":")",
                      GetBucket("hz-2").versioning() == v1::Bucket::ENABLED
                          ? "UNVERSIONED"
                          : "ENABLED",
                      R"(","etag":")", etag, "\"}}"));
                }},
           Case{"UpdateRule", rule_etag,
                [&](const std::string& etag) {
                  return UpdateRule(absl::StrCat(
                      R"({"rule":{"name":")", kRule, R"(","etag":")", etag,
                      R"(","labels":{"n":")", ++n, "\"}}}"));
                }},
           Case{"PauseRule and ResumeRule", rule_etag,
                [&](const std::string& etag) {
                  return server_.GetRule(kRule).state() == v1::Rule::ACTIVE
                             ? Pause(kRule, nullptr, etag)
                             : Resume(kRule, nullptr, etag);
                }},
       }) {
    SCOPED_TRACE(c.method);
    const std::string first = c.etag();
    EXPECT_REFUSED(c.call(kOldEtag), ABORTED, "ETAG_MISMATCH");
    EXPECT_EQ(c.etag(), first);
    EXPECT_TRUE(c.call(first).ok());
    const std::string second = c.etag();
    EXPECT_NE(second, first);
    EXPECT_REFUSED(c.call(first), ABORTED, "ETAG_MISMATCH");
    EXPECT_EQ(c.etag(), second);
    EXPECT_TRUE(c.call("").ok());
    EXPECT_NE(c.etag(), second);
  }
}

TEST_F(EtagTest, AnEtagThatIsNotThePresentOneStopsADeletion) {
  const std::string region = AddRegion("mars-1").etag();
  EXPECT_REFUSED(DeleteRegion("mars-1", kOldEtag), ABORTED, "ETAG_MISMATCH");
  ASSERT_TRUE(UpdateRegion(R"({"region":{"name":"regions/mars-1",
                               "displayName":"M"}})")
                  .ok());
  EXPECT_REFUSED(DeleteRegion("mars-1", region), ABORTED, "ETAG_MISMATCH");
  EXPECT_TRUE(DeleteRegion("mars-1", GetRegion("mars-1")->etag()).ok());

  const std::string bucket = GetBucket("hz-2").etag();
  ASSERT_TRUE(UpdateBucket(Versioning("hz-2", "ENABLED")).ok());
  EXPECT_REFUSED(DeleteBucket("hz-2", bucket), ABORTED, "ETAG_MISMATCH");
  EXPECT_TRUE(DeleteBucket("hz-2", GetBucket("hz-2").etag()).ok());
  // What is created anew is another thing, alike as it may be.
  server_.clock().Advance(absl::Minutes(1));
  server_.AddBucket("hz-2", test::kHangzhou);
  EXPECT_REFUSED(DeleteBucket("hz-2", bucket), ABORTED, "ETAG_MISMATCH");

  const std::string starting = server_.AddRule("hz-1", "sh-1").etag();
  copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)));
  v1::DeleteRuleRequest request;
  request.set_name(kRule);
  request.set_etag(starting);
  const auto remove = [&] {
    return Call(server_.rules(), &v1::ReplicationService::Stub::DeleteRule,
                request);
  };
  EXPECT_REFUSED(remove(), ABORTED, "ETAG_MISMATCH");
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::ACTIVE);
  request.set_etag(server_.GetRule(kRule).etag());
  EXPECT_TRUE(remove().ok());
}

// It follows what users set, and the state; nothing that comes and goes.
TEST_F(EtagTest, TheEtagOfARuleIsDeafToConditions) {
  const v1::Rule rule = StartRule("hz-1", "sh-1");
  server_.clock().Advance(absl::Minutes(1));
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":false}]})").ok());
  ASSERT_TRUE(Says(kRule, "POLICY_REFUSES"));
  EXPECT_EQ(server_.GetRule(kRule).etag(), rule.etag());
  Publish("hz-1", {"k"});
  copier_->Release(copier_->AwaitGrant(v1::Lease::CHANGES), "STORE_DOWN");
  ASSERT_TRUE(Eventually([&] { return Says(kRule, "LANE_FAILING"); }));
  EXPECT_EQ(server_.GetRule(kRule).etag(), rule.etag());
  // There and back is where it was.
  ASSERT_TRUE(Pause(kRule).ok());
  EXPECT_NE(server_.GetRule(kRule).etag(), rule.etag());
  ASSERT_TRUE(Resume(kRule).ok());
  EXPECT_EQ(server_.GetRule(kRule).etag(), rule.etag());
}

// Nothing is set that is not set already: nothing happens at all.
TEST_F(EtagTest, AnUpdateThatChangesNothingChangesNothing) {
  const v1::Rule rule = StartRule("hz-1", "sh-1", R"("labels":{"a":"b"})");
  const v1::Bucket bucket = GetBucket("hz-2");
  const v1::Region region = *GetRegion(test::kHangzhou);
  server_.clock().Advance(absl::Minutes(1));
  v1::Rule same_rule;
  EXPECT_TRUE(UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                      R"(","labels":{"a":"b"}}})"),
                         &same_rule)
                  .ok());
  EXPECT_EQ(same_rule.SerializeAsString(), rule.SerializeAsString());
  v1::Bucket same_bucket;
  EXPECT_TRUE(UpdateBucket(Versioning("hz-2", "UNVERSIONED"), &same_bucket)
                  .ok());
  EXPECT_EQ(same_bucket.SerializeAsString(), bucket.SerializeAsString());
  // What was read may come back whole.
  v1::UpdateRegionRequest request;
  *request.mutable_region() = region;
  v1::Region same_region;
  EXPECT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                   request, &same_region)
                  .ok());
  EXPECT_EQ(same_region.SerializeAsString(), region.SerializeAsString());
}

}  // namespace
}  // namespace crr
