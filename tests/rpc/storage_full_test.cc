#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"
#include "tests/support/child.h"

// A server whose disk runs full, as its callers see it.
namespace crr {
namespace {

using test::Call;
using test::RefusalOf;
using test::TestServer;

// As somebody else may.
void TakeAllRoom(const std::string& folder) {
  std::ofstream ballast(folder + "/ballast");
  while (ballast << std::string(4096, 'b') << std::flush) {
  }
}

void RunServerOnAFullDisk(const std::string& folder) {
  setenv("TMPDIR", folder.c_str(), 1);
  TestServer server;
  server.AddBucket("photos", test::kHangzhou);
  server.AddBucket("photos-dr", test::kShanghai);
  server.SetStore(test::kHangzhou);
  server.SetStore(test::kShanghai);
  const v1::Rule rule = server.AddRule("photos", "photos-dr");
  test::ScriptedCopier copier(server);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  ASSERT_EQ(
      copier.Commit(test::GoodProbe(copier.AwaitGrant(v1::Lease::PROBE)))
          .result(),
      v1::CheckpointAck::RECORDED);
  v1::Lease lease;
  std::vector<v1::Change> changes(
      100, test::MakeChange("photos", std::string(1000, 'k')));
  int64_t taken = 0;
  {
    test::ScriptedPublisher publisher(server);
    ASSERT_TRUE(publisher.Hello("p", "buckets/photos"));
    ASSERT_TRUE(publisher.Batch(++taken, changes));
    lease = copier.AwaitGrant(v1::Lease::CHANGES);

    TakeAllRoom(folder);
    while (publisher.Batch(taken + 1, changes)) ++taken;
    const auto status = publisher.End();
    EXPECT_REFUSED(status, RESOURCE_EXHAUSTED, "STORAGE_FULL");
    EXPECT_GT(*RefusalOf(status).retry_delay, absl::ZeroDuration());
  }
  EXPECT_EQ(server.Progress(rule.name()).live().published(), 100 * taken);
  v1::CreateBucketRequest bucket;
  bucket.set_bucket_id("another");
  bucket.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
  bucket.mutable_bucket()->set_owner("acme");
  EXPECT_REFUSED(Call(server.buckets(), &v1::BucketService::Stub::CreateBucket,
                      bucket),
                 RESOURCE_EXHAUSTED, "STORAGE_FULL");
  EXPECT_REFUSED(server.DeleteRule(rule.name()), RESOURCE_EXHAUSTED,
                 "STORAGE_FULL");
  // A copier keeps its lease and comes again.
  v1::Checkpoint done = test::CheckpointOf(lease);
  done.mutable_to()->set_sequence(10);
  done.set_applied(10);
  EXPECT_EQ(copier.Commit(done).result(), v1::CheckpointAck::STORAGE_FULL);
  copier.Heartbeat();
  // Whoever only asks is answered.
  EXPECT_EQ(server.GetRule(rule.name()).state(), v1::Rule::ACTIVE);

  std::filesystem::remove(folder + "/ballast");
  EXPECT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_TRUE(Call(server.buckets(), &v1::BucketService::Stub::CreateBucket,
                   bucket)
                  .ok());
  {
    test::ScriptedPublisher publisher(server);
    EXPECT_EQ(publisher.Hello("p", "buckets/photos"), taken);
    ASSERT_TRUE(publisher.Batch(++taken, changes));
  }
  static_cast<void>(copier.Finish());
  // A server that is started meanwhile answers too.
  TakeAllRoom(folder);
  server.Restart();
  bucket.set_bucket_id("a-third");
  EXPECT_REFUSED(Call(server.buckets(), &v1::BucketService::Stub::CreateBucket,
                      bucket),
                 RESOURCE_EXHAUSTED, "STORAGE_FULL");
  const v1::RuleProgress progress = server.Progress(rule.name());
  EXPECT_TRUE(test::AddsUp(progress)) << progress.DebugString();
  EXPECT_EQ(progress.live().published(), 100 * taken);
  EXPECT_EQ(progress.live().applied(), 10);
}

// gRPC begins in the child only: it does not outlive a fork.
TEST(StorageFullTest, RefusesUntilThereIsRoomAndLosesNothing) {
  const test::TempDir dir;
  test::Child child([&] {
    if (!test::MountSmallFileSystem(dir.path())) return test::kCannotMount;
    RunServerOnAFullDisk(dir.path());
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  const int status = child.Wait();
  if (status == test::kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace crr
