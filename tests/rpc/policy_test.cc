#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// The region-pair policy: how it is set, what it answers, and what it leaves
// alone.
namespace crr {
namespace {

using test::Call;
using test::ConditionTypes;
using test::RefusalOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

// Destination by source, and the link.
using Pairs = std::map<std::pair<std::string, std::string>, v1::Rule::Transfer>;

class PolicyTest : public test::RuleWorld {
 protected:
  // Where a region may replicate to, as ListDestinationRegions says.
  std::vector<std::pair<std::string, v1::Rule::Transfer>> Destinations(
      const std::string& source) {
    v1::ListDestinationRegionsRequest request;
    request.set_parent(source);
    v1::ListDestinationRegionsResponse response;
    EXPECT_TRUE(Call(server_.regions(),
                     &v1::RegionService::Stub::ListDestinationRegions, request,
                     &response)
                    .ok());
    std::vector<std::pair<std::string, v1::Rule::Transfer>> destinations;
    for (const auto& entry : response.destination_regions()) {
      destinations.emplace_back(entry.region(), entry.transfer());
    }
    return destinations;
  }
  std::vector<std::string> DestinationIds(const std::string& source) {
    std::vector<std::string> ids;
    for (const auto& [region, transfer] :
         Destinations(absl::StrCat("regions/", source))) {
      ids.push_back(region.substr(8));
    }
    return ids;
  }
  std::vector<v1::Region> Regions() {
    v1::ListRegionsResponse response;
    EXPECT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::ListRegions,
                     v1::ListRegionsRequest(), &response)
                    .ok());
    return {response.regions().begin(), response.regions().end()};
  }
  // Whether a rule over this pair and link would be created.
  bool Accepts(const std::string& source, const std::string& destination,
               v1::Rule::Transfer transfer) {
    auto request = test::RuleRequest(source, destination);
    request.mutable_rule()->set_transfer(transfer);
    request.set_validate_only(true);
    return server_.CreateRule(request).ok();
  }
};

TEST_F(PolicyTest, TheDefaultIsBothSeeds) {
  const v1::RegionPairPolicy policy = GetPolicy();
  EXPECT_EQ(policy.name(), "regionPairPolicy");
  EXPECT_EQ(policy.profile(), "seeds-union");
  EXPECT_FALSE(policy.etag().empty());
  v1::GetRegionPairPolicyRequest request;
  request.set_name("policies/x");
  EXPECT_REFUSED(Call(server_.regions(),
                      &v1::RegionService::Stub::GetRegionPairPolicy, request),
                 INVALID_ARGUMENT, "INVALID_NAME");
}

TEST_F(PolicyTest, AProfileIsPutInForce) {
  std::vector<std::string> etags = {GetPolicy().etag()};
  for (const char* profile :
       {"seed-2019", "seed-2020", "any-pair", "seeds-union"}) {
    server_.clock().Advance(absl::Minutes(1));
    v1::RegionPairPolicy set;
    ASSERT_TRUE(
        SetPolicy(absl::StrCat(R"({"profile":")", profile, "\"}"), &set).ok());
    EXPECT_EQ(set.profile(), profile);
    EXPECT_GT(set.entries_size(), 0);
    EXPECT_EQ(set.update_time().seconds(),
              absl::ToUnixSeconds(server_.clock().WallNow()));
    EXPECT_EQ(GetPolicy().SerializeAsString(), set.SerializeAsString());
    EXPECT_NE(set.etag(), etags.back());
    etags.push_back(set.etag());
    // The same again is no change.
    server_.clock().Advance(absl::Minutes(1));
    v1::RegionPairPolicy again;
    ASSERT_TRUE(SetPolicy(absl::StrCat(R"({"profile":")", profile, "\"}"),
                          &again)
                    .ok());
    EXPECT_EQ(again.SerializeAsString(), set.SerializeAsString());
  }
  EXPECT_EQ(etags.back(), etags.front());
  ASSERT_TRUE(SetPolicy(R"({"profile":"seed-2019"})").ok());
  const v1::RegionPairPolicy before = GetPolicy();
  Restart();
  EXPECT_EQ(GetPolicy().SerializeAsString(), before.SerializeAsString());
}

