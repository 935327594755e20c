#include "client/crrctl/watch.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using test::HasCode;

// Answers GetRuleProgress with whatever the test has set.
class ScriptedServer final : public v1::ReplicationService::Service {
 public:
  grpc::Status GetRuleProgress(grpc::ServerContext*,
                               const v1::GetRuleProgressRequest*,
                               v1::RuleProgress* response) override {
    *response = progress;
    return status;
  }
  // Changed only between two calls.
  v1::RuleProgress progress;
  grpc::Status status;
};

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    control_ = std::make_unique<Control>(server_->InProcessChannel({}));
    service_.progress.set_name("buckets/photos/rules/dr");
    service_.progress.set_state(v1::Rule::ACTIVE);
    service_.progress.mutable_live()->set_pending(2);
    options_.rule = service_.progress.name();
    // Each pause plays the next step; the watch ends when there is none.
    options_.pause = [this] {
      if (next_step_ == steps_.size()) return false;
      steps_[next_step_++]();
      return true;
    };
  }
  void SetSynced(absl::Time time) {
    service_.progress.mutable_live()->set_pending(0);
    *service_.progress.mutable_live()->mutable_last_sync_time() =
        google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
            absl::ToUnixNanos(time));
  }
  absl::Status Watch() {
    return WatchRule(*control_, options_, clock_, console_);
  }

  test::FakeClock clock_;
  ScriptedServer service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Control> control_;
  std::vector<std::string> said_;
  const Console console_{
      .out = [this](absl::string_view text) { said_.emplace_back(text); },
      .err = [](absl::string_view text) { ADD_FAILURE() << text; }};
  WatchOptions options_;
  std::vector<std::function<void()>> steps_;
  size_t next_step_ = 0;
};

TEST_F(WatchTest, ARuleThatNeverWasIsAnError) {
  service_.status = grpc::Status(grpc::NOT_FOUND, "no such rule");
  EXPECT_THAT(Watch(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_TRUE(said_.empty());
}

TEST_F(WatchTest, SaysALineForEachChangeAndEndsWhenTheRuleIsGone) {
  steps_ = {[] {},
            [this] { service_.progress.mutable_live()->set_pending(1); },
            [this] { service_.status = grpc::Status(grpc::NOT_FOUND, ""); }};
  EXPECT_OK(Watch());
  ASSERT_EQ(said_.size(), 3u);
  EXPECT_THAT(said_[0], HasSubstr("pending=2"));
  EXPECT_THAT(said_[1], HasSubstr("pending=1"));
  EXPECT_EQ(said_[2], "buckets/photos/rules/dr is gone\n");
}

TEST_F(WatchTest, OutlivesAServerThatIsRestarted) {
  steps_ = {[this] { service_.status = grpc::Status(grpc::UNAVAILABLE, ""); },
            [] {},
            [this] { service_.status = grpc::Status::OK; },
            [this] { service_.status = grpc::Status(grpc::NOT_FOUND, ""); }};
  EXPECT_OK(Watch());
  ASSERT_EQ(said_.size(), 4u);
  EXPECT_EQ(said_[1], "the server does not answer; waiting for it\n");
  EXPECT_EQ(said_[2], said_[0]);
}

TEST_F(WatchTest, UntilSyncedWaitsForTheMomentItWasStarted) {
  options_.until_synced = true;
  const absl::Time start = clock_.WallNow();
  steps_ = {[this, start] { SetSynced(start - absl::Nanoseconds(1)); },
            [this, start] {
              clock_.Advance(absl::Seconds(1));
              SetSynced(start);
            }};
  EXPECT_OK(Watch());
  EXPECT_EQ(next_step_, 2u);
}

TEST_F(WatchTest, UntilSyncedFailsWhenTheRuleIsDeleted) {
  options_.until_synced = true;
  steps_ = {[this] { service_.status = grpc::Status(grpc::NOT_FOUND, ""); }};
  EXPECT_THAT(Watch(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(WatchTest, AnEndWithoutAnAnswerIsNoSuccess) {
  options_.until_synced = true;
  EXPECT_THAT(Watch(), HasCode(absl::StatusCode::kCancelled));
}

TEST_F(WatchTest, ATerminalIsDrawnInPlace) {
  options_.terminal = true;
  service_.progress.add_conditions()->set_type("RESYNC_NEEDED");
  steps_ = {[this] { service_.progress.clear_conditions(); }, [] {}};
  EXPECT_THAT(Watch(), HasCode(absl::StatusCode::kCancelled));
  ASSERT_EQ(said_.size(), 3u);
  EXPECT_THAT(said_[0], StartsWith("buckets/photos/rules/dr  ACTIVE\n"));
  // Over as many lines as the frame before had.
  EXPECT_THAT(said_[1], StartsWith("\x1b[4F\x1b[J"));
  EXPECT_THAT(said_[2], StartsWith("\x1b[3F\x1b[J"));
}

}  // namespace
}  // namespace crr
