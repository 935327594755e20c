#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// Pages, tokens and filters over more rules and buckets than one page holds.
namespace crr {
namespace {

using test::Call;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kRules = 1050;

class ListsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new TestServer();
    std::atomic<int> next = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) {
      threads.emplace_back([&] {
        for (int i = next++; i < kRules; i = next++) {
          // In no order, and with '-' where others have a digit: names sort as
          // bytes.
          const int scattered = (i * 577) % kRules;
          const std::string source =
              absl::StrFormat("s%03d%s", scattered / 2,
                              scattered % 2 == 0 ? "" : "-x");
          server_->AddBucket(source, test::kHangzhou);
          server_->AddBucket(source + "-to", test::kShanghai);
          server_->AddRule(source, source + "-to");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static v1::ListRulesRequest RulesRequest(const std::string& parent,
                                           const std::string& filter = "") {
    v1::ListRulesRequest request;
    request.set_parent(parent);
    request.set_filter(filter);
    return request;
  }

  static grpc::Status ListRules(const v1::ListRulesRequest& request,
                                v1::ListRulesResponse* response = nullptr) {
    return Call(server_->rules(), &v1::ReplicationService::Stub::ListRules,
                request, response);
  }
  static grpc::Status ListBuckets(const v1::ListBucketsRequest& request,
                                  v1::ListBucketsResponse* response = nullptr) {
    return Call(server_->buckets(), &v1::BucketService::Stub::ListBuckets,
                request, response);
  }

  // Names over all pages of this size; adds a failure for an empty page in the
  // midst and for one that is too long.
  static std::vector<std::string> AllRules(v1::ListRulesRequest request,
                                           int page_size) {
    std::vector<std::string> names;
    request.set_page_size(page_size);
    do {
      v1::ListRulesResponse response;
      const grpc::Status status = ListRules(request, &response);
      EXPECT_TRUE(status.ok()) << test::RefusalOf(status);
      EXPECT_LE(response.rules_size(), page_size);
      EXPECT_TRUE(response.rules_size() > 0 || names.empty());
      for (const auto& rule : response.rules()) names.push_back(rule.name());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty() && names.size() <= 2 * kRules);
    return names;
  }

  static TestServer* server_;
};

TestServer* ListsTest::server_ = nullptr;

TEST_F(ListsTest, PagesOfRulesHaveNoGapAndNoRepeat) {
  const auto whole = AllRules(RulesRequest("buckets/-"), 1000);
  EXPECT_EQ(whole.size(), static_cast<size_t>(kRules));
  EXPECT_TRUE(std::is_sorted(whole.begin(), whole.end()));
  EXPECT_EQ(std::adjacent_find(whole.begin(), whole.end()), whole.end());
  for (const int size : {1, 7, 99, 350, 525, 999}) {
    if (size == 1 && kRules > 2000) continue;
    EXPECT_EQ(AllRules(RulesRequest("buckets/-"), size), whole) << size;
  }
}

TEST_F(ListsTest, PagesOfBucketsHaveNoGapAndNoRepeat) {
  for (const int size : {13, 1000}) {
    std::vector<std::string> names;
    v1::ListBucketsRequest request;
    request.set_page_size(size);
    do {
      v1::ListBucketsResponse response;
      ASSERT_TRUE(ListBuckets(request, &response).ok());
      ASSERT_LE(response.buckets_size(), size);
      for (const auto& bucket : response.buckets()) {
        names.push_back(bucket.name());
      }
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    EXPECT_EQ(names.size(), 2u * kRules);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  }
}

TEST_F(ListsTest, PageSizesAreDefaultedAndBounded) {
  struct Case {
    int asked;
    int given;
  };
  for (const Case& c : {Case{0, 100}, Case{1, 1}, Case{1000, 1000},
                        Case{1001, 1000}, Case{2'147'483'647, 1000}}) {
    auto rules_request = RulesRequest("buckets/-");
    rules_request.set_page_size(c.asked);
    v1::ListRulesResponse rules;
    ASSERT_TRUE(ListRules(rules_request, &rules).ok());
    EXPECT_EQ(rules.rules_size(), c.given) << c.asked;
    v1::ListBucketsRequest buckets_request;
    buckets_request.set_page_size(c.asked);
    v1::ListBucketsResponse buckets;
    ASSERT_TRUE(ListBuckets(buckets_request, &buckets).ok());
    EXPECT_EQ(buckets.buckets_size(), c.given) << c.asked;
  }
  for (const int negative : {-1, -2'147'483'647 - 1}) {
    auto rules_request = RulesRequest("buckets/-");
    rules_request.set_page_size(negative);
    EXPECT_REFUSED(ListRules(rules_request), INVALID_ARGUMENT,
                   "INVALID_PAGE_SIZE");
    v1::ListBucketsRequest buckets_request;
    buckets_request.set_page_size(negative);
    EXPECT_REFUSED(ListBuckets(buckets_request), INVALID_ARGUMENT,
                   "INVALID_PAGE_SIZE");
    v1::ListRegionsRequest regions_request;
    regions_request.set_page_size(negative);
    EXPECT_REFUSED(
        Call(server_->regions(), &v1::RegionService::Stub::ListRegions,
             regions_request),
        INVALID_ARGUMENT, "INVALID_PAGE_SIZE");
  }
}

TEST_F(ListsTest, ThePageMayChangeItsSizeOnTheWay) {
  auto request = RulesRequest("buckets/-");
  request.set_page_size(10);
  v1::ListRulesResponse first;
  ASSERT_TRUE(ListRules(request, &first).ok());
  request.set_page_token(first.next_page_token());
  request.set_page_size(3);
  v1::ListRulesResponse second;
  ASSERT_TRUE(ListRules(request, &second).ok());
  EXPECT_EQ(second.rules_size(), 3);
  EXPECT_LT(first.rules(9).name(), second.rules(0).name());
}

TEST_F(ListsTest, ATokenIsGoodForItsQueryOnly) {
  auto request = RulesRequest("buckets/-", "state = STARTING");
  request.set_page_size(5);
  v1::ListRulesResponse response;
  ASSERT_TRUE(ListRules(request, &response).ok());
  const std::string token = response.next_page_token();
  ASSERT_FALSE(token.empty());

  auto other_filter = RulesRequest("buckets/-", "state = CLOSING");
  other_filter.set_page_token(token);
  EXPECT_REFUSED(ListRules(other_filter), INVALID_ARGUMENT,
                 "INVALID_PAGE_TOKEN");
  auto no_filter = RulesRequest("buckets/-");
  no_filter.set_page_token(token);
  EXPECT_REFUSED(ListRules(no_filter), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  auto other_parent = RulesRequest("buckets/s001", "state = STARTING");
  other_parent.set_page_token(token);
  EXPECT_REFUSED(ListRules(other_parent), INVALID_ARGUMENT,
                 "INVALID_PAGE_TOKEN");
  v1::ListBucketsRequest buckets;
  buckets.set_page_token(token);
  EXPECT_REFUSED(ListBuckets(buckets), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");

  std::string changed = token;
  changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
  for (const std::string& bad :
       {std::string("x"), std::string("AAAA"), std::string("!!"),
        std::string(4000, 'A'), token + "AAAA", token.substr(0, 8), changed,
        std::string("buckets/s001")}) {
    request.set_page_token(bad);
    EXPECT_REFUSED(ListRules(request), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  }
}

TEST_F(ListsTest, TheParentIsABucketOrAll) {
  EXPECT_THAT(AllRules(RulesRequest("buckets/s007"), 10),
              ElementsAre("buckets/s007/rules/dr"));
  EXPECT_THAT(AllRules(RulesRequest("buckets/s007-x"), 10),
              ElementsAre("buckets/s007-x/rules/dr"));
  // A destination has no rules of its own.
  EXPECT_THAT(AllRules(RulesRequest("buckets/s007-to"), 10), IsEmpty());
  EXPECT_REFUSED(ListRules(RulesRequest("buckets/nowhere")), NOT_FOUND,
                 "BUCKET_NOT_FOUND");
  EXPECT_REFUSED(ListRules(RulesRequest("")), INVALID_ARGUMENT,
                 "REQUIRED_FIELD_MISSING");
  for (const char* parent : {"-", "s007", "buckets/", "buckets/--",
                             "buckets/s007/rules/-", "regions/-"}) {
    EXPECT_REFUSED(ListRules(RulesRequest(parent)), INVALID_ARGUMENT,
                   "INVALID_NAME");
  }
}

TEST_F(ListsTest, FiltersSelect) {
  const auto named = [&](const std::string& filter,
                         const std::string& parent = "buckets/-") {
    return AllRules(RulesRequest(parent, filter), 400);
  };
  EXPECT_EQ(named("state = STARTING").size(), static_cast<size_t>(kRules));
  EXPECT_THAT(named("state = ACTIVE"), IsEmpty());
  const auto one = ElementsAre("buckets/s007/rules/dr");
  for (const char* filter :
       {"source_bucket = \"buckets/s007\"", "source_bucket=buckets/s007",
        "  source_bucket   =\t\"buckets/s007\"  ",
        "destination_bucket = \"buckets/s007-to\"",
        "state = STARTING AND destination_bucket = \"buckets/s007-to\"",
        "state=\"STARTING\" AND source_bucket=\"buckets/s007\" AND "
        "destination_bucket=\"buckets/s007-to\""}) {
    EXPECT_THAT(named(filter), one) << filter;
  }
  EXPECT_THAT(named("source_bucket = \"buckets/s007\" AND "
                    "destination_bucket = \"buckets/s008-to\""),
              IsEmpty());
  EXPECT_THAT(named("source_bucket = \"buckets/nowhere\""), IsEmpty());
  // A parent and a filter must both hold.
  EXPECT_THAT(named("source_bucket = \"buckets/s007\"", "buckets/s007"), one);
  EXPECT_THAT(named("source_bucket = \"buckets/s008\"", "buckets/s007"),
              IsEmpty());
}

TEST_F(ListsTest, BadFiltersAreRefused) {
  for (const std::string& filter :
       {std::string("state"), std::string("state ="), std::string("= ACTIVE"),
        std::string("state = = ACTIVE"), std::string("state = NO_SUCH_STATE"),
        std::string("state = active"), std::string("state = 1"),
        std::string("state = STATE_UNSPECIFIED"),
        std::string("state != ACTIVE"), std::string("state > ACTIVE"),
        std::string("name = \"x\""), std::string("labels.a = b"),
        std::string("state = ACTIVE OR state = PAUSED"),
        std::string("state = ACTIVE state = PAUSED"),
        std::string("state = ACTIVE AND"), std::string("AND state = ACTIVE"),
        std::string("state = ACTIVE and source_bucket = \"buckets/abc\""),
        std::string("state = ACTIVE AND state = ACTIVE"),
        std::string("(state = ACTIVE)"), std::string("NOT state = ACTIVE"),
        std::string("source_bucket = \"buckets/abc"),
        std::string("source_bucket = abc"), std::string("source_bucket = \"\""),
        std::string("source_bucket = buckets/*"),
        "source_bucket = \"buckets/abc\"" + std::string(1024, ' ')}) {
    EXPECT_REFUSED(ListRules(RulesRequest("buckets/-", filter)),
                   INVALID_ARGUMENT, "INVALID_FILTER");
  }
}

// A list that goes on while rules come and go shows every rule that stands all
// the while, once.
TEST(ListsUnderChangeTest, RulesThatStandAreSeenOnce) {
  TestServer server;
  std::vector<std::string> standing;
  for (int i = 0; i < 40; ++i) {
    const std::string source = absl::StrFormat("b%02d", i);
    server.AddBucket(source, test::kHangzhou);
    server.AddBucket(source + "-to", test::kShanghai);
    if (i % 2 == 0) {
      standing.push_back(server.AddRule(source, source + "-to").name());
    }
  }
  std::vector<std::string> seen;
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  request.set_page_size(3);
  for (int page = 0;; ++page) {
    v1::ListRulesResponse response;
    ASSERT_TRUE(Call(server.rules(),
                     &v1::ReplicationService::Stub::ListRules, request,
                     &response)
                    .ok());
    for (const auto& rule : response.rules()) seen.push_back(rule.name());
    request.set_page_token(response.next_page_token());
    if (request.page_token().empty()) break;
    // The odd ones come, and go again: behind the list and before it.
    for (const int i : {1, 39}) {
      const std::string source = absl::StrFormat("b%02d", i);
      const auto create = test::RuleRequest(source, source + "-to");
      if (page % 2 == 0) {
        static_cast<void>(server.CreateRule(create));
      } else {
        static_cast<void>(
            server.DeleteRule(absl::StrCat("buckets/", source, "/rules/dr")));
      }
    }
  }
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
  EXPECT_TRUE(std::includes(seen.begin(), seen.end(), standing.begin(),
                            standing.end()));
}

}  // namespace
}  // namespace crr
