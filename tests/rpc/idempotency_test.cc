#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// `request_id` and `validate_only` (design §4).
namespace crr {
namespace {

using test::Call;
using test::RefusalOf;
using test::TestServer;

constexpr char kId[] = "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e80";
constexpr char kOtherId[] = "00000000-0000-4000-8000-000000000001";

class IdempotencyTest : public ::testing::Test {
 protected:
  IdempotencyTest() {
    server_.AddBucket("aaa", test::kHangzhou);
    server_.AddBucket("bbb", test::kShanghai);
    server_.AddBucket("ccc", test::kShanghai);
  }

  static v1::CreateRuleRequest Request(const std::string& request_id,
                                       const std::string& rule_id = "") {
    auto request = test::RuleRequest("aaa", "bbb", rule_id);
    request.set_request_id(request_id);
    return request;
  }

  // The rule that is created, or was.
  v1::Rule Create(const v1::CreateRuleRequest& request) {
    v1::Rule rule;
    const grpc::Status status = server_.CreateRule(request, &rule);
    EXPECT_TRUE(status.ok()) << RefusalOf(status);
    return rule;
  }

  int RuleCount() {
    v1::ListRulesRequest request;
    request.set_parent("buckets/-");
    v1::ListRulesResponse response;
    EXPECT_TRUE(Call(server_.rules(),
                     &v1::ReplicationService::Stub::ListRules, request,
                     &response)
                    .ok());
    return response.rules_size();
  }

  TestServer server_;
};

TEST_F(IdempotencyTest, ARepeatGetsTheSameAnswer) {
  // The id is generated: only the memory of the first call can know it.
  const v1::Rule first = Create(Request(kId));
  server_.clock().Advance(absl::Minutes(5));
  EXPECT_EQ(Create(Request(kId)).SerializeAsString(),
            first.SerializeAsString());
  EXPECT_EQ(RuleCount(), 1);
}

TEST_F(IdempotencyTest, ARepeatGetsTheSameAnswerFromTheNextServer) {
  const v1::Rule first = Create(Request(kId));
  server_.Restart();
  EXPECT_EQ(Create(Request(kId)).SerializeAsString(),
            first.SerializeAsString());
  EXPECT_EQ(RuleCount(), 1);
}

TEST_F(IdempotencyTest, ARepeatAfterTheRuleIsGoneCreatesNothing) {
  const v1::Rule first = Create(Request(kId));
  ASSERT_TRUE(server_.DeleteRule(first.name()).ok());
  v1::Rule rule;
  ASSERT_TRUE(test::Eventually([&] {
    return server_.GetRule(first.name(), &rule).error_code() ==
           grpc::StatusCode::NOT_FOUND;
  }));
  EXPECT_EQ(Create(Request(kId)).SerializeAsString(),
            first.SerializeAsString());
  EXPECT_EQ(RuleCount(), 0);
}

TEST_F(IdempotencyTest, ManyAtOnceAreOne) {
  constexpr int kThreads = 16;
  std::vector<v1::Rule> answers(kThreads);
  std::vector<std::thread> threads;
  for (v1::Rule& answer : answers) {
    threads.emplace_back([&] { answer = Create(Request(kId)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const v1::Rule& answer : answers) {
    EXPECT_EQ(answer.SerializeAsString(), answers[0].SerializeAsString());
  }
  EXPECT_EQ(RuleCount(), 1);
}

TEST_F(IdempotencyTest, TheIdIsNotGoodForAnotherRequest) {
  Create(Request(kId, "dr"));
  auto other_prefix = Request(kId, "dr");
  other_prefix.mutable_rule()->add_prefixes("a/");
  auto other_destination = Request(kId, "dr");
  other_destination.mutable_rule()->set_destination_bucket("buckets/ccc");
  auto other_id = Request(kId, "other");
  // False is another thing than not said.
  auto other_history = Request(kId, "dr");
  other_history.mutable_rule()->clear_replicate_historical();
  for (const auto& request :
       {other_prefix, other_destination, other_id, other_history}) {
    const auto status = server_.CreateRule(request);
    EXPECT_REFUSED(status, INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    EXPECT_EQ(RefusalOf(status).violations[0].field(), "request_id");
  }
  EXPECT_EQ(RuleCount(), 1);
}

TEST_F(IdempotencyTest, LabelsInAnotherOrderAreTheSameRequest) {
  auto request = Request(kId, "dr");
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.push_back(absl::StrCat("label-", i));
  for (const auto& key : keys) {
    (*request.mutable_rule()->mutable_labels())[key] = "x";
  }
  auto reversed = Request(kId, "dr");
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    (*reversed.mutable_rule()->mutable_labels())[*key] = "x";
  }
  const v1::Rule first = Create(request);
  EXPECT_EQ(Create(reversed).etag(), first.etag());
}

TEST_F(IdempotencyTest, AnotherMethodMayUseTheId) {
  Create(Request(kId, "dr"));
  v1::CreateBucketRequest request;
  request.set_bucket_id("ddd");
  request.set_request_id(kId);
  request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
  request.mutable_bucket()->set_owner("acme");
  v1::Bucket first;
  ASSERT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                   request, &first)
                  .ok());
  v1::Bucket second;
  ASSERT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                   request, &second)
                  .ok());
  EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());
  request.mutable_bucket()->set_owner("rival");
  EXPECT_REFUSED(Call(server_.buckets(),
                      &v1::BucketService::Stub::CreateBucket, request),
                 INVALID_ARGUMENT, "REQUEST_ID_REUSED");
}

