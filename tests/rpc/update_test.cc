#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// What may be changed of regions, buckets and rules, when, and what else that
// changes.
namespace crr {
namespace {

using test::Call;
using test::Eventually;
using test::RefusalOf;
using test::ScriptedPublisher;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

class UpdateTest : public test::RuleWorld {
 protected:
  std::vector<std::string> RegionIds() {
    v1::ListRegionsResponse response;
    EXPECT_TRUE(Call(server_.regions(), &v1::RegionService::Stub::ListRegions,
                     v1::ListRegionsRequest(), &response)
                    .ok());
    std::vector<std::string> ids;
    for (const auto& region : response.regions()) {
      ids.push_back(region.name().substr(8));
    }
    return ids;
  }
  static std::string Acceleration(const std::string& bucket, bool on) {
    return absl::StrCat(R"({"bucket":{"name":"buckets/)", bucket,
                        R"(","transferAcceleration":)", on ? "true" : "false",
                        "}}");
  }
  // BUCKET_HELD_BY_RULE that tells what the caller must know, and no more.
  void ExpectHeld(const grpc::Status& status, const std::string& bucket,
                  const std::string& rule, const std::string& partner) {
    EXPECT_REFUSED(status, FAILED_PRECONDITION, "BUCKET_HELD_BY_RULE");
    const auto refusal = RefusalOf(status);
    EXPECT_THAT(
        refusal.metadata,
        UnorderedElementsAre(Pair("reasons", "BUCKET_HELD_BY_RULE"),
                             Pair("ossCode", "InvalidBucketStatus"),
                             Pair("rule", rule),
                             Pair("partner", "buckets/" + partner)));
    ASSERT_EQ(refusal.violations.size(), 1u);
    EXPECT_EQ(refusal.violations[0].subject(), "buckets/" + bucket);
    EXPECT_THAT(refusal.message, HasSubstr(rule));
  }
};

// -------------------------------------------------------------------- regions

TEST_F(UpdateTest, ARegionIsCreatedUsedAndDeleted) {
  v1::Region region;
  ASSERT_TRUE(CreateRegion(R"({"regionId":"mars-1","region":{
                  "area":"OUTSIDE_MAINLAND_CHINA","displayName":"Mars",
                  "credentials":"mars-keys","store":{"local":{"root":"/m"}}}})",
                           &region)
                  .ok());
  EXPECT_EQ(region.name(), "regions/mars-1");
  EXPECT_EQ(region.area(), v1::Region::OUTSIDE_MAINLAND_CHINA);
  EXPECT_EQ(region.credentials(), "mars-keys");
  EXPECT_EQ(region.store().local().root(), "/m");
  EXPECT_FALSE(region.etag().empty());
  EXPECT_EQ(GetRegion("mars-1")->SerializeAsString(),
            region.SerializeAsString());
  EXPECT_REFUSED(CreateRegion(R"({"regionId":"mars-1","region":{
                     "area":"MAINLAND_CHINA"}})"),
                 ALREADY_EXISTS, "REGION_ALREADY_EXISTS");

  ASSERT_TRUE(DeleteRegion("mars-1").ok());
  EXPECT_FALSE(GetRegion("mars-1"));
  EXPECT_THAT(RegionIds(), ::testing::Not(::testing::Contains("mars-1")));
  EXPECT_REFUSED(DeleteRegion("mars-1"), NOT_FOUND, "REGION_NOT_FOUND");
  EXPECT_REFUSED(AddBucketIn("red", "mars-1"), NOT_FOUND, "REGION_NOT_FOUND");

  // The id is free, for another kind of region even.
  server_.clock().Advance(absl::Minutes(1));
  v1::Region again;
  ASSERT_TRUE(CreateRegion(R"({"regionId":"mars-1","region":{
                  "area":"MAINLAND_CHINA"}})",
                           &again)
                  .ok());
  EXPECT_EQ(again.area(), v1::Region::MAINLAND_CHINA);
  EXPECT_FALSE(again.has_store());
  EXPECT_GT(again.create_time().seconds(), region.create_time().seconds());
  EXPECT_TRUE(AddBucketIn("red", "mars-1").ok());
}

