#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// STARTING, ACTIVE, CLOSING, gone.
namespace crr {
namespace {

using grpc::StatusCode;
using test::Call;
using test::ConditionTypes;
using test::Eventually;
using test::RefusalOf;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

class RuleLifeTest : public ::testing::Test {
 protected:
  explicit RuleLifeTest(test::TestServer::Options options = {})
      : server_(options) {
    for (const char* id : {"hz-1", "hz-2"}) {
      server_.AddBucket(id, test::kHangzhou);
    }
    for (const char* id : {"sh-1", "sh-2"}) {
      server_.AddBucket(id, test::kShanghai);
    }
  }

  void SetStores() {
    server_.SetStore(test::kHangzhou);
    server_.SetStore(test::kShanghai);
  }

  // Takes the rule to ACTIVE by answering its probe.
  void Activate(ScriptedCopier& copier, const v1::Rule& rule) {
    const v1::Lease probe = copier.AwaitGrant(v1::Lease::PROBE);
    EXPECT_EQ(probe.rule(), rule.name());
    EXPECT_EQ(copier.Commit(test::GoodProbe(probe)).result(),
              v1::CheckpointAck::RECORDED);
    EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::ACTIVE);
  }

  bool Gone(const std::string& name) {
    v1::Rule rule;
    return Eventually([&] {
      return server_.GetRule(name, &rule).error_code() ==
             StatusCode::NOT_FOUND;
    });
  }

  // Rows of a table once the server has stopped.
  int64_t Rows(const std::string& table) {
    auto connection = sqlite::Connection::Open(server_.database_path(),
                                               {.read_only = true});
    const auto rows =
        (*connection)->Query(absl::StrCat("SELECT count(*) FROM ", table));
    return rows->at(0).Int(0);
  }

  test::TestServer server_;
};

TEST_F(RuleLifeTest, ARuleWaitsForTheStoresOfBothRegions) {
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  EXPECT_THAT(ConditionTypes(rule),
              ElementsAre("STORE_NOT_SET", "STORE_NOT_SET"));
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  server_.SetStore(test::kHangzhou);
  EXPECT_THAT(ConditionTypes(server_.GetRule(rule.name())),
              ElementsAre("STORE_NOT_SET"));
  server_.SetStore(test::kShanghai);
  const v1::Lease probe = copier.AwaitGrant(v1::Lease::PROBE);
  EXPECT_EQ(probe.rule(), rule.name());
  EXPECT_EQ(probe.source().bucket(), "buckets/hz-1");
  EXPECT_EQ(probe.source().store().local().root(), "/data/oss-cn-hangzhou");
  EXPECT_EQ(probe.destination().bucket(), "buckets/sh-1");
  EXPECT_EQ(probe.destination().region(), "regions/oss-cn-shanghai");
  EXPECT_EQ(probe.destination().store().local().root(),
            "/data/oss-cn-shanghai");
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::STARTING);
  EXPECT_THAT(ConditionTypes(server_.GetRule(rule.name())), IsEmpty());
  EXPECT_EQ(copier.Commit(test::GoodProbe(probe)).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::ACTIVE);
  EXPECT_EQ(copier.stray_grants(), 0);
}

TEST_F(RuleLifeTest, TheEtagFollowsTheState) {
  SetStores();
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  EXPECT_EQ(server_.GetRule(rule.name()).etag(), rule.etag());
  Activate(copier, rule);
  EXPECT_NE(server_.GetRule(rule.name()).etag(), rule.etag());
}

TEST_F(RuleLifeTest, AVersionedPairIsAcceptedAndWaits) {
  SetStores();
  server_.AddBucket("hz-versioned", test::kHangzhou, v1::Bucket::ENABLED);
  server_.AddBucket("sh-versioned", test::kShanghai, v1::Bucket::ENABLED);
  const v1::Rule waits = server_.AddRule("hz-versioned", "sh-versioned");
  EXPECT_EQ(waits.state(), v1::Rule::STARTING);
  EXPECT_THAT(ConditionTypes(waits),
              ElementsAre("VERSIONED_COPY_NOT_AVAILABLE"));
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  // One that came later starts before it; nothing else is granted.
  Activate(copier, server_.AddRule("hz-1", "sh-1"));
  copier.Heartbeat();
  EXPECT_EQ(copier.stray_grants(), 0);
  EXPECT_EQ(server_.GetRule(waits.name()).state(), v1::Rule::STARTING);
  // It can go as it came.
  ASSERT_TRUE(server_.DeleteRule(waits.name()).ok());
  EXPECT_TRUE(Gone(waits.name()));
}

