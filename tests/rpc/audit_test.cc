#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// The audit log: what was changed, by whom, before and after.
namespace crr {
namespace {

using test::Call;
using test::FromJson;
using test::kOldEtag;
using test::ScriptedPublisher;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kRule[] = "buckets/hz-1/rules/dr";
constexpr char kId[] = "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e80";

class AuditTest : public test::RuleWorld {
 protected:
  v1::ListAuditEventsResponse List(const std::string& subject = "",
                                   int page_size = 0,
                                   const std::string& token = "") {
    v1::ListAuditEventsRequest request;
    request.set_subject(subject);
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListAuditEventsResponse response;
    const grpc::Status status =
        Call(server_.admin(), &v1::AdminService::Stub::ListAuditEvents,
             request, &response);
    EXPECT_TRUE(status.ok()) << test::RefusalOf(status);
    return response;
  }
  // All events, newest first.
  std::vector<v1::AuditEvent> Events(const std::string& subject = "") {
    std::vector<v1::AuditEvent> events;
    std::string token;
    do {
      const auto page = List(subject, 0, token);
      events.insert(events.end(), page.audit_events().begin(),
                    page.audit_events().end());
      token = page.next_page_token();
    } while (!token.empty());
    return events;
  }
  // Events since the last call of this.
  std::vector<v1::AuditEvent> News() {
    std::vector<v1::AuditEvent> events = Events();
    std::erase_if(events, [this](const v1::AuditEvent& event) {
      return event.number() <= seen_;
    });
    if (!events.empty()) seen_ = events.front().number();
    return events;
  }

  // Changes a bucket that nobody holds.
  grpc::Status Toggle(const std::string& bucket) {
    return UpdateBucket(absl::StrCat(
        R"({"bucket":{"name":"buckets/)", bucket, R"(","versioning":")",
        GetBucket(bucket).versioning() == v1::Bucket::ENABLED ? "UNVERSIONED"
                                                              : "ENABLED",
        "\"}}"));
  }

  // What a resource is in the log; ends the process when it is no such thing.
  template <typename Message>
  static std::string Content(const std::string& json) {
    return json.empty() ? "" : FromJson<Message>(json).SerializeAsString();
  }

