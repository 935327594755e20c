#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/registry.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/change_service.h"
#include "storage/publisher_table.h"
#include "tests/rpc/no_output.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// The named publishers: who there is, and how one is forgotten.
namespace crr {
namespace {

using test::Call;
using test::Eventually;
using test::MakeChange;
using test::ScriptedPublisher;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kRule[] = "buckets/hz-1/rules/dr";
constexpr char kBucket[] = "buckets/hz-1";
constexpr char kRegion[] = "regions/oss-cn-hangzhou";

class PublishersTest : public test::RuleWorld {
 protected:
  absl::Time At(int64_t seconds) const {
    return start_ + absl::Seconds(seconds);
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const v1::Publisher& publisher : Publishers()) {
      names.push_back(publisher.name());
    }
    return names;
  }
  // Once, in order, and gone.
  void Visit(const std::string& id, const std::string& scope) {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello(id, scope));
    EXPECT_TRUE(publisher.Finish().ok());
    // The answer to `finish` may come before the server has let go.
    ASSERT_TRUE(Eventually([&] {
      for (const v1::Publisher& one : Publishers()) {
        if (one.name() == "publishers/" + id) return !one.attached();
      }
      return false;
    }));
  }
  // Seconds after start_, or why it is unknown.
  std::string SyncTime() {
    const auto live = server_.Progress(kRule).live();
    return live.has_last_sync_time()
               ? absl::StrCat(live.last_sync_time().seconds() -
                              absl::ToUnixSeconds(start_))
               : live.last_sync_unknown_reason();
  }

  const absl::Time start_ = server_.clock().WallNow();
};

// ------------------------------------------------------------------------ list

TEST_F(PublishersTest, WhatIsKnownOfEachIsListed) {
  EXPECT_THAT(Publishers(), IsEmpty());
  Visit("old", kRegion);
  server_.clock().Advance(absl::Minutes(1));
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket, 7));
  ScriptedPublisher unnamed(server_);
  ASSERT_TRUE(unnamed.Hello("", kBucket));

  ASSERT_THAT(Names(), ElementsAre("publishers/gw", "publishers/old"));
  v1::Publisher gw = Publishers()[0];
  EXPECT_EQ(gw.scope(), kBucket);
  EXPECT_EQ(gw.epoch(), 7);
  EXPECT_EQ(gw.last_number(), 0);
  EXPECT_TRUE(gw.attached());
  EXPECT_FALSE(gw.has_complete_through());
  EXPECT_EQ(gw.create_time().seconds(), absl::ToUnixSeconds(At(60)));
  const v1::Publisher old = Publishers()[1];
  EXPECT_EQ(old.scope(), kRegion);
  EXPECT_EQ(old.epoch(), 1);
  EXPECT_FALSE(old.attached());
  EXPECT_EQ(old.create_time().seconds(), absl::ToUnixSeconds(At(0)));

  publisher.CompleteThrough(At(30));
  publisher.Sync(12);
  gw = Publishers()[0];
  EXPECT_EQ(gw.last_number(), 12);
  EXPECT_EQ(gw.complete_through().seconds(), absl::ToUnixSeconds(At(30)));

  // Its last word counts on when it is gone, and is not known to the next
  // server; the rest is.
  EXPECT_TRUE(publisher.Finish().ok());
  ASSERT_TRUE(Eventually([&] { return !Publishers()[0].attached(); }));
  EXPECT_EQ(Publishers()[0].complete_through().seconds(),
            absl::ToUnixSeconds(At(30)));
  EXPECT_FALSE(unnamed.Batch(1, {}) == std::nullopt);
  EXPECT_TRUE(unnamed.Finish().ok());
  Restart();
  gw = Publishers()[0];
  EXPECT_FALSE(gw.has_complete_through());
  EXPECT_EQ(gw.last_number(), 12);
  EXPECT_EQ(gw.epoch(), 7);
  EXPECT_EQ(gw.create_time().seconds(), absl::ToUnixSeconds(At(60)));
}

