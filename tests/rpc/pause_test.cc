#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// A rule that is stopped by a user and goes on later.
namespace crr {
namespace {

using test::Eventually;
using test::RefusalOf;
using test::ScriptedCopier;
using Response = v1::SessionResponse;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

class PauseTest : public test::RuleWorld {
 protected:
  explicit PauseTest(test::TestServer::Options options = {})
      : RuleWorld(std::move(options)) {}

  // Grants that came and nobody awaited.
  int StrayGrants() {
    copier_->Heartbeat();
    return copier_->stray_grants();
  }
  void ExpectAskedBack(const v1::Lease& lease) {
    const auto revoke = copier_->Await(Response::kRevoke);
    ASSERT_TRUE(revoke.has_value());
    EXPECT_EQ(revoke->revoke().unit(), lease.unit());
    EXPECT_EQ(revoke->revoke().token(), lease.token());
    EXPECT_EQ(revoke->revoke().reason(), "RULE_PAUSED");
  }
  int64_t Pending() {
    const v1::RuleProgress progress = server_.Progress(kRule);
    EXPECT_TRUE(test::AddsUp(progress)) << progress.DebugString();
    return progress.live().pending();
  }
};

TEST_F(PauseTest, PausingAndResumingCanBeRepeated) {
  const v1::Rule active = StartRule("hz-1", "sh-1");
  server_.clock().Advance(absl::Minutes(1));
  v1::Rule first;
  ASSERT_TRUE(Pause(kRule, &first).ok());
  EXPECT_EQ(first.state(), v1::Rule::PAUSED);
  EXPECT_GT(first.update_time().seconds(), active.update_time().seconds());
  server_.clock().Advance(absl::Minutes(1));
  v1::Rule again;
  ASSERT_TRUE(Pause(kRule, &again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(server_.GetRule(kRule).SerializeAsString(),
            first.SerializeAsString());

  ASSERT_TRUE(Resume(kRule, &first).ok());
  EXPECT_EQ(first.state(), v1::Rule::ACTIVE);
  server_.clock().Advance(absl::Minutes(1));
  ASSERT_TRUE(Resume(kRule, &again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
}

TEST_F(PauseTest, OtherStatesAreRefused) {
  const auto expect_refused = [&](v1::Rule::State state) {
    const v1::Rule before = server_.GetRule(kRule);
    EXPECT_EQ(before.state(), state);
    for (const grpc::Status& status : {Pause(kRule), Resume(kRule)}) {
      EXPECT_REFUSED(status, FAILED_PRECONDITION, "RULE_STATE");
      EXPECT_EQ(RefusalOf(status).violations[0].subject(), kRule);
      EXPECT_EQ(RefusalOf(status).metadata["rule"], kRule);
    }
    EXPECT_EQ(server_.GetRule(kRule).SerializeAsString(),
              before.SerializeAsString());
  };
  server_.AddRule("hz-1", "sh-1");
  const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
  expect_refused(v1::Rule::STARTING);
  copier_->Commit(test::GoodProbe(probe));
  Publish("hz-1", {"k"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  expect_refused(v1::Rule::CLOSING);
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  EXPECT_REFUSED(Pause(kRule), NOT_FOUND, "RULE_NOT_FOUND");
  EXPECT_REFUSED(Resume(kRule), NOT_FOUND, "RULE_NOT_FOUND");
}

TEST_F(PauseTest, ChangesAreLoggedAndAppliedLater) {
  StartRule("hz-1", "sh-1");
  ASSERT_TRUE(Pause(kRule).ok());
  for (int i = 0; i < 3; ++i) {
    Publish("hz-1", {absl::StrCat("a", i), absl::StrCat("b", i)});
  }
  EXPECT_EQ(Pending(), 6);
  server_.clock().Advance(absl::Minutes(1));
  EXPECT_EQ(StrayGrants(), 0);
  // Others are served meanwhile.
  StartRule("hz-2", "sh-2");
  EXPECT_EQ(StrayGrants(), 0);

  ASSERT_TRUE(Resume(kRule).ok());
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(lease.rule(), kRule);
  EXPECT_EQ(lease.cursor().sequence(), 0);
  std::vector<std::string> keys;
  while (keys.size() < 6) {
    const auto segment = copier_->Await(Response::kSegment);
    ASSERT_TRUE(segment.has_value());
    v1::ChangeBatch batch;
    ASSERT_TRUE(batch.ParseFromString(segment->segment().changes()));
    for (const auto& change : batch.changes()) keys.push_back(change.key());
  }
  EXPECT_THAT(keys, ::testing::ElementsAre("a0", "b0", "a1", "b1", "a2", "b2"));
  EXPECT_EQ(Apply(lease, 6).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Pending(), 0);
  EXPECT_EQ(server_.Progress(kRule).live().applied(), 6);
  // And what comes next.
  Publish("hz-1", {"c"});
  EXPECT_TRUE(copier_->Await(Response::kSegment).has_value());
}

TEST_F(PauseTest, HoldersAreAskedBackAndWhatTheyDidCounts) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a", "b", "c"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  ExpectAskedBack(lease);
  EXPECT_EQ(Apply(lease, 2).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Pending(), 1);
  Publish("hz-1", {"d"});
  copier_->Release(lease, "REVOKED");
  EXPECT_EQ(StrayGrants(), 0);
  EXPECT_EQ(Pending(), 2);
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::PAUSED);

  ASSERT_TRUE(Resume(kRule).ok());
  const v1::Lease next = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(next.cursor().sequence(), 2);
  EXPECT_GT(next.token(), lease.token());
  EXPECT_EQ(Apply(next, 4).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Pending(), 0);
}

// The log is empty when the lease comes back, so its unit goes; what is logged
// after that has none.
TEST_F(PauseTest, ALogThatBeginsWhileTheRuleIsPausedIsFound) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(Apply(lease, 1).result(), v1::CheckpointAck::RECORDED);
  ASSERT_TRUE(Pause(kRule).ok());
  copier_->Release(lease, "REVOKED");
  Publish("hz-1", {"b"});
  EXPECT_EQ(Pending(), 1);
  ASSERT_TRUE(Resume(kRule).ok());
  const v1::Lease next = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(next.cursor().sequence(), 1);
  EXPECT_EQ(Apply(next, 2).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(PauseTest, ResumedWithAnEmptyLogItIsIdle) {
  StartRule("hz-1", "sh-1");
  ASSERT_TRUE(Pause(kRule).ok());
  ASSERT_TRUE(Resume(kRule).ok());
  EXPECT_EQ(StrayGrants(), 0);
  Publish("hz-1", {"a"});
  copier_->AwaitGrant(v1::Lease::CHANGES);
}

// Back and forth while the holder never lets go: it is asked once a pause, and
// there is one grant after it all.
TEST_F(PauseTest, ToAndFroUnderOneLease) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Pause(kRule).ok());
    ASSERT_TRUE(Resume(kRule).ok());
  }
  ExpectAskedBack(lease);
  copier_->Release(lease, "REVOKED");
  copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(StrayGrants(), 0);
}

TEST_F(PauseTest, HistoryGoesOnWhereItStopped) {
  StartRule("hz-1", "sh-1", R"("replicateHistorical":true)");
  const v1::Lease inventory = copier_->AwaitGrant(v1::Lease::INVENTORY);
  ASSERT_TRUE(Pause(kRule).ok());
  ExpectAskedBack(inventory);
  // It finishes instead: its ranges wait.
  v1::Checkpoint report = test::CheckpointOf(inventory);
  for (const char* end : {"a", "b"}) {
    auto& range = *report.add_ranges();
    range.set_end(end);
    range.set_objects(10);
  }
  report.mutable_to()->set_key("b");
  report.set_complete(true);
  EXPECT_EQ(copier_->Commit(report).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(StrayGrants(), 0);
  EXPECT_EQ(server_.Progress(kRule).historical().total_objects(), 20);

  ASSERT_TRUE(Resume(kRule).ok());
  for (int i = 0; i < 2; ++i) {
    const v1::Lease range = copier_->AwaitGrant(v1::Lease::BACKFILL);
    v1::Checkpoint done = test::CheckpointOf(range);
    done.mutable_to()->set_key(range.range_end());
    done.set_applied(10);
    done.set_complete(true);
    EXPECT_EQ(copier_->Commit(done).result(), v1::CheckpointAck::RECORDED);
  }
  EXPECT_EQ(server_.Progress(kRule).historical().fraction(), 1);
}

TEST_F(PauseTest, APausedRuleIsDeletedAtOnce) {
  StartRule("hz-1", "sh-1", R"("replicateHistorical":true)");
  copier_->Release(copier_->AwaitGrant(v1::Lease::INVENTORY));
  const v1::Lease again = copier_->AwaitGrant(v1::Lease::INVENTORY);
  Publish("hz-1", {"a", "b"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  copier_->Release(lease, "REVOKED");
  copier_->Release(again, "REVOKED");
  v1::Rule closing;
  const absl::Time asked = absl::Now();
  ASSERT_TRUE(server_.DeleteRule(kRule, &closing).ok());
  EXPECT_EQ(closing.state(), v1::Rule::CLOSING);
  ASSERT_TRUE(Gone(kRule));
  EXPECT_LT(absl::Now() - asked, absl::Seconds(1));
  server_.AddRule("hz-1", "sh-2");
  server_.AddRule("hz-2", "sh-1");
}

// It goes through CLOSING, and both buckets are held to the end.
TEST_F(PauseTest, APausedRuleUnderALeaseIsWaitedFor) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::CLOSING);
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-1", "sh-2", "new")),
                 FAILED_PRECONDITION, "BUCKET_PAIRED_ELSEWHERE");
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  server_.AddRule("hz-1", "sh-2");
}

class PausedAcrossRestartTest : public PauseTest {
 protected:
  PausedAcrossRestartTest() : PauseTest({.lease_ttl = absl::Seconds(1)}) {}
};

TEST_F(PausedAcrossRestartTest, TheNextServerKeepsItPaused) {
  StartRule("hz-1", "sh-1", R"("replicateHistorical":true)");
  const v1::Lease inventory = copier_->AwaitGrant(v1::Lease::INVENTORY);
  Publish("hz-1", {"a"});
  const v1::Lease changes = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  copier_->Release(inventory, "REVOKED");
  copier_->Release(changes, "REVOKED");
  Restart();
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::PAUSED);
  Connect();
  Publish("hz-1", {"b"});
  server_.clock().Advance(absl::Seconds(10));
  EXPECT_EQ(StrayGrants(), 0);
  ASSERT_TRUE(Resume(kRule).ok());
  const v1::Lease next = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(Apply(next, 2).result(), v1::CheckpointAck::RECORDED);
  copier_->AwaitGrant(v1::Lease::INVENTORY);
  EXPECT_EQ(Pending(), 0);
}

// Its holder comes back to the next server with the lease, and is asked again.
TEST_F(PausedAcrossRestartTest, TheNextServerAsksTheHolderBack) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  const int64_t session = session_;
  Restart();
  copier_ = std::make_unique<ScriptedCopier>(server_);
  v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
  hello.set_session_number(session);
  auto& held = *hello.add_held();
  held.set_unit(lease.unit());
  held.set_token(lease.token());
  ASSERT_EQ(copier_->Hello(hello), session);
  ExpectAskedBack(lease);
  EXPECT_EQ(Apply(lease, 1).result(), v1::CheckpointAck::RECORDED);
  copier_->Release(lease, "REVOKED");
  EXPECT_EQ(StrayGrants(), 0);
  EXPECT_EQ(Pending(), 0);
}

// Nobody comes back for the lease: it runs out, and only then is there another.
TEST_F(PausedAcrossRestartTest, AHolderThatStaysAwayRunsOut) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  Restart();
  Connect();  // As another process.
  ASSERT_TRUE(Resume(kRule).ok());
  EXPECT_EQ(StrayGrants(), 0);
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(100));
    copier_->Heartbeat();
    return copier_->stray_grants() > 0;
  }));
  EXPECT_GT(copier_->AwaitGrant(v1::Lease::CHANGES).token(), lease.token());
}

}  // namespace
}  // namespace crr
