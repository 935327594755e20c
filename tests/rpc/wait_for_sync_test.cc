#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// WaitForSync: until everything written before a time is there.
namespace crr {
namespace {

using test::Call;
using test::MakeChange;
using test::ScriptedPublisher;
using grpc::StatusCode;

constexpr char kRule[] = "buckets/hz-1/rules/dr";
constexpr char kBucket[] = "buckets/hz-1";

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      time - absl::FromUnixSeconds(timestamp.seconds()))));
  return timestamp;
}

// A call of WaitForSync that may still wait.
class Waiter {
 public:
  Waiter(test::TestServer& server, absl::Time time,
         std::chrono::milliseconds deadline = test::kPatience)
      : server_(server) {
    context_.set_deadline(std::chrono::system_clock::now() + deadline);
    request_.set_name(kRule);
    *request_.mutable_time() = ToTimestamp(time);
    server_.rules().async()->WaitForSync(
        &context_, &request_, &progress_,
        [this](grpc::Status status) { ended_.set_value(std::move(status)); });
  }
  ~Waiter() {
    context_.TryCancel();
    if (status_.valid()) status_.wait();
  }

  bool waits() {
    return status_.wait_for(std::chrono::milliseconds(2)) !=
           std::future_status::ready;
  }
  // How it ended, the server's clock going on meanwhile.
  grpc::Status End() {
    EXPECT_TRUE(test::Eventually([&] {
      server_.clock().Advance(absl::Milliseconds(100));
      return !waits();
    }));
    return status_.get();
  }
  const v1::RuleProgress& progress() const { return progress_; }
  void Cancel() { context_.TryCancel(); }

 private:
  test::TestServer& server_;
  grpc::ClientContext context_;
  v1::WaitForSyncRequest request_;
  v1::RuleProgress progress_;
  std::promise<grpc::Status> ended_;
  std::future<grpc::Status> status_ = ended_.get_future();
};

class WaitForSyncTest : public test::RuleWorld {
 protected:
  explicit WaitForSyncTest(test::TestServer::Options options = {})
      : RuleWorld(std::move(options)) {}

  absl::Time At(int64_t seconds) const {
    return start_ + absl::Seconds(seconds);
  }
  // Time in which a waiter looks several times.
  void Pass() {
    for (int i = 0; i < 10; ++i) {
      server_.clock().Advance(absl::Milliseconds(100));
      // Whoever comes wakes those that look.
      v1::WaitForSyncRequest request;
      request.set_name("buckets/hz-2/rules/none");
      *request.mutable_time() = ToTimestamp(start_);
      EXPECT_EQ(Call(server_.rules(),
                     &v1::ReplicationService::Stub::WaitForSync, request)
                    .error_code(),
                StatusCode::NOT_FOUND);
    }
  }
  static absl::Time TimeOf(const v1::RuleProgress& progress) {
    const auto& t = progress.live().last_sync_time();
    return absl::FromUnixSeconds(t.seconds()) + absl::Nanoseconds(t.nanos());
  }

  const absl::Time start_ = server_.clock().WallNow();
};

TEST_F(WaitForSyncTest, WhatIsThereIsToldAtOnce) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  server_.clock().Advance(absl::Seconds(20));
  for (const absl::Time time : {At(10), At(0), absl::UnixEpoch()}) {
    Waiter waiter(server_, time);
    EXPECT_TRUE(waiter.End().ok());
    EXPECT_EQ(TimeOf(waiter.progress()), At(10));
    EXPECT_EQ(waiter.progress().name(), kRule);
  }
  // Everything *before* a time: a moment later is not there yet.
  Waiter waiter(server_, At(10) + absl::Microseconds(1));
  Pass();
  EXPECT_TRUE(waiter.waits());
}