TEST_F(PolicyTest, TheFirstEntryThatMatchesDecides) {
  v1::RegionPairPolicy set;
  ASSERT_TRUE(SetPolicy(R"({"entries":[
      {"allow":false,"source":{"region":"regions/oss-cn-hangzhou"},
       "destination":{"region":"regions/oss-cn-beijing"}},
      {"allow":true,"source":{"region":"regions/oss-cn-hangzhou"},
       "destination":{"area":"MAINLAND_CHINA"}},
      {"allow":true,"source":{"region":"regions/oss-cn-shanghai"},
       "destination":{"region":"regions/oss-cn-beijing"}},
      {"allow":false,"source":{"region":"regions/oss-cn-shanghai"}},
      {"allow":true,"destination":{"region":"regions/oss-cn-shanghai"}}]})",
                        &set)
                  .ok());
  EXPECT_EQ(set.profile(), "custom");
  EXPECT_EQ(set.entries_size(), 5);
  EXPECT_EQ(GetPolicy().SerializeAsString(), set.SerializeAsString());
  // Hangzhou: the mainland, but for Beijing, which was denied first.
  EXPECT_THAT(DestinationIds(test::kHangzhou), Contains("oss-cn-shanghai"));
  EXPECT_THAT(DestinationIds(test::kHangzhou),
              ::testing::Not(Contains("oss-cn-beijing")));
  EXPECT_THAT(DestinationIds(test::kHangzhou),
              ::testing::Not(Contains("oss-us-east-1")));
  // Shanghai: Beijing only; what comes after the denial is never looked at.
  EXPECT_THAT(DestinationIds(test::kShanghai), ElementsAre("oss-cn-beijing"));
  // Any source may go to Shanghai; what no entry matches is refused.
  EXPECT_THAT(DestinationIds(test::kSydney), ElementsAre("oss-cn-shanghai"));
}

TEST_F(PolicyTest, ABadPolicyChangesNothing) {
  const v1::RegionPairPolicy before = GetPolicy();
  for (const char* json :
       {R"({})", R"({"profile":"custom"})", R"({"profile":"seed-1999"})",
        R"({"profile":"seed-2019","entries":[{"allow":true}]})",
        R"({"profile":"mine","entries":[{"allow":true}]})",
        R"({"entries":[{"allow":true,"source":{"region":"hangzhou"}}]})",
        R"({"entries":[{"allow":true,
            "source":{"area":"AREA_UNSPECIFIED"}}]})"}) {
    EXPECT_REFUSED(SetPolicy(json), INVALID_ARGUMENT, "INVALID_POLICY");
  }
  const auto status = SetPolicy(R"({"entries":[{"allow":true},
      {"allow":true,"destination":{"region":"regions/atlantis"}}]})");
  EXPECT_REFUSED(status, NOT_FOUND, "REGION_NOT_FOUND");
  EXPECT_EQ(RefusalOf(status).violations[0].subject(), "regions/atlantis");
  EXPECT_EQ(GetPolicy().SerializeAsString(), before.SerializeAsString());
}

// What was read may be sent back, changed or not.
TEST_F(PolicyTest, WhatIsReadMayComeBack) {
  for (const char* json :
       {R"({"profile":"seed-2020"})",
        R"({"entries":[{"allow":true,"source":{"area":"MAINLAND_CHINA"}}]})"}) {
    ASSERT_TRUE(SetPolicy(json).ok());
    const v1::RegionPairPolicy read = GetPolicy();
    server_.clock().Advance(absl::Minutes(1));
    v1::UpdateRegionPairPolicyRequest request;
    *request.mutable_region_pair_policy() = read;
    v1::RegionPairPolicy answer;
    const grpc::Status status =
        Call(server_.regions(),
             &v1::RegionService::Stub::UpdateRegionPairPolicy, request,
             &answer);
    ASSERT_TRUE(status.ok()) << RefusalOf(status);
    EXPECT_EQ(answer.SerializeAsString(), read.SerializeAsString());
  }
}

