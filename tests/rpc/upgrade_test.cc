#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crr/v1/change.pb.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"
#include "tests/storage/golden.h"

// A server on the database of an old schema version: whoever was at work with
// the server before goes on as if nothing had happened. That of version 2 is
// that of version 1 a little later: the publisher had its next batch taken, and
// somebody had changed a rule and a region.
namespace crr {
namespace {

using test::Call;
using test::FromJson;
using test::MakeChange;
using test::RefusalOf;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using ::testing::ElementsAre;

using Rules = v1::ReplicationService::Stub;

class UpgradeTest : public ::testing::TestWithParam<int> {
 protected:
  // Batches that the publisher had acknowledged.
  static int64_t LastNumber() { return GetParam() == 1 ? 4 : 5; }
  // What that last one added to the log of videos.
  static std::vector<std::string> LastKeys() {
    if (GetParam() == 1) return {};
    return {"v/big", "v/small"};
  }
  static int64_t LastChanges() {
    return static_cast<int64_t>(LastKeys().size());
  }
  // What the audit log held, oldest first; version 1 had none.
  static std::vector<std::string> OldAudit() {
    if (GetParam() == 1) return {};
    return {"crr.v1.ReplicationService/UpdateRule",
            "crr.v1.RegionService/UpdateRegion"};
  }

  std::string RequestId(int number) {
    return absl::StrCat("00000000-0000-4000-8000-00000000000", number);
  }

  // The copier that held leases of the server before, with all of them.
  static v1::Hello OldCopier() {
    v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
    hello.set_session_number(1);
    const std::pair<int64_t, int64_t> held[] = {
        {2, 1099511627778}, {4, 1099511627780}, {5, 1099511627781},
        {8, 1099511627778}, {9, 1099511627777}};
    for (const auto& [unit, token] : held) {
      v1::HeldLease& lease = *hello.add_held();
      lease.set_unit(unit);
      lease.set_token(token);
    }
    return hello;
  }

  // Oldest first.
  std::vector<std::string> AuditedMethods() {
    v1::ListAuditEventsResponse response;
    EXPECT_TRUE(Call(server_.admin(), &v1::AdminService::Stub::ListAuditEvents,
                     v1::ListAuditEventsRequest(), &response)
                    .ok());
    std::vector<std::string> methods;
    for (const auto& event : response.audit_events()) {
      methods.insert(methods.begin(), event.method());
    }
    return methods;
  }

  // Its clock begins when the file was written.
  test::TestServer server_{{.prepare = [](const std::string& path) {
    test::MakeGolden(GetParam(), path);
  }}};
};

INSTANTIATE_TEST_SUITE_P(Versions, UpgradeTest, ::testing::Values(1, 2));

TEST_P(UpgradeTest, ListsWhatThereWas) {
  v1::ListRegionsRequest regions_request;
  regions_request.set_page_size(1000);
  v1::ListRegionsResponse regions;
  ASSERT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::ListRegions,
                   regions_request, &regions)
                  .ok());
  EXPECT_EQ(regions.regions_size(), 36);
  v1::ListBucketsResponse buckets;
  ASSERT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::ListBuckets,
                   v1::ListBucketsRequest(), &buckets)
                  .ok());
  EXPECT_EQ(buckets.buckets_size(), 13);
  v1::RegionPairPolicy policy;
  ASSERT_TRUE(Call(server_.regions(),
                   &v1::RegionService::Stub::GetRegionPairPolicy,
                   v1::GetRegionPairPolicyRequest(), &policy)
                  .ok());
  EXPECT_EQ(policy.profile(), "seeds-union");

  v1::ListRulesRequest rules_request;
  rules_request.set_parent("buckets/-");
  v1::ListRulesResponse rules;
  ASSERT_TRUE(Call(server_.rules(), &Rules::ListRules, rules_request, &rules)
                  .ok());
  std::vector<std::string> shown;
  for (const v1::Rule& rule : rules.rules()) {
    shown.push_back(absl::StrCat(rule.source_bucket(), " ",
                                 v1::Rule::State_Name(rule.state())));
  }
  EXPECT_THAT(shown, ElementsAre("buckets/art PAUSED", "buckets/docs CLOSING",
                                 "buckets/logs STARTING",
                                 "buckets/mail STARTING",
                                 "buckets/photos ACTIVE",
                                 "buckets/videos ACTIVE"));

  v1::ListPublishersResponse publishers;
  ASSERT_TRUE(Call(server_.admin(), &v1::AdminService::Stub::ListPublishers,
                   v1::ListPublishersRequest(), &publishers)
                  .ok());
  ASSERT_EQ(publishers.publishers_size(), 2);
  EXPECT_EQ(publishers.publishers(0).name(), "publishers/gateway");
  EXPECT_EQ(publishers.publishers(0).epoch(), 7);
  EXPECT_EQ(publishers.publishers(0).last_number(), LastNumber());
  EXPECT_FALSE(publishers.publishers(0).attached());
}

