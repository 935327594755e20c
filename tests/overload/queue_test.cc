// A disk that stands still while everybody goes on asking.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "server/core/limits.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

namespace crr::test {
namespace {

// Where commits wait while it is shut.
class Gate {
 public:
  void Pass() {
    MutexLock lock(mu_);
    ++waiting_;
    changed_.NotifyAll();
    while (shut_) changed_.Wait(mu_);
    --waiting_;
  }
  void Shut() {
    MutexLock lock(mu_);
    shut_ = true;
  }
  void AwaitOne() {
    MutexLock lock(mu_);
    while (waiting_ == 0) changed_.Wait(mu_);
  }
  void Open() {
    MutexLock lock(mu_);
    shut_ = false;
    changed_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool shut_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

class StandingDiskTest : public ::testing::Test {
 protected:
  ~StandingDiskTest() override { gate_.Open(); }

  // The disk stands, and one write is stuck in it.
  void Stand() {
    ASSERT_NE(other_.Hello("other"), 0);
    gate_.Shut();
    Create("stuck");
    gate_.AwaitOne();
  }

  // Answered some time.
  void Create(const std::string& bucket) {
    auto call = std::make_shared<CreateCall>();
    SetPatience(call->context);
    call->request.set_bucket_id(bucket);
    call->request.mutable_bucket()->set_region(
        absl::StrCat("regions/", kHangzhou));
    call->request.mutable_bucket()->set_owner("acme");
    server_.buckets().async()->CreateBucket(
        &call->context, &call->request, &call->response,
        [this, call](const grpc::Status& status) {
          MutexLock lock(mu_);
          ++ends_[status.error_code()];
          if (!status.ok()) refusal_ = status;
          changed_.NotifyAll();
        });
  }
  int AwaitEnds(grpc::StatusCode code, int count) {
    MutexLock lock(mu_);
    while (ends_[code] < count) changed_.Wait(mu_);
    return ends_[code];
  }

  // Nothing more of the copier is read before one of its checkpoints has been
  // answered, for which this opens the gate.
  void ExpectUnheard(ScriptedCopier& copier) {
    v1::SessionRequest heartbeat;
    heartbeat.mutable_heartbeat()->set_number(2);
    // In-process, a write waits for its reader.
    std::thread unheard([&] { copier.Send(heartbeat); });
    for (int i = 0; i < 100; ++i) other_.Heartbeat();
    gate_.Open();
    unheard.join();
    ASSERT_TRUE(copier.Await(v1::SessionResponse::kHeartbeatAck));
    EXPECT_GT(copier.unread(v1::SessionResponse::kCheckpointAck), 0);
  }

  Gate gate_;
  Mutex mu_;
  CondVar changed_;
  std::map<grpc::StatusCode, int> ends_ ABSL_GUARDED_BY(mu_);
  grpc::Status refusal_ ABSL_GUARDED_BY(mu_);
  // Last: it answers what is open before the rest goes.
  TestServer server_{{.at_commit = [this] { gate_.Pass(); }}};
  ScriptedCopier other_{server_};

 private:
  struct CreateCall {
    grpc::ClientContext context;
    v1::CreateBucketRequest request;
    v1::Bucket response;
  };
};

TEST_F(StandingDiskTest, WritesAreRefusedAndAllElseIsServed) {
  constexpr int kTooMany = 50;
  ScriptedCopier copier(server_);
  ASSERT_NE(copier.Hello("copier"), 0);
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("", absl::StrCat("regions/", kHangzhou)));
  Stand();
  for (int i = 0; i < static_cast<int>(limits::kQueueMax) + kTooMany; ++i) {
    Create(absl::StrCat("b-", i));
  }
  EXPECT_EQ(AwaitEnds(grpc::StatusCode::UNAVAILABLE, kTooMany), kTooMany);
  {
    MutexLock lock(mu_);
    EXPECT_REFUSED(refusal_, UNAVAILABLE, "OVERLOADED");
    EXPECT_TRUE(RefusalOf(refusal_).retry_delay.has_value());
  }
  // Publishers too; a copier keeps its lease and comes again.
  EXPECT_FALSE(publisher.Batch(1, {MakeChange("no-rule-here", "k")}));
  EXPECT_REFUSED(publisher.End(), UNAVAILABLE, "OVERLOADED");
  v1::Checkpoint checkpoint;
  checkpoint.set_unit(1);
  EXPECT_EQ(copier.Commit(checkpoint).result(),
            v1::CheckpointAck::STORAGE_FULL);
  // Who does not write is served.
  copier.Heartbeat();
  v1::GetRegionRequest request;
  request.set_name(absl::StrCat("regions/", kHangzhou));
  EXPECT_TRUE(
      Call(server_.regions(), &v1::RegionService::Stub::GetRegion, request)
          .ok());
  gate_.Open();
  constexpr int kTaken = static_cast<int>(limits::kQueueMax) + 1;
  EXPECT_EQ(AwaitEnds(grpc::StatusCode::OK, kTaken), kTaken);
}

// One copier may not fill the writer's queue; its heartbeats are heard all the
// same while it keeps within its bound.
TEST_F(StandingDiskTest, ACopierHasSoManyCheckpointsInHand) {
  ScriptedCopier copier(server_);
  ASSERT_NE(copier.Hello("copier"), 0);
  Stand();
  v1::SessionRequest checkpoint;
  checkpoint.mutable_checkpoint()->set_unit(1);
  for (size_t i = 1; i < limits::kCheckpointsInHandMax; ++i) {
    copier.Send(checkpoint);
  }
  copier.Heartbeat();
  EXPECT_EQ(copier.unread(v1::SessionResponse::kCheckpointAck), 0);
  copier.Send(checkpoint);
  ExpectUnheard(copier);
}

TEST_F(StandingDiskTest, ACopierHasSoManyBytesInHand) {
  ScriptedCopier copier(server_);
  ASSERT_NE(copier.Hello("copier"), 0);
  Stand();
  v1::SessionRequest large;
  large.mutable_checkpoint()->set_unit(1);
  large.mutable_checkpoint()->mutable_upload()->set_source_etag(
      std::string(limits::kCheckpointBytesInHandMax / 2, 'x'));
  copier.Send(large);
  copier.Heartbeat();
  EXPECT_EQ(copier.unread(v1::SessionResponse::kCheckpointAck), 0);
  copier.Send(large);
  ExpectUnheard(copier);
}

}  // namespace
}  // namespace crr::test