TEST_F(PublishersTest, TheyArePaged) {
  for (int i = 0; i < 7; ++i) Visit(absl::StrCat("p", i), kRegion);
  v1::ListPublishersRequest request;
  request.set_page_size(3);
  std::vector<std::string> names;
  std::vector<int> sizes;
  do {
    v1::ListPublishersResponse response;
    ASSERT_TRUE(Call(server_.admin(), &v1::AdminService::Stub::ListPublishers,
                     request, &response)
                    .ok());
    sizes.push_back(response.publishers_size());
    for (const auto& one : response.publishers()) names.push_back(one.name());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(sizes, ElementsAre(3, 3, 1));
  EXPECT_THAT(names, ElementsAre("publishers/p0", "publishers/p1",
                                 "publishers/p2", "publishers/p3",
                                 "publishers/p4", "publishers/p5",
                                 "publishers/p6"));
  request.set_page_token("x");
  EXPECT_REFUSED(Call(server_.admin(),
                      &v1::AdminService::Stub::ListPublishers, request),
                 INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
}

// ---------------------------------------------------------------------- delete

TEST_F(PublishersTest, OneThatIsAttachedIsNotDeleted) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", kBucket));
  const auto status = DeletePublisher("gw");
  EXPECT_REFUSED(status, FAILED_PRECONDITION, "PUBLISHER_ATTACHED");
  EXPECT_EQ(test::RefusalOf(status).violations[0].subject(), "publishers/gw");
  EXPECT_THAT(Names(), ElementsAre("publishers/gw"));
  publisher.Sync(1);  // It goes on.
  EXPECT_TRUE(publisher.Finish().ok());
  EXPECT_TRUE(Eventually([&] { return DeletePublisher("gw").ok(); }));
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_REFUSED(DeletePublisher("gw"), NOT_FOUND, "PUBLISHER_NOT_FOUND");
  EXPECT_REFUSED(DeletePublisher("GW"), INVALID_ARGUMENT, "INVALID_NAME");
}

TEST_F(PublishersTest, LastSyncTimeWaitsForItNoMore) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher stays(server_);
  ASSERT_TRUE(stays.Hello("stays", kRegion));
  stays.CompleteThrough(At(50));
  stays.Sync(1);
  EXPECT_EQ(SyncTime(), "50");
  {
    ScriptedPublisher goes(server_);
    ASSERT_TRUE(goes.Hello("goes", kBucket));
    EXPECT_EQ(SyncTime(), "NO_COMPLETE_THROUGH");
    goes.CompleteThrough(At(10));
    goes.Sync(1);
    EXPECT_EQ(SyncTime(), "10");
    EXPECT_TRUE(goes.Finish().ok());
  }
  EXPECT_EQ(SyncTime(), "10");
  ASSERT_TRUE(Eventually([&] { return DeletePublisher("goes").ok(); }));
  EXPECT_EQ(SyncTime(), "50");
  EXPECT_TRUE(stays.Finish().ok());
  ASSERT_TRUE(Eventually([&] { return DeletePublisher("stays").ok(); }));
  EXPECT_EQ(SyncTime(), "NO_PUBLISHER");
}

// What it said in its former life is not believed in the next: it may have
// missed things in between.
TEST_F(PublishersTest, OneThatComesBackBeginsAnew) {
  StartRule("hz-1", "sh-1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", kBucket));
    publisher.CompleteThrough(At(10));
    publisher.Sync(5);
    EXPECT_TRUE(publisher.Finish().ok());
  }
  ASSERT_TRUE(Eventually([&] { return DeletePublisher("gw").ok(); }));
  server_.clock().Advance(absl::Minutes(1));
  ScriptedPublisher publisher(server_);
  EXPECT_EQ(publisher.Hello("gw", kBucket), 0);
  EXPECT_EQ(SyncTime(), "NO_COMPLETE_THROUGH");
  EXPECT_EQ(Publishers()[0].create_time().seconds(),
            absl::ToUnixSeconds(At(60)));
  publisher.CompleteThrough(At(20));
  publisher.Sync(1);
  EXPECT_EQ(SyncTime(), "20");
}