  int64_t seen_ = 0;
};

// One changing call, and what must be found of it.
struct Case {
  std::string method;
  std::string subject;
  std::string request_id;
  std::function<grpc::Status()> call;
  // The resource, as a read shows it; empty when there is none.
  std::function<std::string()> read;
  // The same, out of the log.
  std::function<std::string(const std::string& json)> parse;
};

TEST_F(AuditTest, EveryChangeLeavesOneEvent) {
  StartRule("hz-1", "sh-1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", "regions/oss-cn-hangzhou"));
    EXPECT_TRUE(publisher.Finish().ok());
  }
  ASSERT_TRUE(
      test::Eventually([&] { return !Publishers()[0].attached(); }));
  News();

  const auto region = [&] {
    const auto found = GetRegion("mars-1");
    return found ? found->SerializeAsString() : "";
  };
  const auto bucket = [&](const std::string& id) {
    v1::GetBucketRequest request;
    request.set_name("buckets/" + id);
    v1::Bucket found;
    Call(server_.buckets(), &v1::BucketService::Stub::GetBucket, request,
         &found);
    return found.SerializeAsString();
  };
  const auto rule = [&](const std::string& name) {
    v1::Rule found;
    server_.GetRule(name, &found);
    return found.SerializeAsString();
  };
  const auto policy = [&] { return GetPolicy().SerializeAsString(); };
  const auto publisher = [&] {
    const auto all = Publishers();
    return all.empty() ? "" : all[0].SerializeAsString();
  };
  constexpr char kOther[] = "buckets/hz-2/rules/dr";

  for (const Case& c : std::vector<Case>{
           {"RegionService/CreateRegion", "regions/mars-1", kId,
            [&] {
              return CreateRegion(absl::StrCat(
                  R"({"regionId":"mars-1","requestId":")", kId,
                  R"(","region":{"area":"MAINLAND_CHINA",)",
                  R"("credentials":"mars-keys"}})"));
            },
            region, Content<v1::Region>},
           {"RegionService/UpdateRegion", "regions/mars-1", "",
            [&] {
              return UpdateRegion(R"({"region":{"name":"regions/mars-1",
                                      "displayName":"M"}})");
            },
            region, Content<v1::Region>},
           {"RegionService/DeleteRegion", "regions/mars-1", "",
            [&] { return DeleteRegion("mars-1"); }, region,
            Content<v1::Region>},
           {"RegionService/UpdateRegionPairPolicy", "regionPairPolicy", "",
            [&] {
              return SetPolicy(R"({"entries":[{"allow":true}]})");
            },
            policy, Content<v1::RegionPairPolicy>},
           {"RegionService/UpdateRegionPairPolicy", "regionPairPolicy", "",
            [&] { return SetPolicy(R"({"profile":"any-pair"})"); }, policy,
            Content<v1::RegionPairPolicy>},
           {"BucketService/CreateBucket", "buckets/red", kId,
            [&] {
              return Call(
                  server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                  FromJson<v1::CreateBucketRequest>(absl::StrCat(
                      R"({"bucketId":"red","requestId":")", kId,
                      R"(","bucket":{"region":"regions/oss-cn-hangzhou",)",
                      R"("owner":"acme"}})")));
            },
            [&] { return bucket("red"); }, Content<v1::Bucket>},
           {"BucketService/UpdateBucket", "buckets/red", "",
            [&] {
              return UpdateBucket(R"({"bucket":{"name":"buckets/red",
                                      "versioning":"ENABLED"}})");
            },
            [&] { return bucket("red"); }, Content<v1::Bucket>},
           {"BucketService/DeleteBucket", "buckets/red", "",
            [&] { return DeleteBucket("red"); },
            [&] { return bucket("red"); }, Content<v1::Bucket>},
           {"ReplicationService/CreateRule", kOther, kId,
            [&] {
              auto request = test::RuleRequest("hz-2", "sh-2");
              request.set_request_id(kId);
              request.mutable_rule()->add_prefixes("a/");
              return server_.CreateRule(request);
            },
            [&] { return rule(kOther); }, Content<v1::Rule>},
           {"ReplicationService/UpdateRule", kRule, "",
            [&] {
              return UpdateRule(absl::StrCat(
                  R"({"rule":{"name":")", kRule, R"(","labels":{"a":"b"},)",
                  R"("limits":{"maxLeases":3}}})"));
            },
            [&] { return rule(kRule); }, Content<v1::Rule>},
           {"ReplicationService/PauseRule", kRule, "",
            [&] { return Pause(kRule); }, [&] { return rule(kRule); },
            Content<v1::Rule>},
           {"ReplicationService/ResumeRule", kRule, "",
            [&] { return Resume(kRule); }, [&] { return rule(kRule); },
            Content<v1::Rule>},
           {"AdminService/DeletePublisher", "publishers/gw", "",
            [&] { return DeletePublisher("gw"); }, publisher,
            Content<v1::Publisher>},
       }) {
    SCOPED_TRACE(c.method);
    server_.clock().Advance(absl::Minutes(1));
    const std::string before = c.read();
    const grpc::Status status = c.call();
    ASSERT_TRUE(status.ok()) << test::RefusalOf(status);
    const auto events = News();
    ASSERT_EQ(events.size(), 1u);
    const v1::AuditEvent& event = events[0];
    EXPECT_EQ(event.method(), "crr.v1." + c.method);
    EXPECT_EQ(event.subject(), c.subject);
    EXPECT_EQ(event.request_id(), c.request_id);
    EXPECT_EQ(event.time().seconds(),
              absl::ToUnixSeconds(server_.clock().WallNow()));
    EXPECT_FALSE(event.caller().empty());
    EXPECT_EQ(c.parse(event.before()), before) << event.before();
    EXPECT_EQ(c.parse(event.after()), c.read()) << event.after();
    EXPECT_NE(event.before(), event.after());
  }
}

// The end of a rule is what its deletion said; that it is gone is nobody's
// call.
TEST_F(AuditTest, ADeletedRuleLeavesOneEvent) {
  const std::string before = StartRule("hz-1", "sh-1").SerializeAsString();
  Publish("hz-1", {"k"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  News();
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  const std::string closing = server_.GetRule(kRule).SerializeAsString();
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  const auto events = News();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].method(), "crr.v1.ReplicationService/DeleteRule");
  EXPECT_EQ(Content<v1::Rule>(events[0].before()), before);
  EXPECT_EQ(Content<v1::Rule>(events[0].after()), closing);
}

// A reader of the log sees a zero that was set; it is not left out.
TEST_F(AuditTest, ZeroesAreShown) {
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":false}]})").ok());
  EXPECT_THAT(Events("regionPairPolicy")[0].after(),
              ::testing::HasSubstr(R"("allow":false)"));
}

