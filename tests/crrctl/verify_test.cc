#include "client/crrctl/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/crrctl/fake_server.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;

constexpr char kRule[] = "buckets/photos/rules/dr";

class VerifiedRule final : public v1::ReplicationService::Service {
 public:
  grpc::Status VerifyRule(grpc::ServerContext*,
                          const v1::VerifyRuleRequest* request,
                          v1::Verification* response) override {
    EXPECT_EQ(request->name(), kRule);
    read_bytes = request->read_bytes();
    *response = verification;
    return status;
  }
  grpc::Status GetRuleProgress(grpc::ServerContext*,
                               const v1::GetRuleProgressRequest*,
                               v1::RuleProgress* response) override {
    *response->mutable_verification() = verification;
    return status;
  }
  // Changed only between two calls.
  v1::Verification verification;
  grpc::Status status;
  bool read_bytes = false;
};

class VerifyTest : public test::FakeServerTest<VerifiedRule> {
 protected:
  VerifyTest() {
    service_.verification.set_number(3);
    options_.rule = kRule;
    // Each pause plays the next step; the wait ends when there is none.
    options_.pause = [this] {
      if (next_step_ == steps_.size()) return false;
      steps_[next_step_++]();
      return true;
    };
  }
  // All is compared.
  void End(int64_t equal) {
    service_.verification.set_compared(4);
    service_.verification.set_equal(equal);
    service_.verification.set_score(static_cast<double>(equal) / 4);
    service_.verification.mutable_end_time()->set_seconds(1);
  }

  VerifyOptions options_;
  std::vector<std::function<void()>> steps_;
  size_t next_step_ = 0;
};

TEST_F(VerifyTest, BeginsOne) {
  options_.read_bytes = true;
  const auto equal = VerifyRule(*control_, options_, console_);
  ASSERT_OK(equal);
  EXPECT_TRUE(*equal);
  EXPECT_TRUE(service_.read_bytes);
  EXPECT_EQ(said_, "verification 3 of buckets/photos/rules/dr is under way\n");
}

TEST_F(VerifyTest, WaitsForTheEndAndTellsWhatDiffered) {
  options_.wait = true;
  steps_ = {[] {},
            [this] { service_.status = grpc::Status(grpc::UNAVAILABLE, ""); },
            [this] {
              service_.status = grpc::Status::OK;
              End(1);
              auto& differences = *service_.verification.mutable_differences();
              differences["MISSING"] = 2;
              differences["CONTENT"] = 1;
              auto& sample = *service_.verification.add_samples();
              sample.set_key("a\n");
              sample.set_reason("MISSING");
            }};
  const auto equal = VerifyRule(*control_, options_, console_);
  ASSERT_OK(equal);
  EXPECT_FALSE(*equal);
  EXPECT_EQ(said_,
            "verification 3: compared 4, equal 1, score 0.250000\n"
            "CONTENT 1\n"
            "MISSING 2\n"
            "  MISSING  a\\n\n");
}

TEST_F(VerifyTest, WhatIsEqualIsSaidToBe) {
  options_.wait = true;
  steps_ = {[this] { End(4); }};
  const auto equal = VerifyRule(*control_, options_, console_);
  ASSERT_OK(equal);
  EXPECT_TRUE(*equal);
  EXPECT_EQ(said_, "verification 3: compared 4, equal 4, score 1.000000\n");
}

TEST_F(VerifyTest, RefusalsAndAnEndedWaitAreErrors) {
  options_.wait = true;
  EXPECT_THAT(VerifyRule(*control_, options_, console_).status(),
              HasCode(absl::StatusCode::kCancelled));
  steps_ = {[this] { service_.status = grpc::Status(grpc::NOT_FOUND, ""); }};
  EXPECT_THAT(VerifyRule(*control_, options_, console_).status(),
              HasCode(absl::StatusCode::kNotFound));
  service_.status = grpc::Status(grpc::FAILED_PRECONDITION, "paused");
  EXPECT_THAT(VerifyRule(*control_, options_, console_).status(),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(said_, "");
}

}  // namespace
}  // namespace crr
