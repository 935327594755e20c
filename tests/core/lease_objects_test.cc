// Objects that failed are tried again, later and later; and a log that is
// dropped is taken out of its holders' hands first.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/units.h"
#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;
using test::ManualStore;
using Kind = ManualStore::Kind;
using Result = CheckpointAckMessage::Result;

constexpr absl::Duration kInstant = absl::Nanoseconds(1);

// -------------------------------------------------------------------- back-off

class LeaseObjectsTest : public ::testing::Test {
 protected:
  // Objects that left their log, each held by the stream once.
  void Begin(int count, int64_t size_bytes = 0) {
    world_.AddRuleWithChanges(count);
    stream_ = world_.Open("a", 100);
    const LeaseSpec log = world_.LastGrant(stream_);
    ASSERT_EQ(log.kind, UnitKind::kChanges);
    Checkpoint report = test::Applied(log.unit_id, log.token, 0, count);
    report.applied = 0;
    for (int i = 0; i < count; ++i) {
      report.failed.push_back({.key = absl::StrCat("key-", i),
                               .reason = "DATA_LOSS",
                               .changes = 1,
                               .size_bytes = size_bytes});
    }
    ASSERT_EQ(world_.Report(stream_, report).result, Result::kRecorded);
    ASSERT_EQ(Objects().size(), static_cast<size_t>(count));
  }
  std::vector<LeaseSpec> Objects() {
    std::vector<LeaseSpec> objects;
    for (const LeaseSpec& lease : world_.Grants(stream_)) {
      if (lease.kind == UnitKind::kObject) objects.push_back(lease);
    }
    return objects;
  }
  void FailIt(const LeaseSpec& lease) {
    ReleaseMessage release = LeaseWorld::ReleaseOf(lease, "FORBIDDEN");
    release.object_failed = true;
    world_.core->OnRelease(stream_, release);
    world_.store.Settle();
  }
  // Until the next grant of an object.
  absl::Duration Wait() {
    const size_t before = Objects().size();
    const Ticks begin = world_.clock.Now();
    while (Objects().size() == before) {
      if (world_.clock.Now() - begin > absl::Minutes(2)) break;
      world_.PassAlive(absl::Milliseconds(100), {stream_});
    }
    return world_.clock.Now() - begin;
  }

  LeaseWorld world_;
  StreamId stream_ = 0;
};

TEST_F(LeaseObjectsTest, TheWaitDoublesGiveOrTakeAHalfUpToABound) {
  world_.options.object_retry_max = absl::Seconds(20);
  world_.Start();
  Begin(1);
  absl::Duration mean = world_.options.object_retry_base;
  for (int64_t i = 1; i < limits::kObjectAttemptsMax; ++i) {
    FailIt(Objects().back());
    const absl::Duration waited = Wait();
    EXPECT_GE(waited, 0.5 * mean) << i;
    EXPECT_LE(waited, 1.5 * mean + absl::Milliseconds(200)) << i;
    mean = std::min(2 * mean, world_.options.object_retry_max);
  }
  // The last attempt.
  FailIt(Objects().back());
  EXPECT_GT(Wait(), absl::Minutes(2));
}

// To hash and to prove a large one takes its time, and nothing is told meanwhile.
TEST_F(LeaseObjectsTest, ALargeOneMayBeSilentForLong) {
  constexpr int64_t kSeconds = 1800;
  Begin(1, kSeconds * limits::kReadBytesPerSecondMin);
  const auto asked = [&] {
    std::vector<std::string> reasons;
    for (const auto& revoke : world_.output.Of<RevokeMessage>(stream_)) {
      if (revoke.unit_id == Objects().back().unit_id) {
        reasons.push_back(revoke.reason);
      }
    }
    return reasons;
  };
  world_.PassAlive(absl::Seconds(2 * kSeconds), {stream_});
  EXPECT_EQ(asked(), std::vector<std::string>{});
  world_.PassAlive(world_.options.no_progress + absl::Seconds(1), {stream_});
  EXPECT_EQ(asked(), std::vector<std::string>{"NO_PROGRESS"});
}

// The server that comes next knows what the lease is for.
TEST_F(LeaseObjectsTest, ALargeOneMayBeSilentAcrossARestart) {
  constexpr int64_t kSeconds = 1800;
  Begin(1, kSeconds * limits::kReadBytesPerSecondMin);
  const LeaseSpec lease = Objects().back();
  const int64_t session = world_.NumberOf(stream_);
  world_.Restart();
  const StreamId stream =
      world_.Reopen("a", session, {{lease.unit_id, lease.token, 0}}, 100);
  world_.PassAlive(absl::Seconds(2 * kSeconds), {stream});
  EXPECT_TRUE(world_.output.Of<RevokeMessage>(stream).empty());
  world_.PassAlive(world_.options.no_progress + absl::Seconds(1), {stream});
  EXPECT_EQ(world_.output.Of<RevokeMessage>(stream).size(), 1u);
}