TEST_F(PublishersTest, ANewRuleWaitsForItNoMore) {
  Visit("gw", kRegion);
  server_.AddRule("hz-1", "sh-1");
  copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)));
  ASSERT_TRUE(Eventually([&] { return Says(kRule, "PUBLISHER_DETACHED"); }));
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::STARTING);
  ASSERT_TRUE(DeletePublisher("gw").ok());
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(250));
    copier_->Heartbeat();
    return copier_->stray_grants() > 0;
  }));
  copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)));
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::ACTIVE);
}

// ----------------------------------------------------- scopes that are deleted

// The bucket is forgotten, and so is who spoke for it alone: what was said of
// it is not said of the next one of its name.
TEST_F(PublishersTest, ThePublishersOfADeletedBucketGoWithIt) {
  ScriptedPublisher attached(server_);
  ASSERT_TRUE(attached.Hello("attached", kBucket));
  attached.CompleteThrough(At(10));
  attached.Sync(1);
  Visit("gone", kBucket);
  Visit("region", kRegion);
  ASSERT_TRUE(DeleteBucket("hz-1").ok());
  EXPECT_THAT(Names(), ElementsAre("publishers/region"));
  // Its stream must look again, and finds nothing to speak for.
  EXPECT_REFUSED(attached.End(), UNAVAILABLE, "OVERLOADED");
  {
    ScriptedPublisher again(server_);
    EXPECT_FALSE(again.Hello("attached", kBucket));
    EXPECT_REFUSED(again.End(), NOT_FOUND, "BUCKET_NOT_FOUND");
  }
  ASSERT_TRUE(DeletePublisher("region").ok());

  // The next bucket of that name lies elsewhere.
  server_.AddBucket("hz-1", test::kShanghai);
  const v1::Rule rule = StartRule("hz-1", "hz-2");
  EXPECT_EQ(SyncTime(), "NO_PUBLISHER");
  ScriptedPublisher next(server_);
  EXPECT_EQ(next.Hello("attached", kBucket), 0);
  EXPECT_EQ(SyncTime(), "NO_COMPLETE_THROUGH");
}

TEST_F(PublishersTest, ARegionThatWasDeletedHasNoOneToSpeakForIt) {
  const std::string mars =
      R"({"regionId":"mars-1","region":{"area":"MAINLAND_CHINA"}})";
  ASSERT_TRUE(CreateRegion(mars).ok());
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("gw", "regions/mars-1"));
    publisher.CompleteThrough(At(10));
    publisher.Sync(1);
    EXPECT_TRUE(publisher.Finish().ok());
  }
  ASSERT_TRUE(Eventually([&] { return DeletePublisher("gw").ok(); }));
  ASSERT_TRUE(DeleteRegion("mars-1").ok());
  {
    ScriptedPublisher publisher(server_);
    EXPECT_FALSE(publisher.Hello("gw", "regions/mars-1"));
    EXPECT_REFUSED(publisher.End(), NOT_FOUND, "REGION_NOT_FOUND");
  }
  ASSERT_TRUE(CreateRegion(mars).ok());
  ScriptedPublisher publisher(server_);
  EXPECT_EQ(publisher.Hello("gw", "regions/mars-1"), 0);
  EXPECT_FALSE(Publishers()[0].has_complete_through());
}

// ----------------------------------------------------------------------- races

// Publishers that come and go while others delete them: whoever is left is
// either registered and heard, or sent away to come again; never told that
// somebody else took over, and never attached without a name in the list.
TEST_F(PublishersTest, AttachingAndDeletingRace) {
  constexpr int kRounds = 50;
  std::atomic<bool> done = false;
  std::thread deleter([&] {
    while (!done) DeletePublisher("gw");
  });
  int heard = 0;
  int sent_away = 0;
  for (int i = 0; i < kRounds; ++i) {
    ScriptedPublisher publisher(server_);
    if (publisher.Hello("gw", kBucket) &&
        publisher.Batch(1, {MakeChange("hz-1", "k")})) {
      ++heard;
      EXPECT_TRUE(publisher.Finish().ok());
      continue;
    }
    ++sent_away;
    const grpc::Status status = publisher.End();
    EXPECT_REFUSED(status, UNAVAILABLE, "OVERLOADED");
  }
  done = true;
  deleter.join();
  EXPECT_EQ(heard + sent_away, kRounds);
  ScriptedPublisher last(server_);
  ASSERT_TRUE(last.Hello("gw", kBucket));
  EXPECT_TRUE(Publishers()[0].attached());
}