TEST_F(RuleLifeTest, TheReverseWaitsUntilTheFirstIsGone) {
  SetStores();
  const v1::Rule first = server_.AddRule("hz-1", "sh-1");
  const v1::Rule back = server_.AddRule("sh-1", "hz-1");
  EXPECT_EQ(back.state(), v1::Rule::STARTING);
  EXPECT_THAT(ConditionTypes(back), ElementsAre("MUTUAL_COPY_NOT_AVAILABLE"));
  EXPECT_THAT(ConditionTypes(server_.GetRule(first.name())), IsEmpty());
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  Activate(copier, first);
  copier.Heartbeat();
  EXPECT_EQ(copier.stray_grants(), 0);

  ASSERT_TRUE(server_.DeleteRule(first.name()).ok());
  Activate(copier, back);
  EXPECT_TRUE(Gone(first.name()));
  EXPECT_THAT(ConditionTypes(server_.GetRule(back.name())), IsEmpty());
  // The pair stands: its other direction is free, its buckets are not.
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-1", "sh-2")),
                 FAILED_PRECONDITION, "BUCKET_PAIRED_ELSEWHERE");
  const v1::Rule again = server_.AddRule("hz-1", "sh-1");
  EXPECT_THAT(ConditionTypes(again), ElementsAre("MUTUAL_COPY_NOT_AVAILABLE"));
}

TEST_F(RuleLifeTest, ADeletedRuleIsGoneAtOnceWithoutLeases) {
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  v1::Rule closing;
  ASSERT_TRUE(server_.DeleteRule(rule.name(), &closing).ok());
  const absl::Time asked = absl::Now();
  EXPECT_EQ(closing.state(), v1::Rule::CLOSING);
  EXPECT_EQ(closing.name(), rule.name());
  EXPECT_TRUE(Gone(rule.name()));
  EXPECT_LT(absl::Now() - asked, absl::Seconds(1));
  EXPECT_REFUSED(server_.DeleteRule(rule.name()), NOT_FOUND, "RULE_NOT_FOUND");
  // Both buckets are free again, for anybody.
  server_.AddRule("hz-1", "sh-2");
  server_.AddRule("hz-2", "sh-1");
}

TEST_F(RuleLifeTest, ARuleThatIsGoneLeavesNothing) {
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1", R"(
      "prefixes":["a/"],"labels":{"a":"b"})");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", "buckets/hz-1"));
    for (int i = 1; i <= 20; ++i) {
      ASSERT_TRUE(publisher.Batch(i, {test::MakeChange("hz-1", "a/x"),
                                      test::MakeChange("hz-1", "b/x")}));
    }
  }
  EXPECT_EQ(server_.Progress(rule.name()).live().pending(), 20);
  ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
  EXPECT_TRUE(Gone(rule.name()));
  server_.Stop();
  for (const char* table :
       {"rules", "pairings", "change_segments", "work_units", "leases",
        "rule_prefixes", "rule_labels", "rule_counters", "rule_filtered",
        "rule_conditions"}) {
    EXPECT_EQ(Rows(table), 0) << table;
  }
}

TEST_F(RuleLifeTest, ALogOfManySegmentsIsPurged) {
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", "buckets/hz-1"));
    // Beyond one step of the purge.
    for (int i = 1; i <= limits::kPurgeStep + 10; ++i) {
      ASSERT_TRUE(publisher.Batch(i, {test::MakeChange("hz-1", "x")}));
    }
  }
  ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
  // To the end the sum holds: what was pending is filtered by then.
  v1::GetRuleProgressRequest request;
  request.set_name(rule.name());
  EXPECT_TRUE(Eventually([&] {
    v1::RuleProgress progress;
    const grpc::Status status =
        Call(server_.rules(), &v1::ReplicationService::Stub::GetRuleProgress,
             request, &progress);
    EXPECT_TRUE(!status.ok() || test::AddsUp(progress))
        << progress.DebugString();
    return status.error_code() == StatusCode::NOT_FOUND;
  }));
  server_.Stop();
  EXPECT_EQ(Rows("change_segments"), 0);
  EXPECT_EQ(Rows("pairings"), 0);
}

TEST_F(RuleLifeTest, ClosingHoldsBothBucketsUntilTheLastLeaseIsBack) {
  SetStores();
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  const v1::Lease probe = copier.AwaitGrant(v1::Lease::PROBE);

  v1::Rule closing;
  ASSERT_TRUE(server_.DeleteRule(rule.name(), &closing).ok());
  const auto revoke = copier.Await(ScriptedCopier::Response::kRevoke);
  ASSERT_TRUE(revoke.has_value());
  EXPECT_EQ(revoke->revoke().unit(), probe.unit());
  EXPECT_EQ(revoke->revoke().reason(), "RULE_CLOSING");

  // Again, the same answer.
  v1::Rule again;
  ASSERT_TRUE(server_.DeleteRule(rule.name(), &again).ok());
  EXPECT_EQ(again.SerializeAsString(), closing.SerializeAsString());
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::CLOSING);

  // I1 counts rules that close.
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-1", "sh-2", "new")),
                 FAILED_PRECONDITION, "BUCKET_PAIRED_ELSEWHERE");
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-2", "sh-1")),
                 FAILED_PRECONDITION, "BUCKET_PAIRED_ELSEWHERE");
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("hz-1", "sh-1", "new")),
                 ALREADY_EXISTS, "RULE_ALREADY_EXISTS");

  // A late success does not bring it back.
  EXPECT_EQ(copier.Commit(test::GoodProbe(probe)).result(),
            v1::CheckpointAck::FENCED);
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::CLOSING);

  copier.Release(probe, "REVOKED");
  EXPECT_TRUE(Gone(rule.name()));
  server_.AddRule("hz-1", "sh-2");
  server_.AddRule("hz-2", "sh-1");
}