TEST_F(UpdateTest, ARegionInUseStays) {
  AddRegion("mars-1");
  ASSERT_TRUE(AddBucketIn("red", "mars-1").ok());
  const auto with_bucket = DeleteRegion("mars-1");
  EXPECT_REFUSED(with_bucket, FAILED_PRECONDITION, "REGION_IN_USE");
  EXPECT_THAT(with_bucket.error_message(), HasSubstr("buckets/red"));
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", "regions/mars-1"));
    ASSERT_TRUE(DeleteBucket("red").ok());
    const auto with_publisher = DeleteRegion("mars-1");
    EXPECT_REFUSED(with_publisher, FAILED_PRECONDITION, "REGION_IN_USE");
    EXPECT_THAT(with_publisher.error_message(), HasSubstr("gw"));
    EXPECT_TRUE(publisher.Finish().ok());
  }
  // One that left is still counted upon, until it is deleted.
  EXPECT_REFUSED(DeleteRegion("mars-1"), FAILED_PRECONDITION, "REGION_IN_USE");
  ASSERT_TRUE(Eventually([&] { return DeletePublisher("gw").ok(); }));
  EXPECT_TRUE(DeleteRegion("mars-1").ok());
}

// The catalogue is for a database's first day.
TEST_F(UpdateTest, WhatWasDeletedDoesNotComeBackWithTheNextServer) {
  for (const char* id : {"hz-1", "hz-2", "sh-1", "sh-2"}) {
    ASSERT_TRUE(DeleteBucket(id).ok());
  }
  for (const std::string& id : RegionIds()) {
    ASSERT_TRUE(DeleteRegion(id).ok()) << id;
  }
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":true}]})").ok());
  const v1::RegionPairPolicy policy = GetPolicy();
  Restart();
  EXPECT_THAT(RegionIds(), IsEmpty());
  EXPECT_EQ(GetPolicy().SerializeAsString(), policy.SerializeAsString());
}

TEST_F(UpdateTest, OnlyTheStoreOfARegionInUseIsFrozen) {
  StartRule("hz-1", "sh-1");
  v1::Region region;
  ASSERT_TRUE(UpdateRegion(R"({"region":{"name":"regions/oss-cn-hangzhou",
                  "displayName":"H","credentials":"k"}})",
                           &region)
                  .ok());
  EXPECT_EQ(region.display_name(), "H");
  EXPECT_EQ(region.credentials(), "k");
  EXPECT_EQ(region.store().local().root(), "/data/oss-cn-hangzhou");
  // All at once, or nothing.
  EXPECT_REFUSED(UpdateRegion(R"({"region":{"name":"regions/oss-cn-hangzhou",
                     "displayName":"I","store":{"local":{"root":"/i"}}}})"),
                 FAILED_PRECONDITION, "REGION_IN_USE");
  EXPECT_EQ(GetRegion(test::kHangzhou)->SerializeAsString(),
            region.SerializeAsString());
}

TEST_F(UpdateTest, AMaskSaysWhatOfARegionIsSet) {
  const std::string given =
      R"("name":"regions/oss-cn-hangzhou","displayName":"H",)"
      R"("store":{"local":{"root":"/h"}})";
  v1::Region region;
  ASSERT_TRUE(UpdateRegion(absl::StrCat(R"({"region":{)", given,
                                        R"(},"updateMask":"credentials"})"),
                           &region)
                  .ok());
  EXPECT_EQ(region.display_name(), "China (Hangzhou)");
  EXPECT_EQ(region.store().local().root(), "/data/oss-cn-hangzhou");
  ASSERT_TRUE(UpdateRegion(absl::StrCat(R"({"region":{)", given,
                                        R"(},"updateMask":"displayName"})"),
                           &region)
                  .ok());
  EXPECT_EQ(region.display_name(), "H");
  EXPECT_EQ(region.store().local().root(), "/data/oss-cn-hangzhou");
  ASSERT_TRUE(
      UpdateRegion(absl::StrCat(R"({"region":{)", given,
                                R"(},"updateMask":"store.local.root"})"),
                   &region)
          .ok());
  EXPECT_EQ(region.store().local().root(), "/h");
  // What a mask names and nobody gives is emptied.
  ASSERT_TRUE(UpdateRegion(R"({"region":{"name":"regions/oss-cn-hangzhou"},
                               "updateMask":"displayName"})",
                           &region)
                  .ok());
  EXPECT_EQ(region.display_name(), "");
}

