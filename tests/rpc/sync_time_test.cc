#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// `last_sync_time` by the formula of design §4, case by case (I7): the least of
// what every publisher of the bucket vouches for and of the oldest event that
// is still pending.
namespace crr {
namespace {

using test::MakeChange;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;

constexpr char kRule[] = "buckets/photos/rules/dr";
constexpr char kBucket[] = "buckets/photos";
constexpr char kRegion[] = "regions/oss-cn-hangzhou";

class SyncTimeTest : public ::testing::Test {
 protected:
  SyncTimeTest() {
    server_.AddBucket("photos", test::kHangzhou);
    server_.AddBucket("photos-dr", test::kShanghai);
    server_.AddBucket("other", test::kHangzhou);
    server_.AddBucket("other-dr", test::kShanghai);
    server_.SetStore(test::kHangzhou);
    server_.SetStore(test::kShanghai);
    EXPECT_GT(copier_.Hello("copier-1"), 0);
  }

  // A rule without history, ACTIVE.
  void StartRule(const std::string& source = "photos") {
    server_.AddRule(source, source + "-dr");
    const v1::Lease probe = copier_.AwaitGrant(v1::Lease::PROBE);
    EXPECT_EQ(copier_.Commit(test::GoodProbe(probe)).result(),
              v1::CheckpointAck::RECORDED);
  }

  absl::Time At(int64_t seconds) const {
    return start_ + absl::Seconds(seconds);
  }

  // Seconds after start_, or the reason why it is unknown.
  std::string Shown(const std::string& rule = kRule) {
    const v1::RuleProgress progress = server_.Progress(rule);
    EXPECT_TRUE(test::AddsUp(progress)) << progress.DebugString();
    std::string json;
    EXPECT_TRUE(
        google::protobuf::util::MessageToJsonString(progress, &json).ok());
    const auto& live = progress.live();
    EXPECT_EQ(live.has_last_sync_time(), live.has_lag());
    EXPECT_EQ(live.has_last_sync_time(),
              live.last_sync_unknown_reason().empty());
    if (!live.has_last_sync_time()) return live.last_sync_unknown_reason();
    const absl::Time t =
        absl::FromUnixSeconds(live.last_sync_time().seconds()) +
        absl::Nanoseconds(live.last_sync_time().nanos());
    return absl::StrCat(absl::ToInt64Seconds(t - start_));
  }

  TestServer server_;
  const absl::Time start_ = server_.clock().WallNow();
  ScriptedCopier copier_{server_};
};

TEST_F(SyncTimeTest, ARuleThatHasNotStartedHasNone) {
  server_.AddRule("photos", "photos-dr");
  // What does not pass by itself is told first.
  EXPECT_EQ(Shown(), "NO_PUBLISHER");
  ScriptedPublisher publisher(server_.changes());
  ASSERT_TRUE(publisher.Hello("gw", "buckets/photos"));
  EXPECT_EQ(Shown(), "NOT_ACTIVE");
}

TEST_F(SyncTimeTest, WithoutAPublisherItIsUnknown) {
  StartRule();
  EXPECT_EQ(Shown(), "NO_PUBLISHER");
  // One of another bucket does not count, nor an unnamed one.
  ScriptedPublisher other(server_);
  ASSERT_TRUE(other.Hello("p", "buckets/other"));
  other.CompleteThrough(At(10));
  other.Sync(1);
  ScriptedPublisher unnamed(server_);
  ASSERT_TRUE(unnamed.Hello("", kBucket));
  unnamed.CompleteThrough(At(10));
  unnamed.Sync(1);
  EXPECT_EQ(Shown(), "NO_PUBLISHER");
}

TEST_F(SyncTimeTest, WhatThePublisherSaysCounts) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  EXPECT_EQ(Shown(), "10");
  publisher.CompleteThrough(At(20));
  publisher.Sync(2);
  EXPECT_EQ(Shown(), "20");
}

// The change arrives long after the write, and a word between the two comes
// after it: it must not vouch for what is still pending.
TEST_F(SyncTimeTest, AChangeWithoutATimeIsNoLaterThanTheLastWord) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  server_.clock().Advance(absl::Seconds(100));
  ASSERT_TRUE(publisher.Batch(1, {MakeChange("photos", "k1")}));
  publisher.CompleteThrough(At(50));
  publisher.Sync(2);
  EXPECT_EQ(Shown(), "EVENT_TIME_UNKNOWN");
}