// The name outlives the region in the policy, and matches whoever has it.
TEST_F(PolicyTest, AnEntryOfADeletedRegionMatchesNothing) {
  const std::string mars =
      R"({"regionId":"mars-1","region":{"area":"MAINLAND_CHINA"}})";
  ASSERT_TRUE(CreateRegion(mars).ok());
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":true,
      "source":{"region":"regions/oss-cn-hangzhou"},
      "destination":{"region":"regions/mars-1"}}]})")
                  .ok());
  EXPECT_THAT(DestinationIds(test::kHangzhou), ElementsAre("mars-1"));
  ASSERT_TRUE(DeleteRegion("mars-1").ok());
  EXPECT_THAT(DestinationIds(test::kHangzhou), IsEmpty());
  ASSERT_TRUE(CreateRegion(mars).ok());
  EXPECT_THAT(DestinationIds(test::kHangzhou), ElementsAre("mars-1"));
}

TEST_F(PolicyTest, DestinationsOfNowhere) {
  v1::ListDestinationRegionsRequest request;
  const auto list = [&] {
    return Call(server_.regions(),
                &v1::RegionService::Stub::ListDestinationRegions, request);
  };
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
  request.set_parent("oss-cn-hangzhou");
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_NAME");
  request.set_parent("regions/atlantis");
  EXPECT_REFUSED(list(), NOT_FOUND, "REGION_NOT_FOUND");
}

class EveryPairTest : public PolicyTest,
                      public ::testing::WithParamInterface<const char*> {};

// What is offered is what is accepted: for every pair, over either link.
TEST_P(EveryPairTest, WhatIsListedIsWhatIsAccepted) {
  ASSERT_TRUE(SetPolicy(GetParam()).ok());
  const std::vector<v1::Region> regions = Regions();
  ASSERT_EQ(regions.size(), 36u);
  const auto bucket_of = [](const v1::Region& region) {
    return absl::StrCat("in-", region.name().substr(8));
  };
  for (const v1::Region& region : regions) {
    server_.AddBucket(bucket_of(region), region.name().substr(8));
  }
  Pairs listed;
  Pairs accepted;
  for (const v1::Region& source : regions) {
    const auto destinations = Destinations(source.name());
    EXPECT_TRUE(std::is_sorted(destinations.begin(), destinations.end()));
    for (const auto& [region, transfer] : destinations) {
      listed[{source.name(), region}] = transfer;
    }
    for (const v1::Region& destination : regions) {
      if (source.name() == destination.name()) continue;
      for (const auto transfer : {v1::Rule::STANDARD, v1::Rule::ACCELERATED}) {
        if (!Accepts(bucket_of(source), bucket_of(destination), transfer)) {
          continue;
        }
        const bool is_new =
            accepted.emplace(std::pair(source.name(), destination.name()),
                             transfer)
                .second;
        EXPECT_TRUE(is_new) << source.name() << " takes either link";
      }
    }
  }
  EXPECT_EQ(listed, accepted);
  EXPECT_FALSE(listed.empty());
}

INSTANTIATE_TEST_SUITE_P(
    , EveryPairTest,
    ::testing::Values(
        R"({"profile":"seed-2019"})", R"({"profile":"seed-2020"})",
        R"({"profile":"seeds-union"})", R"({"profile":"any-pair"})",
        R"({"entries":[{"allow":false,"source":{"area":"MAINLAND_CHINA"},
            "destination":{"area":"MAINLAND_CHINA"}},
            {"allow":false,"source":{"region":"regions/oss-us-east-1"}},
            {"allow":true,"destination":{"area":"MAINLAND_CHINA"}},
            {"allow":true,"source":{"region":"regions/oss-cn-hangzhou"}}]})"));