// -------------------------------------------------------------------- buckets

TEST_F(UpdateTest, AFreeBucketChangesFreely) {
  for (const char* versioning : {"ENABLED", "SUSPENDED", "UNVERSIONED"}) {
    v1::Bucket bucket;
    ASSERT_TRUE(UpdateBucket(Versioning("hz-1", versioning), &bucket).ok());
    EXPECT_EQ(v1::Bucket::Versioning_Name(bucket.versioning()), versioning);
    EXPECT_EQ(GetBucket("hz-1").SerializeAsString(),
              bucket.SerializeAsString());
  }
  EXPECT_TRUE(UpdateBucket(Acceleration("hz-1", true)).ok());
  EXPECT_TRUE(GetBucket("hz-1").transfer_acceleration());
  // False is a value.
  EXPECT_TRUE(UpdateBucket(Acceleration("hz-1", false)).ok());
  EXPECT_FALSE(GetBucket("hz-1").transfer_acceleration());
  ASSERT_TRUE(DeleteBucket("hz-1").ok());
  EXPECT_REFUSED(DeleteBucket("hz-1"), NOT_FOUND, "BUCKET_NOT_FOUND");
  // The name is free; elsewhere, too.
  EXPECT_TRUE(AddBucketIn("hz-1", test::kShanghai).ok());
}

// Prefixes have no order: a client may send its own list back.
TEST_F(UpdateTest, PrefixesInAnotherOrderAreTheSame) {
  server_.AddRule("hz-1", "sh-1", R"("prefixes":["b/","a/"])");
  const auto update = [&](const std::vector<std::string>& prefixes) {
    v1::UpdateRuleRequest request;
    request.mutable_rule()->set_name("buckets/hz-1/rules/dr");
    request.mutable_rule()->mutable_prefixes()->Assign(prefixes.begin(),
                                                       prefixes.end());
    (*request.mutable_rule()->mutable_labels())["team"] = "web";
    return test::Call(server_.rules(),
                      &v1::ReplicationService::Stub::UpdateRule, request);
  };
  EXPECT_TRUE(update({"b/", "a/"}).ok());
  EXPECT_REFUSED(update({"b/", "c/"}), INVALID_ARGUMENT, "IMMUTABLE_FIELD");
  EXPECT_REFUSED(update({"b/"}), INVALID_ARGUMENT, "IMMUTABLE_FIELD");
}

TEST_F(UpdateTest, AMaskSaysWhatOfABucketIsSet) {
  ASSERT_TRUE(UpdateBucket(R"({"bucket":{"name":"buckets/hz-1",
                  "versioning":"ENABLED","transferAcceleration":true},
                  "updateMask":"transferAcceleration"})")
                  .ok());
  EXPECT_EQ(GetBucket("hz-1").versioning(), v1::Bucket::UNVERSIONED);
  EXPECT_TRUE(GetBucket("hz-1").transfer_acceleration());
  ASSERT_TRUE(UpdateBucket(R"({"bucket":{"name":"buckets/hz-1",
                  "versioning":"ENABLED"},"updateMask":"*"})")
                  .ok());
  EXPECT_EQ(GetBucket("hz-1").versioning(), v1::Bucket::ENABLED);
  EXPECT_FALSE(GetBucket("hz-1").transfer_acceleration());
}

// Where the rule hz-1 → sh-1 stands.
enum class Stage { kStarting, kActive, kPaused, kClosing };

class HeldBucketTest : public UpdateTest,
                       public ::testing::WithParamInterface<Stage> {
 protected:
  // Takes the rule there. Returns what is to be done before it can be gone.
  std::function<void()> Bring() {
    v1::Lease lease;
    if (GetParam() == Stage::kStarting) {
      server_.AddRule("hz-1", "sh-1");
      lease = copier_->AwaitGrant(v1::Lease::PROBE);
    } else {
      StartRule("hz-1", "sh-1");
      Publish("hz-1", {"k"});
      lease = copier_->AwaitGrant(v1::Lease::CHANGES);
    }
    if (GetParam() == Stage::kPaused) {
      EXPECT_TRUE(Pause(kRule).ok());
    }
    if (GetParam() == Stage::kClosing) {
      EXPECT_TRUE(server_.DeleteRule(kRule).ok());
    }
    const std::map<Stage, v1::Rule::State> states = {
        {Stage::kStarting, v1::Rule::STARTING},
        {Stage::kActive, v1::Rule::ACTIVE},
        {Stage::kPaused, v1::Rule::PAUSED},
        {Stage::kClosing, v1::Rule::CLOSING}};
    EXPECT_EQ(server_.GetRule(kRule).state(), states.at(GetParam()));
    return [this, lease] {
      ASSERT_TRUE(server_.DeleteRule(kRule).ok());
      copier_->Release(lease, "REVOKED");
      ASSERT_TRUE(Gone(kRule));
    };
  }
};