TEST_F(SyncTimeTest, AChangeWithoutATimeCountsFromTheLastWord) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  server_.clock().Advance(absl::Seconds(100));
  ASSERT_TRUE(publisher.Batch(2, {MakeChange("photos", "k1")}));
  publisher.CompleteThrough(At(50));
  publisher.Sync(3);
  EXPECT_EQ(Shown(), "10");
}

TEST_F(SyncTimeTest, LagIsCountedFromNow) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  server_.clock().Advance(absl::Seconds(25));
  EXPECT_EQ(server_.Progress(kRule).live().lag().seconds(), 15);
  // A source whose clock is ahead does not make it negative.
  publisher.CompleteThrough(At(100));
  publisher.Sync(2);
  EXPECT_EQ(server_.Progress(kRule).live().lag().seconds(), 0);
}

TEST_F(SyncTimeTest, ThePublisherThatIsFurthestBehindCounts) {
  StartRule();
  ScriptedPublisher of_bucket(server_);
  ASSERT_TRUE(of_bucket.Hello("p1", kBucket));
  of_bucket.CompleteThrough(At(30));
  of_bucket.Sync(1);
  ScriptedPublisher of_region(server_);
  ASSERT_TRUE(of_region.Hello("p2", kRegion));
  of_region.Sync(1);
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
  of_region.CompleteThrough(At(20));
  of_region.Sync(2);
  EXPECT_EQ(Shown(), "20");
  of_region.CompleteThrough(At(40));
  of_region.Sync(3);
  EXPECT_EQ(Shown(), "30");
}

TEST_F(SyncTimeTest, ThePendingEventsCountUntilTheyAreSettled) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  ASSERT_TRUE(publisher.Batch(
      1, {MakeChange("photos", "k1", v1::Change::PUT, At(7)),
          MakeChange("photos", "k2", v1::Change::PUT, At(5)),
          MakeChange("photos", "k3", v1::Change::PUT, At(9))}));
  ASSERT_TRUE(publisher.Batch(
      2, {MakeChange("photos", "k4", v1::Change::PUT, At(8))}));
  publisher.CompleteThrough(At(20));
  publisher.Sync(3);
  EXPECT_EQ(Shown(), "5");
  EXPECT_EQ(server_.Progress(kRule).live().oldest_pending_key(), "k1");

  const v1::Lease lease = copier_.AwaitGrant(v1::Lease::CHANGES);
  v1::Checkpoint done = test::CheckpointOf(lease);
  // In the midst of a segment the whole of it still counts.
  done.mutable_to()->set_sequence(2);
  done.set_applied(2);
  ASSERT_EQ(copier_.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "5");
  EXPECT_EQ(server_.Progress(kRule).live().oldest_pending_key(), "k3");
  EXPECT_EQ(server_.Progress(kRule).live().pending(), 2);
  *done.mutable_from() = done.to();
  done.mutable_to()->set_sequence(3);
  done.set_applied(1);
  ASSERT_EQ(copier_.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "8");
  *done.mutable_from() = done.to();
  done.mutable_to()->set_sequence(4);
  ASSERT_EQ(copier_.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "20");
  EXPECT_EQ(server_.Progress(kRule).live().oldest_pending_key(), "");
}

TEST_F(SyncTimeTest, ALateEventMovesItBack) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  publisher.CompleteThrough(At(20));
  publisher.Sync(1);
  EXPECT_EQ(Shown(), "20");
  ASSERT_TRUE(publisher.Batch(
      2, {MakeChange("photos", "k", v1::Change::PUT, At(3))}));
  EXPECT_EQ(Shown(), "3");
}

TEST_F(SyncTimeTest, WhatIsFilteredDoesNotCount) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  v1::Change replica = MakeChange("photos", "k", v1::Change::PUT, At(1));
  replica.set_replica(true);
  ASSERT_TRUE(publisher.Batch(1, {replica}));
  publisher.CompleteThrough(At(20));
  publisher.Sync(2);
  EXPECT_EQ(Shown(), "20");
}

