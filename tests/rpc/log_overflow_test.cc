#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// A rule whose log is full: what was logged is dropped, and a compare of the
// buckets stands for it.
namespace crr {
namespace {

using test::CheckpointOf;
using test::Eventually;
using test::MakeChange;
using test::ScriptedCopier;
using test::ScriptedPublisher;

class LogOverflowTest : public test::RuleWorld {
 protected:
  LogOverflowTest() : RuleWorld({.rule_log_bytes_max = 2000}) {
    EXPECT_EQ(publisher_.Hello("gw", "regions/oss-cn-hangzhou"), 0);
  }

  // Of which three fill a log.
  static v1::Change Large(absl::Time time) {
    return MakeChange("hz-1", "a/" + std::string(500, 'x'), v1::Change::PUT,
                      time);
  }
  void CompleteThrough(absl::Time time) {
    publisher_.CompleteThrough(time);
    publisher_.Sync(++batches_);
  }
  absl::Time SyncTime() {
    const google::protobuf::Timestamp time =
        Progress(rule_).live().last_sync_time();
    return absl::FromUnixSeconds(time.seconds()) +
           absl::Nanoseconds(time.nanos());
  }
  v1::RuleProgress::Live Live() { return Progress(rule_).live(); }
  void ListAll() {
    v1::Checkpoint listed =
        CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
    listed.mutable_to()->set_key("m");
    listed.set_complete(true);
    listed.add_ranges()->set_end("m");
    listed.mutable_ranges(0)->set_objects(1);
    ASSERT_EQ(copier_->Commit(listed).result(), v1::CheckpointAck::RECORDED);
  }
  // Both ranges are compared and equal.
  void CompareAll() {
    for (int i = 0; i < 2; ++i) {
      v1::Checkpoint compared =
          CheckpointOf(copier_->AwaitGrant(v1::Lease::VERIFY));
      compared.mutable_to()->set_key(compared.from().key().empty() ? "m" : "z");
      compared.set_complete(true);
      compared.mutable_compared()->set_equal(1);
      ASSERT_EQ(copier_->Commit(compared).result(),
                v1::CheckpointAck::RECORDED);
    }
  }

  void VerifyAll() {
    ListAll();
    CompareAll();
  }

  ScriptedPublisher publisher_{server_};
  int64_t batches_ = 0;
  std::string rule_;
};

TEST_F(LogOverflowTest, IsAcknowledgedDroppedComparedAndOver) {
  rule_ = StartRule("hz-1", "sh-1").name();
  const absl::Time t0 = server_.clock().WallNow();
  CompleteThrough(t0 + absl::Seconds(1));
  EXPECT_EQ(SyncTime(), t0 + absl::Seconds(1));
  ASSERT_TRUE(publisher_.Batch(
      ++batches_, {Large(t0 + absl::Seconds(2)), Large(t0 + absl::Seconds(3)),
                   Large(t0 + absl::Seconds(4))}));
  const v1::Lease log = copier_->AwaitGrant(v1::Lease::CHANGES);
  const auto ack = publisher_.Batch(++batches_, {Large(t0 + absl::Seconds(5))});
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 1);
  EXPECT_EQ(Live().resync(), 1);
  EXPECT_TRUE(Says(rule_, "RESYNC_NEEDED"));

  // The log's lease is asked back, and may report what it did until then.
  const auto revoke = copier_->Await(ScriptedCopier::Response::kRevoke);
  ASSERT_TRUE(revoke.has_value());
  EXPECT_EQ(revoke->revoke().unit(), log.unit());
  EXPECT_EQ(revoke->revoke().reason(), "RESYNC");
  EXPECT_EQ(Apply(log, 1).result(), v1::CheckpointAck::RECORDED);
  copier_->Release(log, "REVOKED");
  ASSERT_TRUE(Eventually([&] { return Live().pending() == 0; }));
  EXPECT_EQ(Live().applied(), 1);
  EXPECT_EQ(Live().resync(), 3);

  // It stands at the oldest that the log had when it was dropped.
  CompleteThrough(t0 + absl::Seconds(10));
  EXPECT_EQ(SyncTime(), t0 + absl::Seconds(2));
  v1::Verification verification;
  ASSERT_TRUE(Eventually([&] {
    verification = Progress(rule_).verification();
    return verification.number() == 1;
  }));
  EXPECT_EQ(verification.cause(), v1::Verification::LOG_OVERFLOW);

  // Changes are logged and copied meanwhile.
  ASSERT_TRUE(publisher_.Batch(++batches_, {Large(t0 + absl::Seconds(9))}));
  EXPECT_EQ(Live().pending(), 1);
  ListAll();
  const v1::Lease next = copier_->AwaitGrant(v1::Lease::CHANGES);
  CompareAll();
  EXPECT_FALSE(Says(rule_, "RESYNC_NEEDED"));
  EXPECT_TRUE(Progress(rule_).verification().has_end_time());
  EXPECT_EQ(SyncTime(), t0 + absl::Seconds(9));
  EXPECT_EQ(next.cursor().sequence(), 3);
  EXPECT_EQ(Apply(next, 4).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(SyncTime(), t0 + absl::Seconds(10));
}

// A write whose time nobody knows may be of any time.
TEST_F(LogOverflowTest, WithoutATimeNothingIsKnown) {
  rule_ = StartRule("hz-1", "sh-1").name();
  const absl::Time t0 = server_.clock().WallNow();
  CompleteThrough(t0);
  ScriptedPublisher unnamed(server_);
  ASSERT_TRUE(unnamed.Hello("", "buckets/hz-1"));
  v1::Change timeless = Large(t0);
  timeless.clear_event_time();
  ASSERT_TRUE(unnamed.Batch(1, {timeless, timeless, timeless, timeless}));
  EXPECT_EQ(Live().last_sync_unknown_reason(), "RESYNC_NEEDED");
  VerifyAll();
  EXPECT_EQ(SyncTime(), t0);
  EXPECT_EQ(Live().resync(), 4);
}

TEST_F(LogOverflowTest, OfAPausedRuleWaits) {
  rule_ = StartRule("hz-1", "sh-1").name();
  ASSERT_TRUE(Pause(rule_).ok());
  const absl::Time t0 = server_.clock().WallNow();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(publisher_.Batch(++batches_, {Large(t0), Large(t0)}));
  }
  ASSERT_TRUE(Eventually([&] { return Live().resync() == 4; }));
  // What comes now is counted, not logged: nothing would read it.
  ASSERT_TRUE(publisher_.Batch(++batches_, {Large(t0)}));
  EXPECT_EQ(Live().resync(), 5);
  EXPECT_FALSE(Progress(rule_).has_verification());
  ASSERT_TRUE(Resume(rule_).ok());
  VerifyAll();
  EXPECT_FALSE(Says(rule_, "RESYNC_NEEDED"));
}

TEST_F(LogOverflowTest, OutlivesARestart) {
  rule_ = StartRule("hz-1", "sh-1").name();
  const absl::Time t0 = server_.clock().WallNow();
  ASSERT_TRUE(publisher_.Batch(++batches_,
                               {Large(t0), Large(t0), Large(t0), Large(t0)}));
  copier_->Release(copier_->AwaitGrant(v1::Lease::INVENTORY));
  Restart();
  Connect();
  EXPECT_TRUE(Says(rule_, "RESYNC_NEEDED"));
  PassTimeUntilAGrant();
  VerifyAll();
  EXPECT_FALSE(Says(rule_, "RESYNC_NEEDED"));
  EXPECT_EQ(Live().resync(), 4);
}

}  // namespace
}  // namespace crr
