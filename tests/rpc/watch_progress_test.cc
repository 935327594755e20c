#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/core/registry.h"
#include "server/core/rule_manager.h"
#include "server/core/work.h"
#include "server/rpc/progress_watch.h"
#include "storage/publisher_table.h"
#include "tests/rpc/no_output.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"
#include "tests/support/status_matchers.h"

// WatchRuleProgress, and what looks for it.
namespace crr {
namespace {

using test::Eventually;
using test::RefusalOf;
using test::ScriptedPublisher;

constexpr char kRule[] = "buckets/hz-1/rules/dr";

// A caller of WatchRuleProgress. Thread-compatible.
class Watcher {
 public:
  explicit Watcher(test::TestServer& server, const std::string& rule = kRule,
                   std::chrono::milliseconds deadline = test::kPatience) {
    context_.set_deadline(std::chrono::system_clock::now() + deadline);
    v1::WatchRuleProgressRequest request;
    request.set_name(rule);
    stream_ = server.rules().WatchRuleProgress(&context_, request);
  }
  ~Watcher() {
    if (ended_) return;
    context_.TryCancel();
    End();
  }

  // False when the stream is over.
  bool Read(v1::RuleProgress& progress) { return stream_->Read(&progress); }
  // The next message, which must come.
  v1::RuleProgress Next() {
    v1::RuleProgress progress;
    EXPECT_TRUE(Read(progress)) << "the stream is over";
    return progress;
  }
  void Cancel() { context_.TryCancel(); }
  // Reads to the end and returns how it ended.
  grpc::Status End() {
    ended_ = true;
    v1::RuleProgress unread;
    while (Read(unread)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::RuleProgress>> stream_;
  bool ended_ = false;
};

class WatchTest : public test::RuleWorld {
 protected:
  explicit WatchTest(test::TestServer::Options options = {})
      : RuleWorld(std::move(options)) {}

  // Time passes, and whoever was to be looked at by then is, or soon will be.
  void Pass(absl::Duration time) {
    server_.clock().Advance(time);
    Watcher last(server_);
    v1::RuleProgress ignored;
    last.Read(ignored);
  }
  // What `wait` returns, seconds passing meanwhile; two of them at most, for
  // one may be over for somebody who was being served when it began.
  template <typename Wait>
  auto Soon(Wait wait) {
    auto result = std::async(std::launch::async, wait);
    int seconds = 0;
    EXPECT_TRUE(Eventually([&] {
      if (seconds < 2 && ++seconds) Pass(absl::Seconds(1));
      return result.wait_for(std::chrono::milliseconds(5)) ==
             std::future_status::ready;
    }));
    return result.get();
  }
  v1::RuleProgress Soon(Watcher& watcher) {
    return Soon([&] { return watcher.Next(); });
  }
};

TEST_F(WatchTest, TheStateIsToldAtOnce) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  Watcher watcher(server_);
  const v1::RuleProgress progress = watcher.Next();
  EXPECT_EQ(progress.DebugString(), server_.Progress(kRule).DebugString());
  EXPECT_EQ(progress.live().pending(), 1);
}

TEST_F(WatchTest, WhatChangesIsTold) {
  StartRule("hz-1", "sh-1");
  Watcher watcher(server_);
  EXPECT_EQ(watcher.Next().live().pending(), 0);
  Publish("hz-1", {"a"});
  EXPECT_EQ(Soon(watcher).live().pending(), 1);
  ASSERT_TRUE(Pause(kRule).ok());
  EXPECT_EQ(Soon(watcher).state(), v1::Rule::PAUSED);
  ASSERT_TRUE(SetPolicy(R"({"entries":[{"allow":false}]})").ok());
  EXPECT_EQ(Soon(watcher).conditions(0).type(), "POLICY_REFUSES");
}

// News of a publisher who has nothing to publish are news.
TEST_F(WatchTest, LastSyncTimeIsTold) {
  StartRule("hz-1", "sh-1");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw", "buckets/hz-1"));
  const absl::Time start = server_.clock().WallNow();
  publisher.CompleteThrough(start);
  publisher.Sync(1);
  Watcher watcher(server_);
  EXPECT_EQ(watcher.Next().live().last_sync_time().seconds(),
            absl::ToUnixSeconds(start));
  publisher.CompleteThrough(start + absl::Seconds(1));
  publisher.Sync(2);
  EXPECT_EQ(Soon(watcher).live().last_sync_time().seconds(),
            absl::ToUnixSeconds(start) + 1);
}

TEST_F(WatchTest, AtMostOneMessageASecond) {
  StartRule("hz-1", "sh-1");
  constexpr int kChanges = 50;
  Watcher watcher(server_);
  // Reads as fast as it can.
  int messages = 0;
  std::thread reader([&] {
    v1::RuleProgress progress;
    while (watcher.Read(progress)) {
      ++messages;
      if (progress.live().pending() == kChanges) return;
    }
  });
  for (int i = 0; i < kChanges; ++i) {
    Publish("hz-1", {absl::StrCat("k", i)});
    Pass(absl::Milliseconds(100));
  }
  for (int i = 0; i < 3; ++i) Pass(absl::Seconds(1));
  reader.join();
  // One at once, then one in each of five seconds, and the last; fewer when the
  // reader is held up.
  EXPECT_LE(messages, 7);
}

TEST_F(WatchTest, WithoutNewsAMessageEveryFifteenSeconds) {
  StartRule("hz-1", "sh-1");
  Watcher watcher(server_);
  watcher.Next();
  int messages = 0;  // Without news.
  std::thread reader([&] {
    while (watcher.Next().live().pending() == 0) ++messages;
  });
  for (int i = 0; i < 60; ++i) Pass(absl::Seconds(1));
  Publish("hz-1", {"a"});
  for (int i = 0; i < 3; ++i) Pass(absl::Seconds(1));
  reader.join();
  // Fewer when the reader is held up.
  EXPECT_GE(messages, 2);
  EXPECT_LE(messages, 4);
}

// In process a message stays with the server until it is read.
TEST_F(WatchTest, ASlowReaderGetsTheNewest) {
  StartRule("hz-1", "sh-1");
  Watcher watcher(server_);
  constexpr int kChanges = 20;
  for (int i = 1; i <= kChanges; ++i) {
    Publish("hz-1", {absl::StrCat("k", i)});
    Pass(absl::Seconds(1));
  }
  int messages = 0;
  int64_t pending = 0;
  while (pending < kChanges && messages < kChanges) {
    const v1::RuleProgress progress = watcher.Next();
    EXPECT_GE(progress.live().pending(), pending);
    pending = progress.live().pending();
    ++messages;
  }
  EXPECT_EQ(pending, kChanges);
  EXPECT_LE(messages, 4);
}

TEST_F(WatchTest, ManyWatchOneRule) {
  StartRule("hz-1", "sh-1");
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 50; ++i) {
    watchers.push_back(std::make_unique<Watcher>(server_));
    EXPECT_EQ(watchers.back()->Next().live().pending(), 0);
  }
  Publish("hz-1", {"a"});
  for (const auto& watcher : watchers) {
    EXPECT_EQ(Soon(*watcher).live().pending(), 1);
  }
}

// ------------------------------------------------------------------------ ends

TEST_F(WatchTest, ARuleThatIsNotThereEndsIt) {
  Watcher watcher(server_);
  EXPECT_REFUSED(watcher.End(), NOT_FOUND, "RULE_NOT_FOUND");
}

TEST_F(WatchTest, TheEndOfTheRuleEndsIt) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  Watcher watcher(server_);
  EXPECT_EQ(watcher.Next().state(), v1::Rule::ACTIVE);
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  EXPECT_EQ(Soon(watcher).state(), v1::Rule::CLOSING);
  copier_->Release(lease, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  EXPECT_REFUSED(Soon([&] { return watcher.End(); }), NOT_FOUND,
                 "RULE_NOT_FOUND");
}

// A new rule under the old name is another rule.
TEST_F(WatchTest, ANewRuleUnderItsNameIsNotTheRule) {
  server_.AddRule("hz-1", "sh-1");
  Watcher watcher(server_);
  watcher.Next();
  const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  copier_->Release(probe, "REVOKED");
  ASSERT_TRUE(Gone(kRule));
  server_.AddRule("hz-1", "sh-1");
  EXPECT_REFUSED(Soon([&] { return watcher.End(); }), NOT_FOUND,
                 "RULE_NOT_FOUND");
}

// Over a connection: in process, what is unread when the server ends is lost.
class ConnectedWatchTest : public WatchTest {
 protected:
  ConnectedWatchTest() : WatchTest({.over_tcp = true}) {}
};

TEST_F(ConnectedWatchTest, AServerThatStopsSaysSo) {
  StartRule("hz-1", "sh-1");
  Watcher watcher(server_);
  watcher.Next();
  grpc::Status status;
  std::thread reader([&] { status = watcher.End(); });
  Restart();
  reader.join();
  EXPECT_REFUSED(status, UNAVAILABLE, "DRAINING");
  Watcher next(server_);
  next.Next();
}

TEST_F(WatchTest, WhoeverLeavesIsForgotten) {
  StartRule("hz-1", "sh-1");
  {
    Watcher watcher(server_);
    watcher.Next();
    watcher.Cancel();
    EXPECT_EQ(watcher.End().error_code(), grpc::StatusCode::CANCELLED);
  }
  {
    Watcher watcher(server_, kRule, std::chrono::milliseconds(50));
    EXPECT_EQ(watcher.End().error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  // Others are served, and a stop has nobody to wait for.
  Pass(absl::Seconds(1));
  const absl::Time stop = absl::Now();
  Restart();
  EXPECT_LT(absl::Now() - stop, absl::Seconds(5));
}

// --------------------------------------------------------------- ProgressWatch

// What a look was given, from whatever thread.
class Looks {
 public:
  ProgressWatch::Look Look(bool again = true) {
    return [this, again](const absl::StatusOr<v1::RuleProgress>& progress) {
      MutexLock lock(mu_);
      ++count_;
      last_ = progress.status();
      return again;
    };
  }
  int count() {
    MutexLock lock(mu_);
    return count_;
  }
  absl::Status last() {
    MutexLock lock(mu_);
    return last_;
  }

 private:
  Mutex mu_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status last_ ABSL_GUARDED_BY(mu_);
};

class ProgressWatchTest : public ::testing::Test {
 protected:
  ProgressWatchTest() {
    AddRule();
    watch_ = std::make_unique<ProgressWatch>(env_);
  }
  ~ProgressWatchTest() override { Stop(); }

  void Stop() {
    watch_.reset();
    database_.reset();
  }

  // The rule hz-1 → sh-1; STARTING, with nothing to do.
  void AddRule() {
    Write([](Transaction& txn) -> absl::Status {
      const absl::Time now = absl::UnixEpoch();
      SeedRegistry(txn, now);
      for (const auto& [id, region] : {std::pair("hz-1", test::kHangzhou),
                                       std::pair("sh-1", test::kShanghai)}) {
        bucket_table::Insert(txn, {.id = id,
                                   .region = region,
                                   .owner = "acme",
                                   .create_time = now,
                                   .update_time = now});
      }
      return CreateRule(txn,
                        {.source = "hz-1",
                         .destination = "sh-1",
                         .id = "dr",
                         .operations = Operations::kAddDeleteChange,
                         .historical = false},
                        {}, now)
          .status();
    });
  }
  void AddPublisher() {
    Write([](Transaction& txn) -> absl::Status {
      publisher_table::Put(
          txn,
          {.id = "gw", .scope = {PublisherScope::Kind::kBucket, "hz-1"}},
          absl::UnixEpoch());
      const auto rule = rule_table::GetBySource(txn, "hz-1");
      rule_table::SetActive(txn, rule->uid, "s", "d", absl::UnixEpoch());
      return absl::OkStatus();
    });
  }
  void DropPublisher() {
    Write([](Transaction& txn) {
      publisher_table::Delete(txn, "gw");
      return absl::OkStatus();
    });
  }
  void DropRule() {
    Write([](Transaction& txn) -> absl::Status {
      const auto rule = rule_table::GetBySource(txn, "hz-1");
      const auto outcome = DeleteRule(txn, *rule, absl::UnixEpoch());
      if (!outcome.ok()) return outcome.status();
      return CloseStep(txn, rule->uid).status();
    });
  }
  void Write(std::function<absl::Status(Transaction&)> body) {
    ASSERT_OK(database_->WriteAndWait<bool>(
        [body = std::move(body)](Transaction& txn) -> absl::StatusOr<bool> {
          if (absl::Status status = body(txn); !status.ok()) return status;
          return true;
        }));
  }

  using Progress = absl::StatusOr<v1::RuleProgress>;
  void Add(ProgressWatch::Look look, ProgressWatch::Wants wants = AlwaysWants,
           absl::Duration interval = absl::Seconds(1)) {
    watch_->Add("hz-1", "dr", interval, std::move(wants), std::move(look));
  }
  static bool AlwaysWants(const SyncTime&) { return true; }
  // Time passes, and all that was to be looked at then has been: who comes
  // last is served last.
  void Pass(absl::Duration time) {
    clock_.Advance(time);
    std::latch looked(1);
    Add([&](const Progress&) {
      looked.count_down();
      return false;
    });
    looked.wait();
  }

  // Somebody who looks; lives as long as the watch.
  Looks& NewLooks() { return looks_.emplace_back(); }

  std::atomic<int> questions_ = 0;
  std::atomic<int> answers_ = 0;
  std::deque<Looks> looks_;
  test::TempDir dir_;
  test::FakeClock clock_;
  PublisherHub publishers_;
  test::NoOutput output_;
  // With one reader, who looks later is served later.
  std::unique_ptr<Database> database_ =
      *Database::Open({.path = dir_ / "crr.db", .readers = 1});
  // Never started: nothing here has work to tell it of.
  LeaseLoop loop_{LeaseOptions::FromTtl(absl::Seconds(10)), clock_, *database_,
                  publishers_, output_};
  Env env_{*database_, loop_, publishers_, clock_};
  std::unique_ptr<ProgressWatch> watch_;
};

TEST_F(ProgressWatchTest, LooksAtOnceAndThenByTheInterval) {
  Looks& looks = NewLooks();
  Add(looks.Look());
  Pass(absl::ZeroDuration());
  EXPECT_EQ(looks.count(), 1);
  Pass(absl::Milliseconds(900));
  EXPECT_EQ(looks.count(), 1);
  Pass(absl::Milliseconds(100));
  EXPECT_EQ(looks.count(), 2);
  // What was slept through is not made up for.
  Pass(absl::Seconds(10));
  EXPECT_EQ(looks.count(), 3);
}

TEST_F(ProgressWatchTest, WhoeverHasSeenEnoughIsForgotten) {
  Looks& looks = NewLooks();
  Add(looks.Look(/*again=*/false));
  for (int i = 0; i < 5; ++i) Pass(absl::Seconds(1));
  EXPECT_EQ(looks.count(), 1);
  Stop();
  EXPECT_EQ(looks.count(), 1);
}

TEST_F(ProgressWatchTest, TheEndOfTheRuleIsTheLastLook) {
  Looks& looks = NewLooks();
  Add(looks.Look());
  Pass(absl::ZeroDuration());
  EXPECT_OK(looks.last());
  DropRule();
  for (int i = 0; i < 3; ++i) Pass(absl::Seconds(1));
  EXPECT_EQ(looks.count(), 2);
  EXPECT_EQ(ViolationsOf(looks.last()).at(0).reason, "RULE_NOT_FOUND");
}

// Those who come later are told of the rule that is there now.
TEST_F(ProgressWatchTest, ANewRuleUnderTheNameIsForNewLooks) {
  Looks& old = NewLooks();
  Add(old.Look());
  Pass(absl::ZeroDuration());
  DropRule();
  Write([](Transaction& txn) {
    bucket_table::Delete(txn, "hz-1");
    bucket_table::Delete(txn, "sh-1");
    return absl::OkStatus();
  });
  AddRule();
  Looks& fresh = NewLooks();
  Add(fresh.Look());
  Pass(absl::Seconds(1));
  EXPECT_EQ(ViolationsOf(old.last()).at(0).reason, "RULE_NOT_FOUND");
  EXPECT_OK(fresh.last());
}

// Each query asks who wants it until somebody does, and each answer asks its
// own watcher: so of a query for all there is one question more than answers.
TEST_F(ProgressWatchTest, AllThatWaitForOneRuleShareAQuery) {
  constexpr int kWatchers = 1000;
  for (int i = 0; i < kWatchers; ++i) {
    // Each comes at its own time.
    clock_.Advance(absl::Microseconds(77));
    Add(
        [this](const Progress&) {
          ++answers_;
          return true;
        },
        [this](const SyncTime&) {
          ++questions_;
          return true;
        },
        absl::Milliseconds(100));
  }
  EXPECT_TRUE(Eventually([&] {
    answers_ = questions_ = 0;
    Pass(absl::Seconds(1));
    return answers_ == kWatchers && questions_ == kWatchers + 1;
  }));
}

TEST_F(ProgressWatchTest, WhoeverWantsNothingYetIsAskedAgain) {
  const absl::Time enough = absl::FromUnixSeconds(100);
  AddPublisher();
  Looks& looks = NewLooks();
  Add(looks.Look(/*again=*/false), [=](const SyncTime& sync) {
    return sync.unknown_reason == "NO_PUBLISHER" ||
           (sync.time && *sync.time >= enough);
  });
  for (int i = 0; i < 5; ++i) Pass(absl::Seconds(1));
  EXPECT_EQ(looks.count(), 0);
  DropPublisher();
  Pass(absl::Seconds(1));
  EXPECT_EQ(looks.count(), 1);
  EXPECT_OK(looks.last());
}

TEST_F(ProgressWatchTest, SoManyMayWaitAndNoMore) {
  Looks& looks = NewLooks();
  for (size_t i = 0; i < limits::kWatchersMax; ++i) Add(looks.Look());
  Looks& late = NewLooks();
  Add(late.Look());
  EXPECT_EQ(late.count(), 1);
  EXPECT_EQ(ViolationsOf(late.last()).at(0).reason, "OVERLOADED");
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return looks.count() >= static_cast<int>(limits::kWatchersMax);
  }));
  EXPECT_OK(looks.last());
}

TEST_F(ProgressWatchTest, ADrainIsTheLastLookOfAll) {
  Looks& looks = NewLooks();
  for (int i = 0; i < 10; ++i) Add(looks.Look());
  Pass(absl::ZeroDuration());
  EXPECT_EQ(looks.count(), 10);
  watch_->Drain();
  EXPECT_EQ(looks.count(), 20);
  EXPECT_EQ(ViolationsOf(looks.last()).at(0).reason, "DRAINING");
  // Who comes now is told at once.
  Looks& late = NewLooks();
  Add(late.Look());
  EXPECT_EQ(late.count(), 1);
  EXPECT_EQ(ViolationsOf(late.last()).at(0).reason, "DRAINING");
  watch_->Drain();
  EXPECT_EQ(looks.count(), 20);
}

TEST_F(ProgressWatchTest, ThereIsRoomForSoMany) {
  Looks& looks = NewLooks();
  for (size_t i = 0; i < limits::kWatchersMax; ++i) Add(looks.Look());
  Looks& late = NewLooks();
  Add(late.Look());
  EXPECT_EQ(late.count(), 1);
  EXPECT_EQ(ViolationsOf(late.last()).at(0).reason, "OVERLOADED");
}

}  // namespace
}  // namespace crr
