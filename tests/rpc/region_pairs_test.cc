#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// I2 over the whole catalogue, against the words of the two seeds.
namespace crr {
namespace {

using test::Call;
using test::RefusalOf;
using test::TestServer;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

// semantics.md §3: "every China region except Hong Kong".
const std::set<std::string>& MainlandRegions() {
  static const auto& regions = *new std::set<std::string>{
      "oss-cn-hangzhou", "oss-cn-shanghai", "oss-cn-qingdao",
      "oss-cn-beijing", "oss-cn-zhangjiakou", "oss-cn-huhehaote",
      "oss-cn-wulanchabu", "oss-cn-shenzhen", "oss-cn-heyuan",
      "oss-cn-guangzhou", "oss-cn-chengdu", "oss-cn-nanjing", "oss-cn-fuzhou",
      "oss-cn-wuhan-lr", "oss-cn-zhongwei", "oss-rg-china-mainland"};
  return regions;
}

const std::set<std::string>& RegionsElsewhere() {
  static const auto& regions = *new std::set<std::string>{
      "oss-cn-hongkong", "oss-us-west-1", "oss-us-east-1", "oss-na-south-1",
      "oss-ap-southeast-1", "oss-ap-southeast-2", "oss-ap-southeast-3",
      "oss-ap-southeast-5", "oss-ap-southeast-6", "oss-ap-southeast-7",
      "oss-ap-southeast-8", "oss-ap-northeast-1", "oss-ap-northeast-2",
      "oss-ap-south-1", "oss-eu-central-1", "oss-eu-west-1", "oss-eu-west-2",
      "oss-me-east-1", "oss-me-central-1", "oss-rus-west-1"};
  return regions;
}

bool IsMainland(const std::string& region) {
  return MainlandRegions().contains(region);
}

// Either seed allows it.
bool SeedsAllow(const std::string& from, const std::string& to) {
  // 2019: "only supported between different regions in Mainland China".
  if (IsMainland(from) && IsMainland(to)) return true;
  // 2020: from Hangzhou to any other; from Sydney to any outside of the
  // mainland but Sydney.
  if (from == "oss-cn-hangzhou") return true;
  return from == "oss-ap-southeast-2" && !IsMainland(to);
}

class RegionPairsTest : public ::testing::Test {
 protected:
  std::vector<v1::Region> Regions() {
    v1::ListRegionsResponse response;
    EXPECT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::ListRegions,
                     v1::ListRegionsRequest(), &response)
                    .ok());
    return {response.regions().begin(), response.regions().end()};
  }
  TestServer server_;
};

TEST_F(RegionPairsTest, TheCatalogueIsLoaded) {
  std::set<std::string> mainland;
  std::set<std::string> elsewhere;
  for (const v1::Region& region : Regions()) {
    EXPECT_FALSE(region.display_name().empty());
    EXPECT_FALSE(region.has_store());
    (region.area() == v1::Region::MAINLAND_CHINA ? mainland : elsewhere)
        .insert(region.name().substr(8));
  }
  EXPECT_EQ(mainland, MainlandRegions());
  EXPECT_EQ(elsewhere, RegionsElsewhere());
}

TEST_F(RegionPairsTest, EveryPairIsAllowedOrRefusedAsTheSeedsSay) {
  std::vector<std::string> regions;
  for (const v1::Region& region : Regions()) {
    regions.push_back(region.name().substr(8));
  }
  ASSERT_EQ(regions.size(), 36u);
  for (const std::string& region : regions) {
    server_.AddBucket(absl::StrCat("from-", region), region);
    server_.AddBucket(absl::StrCat("to-", region), region);
  }
  int allowed_count = 0;
  for (const std::string& from : regions) {
    for (const std::string& to : regions) {
      const bool crosses = IsMainland(from) != IsMainland(to);
      const bool allowed = from != to && SeedsAllow(from, to);
      for (const auto transfer :
           {v1::Rule::TRANSFER_UNSPECIFIED, v1::Rule::STANDARD,
            v1::Rule::ACCELERATED}) {
        std::vector<std::string> expected;
        if (from == to) {
          expected.push_back("SAME_REGION");
        } else {
          if (!allowed) expected.push_back("REGION_PAIR_NOT_SUPPORTED");
          if (crosses && transfer != v1::Rule::ACCELERATED) {
            expected.push_back("TRANSFER_ACCELERATION_REQUIRED");
          }
          if (!crosses && transfer == v1::Rule::ACCELERATED) {
            expected.push_back("TRANSFER_ACCELERATION_NOT_APPLICABLE");
          }
        }
        auto request = test::RuleRequest(absl::StrCat("from-", from),
                                         absl::StrCat("to-", to));
        request.mutable_rule()->set_transfer(transfer);
        request.set_validate_only(true);
        const grpc::Status status = server_.CreateRule(request);
        if (expected.empty()) {
          ++allowed_count;
          ASSERT_TRUE(status.ok()) << from << " to " << to << RefusalOf(status);
          continue;
        }
        const auto refusal = RefusalOf(status);
        ASSERT_EQ(refusal.code, grpc::StatusCode::FAILED_PRECONDITION);
        ASSERT_THAT(refusal.flaws, IsEmpty()) << refusal;
        ASSERT_THAT(refusal.Reasons(), UnorderedElementsAreArray(expected))
            << from << " to " << to << " over " << transfer << refusal;
      }
    }
  }
  // 16 · 15 within the mainland and 19 from Sydney, each with the link named
  // and not named; 20 from Hangzhou across the border, with it named.
  EXPECT_EQ(allowed_count, 2 * (16 * 15 + 19) + 20);
}

}  // namespace
}  // namespace crr