class ShortLeaseTest : public RuleLifeTest {
 protected:
  ShortLeaseTest() : RuleLifeTest({.lease_ttl = absl::Seconds(1)}) {}
};

TEST_F(ShortLeaseTest, ClosingSurvivesARestart) {
  SetStores();
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  {
    ScriptedCopier copier(server_);
    ASSERT_GT(copier.Hello("copier-1"), 0);
    copier.AwaitGrant(v1::Lease::PROBE);
    ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
  }
  server_.Restart();
  // The copier that held it may still be at work.
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::CLOSING);
  v1::Rule now;
  EXPECT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(100));
    return server_.GetRule(rule.name(), &now).error_code() ==
           StatusCode::NOT_FOUND;
  }));
  server_.AddRule("hz-1", "sh-2");
}

TEST_F(RuleLifeTest, TwoDirectionsCloseTogether) {
  const v1::Rule first = server_.AddRule("hz-1", "sh-1");
  const v1::Rule back = server_.AddRule("sh-1", "hz-1");
  ASSERT_TRUE(server_.DeleteRule(back.name()).ok());
  ASSERT_TRUE(server_.DeleteRule(first.name()).ok());
  EXPECT_TRUE(Gone(first.name()));
  EXPECT_TRUE(Gone(back.name()));
  server_.AddRule("hz-1", "sh-2");
  server_.AddRule("hz-2", "sh-1");
}

TEST_F(RuleLifeTest, DeletingTheReverseLeavesTheFirst) {
  const v1::Rule first = server_.AddRule("hz-1", "sh-1");
  const v1::Rule back = server_.AddRule("sh-1", "hz-1");
  ASSERT_TRUE(server_.DeleteRule(back.name()).ok());
  EXPECT_TRUE(Gone(back.name()));
  EXPECT_EQ(server_.GetRule(first.name()).state(), v1::Rule::STARTING);
  EXPECT_REFUSED(server_.CreateRule(test::RuleRequest("sh-1", "hz-2")),
                 FAILED_PRECONDITION, "BUCKET_PAIRED_ELSEWHERE");
}

TEST_F(RuleLifeTest, DeleteComparesTheEtag) {
  const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
  v1::DeleteRuleRequest request;
  request.set_name(rule.name());
  request.set_etag("0000000000000000");
  EXPECT_REFUSED(Call(server_.rules(),
                      &v1::ReplicationService::Stub::DeleteRule, request),
                 ABORTED, "ETAG_MISMATCH");
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::STARTING);
  request.set_etag(rule.etag());
  EXPECT_TRUE(Call(server_.rules(), &v1::ReplicationService::Stub::DeleteRule,
                   request)
                  .ok());
  EXPECT_TRUE(Gone(rule.name()));
}

TEST_F(RuleLifeTest, NamesOfNoRuleAreToldApart) {
  server_.AddRule("hz-1", "sh-1");
  for (const char* name :
       {"buckets/hz-1/rules/other", "buckets/hz-2/rules/dr",
        "buckets/sh-1/rules/dr", "buckets/nowhere/rules/dr"}) {
    v1::Rule rule;
    EXPECT_REFUSED(server_.GetRule(name, &rule), NOT_FOUND, "RULE_NOT_FOUND");
    EXPECT_REFUSED(server_.DeleteRule(name), NOT_FOUND, "RULE_NOT_FOUND");
  }
  for (const char* name :
       {"hz-1/rules/dr", "buckets/hz-1", "buckets/-/rules/dr",
        "buckets/hz-1/rules/", "buckets/hz-1/rules/dr/x",
        "buckets/hz-1/rules/DR"}) {
    v1::Rule rule;
    EXPECT_REFUSED(server_.GetRule(name, &rule), INVALID_ARGUMENT,
                   "INVALID_NAME");
    EXPECT_REFUSED(server_.DeleteRule(name), INVALID_ARGUMENT, "INVALID_NAME");
  }
  v1::Rule rule;
  EXPECT_REFUSED(server_.GetRule("", &rule), INVALID_ARGUMENT,
                 "REQUIRED_FIELD_MISSING");
}

// A rule of the same name is another rule.
TEST_F(RuleLifeTest, ANewRuleBeginsWithEmptyCounters) {
  for (int round = 0; round < 3; ++round) {
    const v1::Rule rule = server_.AddRule("hz-1", "sh-1");
    EXPECT_EQ(server_.Progress(rule.name()).live().published(), 0);
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", "buckets/hz-1"));
    ASSERT_TRUE(publisher.Batch(1, {test::MakeChange("hz-1", "x")}));
    EXPECT_EQ(server_.Progress(rule.name()).live().pending(), 1);
    ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
    EXPECT_TRUE(Gone(rule.name()));
  }
}

}  // namespace
}  // namespace crr