// It attaches between the look at who is attached and the commit, both commits
// being one: the worst case, made by hand.
TEST(PublisherRaceTest, OneThatAttachesWhileItIsDeletedMustComeAgain) {
  test::TempDir dir;
  test::FakeClock clock;
  PublisherHub hub;
  test::NoOutput output;
  auto database = *Database::Open({.path = dir / "crr.db"});
  LeaseLoop loop(LeaseOptions::FromTtl(absl::Seconds(10)), clock, *database,
                 hub, output);
  Env env{*database, loop, hub, clock};
  AdminService admin(env);
  ChangeService changes(env, int64_t{1} << 30);
  const auto write = [&](std::function<void(Transaction&)> body) {
    ASSERT_TRUE(database
                    ->WriteAndWait<bool>([&](Transaction& txn)
                                             -> absl::StatusOr<bool> {
                      body(txn);
                      return true;
                    })
                    .ok());
  };
  write([](Transaction& txn) {
    SeedRegistry(txn, absl::UnixEpoch());
    publisher_table::Put(txn,
                         {.id = "gw",
                          .scope = {PublisherScope::Kind::kRegion,
                                    test::kHangzhou},
                          .epoch = 1,
                          .last_number = 9},
                         absl::UnixEpoch());
  });
  grpc::ServerBuilder builder;
  builder.RegisterService(&admin);
  builder.RegisterService(&changes);
  const auto server = builder.BuildAndStart();
  const auto channel = server->InProcessChannel({});
  const auto change_stub = v1::ChangeService::NewStub(channel);
  const auto admin_stub = v1::AdminService::NewStub(channel);

  using Stream = grpc::ClientReaderWriter<v1::PublishChangesRequest,
                                          v1::PublishChangesResponse>;
  v1::PublishChangesRequest hello;
  hello.mutable_hello()->set_publisher_id("gw");
  hello.mutable_hello()->set_scope(kRegion);
  hello.mutable_hello()->set_epoch(1);

  // The writer stands still while both come in.
  std::latch go(1);
  std::latch stands(1);
  database->Write<bool>(
      {},
      [&](Transaction&) -> absl::StatusOr<bool> {
        stands.count_down();
        go.wait();
        return true;
      },
      [](const absl::StatusOr<bool>&) {});
  stands.wait();
  grpc::ClientContext context;
  test::SetPatience(context);
  std::unique_ptr<Stream> stream = change_stub->PublishChanges(&context);
  ASSERT_TRUE(stream->Write(hello));
  ASSERT_TRUE(Eventually([&] { return database->stats().waiting == 1; }));
  grpc::Status deleted;
  std::thread deleter([&] {
    v1::DeletePublisherRequest request;
    request.set_name("publishers/gw");
    deleted = Call(*admin_stub, &v1::AdminService::Stub::DeletePublisher,
                   request);
  });
  ASSERT_TRUE(Eventually([&] { return database->stats().waiting == 2; }));
  go.count_down();
  deleter.join();
  EXPECT_TRUE(deleted.ok());

  v1::PublishChangesResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_REFUSED(stream->Finish(), UNAVAILABLE, "OVERLOADED");
  EXPECT_THAT(hub.attached(), IsEmpty());
  EXPECT_TRUE(hub.watermarks().empty());

  grpc::ClientContext next_context;
  test::SetPatience(next_context);
  stream = change_stub->PublishChanges(&next_context);
  ASSERT_TRUE(stream->Write(hello));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.welcome().last_number(), 0);
  EXPECT_THAT(hub.attached(), ElementsAre("gw"));
  write([](Transaction& txn) {
    EXPECT_TRUE(publisher_table::Get(txn, "gw").has_value());
  });
  next_context.TryCancel();
  EXPECT_FALSE(stream->Finish().ok());
  server->Shutdown();
  server->Wait();
  database.reset();
}

}  // namespace
}  // namespace crr
