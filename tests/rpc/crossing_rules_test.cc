#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// I1 under many hands.
namespace crr {
namespace {

using grpc::StatusCode;
using test::Call;
using test::RefusalOf;
using test::TestServer;

constexpr int kBuckets = 20;
constexpr int kThreads = 64;
constexpr int kRounds = 20;

using Pair = std::pair<std::string, std::string>;  // Source, destination.

class CrossingRulesTest : public ::testing::Test {
 protected:
  CrossingRulesTest() {
    // Two regions of the mainland: whatever crosses between them is allowed.
    for (int i = 0; i < kBuckets; ++i) {
      buckets_.push_back(absl::StrCat("bucket-", i));
      server_.AddBucket(buckets_.back(),
                        i % 2 == 0 ? test::kHangzhou : test::kShanghai);
    }
  }

  // A pair over the two regions, in either direction.
  Pair RandomPair(std::mt19937& random) const {
    const int a = static_cast<int>(random() % (kBuckets / 2)) * 2;
    const int b = static_cast<int>(random() % (kBuckets / 2)) * 2 + 1;
    return random() % 2 == 0 ? Pair(buckets_[a], buckets_[b])
                             : Pair(buckets_[b], buckets_[a]);
  }

  // All rules, in one snapshot.
  std::vector<v1::Rule> Rules() {
    v1::ListRulesRequest request;
    request.set_parent("buckets/-");
    request.set_page_size(1000);
    v1::ListRulesResponse response;
    EXPECT_TRUE(Call(server_.rules(),
                     &v1::ReplicationService::Stub::ListRules, request,
                     &response)
                    .ok());
    return {response.rules().begin(), response.rules().end()};
  }

  // Adds a failure when a bucket has two partners or a pair has a rule twice.
  static void CheckPartners(const std::vector<v1::Rule>& rules) {
    std::map<std::string, std::set<std::string>> partners;
    std::set<Pair> pairs;
    for (const v1::Rule& rule : rules) {
      EXPECT_TRUE(
          pairs.emplace(rule.source_bucket(), rule.destination_bucket())
              .second)
          << rule.name();
      partners[rule.source_bucket()].insert(rule.destination_bucket());
      partners[rule.destination_bucket()].insert(rule.source_bucket());
    }
    for (const auto& [bucket, others] : partners) {
      EXPECT_EQ(others.size(), 1u) << bucket;
    }
  }

  TestServer server_;
  std::vector<std::string> buckets_;
};

TEST_F(CrossingRulesTest, NeverTwoPartnersAndEveryRefusalIsRight) {
  int rounds_with_both = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    struct Attempt {
      Pair pair;
      grpc::Status status;
    };
    constexpr int kEach = 2;
    std::vector<Attempt> attempts(kThreads * kEach);
    std::latch start(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<uint32_t>(round * kThreads + t));
        start.arrive_and_wait();
        for (int i = 0; i < kEach; ++i) {
          Attempt& attempt = attempts[static_cast<size_t>(t * kEach + i)];
          attempt.pair = RandomPair(random);
          attempt.status = server_.CreateRule(test::RuleRequest(
              attempt.pair.first, attempt.pair.second,
              absl::StrCat("rule-", t, "-", i)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();

    const std::vector<v1::Rule> rules = Rules();
    CheckPartners(rules);
    std::map<std::string, v1::Rule> by_name;
    for (const v1::Rule& rule : rules) by_name.emplace(rule.name(), rule);
    size_t won = 0;
    size_t refused = 0;
    for (const Attempt& attempt : attempts) {
      if (attempt.status.ok()) {
        ++won;
        continue;
      }
      ++refused;
      const auto refusal = RefusalOf(attempt.status);
      ASSERT_THAT(refusal.flaws, ::testing::IsEmpty()) << refusal;
      // Nothing is deleted in a round, so what stood in the way stands still.
      const std::string& in_the_way = refusal.metadata.at("rule");
      ASSERT_TRUE(by_name.contains(in_the_way)) << refusal;
      const v1::Rule& rule = by_name.at(in_the_way);
      const std::string source = "buckets/" + attempt.pair.first;
      const std::string destination = "buckets/" + attempt.pair.second;
      if (refusal.reason == "RULE_ALREADY_EXISTS") {
        EXPECT_EQ(refusal.code, StatusCode::ALREADY_EXISTS);
        EXPECT_EQ(rule.source_bucket(), source);
        EXPECT_EQ(rule.destination_bucket(), destination);
        continue;
      }
      ASSERT_EQ(refusal.reason, "BUCKET_PAIRED_ELSEWHERE") << refusal;
      EXPECT_EQ(refusal.code, StatusCode::FAILED_PRECONDITION);
      // It holds one bucket of the pair, and not the other.
      const std::set<std::string> wanted = {source, destination};
      EXPECT_EQ(wanted.count(rule.source_bucket()) +
                    wanted.count(rule.destination_bucket()),
                1u)
          << refusal;
      EXPECT_TRUE(refusal.metadata.at("partner") == rule.source_bucket() ||
                  refusal.metadata.at("partner") == rule.destination_bucket());
    }
    EXPECT_EQ(won, rules.size());
    rounds_with_both += won > 0 && refused > 0;

    for (const v1::Rule& rule : rules) {
      ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
    }
    ASSERT_TRUE(test::Eventually([&] { return Rules().empty(); }));
  }
  EXPECT_GT(rounds_with_both, kRounds / 2);
}

// The same while rules are deleted too, seen by somebody who only looks.
TEST_F(CrossingRulesTest, NeverTwoPartnersWhileRulesComeAndGo) {
  constexpr int kHands = 16;
  constexpr int kSteps = 40;
  std::atomic<int> created = 0;
  std::atomic<int> deleted = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < kHands; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      for (int step = 0; step < kSteps; ++step) {
        const Pair pair = RandomPair(random);
        if (random() % 2 == 0) {
          created += server_
                         .CreateRule(test::RuleRequest(pair.first, pair.second))
                         .ok();
        } else {
          deleted += server_
                         .DeleteRule(absl::StrCat("buckets/", pair.first,
                                                  "/rules/dr"))
                         .ok();
        }
      }
    });
  }
  std::thread watcher([&] {
    while (!over) CheckPartners(Rules());
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  watcher.join();
  CheckPartners(Rules());
  EXPECT_GT(created, 10);
  EXPECT_GT(deleted, 0);
  // Whatever was freed can be paired anew: delete all, then pair all.
  for (const v1::Rule& rule : Rules()) {
    static_cast<void>(server_.DeleteRule(rule.name()));
  }
  ASSERT_TRUE(test::Eventually([&] { return Rules().empty(); }));
  for (int i = 0; i < kBuckets; i += 2) {
    EXPECT_TRUE(
        server_.CreateRule(test::RuleRequest(buckets_[i], buckets_[i + 1]))
            .ok());
  }
}

}  // namespace
}  // namespace crr