TEST_F(WaitForSyncTest, ItWaitsForThePublishersWord) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  Waiter waiter(server_, At(10));
  Pass();
  EXPECT_TRUE(waiter.waits());
  publisher.CompleteThrough(At(9));
  publisher.Sync(1);
  Pass();
  EXPECT_TRUE(waiter.waits());
  publisher.CompleteThrough(At(11));
  publisher.Sync(2);
  EXPECT_TRUE(waiter.End().ok());
  EXPECT_EQ(TimeOf(waiter.progress()), At(11));
}

TEST_F(WaitForSyncTest, ItWaitsForTheOldestChange) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  ASSERT_TRUE(publisher.Batch(
      1, {MakeChange("hz-1", "a", v1::Change::PUT, At(5))}));
  publisher.CompleteThrough(At(20));
  publisher.Sync(2);
  Waiter waiter(server_, At(10));
  Pass();
  EXPECT_TRUE(waiter.waits());
  // A late event, of a time that was thought to be over.
  ASSERT_TRUE(publisher.Batch(
      3, {MakeChange("hz-1", "b", v1::Change::PUT, At(2))}));
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(Apply(lease, 1).result(), v1::CheckpointAck::RECORDED);
  Pass();
  EXPECT_TRUE(waiter.waits());
  v1::Checkpoint rest = test::CheckpointOf(lease);
  rest.mutable_from()->set_sequence(1);
  rest.mutable_to()->set_sequence(2);
  rest.set_applied(1);
  EXPECT_EQ(copier_->Commit(rest).result(), v1::CheckpointAck::RECORDED);
  EXPECT_TRUE(waiter.End().ok());
  EXPECT_EQ(TimeOf(waiter.progress()), At(20));
}

// History, a start, a pause: all of them only last.
TEST_F(WaitForSyncTest, ItWaitsForTheRule) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  server_.AddRule("hz-1", "sh-1", R"("replicateHistorical":true)");
  Waiter waiter(server_, At(0));
  Pass();
  EXPECT_TRUE(waiter.waits());
  copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)));
  Pass();
  EXPECT_TRUE(waiter.waits());
  const v1::Lease inventory = copier_->AwaitGrant(v1::Lease::INVENTORY);
  ASSERT_TRUE(Pause(kRule).ok());
  v1::Checkpoint report = test::CheckpointOf(inventory);
  report.set_complete(true);
  EXPECT_EQ(copier_->Commit(report).result(), v1::CheckpointAck::RECORDED);
  Pass();
  EXPECT_TRUE(waiter.waits());
  ASSERT_TRUE(Resume(kRule).ok());
  EXPECT_TRUE(waiter.End().ok());
  EXPECT_EQ(waiter.progress().state(), v1::Rule::ACTIVE);
}

TEST_F(WaitForSyncTest, WhereItCanNeverBeKnownItIsRefused) {
  // Whatever the state of the rule: a start would not help.
  server_.AddRule("hz-1", "sh-1");
  EXPECT_REFUSED(Waiter(server_, At(0)).End(), FAILED_PRECONDITION,
                 "NO_WATERMARK");
  copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)));
  EXPECT_REFUSED(Waiter(server_, At(0)).End(), FAILED_PRECONDITION,
                 "NO_WATERMARK");
  {
    ScriptedPublisher unnamed(server_);
    ASSERT_TRUE(unnamed.Hello("", kBucket));
    EXPECT_REFUSED(Waiter(server_, At(0)).End(), FAILED_PRECONDITION,
                   "NO_WATERMARK");
  }
  // The last one is deleted while somebody waits for it.
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", kBucket));
    EXPECT_TRUE(publisher.Finish().ok());
  }
  Waiter waiter(server_, At(0));
  Pass();
  EXPECT_TRUE(waiter.waits());
  ASSERT_TRUE(test::Eventually([&] { return DeletePublisher("gw").ok(); }));
  EXPECT_REFUSED(waiter.End(), FAILED_PRECONDITION, "NO_WATERMARK");
}