TEST_P(UpgradeTest, ProgressIsWhatItWas) {
  const v1::RuleProgress photos = server_.Progress("buckets/photos/rules/dr");
  EXPECT_TRUE(test::AddsUp(photos)) << photos.DebugString();
  EXPECT_EQ(photos.historical().total_objects(), 12);
  EXPECT_EQ(photos.historical().done_objects(), 5);
  EXPECT_EQ(photos.historical().bytes(), 4196);
  EXPECT_EQ(photos.live().pending(), 2);
  EXPECT_EQ(photos.live().oldest_pending_key(), "a/1");
  const v1::RuleProgress videos = server_.Progress("buckets/videos/rules/dr");
  EXPECT_TRUE(test::AddsUp(videos)) << videos.DebugString();
  EXPECT_EQ(videos.live().published(), 6 + LastChanges());
  EXPECT_EQ(videos.live().pending(), 4 + LastChanges());
  EXPECT_EQ(videos.live().oldest_pending_key(), "v/2");
}

TEST_P(UpgradeTest, ARepeatGetsTheAnswerOfTheServerBefore) {
  auto request = test::RuleRequest("videos", "videos-us");
  request.set_request_id(RequestId(3));
  request.mutable_rule()->MergeFrom(FromJson<v1::Rule>(
      R"({"transfer":"ACCELERATED","sseKms":{"replicate":true,
          "replicaKmsKey":"key-1"}})"));
  v1::Rule rule;
  const grpc::Status status = server_.CreateRule(request, &rule);
  ASSERT_TRUE(status.ok()) << RefusalOf(status);
  EXPECT_EQ(rule.name(), "buckets/videos/rules/dr");
  EXPECT_EQ(rule.state(), v1::Rule::STARTING);  // As it was then.
  EXPECT_EQ(rule.etag(), "814a80ef1d7b5699");
  request.mutable_rule()->clear_sse_kms();
  EXPECT_REFUSED(server_.CreateRule(request), INVALID_ARGUMENT,
                 "REQUEST_ID_REUSED");

  v1::CreateBucketRequest bucket_request;
  bucket_request.set_bucket_id("photos");
  bucket_request.set_request_id(RequestId(1));
  bucket_request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
  bucket_request.mutable_bucket()->set_owner("acme");
  v1::Bucket bucket;
  ASSERT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                   bucket_request, &bucket)
                  .ok());
  EXPECT_EQ(bucket.name(), "buckets/photos");
  EXPECT_EQ(AuditedMethods(), OldAudit());
}

TEST_P(UpgradeTest, APublisherGoesOnWhereItWas) {
  ScriptedPublisher publisher(server_);
  const auto pending = [&] {
    return server_.Progress("buckets/photos/rules/dr").live().pending();
  };
  const int64_t before = pending();
  const int64_t last = LastNumber();
  EXPECT_EQ(publisher.Hello("gateway", "regions/oss-cn-hangzhou", 7), last);
  const std::vector<v1::Change> batch = {MakeChange("photos", "a/3")};
  EXPECT_EQ(publisher.Batch(last, batch)->accepted(), 0);
  EXPECT_EQ(publisher.Batch(last + 1, batch)->accepted(), 1);
  EXPECT_EQ(pending(), before + 1);
}