TEST_P(HeldBucketTest, ItIsFrozenAndItStays) {
  const auto let_go = Bring();
  for (const auto& [bucket, partner] :
       {std::pair("hz-1", "sh-1"), std::pair("sh-1", "hz-1")}) {
    const v1::Bucket before = GetBucket(bucket);
    for (const char* versioning : {"ENABLED", "SUSPENDED"}) {
      ExpectHeld(UpdateBucket(Versioning(bucket, versioning)), bucket, kRule,
                 partner);
    }
    ExpectHeld(DeleteBucket(bucket), bucket, kRule, partner);
    // Setting what is set already succeeds.
    EXPECT_TRUE(UpdateBucket(Versioning(bucket, "UNVERSIONED")).ok());
    ExpectHeld(UpdateBucket(Acceleration(bucket, true)), bucket, kRule,
               partner);
    EXPECT_TRUE(UpdateBucket(Acceleration(bucket, false)).ok());
    // Not in part, either.
    EXPECT_FALSE(UpdateBucket(absl::StrCat(
                                  R"({"bucket":{"name":"buckets/)", bucket,
                                  R"(","versioning":"ENABLED",)",
                                  R"("transferAcceleration":true}})"))
                     .ok());
    EXPECT_FALSE(GetBucket(bucket).transfer_acceleration());
  }
  let_go();
  for (const char* bucket : {"hz-1", "sh-1"}) {
    EXPECT_TRUE(UpdateBucket(Versioning(bucket, "ENABLED")).ok());
    EXPECT_TRUE(UpdateBucket(Acceleration(bucket, true)).ok());
    EXPECT_TRUE(DeleteBucket(bucket).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(, HeldBucketTest,
                         ::testing::Values(Stage::kStarting, Stage::kActive,
                                           Stage::kPaused, Stage::kClosing));

TEST_F(UpdateTest, AnAcceleratedRuleSwitchesItsDestinationOn) {
  server_.AddBucket("va-1", test::kVirginia);
  server_.SetStore(test::kVirginia);
  const v1::Bucket before = GetBucket("va-1");
  auto request = test::RuleRequest("hz-1", "va-1");
  request.mutable_rule()->set_transfer(v1::Rule::ACCELERATED);
  request.set_validate_only(true);
  ASSERT_TRUE(server_.CreateRule(request).ok());
  EXPECT_EQ(GetBucket("va-1").SerializeAsString(), before.SerializeAsString());

  server_.clock().Advance(absl::Minutes(1));
  const v1::Rule rule =
      server_.AddRule("hz-1", "va-1", R"("transfer":"ACCELERATED")");
  const v1::Bucket after = GetBucket("va-1");
  EXPECT_TRUE(after.transfer_acceleration());
  EXPECT_NE(after.etag(), before.etag());
  EXPECT_GT(after.update_time().seconds(), before.update_time().seconds());
  EXPECT_FALSE(GetBucket("hz-1").transfer_acceleration());

  const auto expect_frozen = [&] {
    ExpectHeld(UpdateBucket(Acceleration("va-1", false)), "va-1", rule.name(),
               "hz-1");
    EXPECT_TRUE(UpdateBucket(Acceleration("va-1", true)).ok());
    ExpectHeld(UpdateBucket(Acceleration("hz-1", true)), "hz-1", rule.name(),
               "va-1");
  };
  expect_frozen();
  ASSERT_EQ(copier_->Commit(test::GoodProbe(
                                copier_->AwaitGrant(v1::Lease::PROBE)))
                .result(),
            v1::CheckpointAck::RECORDED);
  expect_frozen();
  Publish("hz-1", {"k"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(rule.name()).ok());
  expect_frozen();
  ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
  EXPECT_EQ(server_.GetRule(rule.name()).state(), v1::Rule::CLOSING);
  expect_frozen();
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(rule.name()));
  // It stays on until somebody switches it off.
  EXPECT_TRUE(GetBucket("va-1").transfer_acceleration());
  EXPECT_TRUE(UpdateBucket(Acceleration("va-1", false)).ok());
}

TEST_F(UpdateTest, ADestinationThatIsAcceleratedStaysAsItIs) {
  server_.AddBucket("va-1", test::kVirginia);
  ASSERT_TRUE(UpdateBucket(Acceleration("va-1", true)).ok());
  const v1::Bucket before = GetBucket("va-1");
  server_.clock().Advance(absl::Minutes(1));
  server_.AddRule("hz-1", "va-1", R"("transfer":"ACCELERATED")");
  EXPECT_EQ(GetBucket("va-1").SerializeAsString(), before.SerializeAsString());
}

// The pair is held until both directions are gone; the refusal names the one
// that is there.
TEST_F(UpdateTest, OfTwoDirectionsTheOneThatStandsIsNamed) {
  const v1::Rule first = server_.AddRule("hz-1", "sh-1");
  const v1::Rule back = server_.AddRule("sh-1", "hz-1");
  ExpectHeld(DeleteBucket("hz-1"), "hz-1", first.name(), "sh-1");
  ExpectHeld(DeleteBucket("sh-1"), "sh-1", back.name(), "hz-1");
  const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
  ASSERT_TRUE(server_.DeleteRule(first.name()).ok());
  copier_->Release(probe, "REVOKED");
  ASSERT_TRUE(Gone(first.name()));
  for (const auto& [bucket, partner] :
       {std::pair("hz-1", "sh-1"), std::pair("sh-1", "hz-1")}) {
    ExpectHeld(DeleteBucket(bucket), bucket, back.name(), partner);
    ExpectHeld(UpdateBucket(Versioning(bucket, "ENABLED")), bucket,
               back.name(), partner);
  }
  const v1::Lease last = copier_->AwaitGrant(v1::Lease::PROBE);
  ASSERT_TRUE(server_.DeleteRule(back.name()).ok());
  copier_->Release(last, "REVOKED");
  ASSERT_TRUE(Gone(back.name()));
  EXPECT_TRUE(DeleteBucket("hz-1").ok());
  EXPECT_TRUE(UpdateBucket(Versioning("sh-1", "ENABLED")).ok());
}

// In a pair of two accelerated rules each bucket is a destination.
TEST_F(UpdateTest, BothBucketsOfAnAcceleratedPairStayOn) {
  server_.AddBucket("va-1", test::kVirginia);
  ASSERT_TRUE(SetPolicy(R"({"profile":"any-pair"})").ok());
  const v1::Rule there =
      server_.AddRule("hz-1", "va-1", R"("transfer":"ACCELERATED")");
  const v1::Rule back =
      server_.AddRule("va-1", "hz-1", R"("transfer":"ACCELERATED")");
  ExpectHeld(UpdateBucket(Acceleration("va-1", false)), "va-1", back.name(),
             "hz-1");
  ExpectHeld(UpdateBucket(Acceleration("hz-1", false)), "hz-1", there.name(),
             "va-1");
}

// ---------------------------------------------------------------------- rules

TEST_F(UpdateTest, AMaskSaysWhatOfARuleIsSet) {
  struct Case {
    const char* given;
    const char* mask;  // Null for none.
    int max_leases;
    int64_t bytes;
    std::string label;  // The value of `a`.
  };
  // Before: 3 leases, 1,000 bytes, a: b.
  for (const Case& c : {
           Case{R"("limits":{"maxLeases":5})", "limits.maxLeases", 5, 1000,
                "b"},
           Case{R"("limits":{"maxBytesPerSecond":"7"})",
                "limits.maxBytesPerSecond", 3, 7, "b"},
           Case{R"("limits":{"maxLeases":5})", "limits", 5, 0, "b"},
           Case{R"("labels":{"a":"c"})", "labels", 3, 1000, "c"},
           Case{R"("labels":{"a":"c"})", nullptr, 3, 1000, "c"},
           Case{R"("limits":{"maxLeases":5,"maxBytesPerSecond":"7"})", nullptr,
                5, 7, "b"},
           Case{R"("limits":{"maxLeases":5})", "*", 5, 0, ""},
           Case{R"("limits":{"maxLeases":5},"labels":{"a":"c"})",
                "limits.maxLeases,labels", 5, 1000, "c"},
           // Zeroes, and what is absent.
           Case{R"("labels":{"a":"c"})", "limits.maxLeases", 0, 1000, "b"},
           Case{"", "limits", 0, 0, "b"}, Case{"", "labels", 3, 1000, ""},
           Case{"", "*", 0, 0, ""},
       }) {
    SCOPED_TRACE(absl::StrCat(c.given, " by ", c.mask ? c.mask : "no mask"));
    const v1::Rule rule = server_.AddRule(
        "hz-2", "sh-2",
        R"("limits":{"maxLeases":3,"maxBytesPerSecond":"1000"},)"
        R"("labels":{"a":"b"})");
    v1::Rule updated;
    const grpc::Status status = UpdateRule(
        absl::StrCat(R"({"rule":{"name":")", rule.name(), "\"",
                     *c.given ? "," : "", c.given, "}",
                     c.mask ? absl::StrCat(R"(,"updateMask":")", c.mask, "\"")
                            : "",
                     "}"),
        &updated);
    ASSERT_TRUE(status.ok()) << RefusalOf(status);
    EXPECT_EQ(updated.limits().max_leases(), c.max_leases);
    EXPECT_EQ(updated.limits().max_bytes_per_second(), c.bytes);
    EXPECT_EQ(updated.labels().contains("a") ? updated.labels().at("a") : "",
              c.label);
    EXPECT_EQ(server_.GetRule(rule.name()).SerializeAsString(),
              updated.SerializeAsString());
    EXPECT_NE(updated.etag(), rule.etag());
    const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
    ASSERT_TRUE(server_.DeleteRule(rule.name()).ok());
    copier_->Release(probe, "REVOKED");
    ASSERT_TRUE(Gone(rule.name()));
  }
}