TEST_F(AuditTest, WhatChangedNothingLeavesNothing) {
  StartRule("hz-1", "sh-1", R"("labels":{"a":"b"})");
  auto request = test::RuleRequest("hz-2", "sh-2");
  request.set_request_id(kId);
  ASSERT_TRUE(server_.CreateRule(request).ok());
  ASSERT_TRUE(Pause(kRule).ok());
  News();
  // Refusals.
  EXPECT_FALSE(server_.CreateRule(test::RuleRequest("hz-1", "sh-2")).ok());
  EXPECT_FALSE(DeleteBucket("hz-1").ok());
  EXPECT_FALSE(DeleteBucket("none").ok());
  EXPECT_FALSE(DeleteRegion(test::kHangzhou).ok());
  EXPECT_FALSE(Resume(kRule, nullptr, kOldEtag).ok());
  EXPECT_FALSE(SetPolicy(R"({"profile":"none"})").ok());
  EXPECT_FALSE(DeletePublisher("none").ok());
  // Repeats.
  EXPECT_TRUE(server_.CreateRule(request).ok());
  EXPECT_TRUE(Pause(kRule).ok());
  // Questions.
  request = test::RuleRequest("hz-3", "sh-3");
  server_.AddBucket("hz-3", test::kHangzhou);
  server_.AddBucket("sh-3", test::kShanghai);
  News();
  request.set_validate_only(true);
  EXPECT_TRUE(server_.CreateRule(request).ok());
  EXPECT_TRUE(CreateRegion(R"({"regionId":"mars-1","validateOnly":true,
                               "region":{"area":"MAINLAND_CHINA"}})")
                  .ok());
  EXPECT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                   FromJson<v1::CreateBucketRequest>(
                       R"({"bucketId":"red","validateOnly":true,"bucket":{
                           "region":"regions/oss-cn-hangzhou","owner":"a"}})"))
                  .ok());
  // What is so already.
  EXPECT_TRUE(UpdateRule(absl::StrCat(R"({"rule":{"name":")", kRule,
                                      R"(","labels":{"a":"b"}}})"))
                  .ok());
  EXPECT_TRUE(UpdateBucket(R"({"bucket":{"name":"buckets/hz-1",
                               "versioning":"UNVERSIONED"}})")
                  .ok());
  EXPECT_TRUE(UpdateRegion(R"({"region":{"name":"regions/oss-cn-hangzhou",
                               "credentials":""},"updateMask":"credentials"})")
                  .ok());
  EXPECT_TRUE(SetPolicy(R"({"profile":"seeds-union"})").ok());
  // The server's own doings.
  Publish("hz-1", {"k"});
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(AuditTest, NewestFirstPageByPage) {
  std::vector<std::string> subjects;
  for (int i = 0; i < 7; ++i) {
    server_.AddBucket(absl::StrCat("red-", i), test::kHangzhou);
    subjects.insert(subjects.begin(), absl::StrCat("buckets/red-", i));
  }
  std::vector<std::string> listed;
  int64_t last = std::numeric_limits<int64_t>::max();
  std::string token;
  while (listed.size() < 7) {
    const auto page = List("", 3, token);
    ASSERT_EQ(page.audit_events_size(), 3);
    for (const auto& event : page.audit_events()) {
      EXPECT_LT(event.number(), last);
      last = event.number();
      listed.push_back(event.subject());
    }
    token = page.next_page_token();
    ASSERT_FALSE(token.empty());
    // What happens meanwhile does not move the pages.
    server_.AddBucket(absl::StrCat("blue-", listed.size()), test::kHangzhou);
  }
  listed.resize(7);
  EXPECT_EQ(listed, subjects);
}