TEST_P(UpgradeTest, ACopierGoesOnWithWhatItHeld) {
  ScriptedCopier copier(server_);
  EXPECT_EQ(copier.Hello(OldCopier()), 1);
  // The rest of a log, in the encoding of the version before.
  std::vector<std::string> expected = {"v/0", "v/1", "v/2",
                                       "v/3", "v/4", "v/9"};
  for (const std::string& key : LastKeys()) expected.push_back(key);
  std::vector<std::string> keys;
  while (keys.size() < expected.size()) {
    const auto response = copier.Await(ScriptedCopier::Response::kSegment);
    ASSERT_TRUE(response.has_value());
    v1::ChangeBatch changes;
    ASSERT_TRUE(changes.ParseFromString(response->segment().changes()));
    for (const auto& change : changes.changes()) keys.push_back(change.key());
  }
  EXPECT_EQ(keys, expected);
  v1::Checkpoint settled;
  settled.set_unit(8);
  settled.set_token(1099511627778);
  settled.mutable_from()->set_sequence(2);
  settled.mutable_to()->set_sequence(6 + LastChanges());
  settled.set_applied(4 + LastChanges());
  EXPECT_EQ(copier.Commit(settled).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.Progress("buckets/videos/rules/dr").live().pending(), 0);
  // The other rule holds as many leases as it may; its log waited for one. The
  // token is above all that the server before gave for the rule.
  v1::Lease inventory;
  inventory.set_unit(2);
  inventory.set_token(1099511627778);
  copier.Release(inventory);
  const v1::Lease log = copier.AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(log.unit(), 7);
  EXPECT_GT(log.token(), 1099511627781);
}

TEST_P(UpgradeTest, WhatWasClosingCloses) {
  ScriptedCopier copier(server_);
  EXPECT_EQ(copier.Hello(OldCopier()), 1);
  const auto revoke = copier.Await(ScriptedCopier::Response::kRevoke);
  ASSERT_TRUE(revoke.has_value());
  EXPECT_EQ(revoke->revoke().unit(), 9);
  v1::Lease probe;
  probe.set_unit(9);
  probe.set_token(1099511627777);
  copier.Release(probe, "REVOKED");
  v1::Rule rule;
  EXPECT_TRUE(test::Eventually([&] {
    return server_.GetRule("buckets/docs/rules/dr", &rule).error_code() ==
           grpc::StatusCode::NOT_FOUND;
  }));
  server_.AddRule("docs", "docs-dr");
}

TEST_P(UpgradeTest, ChangesAreMadeAndTold) {
  v1::Rule rule;
  ASSERT_TRUE(Call(server_.rules(), &Rules::ResumeRule,
                   FromJson<v1::ResumeRuleRequest>(
                       R"({"name":"buckets/art/rules/dr"})"),
                   &rule)
                  .ok());
  EXPECT_EQ(rule.state(), v1::Rule::ACTIVE);
  ASSERT_TRUE(Call(server_.rules(), &Rules::UpdateRule,
                   FromJson<v1::UpdateRuleRequest>(
                       R"({"rule":{"name":"buckets/photos/rules/dr",
                                   "labels":{"tier":"2"}},
                           "updateMask":"labels"})"),
                   &rule)
                  .ok());
  EXPECT_EQ(rule.labels_size(), 1);
  ASSERT_TRUE(Call(server_.regions(),
                   &v1::RegionService::Stub::UpdateRegionPairPolicy,
                   FromJson<v1::UpdateRegionPairPolicyRequest>(
                       R"({"regionPairPolicy":{"profile":"any-pair"}})"))
                  .ok());
  server_.SetStore(test::kSydney);
  std::vector<std::string> all = OldAudit();
  all.insert(all.end(), {"crr.v1.ReplicationService/ResumeRule",
                         "crr.v1.ReplicationService/UpdateRule",
                         "crr.v1.RegionService/UpdateRegionPairPolicy",
                         "crr.v1.RegionService/UpdateRegion"});
  EXPECT_EQ(AuditedMethods(), all);
  // What waited for that store starts.
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-2"), 0);
  const auto grant = copier.Await(ScriptedCopier::Response::kGrant);
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->grant().kind(), v1::Lease::PROBE);
  EXPECT_EQ(grant->grant().rule(), "buckets/logs/rules/dr");
}