// What failed together does not come back together.
TEST_F(LeaseObjectsTest, TheWaitsDiffer) {
  Begin(20);
  for (const LeaseSpec& lease : Objects()) FailIt(lease);
  std::set<absl::Duration> waits;
  const Ticks begin = world_.clock.Now();
  for (size_t back = 20; back < 40;) {
    world_.PassAlive(absl::Milliseconds(50), {stream_});
    ASSERT_LT(world_.clock.Now() - begin, absl::Minutes(1));
    if (Objects().size() > back) waits.insert(world_.clock.Now() - begin);
    back = Objects().size();
  }
  EXPECT_GE(waits.size(), 6u);
}

// An object may have been what killed its copier; a lane goes on at once.
TEST_F(LeaseObjectsTest, AfterALossAnObjectWaitsAndALaneDoesNot) {
  Begin(1);
  const StreamId other = world_.Open("b", 100);
  // Neither is renewed: both stay with the dead one until they run out.
  world_.PassAlive(world_.term(), {other});
  std::vector<UnitKind> kinds;
  for (const LeaseSpec& lease : world_.Grants(other)) {
    kinds.push_back(lease.kind);
  }
  EXPECT_TRUE(std::find(kinds.begin(), kinds.end(), UnitKind::kObject) ==
              kinds.end());
  EXPECT_EQ(world_.core->counts().waiting[UnitKind::kObject], 1);
  world_.PassAlive(absl::Seconds(2), {other});
  EXPECT_EQ(world_.LastGrant(other).kind, UnitKind::kObject);

  LeaseWorld lanes;
  lanes.AddRuleWithRanges(1);
  lanes.Open("a");
  const StreamId next = lanes.Open("b");
  lanes.PassAlive(lanes.term(), {next});
  EXPECT_EQ(lanes.Grants(next).size(), 1u);
}

// Nor does a restart bring all of them back at once.
TEST_F(LeaseObjectsTest, TheWaitOutlivesTheServer) {
  Begin(1);
  for (int i = 0; i < 4; ++i) {
    FailIt(Objects().back());
    if (i < 3) Wait();
  }
  const int64_t number = world_.NumberOf(stream_);
  world_.Restart();
  stream_ = world_.Reopen("a", number, {}, 100);
  EXPECT_GE(Wait(), absl::Seconds(4));  // A half of 8 s.
}

TEST_F(LeaseObjectsTest, OneWithoutProgressHasFailed) {
  Begin(1);
  world_.PassAlive(world_.options.no_progress, {stream_});
  ASSERT_EQ(world_.output.Last<RevokeMessage>(stream_).reason, "NO_PROGRESS");
  world_.Release(stream_, Objects().back(), "REVOKED");
  const auto work = world_.tables.Do([&](Transaction& txn) {
    return object_work_table::OfUnit(txn, Objects().back().unit_id);
  });
  EXPECT_EQ(work->reason, "NO_PROGRESS");
  EXPECT_EQ(work->attempts, 1);
  EXPECT_GE(Wait(), absl::Milliseconds(500));
}

// ---------------------------------------------------------------------- resync

class LeaseResyncTest : public ::testing::Test {
 protected:
  // A lease on a log of `changes`, of a rule that also has a range leased.
  void Begin(int changes) {
    rule_ = world_.AddRuleWithChanges(changes);
    stream_ = world_.Open("a");
    log_ = world_.LastGrant(stream_);
    ASSERT_EQ(log_.kind, UnitKind::kChanges);
  }
  // A batch that does not fit any more.
  void Overflow() {
    const auto outcome = world_.tables.Try([](Transaction& txn) {
      return AppendBatch(txn, test::TestTables::BatchOf("photos", {"late"}),
                         /*rule_log_bytes_max=*/1, test::Epoch());
    });
    ASSERT_TRUE(outcome.ok());
    ASSERT_EQ(outcome->events.resync, std::vector<int64_t>{rule_});
    world_.core->OnWork(outcome->events);
  }
  Resync State() { return world_.tables.FindRule(rule_)->resync; }

  LeaseWorld world_;
  int64_t rule_ = 0;
  StreamId stream_ = 0;
  LeaseSpec log_;
};