TEST_F(UpdateTest, ARuleIsUpdatedInEveryStateButClosing) {
  int n = 0;
  const auto update = [&] {
    return UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                   R"(","labels":{"n":")", ++n, "\"}}}"));
  };
  const auto expect_set = [&](v1::Rule::State state) {
    EXPECT_TRUE(update().ok());
    const v1::Rule rule = server_.GetRule(kRule);
    EXPECT_EQ(rule.state(), state);
    EXPECT_EQ(rule.labels().at("n"), absl::StrCat(n));
  };
  server_.AddRule("hz-1", "sh-1");
  const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
  expect_set(v1::Rule::STARTING);
  copier_->Commit(test::GoodProbe(probe));
  expect_set(v1::Rule::ACTIVE);
  Publish("hz-1", {"k"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Pause(kRule).ok());
  expect_set(v1::Rule::PAUSED);
  ASSERT_TRUE(Resume(kRule).ok());
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  const v1::Rule closing = server_.GetRule(kRule);
  const auto status = update();
  EXPECT_REFUSED(status, FAILED_PRECONDITION, "RULE_STATE");
  EXPECT_EQ(RefusalOf(status).metadata["rule"], kRule);
  EXPECT_EQ(server_.GetRule(kRule).SerializeAsString(),
            closing.SerializeAsString());
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  EXPECT_REFUSED(update(), NOT_FOUND, "RULE_NOT_FOUND");
}