TEST_F(SyncTimeTest, ItStandsStillWhileThePublisherIsAway) {
  StartRule();
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", kBucket));
    publisher.CompleteThrough(At(10));
    publisher.Sync(1);
    ASSERT_TRUE(publisher.Finish().ok());
  }
  server_.clock().Advance(absl::Hours(1));
  EXPECT_EQ(Shown(), "10");
}

TEST_F(SyncTimeTest, AfterARestartNothingIsKnownUntilThePublisherIsBack) {
  StartRule();
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", kBucket));
    publisher.CompleteThrough(At(10));
    publisher.Sync(1);
  }
  static_cast<void>(copier_.Finish());
  server_.Restart();
  EXPECT_EQ(Shown(), "PUBLISHER_DETACHED");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
  publisher.CompleteThrough(At(15));
  publisher.Sync(2);
  EXPECT_EQ(Shown(), "15");
}

// What was said of one bucket says nothing of another.
TEST_F(SyncTimeTest, APublisherThatMovesStartsAnew) {
  StartRule();
  StartRule("other");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", "buckets/other"));
    publisher.CompleteThrough(At(10));
    publisher.Sync(1);
    EXPECT_EQ(Shown("buckets/other/rules/dr"), "10");
    ASSERT_TRUE(publisher.Finish().ok());
  }
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket, 2));
  publisher.Sync(1);
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
}

// The word of a stream that was replaced does not count any more.
TEST_F(SyncTimeTest, AStreamThatWasTakenOverVouchesForNothing) {
  StartRule();
  ScriptedPublisher first(server_);
  ASSERT_TRUE(first.Hello("p", kBucket));
  ScriptedPublisher second(server_);
  ASSERT_TRUE(second.Hello("p", kBucket));
  first.CompleteThrough(At(99));
  static_cast<void>(first.End());
  second.Sync(1);
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
}

// What was said of the old store says nothing of the new one.
TEST_F(SyncTimeTest, AReplacedStoreMakesPublishersStartAnew) {
  StartRule();
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  // A first store replaces nothing.
  server_.SetStore(test::kSydney);
  publisher.Sync(2);
  EXPECT_EQ(Shown(), "10");
  v1::UpdateRegionRequest request;
  request.mutable_region()->set_name(absl::StrCat("regions/", test::kSydney));
  request.mutable_region()->mutable_store()->mutable_local()->set_root("/new");
  ASSERT_TRUE(test::Call(server_.regions(),
                         &v1::RegionService::Stub::UpdateRegion, request)
                  .ok());
  EXPECT_EQ(publisher.End().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Shown(), "PUBLISHER_DETACHED");
  ScriptedPublisher again(server_);
  EXPECT_EQ(again.Hello("p", kBucket), 2);
  EXPECT_EQ(Shown(), "NO_COMPLETE_THROUGH");
  again.CompleteThrough(At(12));
  again.Sync(3);
  EXPECT_EQ(Shown(), "12");
}

TEST_F(SyncTimeTest, OpenHistoryKeepsItUnknown) {
  auto request = test::RuleRequest("photos", "photos-dr");
  request.mutable_rule()->set_replicate_historical(true);
  ASSERT_TRUE(server_.CreateRule(request).ok());
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kBucket));
  publisher.CompleteThrough(At(10));
  publisher.Sync(1);
  ASSERT_EQ(
      copier_.Commit(test::GoodProbe(copier_.AwaitGrant(v1::Lease::PROBE)))
          .result(),
      v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "HISTORICAL_OPEN");
  const v1::Lease inventory = copier_.AwaitGrant(v1::Lease::INVENTORY);
  v1::Checkpoint listed = test::CheckpointOf(inventory);
  listed.mutable_to()->set_key("m");
  listed.set_complete(true);
  auto& range = *listed.add_ranges();
  range.set_end("m");
  range.set_objects(3);
  ASSERT_EQ(copier_.Commit(listed).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "HISTORICAL_OPEN");
  v1::Checkpoint copied =
      test::CheckpointOf(copier_.AwaitGrant(v1::Lease::BACKFILL));
  copied.mutable_to()->set_key("m");
  copied.set_complete(true);
  copied.set_applied(3);
  ASSERT_EQ(copier_.Commit(copied).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Shown(), "10");
}

}  // namespace
}  // namespace crr