// Versions 3 and 4 had objects apart, verifications and a log that overflowed.
// That of version 4 is that of version 3 a little later: a dead letter was
// retried, changes were logged, and a copier was drained.
class LaterUpgradeTest : public ::testing::TestWithParam<int> {
 protected:
  static constexpr char kSick[] = "buckets/sick/rules/r";
  static constexpr char kArt[] = "buckets/art/rules/dr";
  static constexpr char kVideos[] = "buckets/videos/rules/dr";

  // The next grant of this kind for the rule.
  static v1::Lease AwaitGrant(ScriptedCopier& copier, v1::Lease::Kind kind,
                              const std::string& rule) {
    while (true) {
      const auto response = copier.Await(ScriptedCopier::Response::kGrant);
      EXPECT_TRUE(response.has_value());
      if (!response) return {};
      const v1::Lease& lease = response->grant();
      if (lease.kind() == kind && lease.rule() == rule) return lease;
    }
  }

  test::TestServer server_{{.prepare = [](const std::string& path) {
    test::MakeGolden(GetParam(), path);
  }}};
};

INSTANTIATE_TEST_SUITE_P(Versions, LaterUpgradeTest, ::testing::Values(3, 4));

TEST_P(LaterUpgradeTest, ListsWhatThereWas) {
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  v1::ListRulesResponse rules;
  ASSERT_TRUE(Call(server_.rules(), &Rules::ListRules, request, &rules).ok());
  std::vector<std::string> shown;
  for (const v1::Rule& rule : rules.rules()) {
    shown.push_back(absl::StrCat(rule.name(), " ",
                                 v1::Rule::State_Name(rule.state())));
    const v1::RuleProgress progress = server_.Progress(rule.name());
    EXPECT_TRUE(test::AddsUp(progress)) << progress.DebugString();
  }
  EXPECT_THAT(shown, ElementsAre("buckets/art/rules/dr PAUSED",
                                 "buckets/logs/rules/dr STARTING",
                                 "buckets/mail/rules/dr STARTING",
                                 "buckets/photos/rules/dr ACTIVE",
                                 "buckets/sick/rules/r ACTIVE",
                                 "buckets/videos/rules/dr ACTIVE"));
}

TEST_P(LaterUpgradeTest, ANotifierGoesOnWhereItWas) {
  ScriptedPublisher notifier(server_);
  const auto pending = [&] { return server_.Progress(kSick).live().pending(); };
  const int64_t before = pending();
  EXPECT_EQ(before, GetParam() == 3 ? 2 : 5);
  EXPECT_EQ(notifier.Hello("n-oss-cn-qingdao", "regions/oss-cn-qingdao",
                           1795349467859747),
            7);
  const std::vector<v1::Change> batch = {MakeChange("sick", "z")};
  EXPECT_EQ(notifier.Batch(7, batch)->accepted(), 0);
  EXPECT_EQ(notifier.Batch(8, batch)->accepted(), 1);
  EXPECT_EQ(pending(), before + 1);
}

TEST_P(LaterUpgradeTest, ACopierGoesOnWithALog) {
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-3"), 0);
  const v1::Lease log = AwaitGrant(copier, v1::Lease::CHANGES, kVideos);
  EXPECT_EQ(log.unit(), 8);
  EXPECT_GT(log.token(), GetParam() == 3 ? 1099511627786 : 1099511627787);
  EXPECT_EQ(log.cursor().sequence(), 2);
  const std::vector<std::string> expected = {"v/0", "v/1", "v/2",   "v/3",
                                             "v/4", "v/9", "v/big", "v/small"};
  std::vector<std::string> keys;
  while (keys.size() < expected.size()) {
    const auto response = copier.Await(ScriptedCopier::Response::kSegment);
    ASSERT_TRUE(response.has_value());
    if (response->segment().unit() != log.unit()) continue;
    v1::ChangeBatch changes;
    ASSERT_TRUE(changes.ParseFromString(response->segment().changes()));
    for (const auto& change : changes.changes()) keys.push_back(change.key());
  }
  EXPECT_EQ(keys, expected);
  v1::Checkpoint settled = test::CheckpointOf(log);
  *settled.mutable_from() = log.cursor();
  settled.mutable_to()->set_sequence(8);
  settled.set_applied(6);
  EXPECT_EQ(copier.Commit(settled).result(), v1::CheckpointAck::RECORDED);
  const v1::RuleProgress videos = server_.Progress(kVideos);
  EXPECT_TRUE(test::AddsUp(videos)) << videos.DebugString();
  EXPECT_EQ(videos.live().pending(), 0);
}

