// Publishers that send batches without end.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/overload/flood.h"
#include "tests/overload/measure.h"
#include "tests/overload/real_server.h"
#include "tests/overload/swarm.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"

namespace crr::test {
namespace {

TEST(PublisherFloodTest, NobodyElseStarvesAndMemoryIsBounded) {
  const int kFloodsOfAKind = AllFigures() ? 16 : 4;
  const int64_t kBatches = AllFigures() ? 500 : 300;
  // What a call of somebody else may take: some commits of full batches.
  constexpr double kSecondsMax = 2;

  RealServer server("10s");
  server.SetStores();
  std::vector<std::string> rules;
  for (const char* name : {"named", "unnamed", "deaf", "calm"}) {
    rules.push_back(server.AddRule(name));
  }
  server.Activate(static_cast<int>(rules.size()));
  Swarm copiers(server,
                {.sessions = 20, .interval = std::chrono::milliseconds(200)});
  ASSERT_TRUE(copiers.AwaitWelcomed(kPatience));
  copiers.TakeReport();
  const auto changes = v1::ChangeService::NewStub(server.Connect());
  const int64_t before = server.resident_bytes();

  int64_t most = before;
  Slowest read;
  Slowest write;
  Slowest publish;
  int64_t sent = 0;
  int64_t calm_batches = 0;
  // Of each rule's floods; those of the third do not read.
  std::array<int64_t, 3> batches_sent = {};
  std::array<int64_t, 3> batches_acknowledged = {};
  {
    std::vector<std::unique_ptr<Flood>> floods;
    for (int i = 0; i < kFloodsOfAKind; ++i) {
      floods.push_back(std::make_unique<Flood>(
          server.Connect(), absl::StrCat("named-", i), "named-src", true));
      floods.push_back(
          std::make_unique<Flood>(server.Connect(), "", "unnamed-src", true));
      floods.push_back(std::make_unique<Flood>(
          server.Connect(), absl::StrCat("deaf-", i), "deaf-src", false));
    }
    for (int i = 0; sent < kBatches * 3 * kFloodsOfAKind; ++i) {
      read.Time([&] { server.Progress(rules.back()); });
      write.Time([&] {
        v1::CreateBucketRequest request;
        request.set_bucket_id(absl::StrCat("bucket-", i));
        request.mutable_bucket()->set_region(
            absl::StrCat("regions/", kHangzhou));
        request.mutable_bucket()->set_owner("acme");
        EXPECT_TRUE(Call(server.buckets(),
                         &v1::BucketService::Stub::CreateBucket, request)
                        .ok());
      });
      publish.Time([&] {
        ScriptedPublisher calm(*changes);
        ASSERT_TRUE(calm.Hello("calm", "buckets/calm-src").has_value());
        ASSERT_TRUE(calm.Batch(i + 1, {MakeChange("calm-src", "k")}));
        ++calm_batches;
      });
      most = std::max(most, server.resident_bytes());
      sent = 0;
      for (const auto& flood : floods) sent += flood->sent();
    }
    for (size_t i = 0; i < floods.size(); ++i) {
      EXPECT_FALSE(floods[i]->over());
      floods[i]->Stop();
      batches_sent[i % 3] += floods[i]->sent();
      batches_acknowledged[i % 3] += floods[i]->acknowledged();
    }
  }
  const Swarm::Report heard = copiers.TakeReport();
  std::printf(
      "%d publishers, %d kB a batch, %d batches: server %.0f MiB before, %.0f "
      "MiB at most, %.0f MiB after; slowest of %d: read %.3f s, write %.3f s, "
      "another publisher's batch %.3f s; slowest of %d heartbeats %.3f s\n",
      3 * kFloodsOfAKind,
      static_cast<int>(MakeBatch("named-src", 1000, 64).ByteSizeLong() / 1000),
      static_cast<int>(sent), MiB(before), MiB(most),
      MiB(server.resident_bytes()), read.calls(), read.seconds(),
      write.seconds(), publish.seconds(), static_cast<int>(heard.answered),
      heard.slowest.count());
  // SQLite's cache of 64 MiB, and a few batches for each.
  EXPECT_LT(MiB(most - before), 128 + 3 * kFloodsOfAKind);
  for (const Slowest* slowest : {&read, &write, &publish}) {
    EXPECT_LT(slowest->seconds(), kSecondsMax);
  }
  EXPECT_GT(heard.answered, 0);
  EXPECT_LT(heard.slowest.count(), kSecondsMax);
  EXPECT_EQ(heard.ended, 0) << heard.last_end.error_message();
  std::vector<int64_t> published;
  for (const std::string& rule : rules) {
    const v1::RuleProgress progress = server.Progress(rule);
    EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
    EXPECT_GT(progress.live().published(), 0);
    published.push_back(progress.live().published());
  }
  // What was acknowledged was taken once, and nothing that was not sent.
  for (size_t i = 0; i < batches_sent.size(); ++i) {
    SCOPED_TRACE(rules[i]);
    EXPECT_GE(published[i], 1000 * batches_acknowledged[i]);
    EXPECT_LE(published[i], 1000 * batches_sent[i]);
  }
  EXPECT_GT(batches_acknowledged[0], 0);
  EXPECT_GT(batches_acknowledged[1], 0);
  EXPECT_EQ(published[3], calm_batches);
}

// Nobody takes the changes: the log fills up and is dropped, and then the next.
TEST(PublisherFloodTest, AFullLogIsDroppedAndTheServerGoesOn) {
  TestServer server({.rule_log_bytes_max = 4 << 20, .over_tcp = true});
  for (const char* name : {"hot", "calm"}) {
    server.AddBucket(absl::StrCat(name, "-src"), kHangzhou);
    server.AddBucket(absl::StrCat(name, "-dst"), kShanghai);
  }
  const v1::Rule hot = server.AddRule("hot-src", "hot-dst");
  const v1::Rule calm = server.AddRule("calm-src", "calm-dst");
  {
    Flood flood(server.channel(), "hot", "hot-src", true);
    ASSERT_TRUE(Eventually(
        [&] { return server.Progress(hot.name()).live().resync() > 200'000; }));
    ScriptedPublisher publisher(server);
    ASSERT_TRUE(publisher.Hello("calm", "buckets/calm-src").has_value());
    const auto ack = publisher.Batch(1, {MakeChange("calm-src", "k")});
    ASSERT_TRUE(ack.has_value());
    EXPECT_EQ(ack->accepted(), 1);
    EXPECT_FALSE(flood.over());
  }
  EXPECT_TRUE(AddsUp(server.Progress(hot.name())));
  EXPECT_EQ(server.Progress(calm.name()).live().pending(), 1);
}

// One publisher more than may be is told to come back later.
TEST(PublisherFloodTest, SoManyStreamsAndNoMore) {
  TestServer server({.over_tcp = true});
  std::vector<std::unique_ptr<v1::ChangeService::Stub>> stubs;
  std::vector<std::unique_ptr<ScriptedPublisher>> publishers;
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto add = [&] {
    if (publishers.size() % 100 == 0) {
      stubs.push_back(v1::ChangeService::NewStub(grpc::CreateCustomChannel(
          server.app().address(), grpc::InsecureChannelCredentials(), own)));
    }
    publishers.push_back(std::make_unique<ScriptedPublisher>(*stubs.back()));
    return publishers.back()->Hello("", absl::StrCat("regions/", kHangzhou));
  };
  for (size_t i = 0; i < limits::kPublishStreamsMax; ++i) {
    ASSERT_TRUE(add().has_value()) << i;
  }
  EXPECT_FALSE(add().has_value());
  EXPECT_REFUSED(publishers.back()->End(), UNAVAILABLE, "OVERLOADED");
  publishers.pop_back();
  EXPECT_TRUE(publishers.front()->Finish().ok());
  ASSERT_TRUE(Eventually([&] {
    publishers.push_back(std::make_unique<ScriptedPublisher>(*stubs.back()));
    return publishers.back()
        ->Hello("", absl::StrCat("regions/", kHangzhou))
        .has_value();
  }));
}

}  // namespace
}  // namespace crr::test