// A historical rule whose inventory cut `count` ranges, not yet leased beyond
// its bound.
class BoundTest : public UpdateTest {
 protected:
  void StartWithRanges(int count, const std::string& limits) {
    StartRule("hz-1", "sh-1",
              absl::StrCat(R"("replicateHistorical":true,"limits":)", limits));
    v1::Checkpoint report =
        test::CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
    for (int i = 0; i < count; ++i) {
      auto& range = *report.add_ranges();
      range.set_end(absl::StrCat("k", i));
      range.set_objects(1);
    }
    report.mutable_to()->set_key(absl::StrCat("k", count - 1));
    report.set_complete(true);
    ASSERT_EQ(copier_->Commit(report).result(), v1::CheckpointAck::RECORDED);
  }
  void FinishRange(const v1::Lease& lease) {
    v1::Checkpoint report = test::CheckpointOf(lease);
    report.mutable_to()->set_key(lease.range_end());
    report.set_applied(1);
    report.set_complete(true);
    ASSERT_EQ(copier_->Commit(report).result(), v1::CheckpointAck::RECORDED);
  }
  grpc::Status SetLimit(const std::string& limit) {
    return UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                   R"(","limits":{)", limit,
                                   R"(}},"updateMask":"limits.)",
                                   limit.substr(1, limit.find(':') - 2),
                                   "\"}"));
  }
  // Grants that came and nobody awaited, once the server has been asked
  // something that goes the way of grants.
  int StrayGrants() {
    copier_->Heartbeat();
    return copier_->stray_grants();
  }
  int Revokes() {
    copier_->Heartbeat();
    return copier_->unread(v1::SessionResponse::kRevoke);
  }
};