TEST_P(LaterUpgradeTest, ObjectsApartAndAResyncGoOn) {
  v1::ListFailedObjectsResponse failed;
  ASSERT_TRUE(Call(server_.rules(), &Rules::ListFailedObjects,
                   FromJson<v1::ListFailedObjectsRequest>(
                       absl::StrCat(R"({"parent":")", kSick, R"("})")),
                   &failed)
                  .ok());
  std::vector<std::string> shown;
  for (const v1::FailedObject& object : failed.failed_objects()) {
    shown.push_back(absl::StrCat(
        object.key(), " ", v1::FailedObject::State_Name(object.state())));
  }
  const bool was_retried = GetParam() == 4;
  EXPECT_THAT(shown,
              ElementsAre(was_retried ? "a/dead RETRYING" : "a/dead DEAD",
                          "a/gone DEAD", "d/waiting RETRYING"));
  const v1::RuleProgress sick = server_.Progress(kSick);
  EXPECT_TRUE(test::AddsUp(sick)) << sick.DebugString();
  EXPECT_EQ(sick.live().failed(), 1);
  EXPECT_EQ(sick.verification().equal(), 2);

  v1::RetryFailedObjectsResponse retried;
  ASSERT_TRUE(Call(server_.rules(), &Rules::RetryFailedObjects,
                   FromJson<v1::RetryFailedObjectsRequest>(absl::StrCat(
                       R"({"name":")", kSick,
                       R"(","selection":{"prefix":"a/"}})")),
                   &retried)
                  .ok());
  EXPECT_EQ(retried.objects(), was_retried ? 1 : 2);
  EXPECT_EQ(server_.Progress(kSick).live().failed(), 0);
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-3"), 0);
  const v1::Lease object = AwaitGrant(copier, v1::Lease::OBJECT, kSick);
  EXPECT_THAT(object.object().key(), testing::StartsWith("a/"));

  EXPECT_EQ(server_.Progress(kArt).live().resync(), 300'000);
  ASSERT_TRUE(Call(server_.rules(), &Rules::ResumeRule,
                   FromJson<v1::ResumeRuleRequest>(
                       absl::StrCat(R"({"name":")", kArt, R"("})")))
                  .ok());
  EXPECT_TRUE(test::Eventually([&] {
    const v1::RuleProgress art = server_.Progress(kArt);
    EXPECT_TRUE(test::AddsUp(art)) << art.DebugString();
    return art.verification().cause() == v1::Verification::LOG_OVERFLOW;
  }));
}

TEST(UpgradeOf4Test, ADrainedCopierStaysDrained) {
  test::TestServer server({.prepare = [](const std::string& path) {
    test::MakeGolden(4, path);
  }});
  ScriptedCopier copier(server);
  v1::Hello hello = ScriptedCopier::MakeHello("copier-4");
  hello.set_session_number(5);
  EXPECT_EQ(copier.Hello(hello), 5);
  v1::ListCopiersResponse copiers;
  ASSERT_TRUE(Call(server.admin(), &v1::AdminService::Stub::ListCopiers,
                   v1::ListCopiersRequest(), &copiers)
                  .ok());
  ASSERT_EQ(copiers.copiers_size(), 1);
  EXPECT_EQ(copiers.copiers(0).name(), "copiers/copier-4");
  EXPECT_TRUE(copiers.copiers(0).draining());
}

}  // namespace
}  // namespace crr