TEST_F(LeaseResyncTest, TheLogIsAskedBackAndThenDropped) {
  Begin(3);
  Overflow();
  world_.store.Settle();
  EXPECT_EQ(world_.output.Last<RevokeMessage>(stream_).reason, "RESYNC");
  EXPECT_EQ(State(), Resync::kNeeded);
  EXPECT_EQ(world_.tables.Log(rule_).size(), 1u);
  // Its holder may still say what it did.
  world_.Report(stream_, test::Applied(log_.unit_id, log_.token, 0, 1));
  world_.Release(stream_, log_, "REVOKED");
  EXPECT_EQ(State(), Resync::kVerifying);
  EXPECT_TRUE(world_.tables.Log(rule_).empty());
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kInventory);
  const Ledger ledger = world_.tables.LedgerOfRule(rule_);
  EXPECT_TRUE(ledger.balances()) << ToText(ledger);
  EXPECT_EQ(ledger.resync, 3);
  // The log is written and worked on again, beside the verification.
  world_.Publish("photos", 1);
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kChanges);
}

TEST_F(LeaseResyncTest, AHolderThatIsDeadIsWaitedFor) {
  Begin(3);
  const StreamId other = world_.Open("b");
  Overflow();
  world_.store.Settle();
  world_.PassAlive(world_.term() - kInstant, {other});
  EXPECT_EQ(State(), Resync::kNeeded);
  EXPECT_TRUE(world_.Grants(other).empty());
  world_.Pass(kInstant);
  EXPECT_EQ(State(), Resync::kVerifying);
  EXPECT_EQ(world_.LastGrant(other).kind, UnitKind::kInventory);
}

TEST_F(LeaseResyncTest, AGrantUnderWayIsNotSent) {
  rule_ = world_.AddRuleWithChanges(1);
  world_.Say(LeaseWorld::HelloOf("a"));
  stream_ = world_.last_stream;
  while (world_.store.waiting(Kind::kGrant) == 0) {
    ASSERT_TRUE(world_.store.RunStep() || world_.store.Deliver());
  }
  ASSERT_TRUE(world_.store.RunStep());  // Stored, not answered.
  Overflow();
  world_.store.Settle();
  ASSERT_EQ(world_.Grants(stream_).size(), 1u);
  EXPECT_EQ(world_.LastGrant(stream_).kind, UnitKind::kInventory);
  EXPECT_EQ(State(), Resync::kVerifying);
}

TEST_F(LeaseResyncTest, AFullDiskOnlyDelaysIt) {
  Begin(1);
  world_.store.Refuse(Kind::kResync, absl::ResourceExhaustedError("full"), 2);
  Overflow();
  world_.Release(stream_, log_, "REVOKED");
  EXPECT_EQ(State(), Resync::kNeeded);
  world_.Pass(world_.core->tick_interval());
  EXPECT_EQ(State(), Resync::kNeeded);
  world_.Pass(world_.core->tick_interval());
  EXPECT_EQ(State(), Resync::kVerifying);
}

// More than one bounded step, and a server that ends between two of them.
TEST_F(LeaseResyncTest, ARestartGoesOnWithIt) {
  Begin(1);
  for (int i = 0; i < limits::kPurgeStep; ++i) world_.Publish("photos", 1);
  Overflow();
  world_.core->OnRelease(stream_, LeaseWorld::ReleaseOf(log_, "REVOKED"));
  while (world_.store.waiting(Kind::kResync) == 0) {
    ASSERT_TRUE(world_.store.RunStep() || world_.store.Deliver());
  }
  ASSERT_TRUE(world_.store.RunStep());
  ASSERT_EQ(State(), Resync::kNeeded);
  ASSERT_EQ(world_.tables.Log(rule_).size(), 1u);
  world_.Restart();
  EXPECT_EQ(State(), Resync::kVerifying);
  EXPECT_TRUE(world_.tables.Log(rule_).empty());
}

// Only the log: what else the rule has to do goes on.
TEST_F(LeaseResyncTest, RangesAreLeftAlone) {
  rule_ = world_.AddRuleWithRanges(1);
  stream_ = world_.Open("a");
  const LeaseSpec range = world_.LastGrant(stream_);
  Overflow();
  world_.store.Settle();
  EXPECT_TRUE(world_.output.Of<RevokeMessage>(stream_).empty());
  EXPECT_EQ(State(), Resync::kVerifying);
  EXPECT_EQ(world_.Heartbeat(stream_).not_renewed.size(), 0u);
  EXPECT_EQ(world_.Report(stream_, test::Walked(range.unit_id, range.token, "",
                                                "k", 1))
                .result,
            Result::kRecorded);
}

}  // namespace
}  // namespace crr