// ------------------------------------------------------------ rules that are

TEST_F(PolicyTest, ARuleThatStandsGoesOnAndSaysSo) {
  const v1::Rule rule = StartRule("hz-1", "sh-1");
  server_.clock().Advance(absl::Minutes(10));
  ASSERT_TRUE(SetPolicy(R"({"profile":"seed-2020"})").ok());
  // Hangzhou may go anywhere.
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)), IsEmpty());
  server_.clock().Advance(absl::Minutes(10));
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":true,
      "source":{"region":"regions/oss-ap-southeast-2"}}]})")
                  .ok());
  const v1::Rule shown = server_.GetRule(kRule);
  EXPECT_EQ(shown.state(), v1::Rule::ACTIVE);
  ASSERT_THAT(ConditionTypes(shown), ElementsAre("POLICY_REFUSES"));
  EXPECT_FALSE(shown.conditions(0).message().empty());
  EXPECT_FALSE(shown.conditions(0).remedy().empty());
  // Since the policy came, whatever is done to the rule.
  const int64_t since = absl::ToUnixSeconds(server_.clock().WallNow());
  EXPECT_EQ(shown.conditions(0).since().seconds(), since);
  EXPECT_EQ(server_.Progress(kRule).conditions(0).type(), "POLICY_REFUSES");

  // It works, and can be worked on.
  server_.clock().Advance(absl::Minutes(10));
  Publish("hz-1", {"k"});
  EXPECT_EQ(Apply(copier_->AwaitGrant(v1::Lease::CHANGES), 1).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.Progress(kRule).live().applied(), 1);
  EXPECT_TRUE(Pause(kRule).ok());
  EXPECT_TRUE(Resume(kRule).ok());
  EXPECT_TRUE(UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                      R"(","labels":{"a":"b"}}})"))
                  .ok());
  EXPECT_EQ(server_.GetRule(kRule).conditions(0).since().seconds(), since);
  // It is shown wherever the rule is.
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  v1::ListRulesResponse response;
  ASSERT_TRUE(Call(server_.rules(), &v1::ReplicationService::Stub::ListRules,
                   request, &response)
                  .ok());
  EXPECT_THAT(ConditionTypes(response.rules(0)), ElementsAre("POLICY_REFUSES"));

  // A new one is not created; not even the way back.
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-2", "sh-2")),
                 FAILED_PRECONDITION, "REGION_PAIR_NOT_SUPPORTED");
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("sh-1", "hz-1")),
                 FAILED_PRECONDITION, "REGION_PAIR_NOT_SUPPORTED");

  ASSERT_TRUE(SetPolicy(R"({"profile":"seeds-union"})").ok());
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)), IsEmpty());
  EXPECT_TRUE(server_.CreateRule(test::RuleRequest("hz-2", "sh-2")).ok());
}

TEST_F(PolicyTest, ARuleThatWaitsStartsAllTheSame) {
  server_.AddBucket("va-1", test::kVirginia);
  const v1::Rule rule =
      server_.AddRule("hz-1", "va-1", R"("transfer":"ACCELERATED")");
  ASSERT_TRUE(SetPolicy(R"({"profile":"seed-2019"})").ok());
  EXPECT_THAT(ConditionTypes(server_.GetRule(rule.name())),
              ElementsAre("STORE_NOT_SET", "POLICY_REFUSES"));
  server_.SetStore(test::kVirginia);
  ASSERT_EQ(copier_->Commit(test::GoodProbe(
                                copier_->AwaitGrant(v1::Lease::PROBE)))
                .result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::ACTIVE);
}

}  // namespace
}  // namespace crr
