#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// Comparing the buckets of a rule, as copiers and operators see it.
namespace crr {
namespace {

using test::Call;
using test::CheckpointOf;
using test::RefusalOf;
using test::ScriptedPublisher;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class VerifyRuleTest : public test::RuleWorld {
 protected:
  VerifyRuleTest() {
    EXPECT_EQ(publisher_.Hello("gw", "buckets/hz-1"), 0);
    publisher_.CompleteThrough(server_.clock().WallNow());
    publisher_.Sync(1);
  }

  void Start(const std::string& json = "") {
    rule_ = StartRule("hz-1", "sh-1", json).name();
  }
  grpc::Status Verify(v1::Verification* verification = nullptr,
                      bool read_bytes = false) {
    v1::VerifyRuleRequest request;
    request.set_name(rule_);
    request.set_read_bytes(read_bytes);
    return Call(server_.rules(), &v1::ReplicationService::Stub::VerifyRule,
                request, verification);
  }
  // The source is listed: two objects up to "m", and nothing behind it.
  void List() {
    v1::Checkpoint listed =
        CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
    listed.mutable_to()->set_key("m");
    listed.set_complete(true);
    listed.add_ranges()->set_end("m");
    listed.mutable_ranges(0)->set_objects(2);
    ASSERT_EQ(copier_->Commit(listed).result(), v1::CheckpointAck::RECORDED);
  }
  // All of the lease's range is compared.
  v1::CheckpointAck Compare(
      const v1::Lease& lease, int64_t equal,
      const std::vector<v1::ObjectFailure>& differences = {},
      const std::vector<std::string>& foreign = {}) {
    v1::Checkpoint checkpoint = CheckpointOf(lease);
    checkpoint.mutable_to()->set_key(
        lease.range_end().empty() ? "z" : lease.range_end());
    checkpoint.set_complete(true);
    auto& compared = *checkpoint.mutable_compared();
    compared.set_equal(equal);
    compared.set_foreign(static_cast<int64_t>(foreign.size()));
    compared.mutable_foreign_keys()->Assign(foreign.begin(), foreign.end());
    for (const v1::ObjectFailure& difference : differences) {
      *checkpoint.add_failed() = difference;
    }
    return copier_->Commit(checkpoint);
  }
  v1::Verification Shown() { return Progress(rule_).verification(); }

  ScriptedPublisher publisher_{server_};
  std::string rule_;
};

TEST_F(VerifyRuleTest, ComparesAndRepairs) {
  Start();
  EXPECT_FALSE(Progress(rule_).has_verification());
  v1::Verification begun;
  ASSERT_TRUE(Verify(&begun).ok());
  EXPECT_EQ(begun.number(), 1);
  EXPECT_EQ(begun.cause(), v1::Verification::REQUESTED);
  EXPECT_EQ(begun.start_time().seconds(),
            absl::ToUnixSeconds(server_.clock().WallNow()));
  EXPECT_FALSE(begun.has_end_time());
  EXPECT_EQ(begun.compared(), 0);
  EXPECT_FALSE(begun.has_score());
  List();

  const v1::Lease low = copier_->AwaitGrant(v1::Lease::VERIFY);
  const v1::Lease high = copier_->AwaitGrant(v1::Lease::VERIFY);
  EXPECT_EQ(low.range_start(), "");
  EXPECT_EQ(low.range_end(), "m");
  EXPECT_EQ(high.range_start(), "m");
  EXPECT_EQ(high.range_end(), "");
  EXPECT_FALSE(low.read_bytes());
  // The rule does not replicate what was there before it.
  EXPECT_EQ(low.changed_since().seconds(),
            server_.GetRule(rule_).create_time().seconds());
  // While one is under way that does as much, that one is answered.
  v1::Verification same;
  ASSERT_TRUE(Verify(&same).ok());
  EXPECT_EQ(same.number(), 1);
  EXPECT_FALSE(same.read_bytes());

  ASSERT_EQ(Compare(low, 1, {Failure("b", "CONTENT")}).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_FALSE(Shown().has_end_time());
  EXPECT_EQ(Shown().score(), 0.5);
  ASSERT_EQ(Compare(high, 0, {Failure("x", "EXTRA")}, {"y"}).result(),
            v1::CheckpointAck::RECORDED);
  const v1::Verification done = Shown();
  EXPECT_TRUE(done.has_end_time());
  EXPECT_EQ(done.compared(), 4);
  EXPECT_EQ(done.equal(), 1);
  EXPECT_EQ(done.score(), 0.25);
  EXPECT_THAT(done.differences(),
              UnorderedElementsAre(Pair("CONTENT", 1), Pair("EXTRA", 1),
                                   Pair("FOREIGN", 1)));
  std::vector<std::string> samples;
  for (const auto& sample : done.samples()) {
    samples.push_back(absl::StrCat(sample.key(), " ", sample.reason()));
  }
  EXPECT_THAT(samples, ElementsAre("b CONTENT", "x EXTRA", "y FOREIGN"));

  // Nothing is known of what arrived before the differences are repaired.
  EXPECT_EQ(Progress(rule_).live().last_sync_unknown_reason(), "REPAIR_OPEN");
  const auto apart = FailedObjects(rule_);
  ASSERT_EQ(apart.size(), 2u);
  EXPECT_TRUE(apart[0].repair());
  EXPECT_EQ(apart[0].changes(), 0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Progress(rule_).live().last_sync_unknown_reason(), "REPAIR_OPEN");
    EXPECT_EQ(FinishObject(copier_->AwaitGrant(v1::Lease::OBJECT)).result(),
              v1::CheckpointAck::RECORDED);
  }
  EXPECT_TRUE(Progress(rule_).live().has_last_sync_time());
  EXPECT_EQ(Progress(rule_).live().published(), 0);

  // The next one takes the place of this one.
  v1::Verification next;
  ASSERT_TRUE(Verify(&next, /*read_bytes=*/true).ok());
  EXPECT_EQ(next.number(), 2);
  EXPECT_TRUE(next.read_bytes());
  EXPECT_EQ(next.compared(), 0);
  EXPECT_THAT(next.samples(), IsEmpty());
  List();
  EXPECT_TRUE(copier_->AwaitGrant(v1::Lease::VERIFY).read_bytes());

  const auto audit = AuditOf(rule_);
  ASSERT_EQ(audit.size(), 3u);  // One for each that began, and CreateRule.
  EXPECT_EQ(audit[0].method(), "crr.v1.ReplicationService/VerifyRule");
  EXPECT_EQ(audit[1].method(), "crr.v1.ReplicationService/VerifyRule");
  EXPECT_EQ(audit[1].before(), "");
  EXPECT_EQ(test::FromJson<v1::Verification>(audit[1].after()).number(), 1);
  EXPECT_EQ(test::FromJson<v1::Verification>(audit[0].before()).compared(), 4);
  EXPECT_EQ(test::FromJson<v1::Verification>(audit[0].after()).number(), 2);
}

TEST_F(VerifyRuleTest, OfAllObjectsWhereHistoryIsReplicated) {
  Start(R"("replicateHistorical":true)");
  copier_->Release(copier_->AwaitGrant(v1::Lease::INVENTORY), "STOPPING");
  v1::Checkpoint history =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
  history.set_complete(true);
  ASSERT_EQ(copier_->Commit(history).result(), v1::CheckpointAck::RECORDED);
  ASSERT_TRUE(Verify().ok());
  List();
  EXPECT_FALSE(copier_->AwaitGrant(v1::Lease::VERIFY).has_changed_since());
}

TEST_F(VerifyRuleTest, OnlyAnActiveRule) {
  Start();
  ASSERT_TRUE(Pause(rule_).ok());
  const grpc::Status paused = Verify();
  EXPECT_REFUSED(paused, FAILED_PRECONDITION, "RULE_STATE");
  EXPECT_EQ(RefusalOf(paused).metadata.at("rule"), rule_);
  EXPECT_FALSE(Progress(rule_).has_verification());
  ASSERT_TRUE(Resume(rule_).ok());
  EXPECT_TRUE(Verify().ok());
}

// What a paused rule was comparing goes on when the rule does.
TEST_F(VerifyRuleTest, APauseDoesNotEndIt) {
  Start();
  ASSERT_TRUE(Verify().ok());
  List();
  const v1::Lease low = copier_->AwaitGrant(v1::Lease::VERIFY);
  const v1::Lease high = copier_->AwaitGrant(v1::Lease::VERIFY);
  ASSERT_TRUE(Pause(rule_).ok());
  copier_->Release(low);
  copier_->Release(high);
  ASSERT_TRUE(Resume(rule_).ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(Compare(copier_->AwaitGrant(v1::Lease::VERIFY), 1).result(),
              v1::CheckpointAck::RECORDED);
  }
  EXPECT_TRUE(Shown().has_end_time());
  EXPECT_EQ(Shown().score(), 1);
}

TEST_F(VerifyRuleTest, OutlivesARestart) {
  Start();
  ASSERT_TRUE(Verify().ok());
  copier_->Release(copier_->AwaitGrant(v1::Lease::INVENTORY));
  Restart();
  Connect();
  PassTimeUntilAGrant();
  List();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(Compare(copier_->AwaitGrant(v1::Lease::VERIFY), 1).result(),
              v1::CheckpointAck::RECORDED);
  }
  EXPECT_EQ(Shown().number(), 1);
  EXPECT_TRUE(Shown().has_end_time());
}

}  // namespace
}  // namespace crr