TEST_F(AuditTest, TheHistoryOfOneSubject) {
  StartRule("hz-1", "sh-1");
  ASSERT_TRUE(Pause(kRule).ok());
  ASSERT_TRUE(Resume(kRule).ok());
  std::vector<std::string> methods;
  std::string token;
  do {
    const auto page = List(kRule, 2, token);
    for (const auto& event : page.audit_events()) {
      EXPECT_EQ(event.subject(), kRule);
      methods.push_back(event.method().substr(event.method().find('/') + 1));
    }
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(methods, ElementsAre("ResumeRule", "PauseRule", "CreateRule"));
  // Whole names only.
  EXPECT_THAT(Events("buckets/hz"), IsEmpty());
  EXPECT_EQ(Events("buckets/hz-1").size(), 1u);
  // A token is of its query.
  v1::ListAuditEventsRequest request;
  request.set_page_token(List(kRule, 2).next_page_token());
  const auto list = [&] {
    return Call(server_.admin(), &v1::AdminService::Stub::ListAuditEvents,
                request);
  };
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  request.set_subject("buckets/hz-1");
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_PAGE_SIZE");
}

TEST_F(AuditTest, APageHasSoManyEventsAtMost) {
  // One stands already: that of its creation.
  for (int i = 1; i < limits::kAuditPageSizeMax; ++i) {
    ASSERT_TRUE(Toggle("hz-2").ok());
  }
  const auto full = List("buckets/hz-2", 1000);
  EXPECT_EQ(full.audit_events_size(), limits::kAuditPageSizeMax);
  EXPECT_TRUE(full.next_page_token().empty());
  ASSERT_TRUE(Toggle("hz-2").ok());
  const auto more = List("buckets/hz-2", 1000);
  EXPECT_EQ(more.audit_events_size(), limits::kAuditPageSizeMax);
  EXPECT_EQ(
      List("buckets/hz-2", 1000, more.next_page_token()).audit_events_size(),
      1);
}

// Clients take no message above 4 MiB.
TEST_F(AuditTest, APageOfLargeEventsIsShort) {
  constexpr int kPolicies = 12;
  for (int n = 0; n < kPolicies; ++n) {
    v1::UpdateRegionPairPolicyRequest request;
    for (int i = 0; i < limits::kPolicyEntriesMax - n; ++i) {
      auto& entry = *request.mutable_region_pair_policy()->add_entries();
      entry.set_allow(true);
      entry.mutable_source()->set_region("regions/oss-cn-hangzhou");
      entry.mutable_destination()->set_region("regions/oss-cn-shanghai");
    }
    ASSERT_TRUE(Call(server_.regions(),
                     &v1::RegionService::Stub::UpdateRegionPairPolicy, request)
                    .ok());
  }
  std::string token;
  int pages = 0;
  size_t listed = 0;
  do {
    const auto page = List("regionPairPolicy", 0, token);
    ASSERT_GT(page.audit_events_size(), 0);
    // It ends with the event that takes it over the bound.
    const size_t last =
        page.audit_events(page.audit_events_size() - 1).ByteSizeLong();
    EXPECT_LT(page.ByteSizeLong() - last, limits::kPageBytesMax);
    listed += static_cast<size_t>(page.audit_events_size());
    token = page.next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_GT(pages, 1);
  EXPECT_EQ(listed, static_cast<size_t>(kPolicies));
}

TEST_F(AuditTest, TheNextServerHasItAll) {
  StartRule("hz-1", "sh-1");
  const auto before = List();
  Restart();
  EXPECT_EQ(List().SerializeAsString(), before.SerializeAsString());
  // And goes on counting.
  ASSERT_TRUE(Pause(kRule).ok());
  EXPECT_EQ(Events()[0].number(), before.audit_events(0).number() + 1);
}

// What many do at once is told of each, in the order in which it was done.
TEST_F(AuditTest, NoChangeWithoutItsEvent) {
  News();
  constexpr int kThreads = 8;
  constexpr int kEach = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kEach; ++i) {
        // Half of them are refused: somebody has the name.
        v1::CreateBucketRequest request;
        request.set_bucket_id(absl::StrCat("red-", t / 2, "-", i));
        request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
        request.mutable_bucket()->set_owner("acme");
        Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
             request);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> subjects;
  const auto events = News();
  for (const auto& event : events) subjects.insert(event.subject());
  EXPECT_EQ(events.size(), static_cast<size_t>(kThreads / 2 * kEach));
  EXPECT_EQ(subjects.size(), events.size());
}

// The name under which copiers find a secret is all that there is of it.
TEST_F(AuditTest, ThereIsNoSecretInIt) {
  ASSERT_TRUE(UpdateRegion(R"({"region":{"name":"regions/oss-cn-hangzhou",
                               "credentials":"hz-keys"}})")
                  .ok());
  server_.AddRule("hz-1", "sh-1", R"("sseKms":{"replicate":true,
                                     "replicaKmsKey":"key-id"})");
  Publish("hz-1", {"a-key-of-an-object"});
  for (const v1::AuditEvent& event : Events()) {
    EXPECT_THAT(event.DebugString(),
                ::testing::Not(::testing::HasSubstr("a-key-of-an-object")));
  }
  const auto region =
      FromJson<v1::Region>(Events("regions/oss-cn-hangzhou")[0].after());
  EXPECT_EQ(region.credentials(), "hz-keys");
}

}  // namespace
}  // namespace crr