TEST_F(IdempotencyTest, ARefusalIsNotRemembered) {
  auto request = test::RuleRequest("aaa", "not-yet", "dr");
  request.set_request_id(kId);
  EXPECT_REFUSED(server_.CreateRule(request), NOT_FOUND, "BUCKET_NOT_FOUND");
  // Nor is its content: the id is as good as new.
  server_.AddBucket("not-yet", test::kShanghai);
  const v1::Rule rule = Create(request);
  EXPECT_EQ(rule.destination_bucket(), "buckets/not-yet");
}

TEST_F(IdempotencyTest, TheMemoryLastsADay) {
  const v1::Rule first = Create(Request(kId, "dr"));
  server_.clock().Advance(absl::Hours(24) - absl::Microseconds(1));
  EXPECT_EQ(Create(Request(kId, "dr")).SerializeAsString(),
            first.SerializeAsString());
  // A repeat does not make it last longer.
  server_.clock().Advance(absl::Microseconds(1));
  EXPECT_REFUSED(server_.CreateRule(Request(kId, "dr")), ALREADY_EXISTS,
                 "RULE_ALREADY_EXISTS");
}

TEST_F(IdempotencyTest, ValidateOnlyStoresNothingAndUsesNothingUp) {
  auto only = Request(kId, "dr");
  only.set_validate_only(true);
  for (int i = 0; i < 3; ++i) {
    const v1::Rule rule = Create(only);
    EXPECT_EQ(rule.name(), "buckets/aaa/rules/dr");
    EXPECT_EQ(rule.state(), v1::Rule::STARTING);
    EXPECT_EQ(RuleCount(), 0);
  }
  // Neither the pair, nor the id, nor the request id.
  auto other = test::RuleRequest("aaa", "ccc", "dr");
  other.set_request_id(kId);
  EXPECT_EQ(Create(other).destination_bucket(), "buckets/ccc");
}

TEST_F(IdempotencyTest, ValidateOnlyDoesNotReplay) {
  Create(Request(kId, "dr"));
  auto only = Request(kId, "dr");
  only.set_validate_only(true);
  EXPECT_REFUSED(server_.CreateRule(only), ALREADY_EXISTS,
                 "RULE_ALREADY_EXISTS");
}

TEST_F(IdempotencyTest, ValidateOnlyAnswersTheRuleAsItWouldBe) {
  Create(Request(kOtherId, "dr"));
  // The reverse, which has to wait for the first.
  auto request = test::RuleRequest("bbb", "aaa", "back");
  auto only = request;
  only.set_validate_only(true);
  const v1::Rule promised = Create(only);
  const v1::Rule created = Create(request);
  EXPECT_EQ(test::ConditionTypes(promised), test::ConditionTypes(created));
  EXPECT_EQ(promised.DebugString(), created.DebugString());
}

}  // namespace
}  // namespace crr