TEST_F(WaitForSyncTest, TheFutureIsRefused) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  publisher.CompleteThrough(At(100));
  publisher.Sync(1);
  v1::WaitForSyncRequest request;
  request.set_name(kRule);
  const auto wait = [&] {
    return Call(server_.rules(), &v1::ReplicationService::Stub::WaitForSync,
                request);
  };
  EXPECT_REFUSED(wait(), INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
  *request.mutable_time() = ToTimestamp(At(60) + absl::Microseconds(1));
  EXPECT_REFUSED(wait(), INVALID_ARGUMENT, "INVALID_TIME");
  // Clocks differ a little.
  *request.mutable_time() = ToTimestamp(At(60));
  EXPECT_TRUE(wait().ok());
  // What no clock shows is no time.
  request.mutable_time()->set_nanos(-1);
  EXPECT_REFUSED(wait(), INVALID_ARGUMENT, "INVALID_TIME");
}

TEST_F(WaitForSyncTest, ARuleThatIsNotThereIsNotWaitedFor) {
  EXPECT_REFUSED(Waiter(server_, At(0)).End(), NOT_FOUND, "RULE_NOT_FOUND");
}

TEST_F(WaitForSyncTest, TheEndOfTheRuleEndsTheWait) {
  for (const bool created_again : {false, true}) {
    SCOPED_TRACE(created_again);
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", kBucket, created_again ? 2 : 1));
    StartRule("hz-1", "sh-1");
    Waiter waiter(server_, At(10));
    Pass();
    ASSERT_TRUE(server_.DeleteRule(kRule).ok());
    ASSERT_TRUE(Gone(kRule));
    if (created_again) {
      // The new rule could keep the promise; it is not the one that was asked.
      StartRule("hz-1", "sh-1");
      publisher.CompleteThrough(At(60));
      publisher.Sync(1);
    }
    EXPECT_REFUSED(waiter.End(), NOT_FOUND, "RULE_NOT_FOUND");
  }
}

TEST_F(WaitForSyncTest, TheCallersOwnEndEndsTheWait) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  Waiter hasty(server_, At(10), std::chrono::milliseconds(50));
  EXPECT_EQ(hasty.End().error_code(), StatusCode::DEADLINE_EXCEEDED);
  Waiter waiter(server_, At(10));
  Pass();
  waiter.Cancel();
  EXPECT_EQ(waiter.End().error_code(), StatusCode::CANCELLED);
  Pass();
  // Nobody is left to wait for.
  const absl::Time stop = absl::Now();
  EXPECT_TRUE(publisher.Finish().ok());
  Restart();
  EXPECT_LT(absl::Now() - stop, absl::Seconds(5));
}

// Over a connection: in process, what is unread when the server ends is lost.
class ConnectedWaitTest : public WaitForSyncTest {
 protected:
  ConnectedWaitTest() : WaitForSyncTest({.over_tcp = true}) {}
};

TEST_F(ConnectedWaitTest, AServerThatStopsSaysSo) {
  StartRule("hz-1", "sh-1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", kBucket));
    EXPECT_TRUE(publisher.Finish().ok());
  }
  Waiter waiter(server_, At(10));
  Pass();
  ASSERT_TRUE(waiter.waits());
  Restart();
  EXPECT_REFUSED(waiter.End(), UNAVAILABLE, "DRAINING");
}

TEST_F(WaitForSyncTest, AThousandWaitersHoldNobodyUp) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int i = 0; i < 1000; ++i) {
    waiters.push_back(std::make_unique<Waiter>(server_, At(10)));
  }
  Pass();
  const absl::Time begin = absl::Now();
  for (int i = 0; i < 100; ++i) {
    server_.clock().Advance(absl::Milliseconds(100));
    server_.GetRule(kRule);
  }
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  for (const auto& waiter : waiters) EXPECT_TRUE(waiter->End().ok());
}

}  // namespace
}  // namespace crr