TEST_F(BoundTest, MoreLeasesComeAtOnce) {
  StartWithRanges(5, R"({"maxLeases":1})");
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  EXPECT_EQ(StrayGrants(), 0);
  ASSERT_TRUE(SetLimit(R"("maxLeases":3)").ok());
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  EXPECT_EQ(StrayGrants(), 0);
  // 0 is no bound.
  ASSERT_TRUE(SetLimit(R"("maxLeases":0)").ok());
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
}

TEST_F(BoundTest, FewerLeasesStealNone) {
  StartWithRanges(5, R"({"maxLeases":3})");
  std::vector<v1::Lease> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(copier_->AwaitGrant(v1::Lease::BACKFILL));
  }
  ASSERT_TRUE(SetLimit(R"("maxLeases":1)").ok());
  EXPECT_EQ(Revokes(), 0);
  FinishRange(held[0]);
  FinishRange(held[1]);
  EXPECT_EQ(StrayGrants(), 0);
  FinishRange(held[2]);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  EXPECT_EQ(StrayGrants(), 0);
}

TEST_F(BoundTest, TheBoundOutlivesTheServer) {
  StartWithRanges(5, R"({"maxLeases":1})");
  ASSERT_TRUE(SetLimit(R"("maxLeases":2)").ok());
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  Restart();
  Connect();  // As another process: what the first one held runs out.
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(250));
    return StrayGrants() == 2;
  }));
  for (int i = 0; i < 20; ++i) {
    server_.clock().Advance(absl::Milliseconds(250));
    EXPECT_EQ(StrayGrants(), 2);
  }
}

// A limit on bytes travels with the lease: holders of the old one are asked to
// come for the new one, or a limit set in need would do nothing for hours.
TEST_F(BoundTest, ANewRateReachesTheHolders) {
  StartWithRanges(3, R"({"maxLeases":2})");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(copier_->AwaitGrant(v1::Lease::BACKFILL).bytes_per_second(), 0);
  }
  const auto expect_asked_back = [&](int held, int granted, int64_t rate) {
    for (int i = 0; i < held; ++i) {
      const auto revoke = copier_->Await(v1::SessionResponse::kRevoke);
      ASSERT_TRUE(revoke.has_value());
      EXPECT_EQ(revoke->revoke().reason(), "LIMITS_CHANGED");
      v1::Lease lease;
      lease.set_unit(revoke->revoke().unit());
      lease.set_token(revoke->revoke().token());
      copier_->Release(lease, "REVOKED");
    }
    for (int i = 0; i < granted; ++i) {
      EXPECT_EQ(copier_->AwaitGrant(v1::Lease::BACKFILL).bytes_per_second(),
                rate);
    }
  };
  ASSERT_TRUE(SetLimit(R"("maxBytesPerSecond":"1000")").ok());
  expect_asked_back(2, 2, 500);
  // It is shared by the leases that there may be.
  ASSERT_TRUE(SetLimit(R"("maxLeases":1)").ok());
  expect_asked_back(2, 1, 1000);
  // What does not touch the rate asks for nothing.
  ASSERT_TRUE(UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                      R"(","labels":{"a":"b"}}})"))
                  .ok());
  EXPECT_EQ(Revokes(), 0);
}

}  // namespace
}  // namespace crr
