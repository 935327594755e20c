#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "client/copier/failure_reason.h"
#include "tests/copier/runner_fixture.h"

namespace crr {
namespace {

using ::crr::test::CheckpointModel;
using ::crr::test::kDestination;
using ::crr::test::kSource;
using ::crr::test::RunnerTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Call = FaultStore::Call;

// What leaves a lane, when, and how it is told.
class LaneFailureTest : public RunnerTest {
 protected:
  LaneFailureTest() { lease_.set_range_end("~"); }

  // Whether `condition` comes about.
  bool Comes(const std::function<bool()>& condition) {
    const Ticks end = Clock::Real().Now() + absl::Seconds(10);
    while (!condition() && Clock::Real().Now() < end) {
      EXPECT_OK(session_->link().Pause(absl::Milliseconds(1)));
    }
    return condition();
  }
};

TEST_F(LaneFailureTest, AnObjectLeavesWithItsThirdFailure) {
  for (const char* key : {"a", "b", "c"}) Put(key, "bytes");
  std::atomic<int> looks = 0;
  stores_.destination->Before(Call::kHead, [&](auto, auto key) {
    if (key == "b") ++looks;
  });
  stores_.destination->FailKey("b", absl::DataLossError("a bad block"));
  Start(v1::Lease::BACKFILL);
  const CheckpointModel sum = RecordAll();
  EXPECT_EQ(sum.applied, 2);
  ASSERT_EQ(sum.failed.size(), 1u);
  const v1::ObjectFailure& failure = sum.failed.at("b");
  EXPECT_EQ(failure.reason(), "CONTENT_DAMAGED");
  EXPECT_THAT(failure.message(), HasSubstr("a bad block"));
  EXPECT_EQ(failure.size_bytes(), 0) << "it never got to the source";
  EXPECT_EQ(looks, kLaneFailures);
  EXPECT_FALSE(End().release);
}

TEST_F(LaneFailureTest, TwoFailuresAreTriedAgain) {
  Put("a", "bytes");
  for (int n = 1; n <= 2; ++n) {
    stores_.destination->FailCall(Call::kWrite, n, absl::InternalError("odd"));
  }
  Start(v1::Lease::BACKFILL);
  const CheckpointModel sum = RecordAll();
  EXPECT_EQ(sum.applied, 1);
  EXPECT_TRUE(sum.failed.empty());
}

TEST_F(LaneFailureTest, EveryKindOfFailureOfAnObjectLeaves) {
  const std::map<std::string, absl::Status> failures = {
      {"a", absl::DataLossError("x")},
      {"b", absl::InvalidArgumentError("x")},
      {"c", absl::InternalError("x")},
      {"d", absl::PermissionDeniedError("x")},
      {"e", absl::FailedPreconditionError("x")},
      {"f", WithReason(absl::UnavailableError("x"), kObjectMoving)},
      {"g", ContentGoneError("x")}};
  for (const auto& [key, status] : failures) {
    Put(key, "bytes");
    stores_.source->FailKey(key, status);
  }
  Start(v1::Lease::BACKFILL);
  const CheckpointModel sum = RecordAll();
  EXPECT_THAT(
      sum.reasons(),
      ElementsAre(Pair("a", "CONTENT_DAMAGED"), Pair("b", "STORE_FAILED"),
                  Pair("c", "STORE_FAILED"), Pair("d", "STORE_NOT_ALLOWED"),
                  Pair("e", "STORE_FAILED"), Pair("f", "OBJECT_MOVING"),
                  Pair("g", "CONTENT_GONE")));
}

TEST_F(LaneFailureTest, AnObjectThatMovesTooFastSaysSoWithItsSize) {
  Put("a", "bytes");
  // Every look at it finds it gone between the head and the read.
  stores_.source->Before(Call::kRead, [&](auto, auto) { Delete("a"); });
  stores_.source->After(Call::kRead, [&](auto, auto) { Put("a", "bytes"); });
  Start(v1::Lease::BACKFILL);
  const CheckpointModel sum = RecordAll();
  ASSERT_THAT(sum.reasons(), ElementsAre(Pair("a", "OBJECT_MOVING")));
  EXPECT_EQ(sum.failed.at("a").size_bytes(), 5);
}

// Looks at "b" fail for ever; of the other keys one is let through at a time.
TEST_F(LaneFailureTest, AStoresFailureCountsOnlyWhileOtherKeysGetThrough) {
  const std::vector<absl::Status> failures = {
      absl::UnavailableError("x"), absl::ResourceExhaustedError("x"),
      absl::DeadlineExceededError("x"), absl::NotFoundError("x")};
  for (const absl::Status& status : failures) {
    SCOPED_TRACE(status.ToString());
    stores_.destination->FailKey("b", status);
    std::atomic<int> looks = 0;
    stores_.destination->Before(Call::kHead, [&](auto, auto key) {
      if (key == "b") ++looks;
    });
    test::FakeSession& session = Start(v1::Lease::CHANGES);
    session.link().Deliver(Segment(1, {{"b"}}));
    const auto look_on = [&] {
      const int before = looks;
      return Comes([&] { return looks >= before + 6; });
    };
    ASSERT_TRUE(look_on());
    // One key through: the second that counts. It does not leave.
    session.link().Deliver(Segment(2, {{"c"}}));
    ASSERT_TRUE(Comes([&] {
      return stores_.destination->Calls(Call::kProve) > 0 ||
             stores_.destination->Calls(Call::kTouch) > 0;
    }));
    ASSERT_TRUE(look_on());
    while (!session.NothingSent()) {
      EXPECT_TRUE(session.Next().has_trouble());
    }
    session.link().Deliver(Segment(3, {{"d"}}));
    const CheckpointModel sum = RecordChanges(3);
    EXPECT_EQ(sum.applied, 2);
    EXPECT_EQ(sum.failed.at("b").changes(), 1);
    session.link().Lose();
    EXPECT_FALSE(End().release);
    stores_.destination->Before(Call::kHead, {});
  }
}

TEST_F(LaneFailureTest, WhatEndsTheLeaseNeverCounts) {
  for (const char* key : {"a", "b", "c"}) Put(key, "bytes");
  for (const absl::Status& status :
       {absl::AbortedError("x"), absl::CancelledError("x"),
        WithReason(absl::FailedPreconditionError("x"),
                   kBucketIdentityChanged)}) {
    std::atomic<int> looks = 0;
    stores_.source->Before(Call::kHead, [&](auto, auto key) {
      if (key != "b") return;
      if (++looks == 8) stores_.source->FailKey("b", absl::OkStatus());
    });
    stores_.source->FailKey("b", status);
    Start(v1::Lease::BACKFILL);
    const CheckpointModel sum = RecordAll();
    EXPECT_EQ(sum.applied, 3);
    EXPECT_TRUE(sum.failed.empty());
    EXPECT_GE(looks, 8);
    EXPECT_FALSE(End().release);
  }
}

TEST_F(LaneFailureTest, LargeObjectsLeaveBeforeAByteIsRead) {
  Put("at-bound", std::string(10, 'x'));
  Put("large", std::string(11, 'x'));
  Put("large-equal", std::string(12, 'x'));
  lease_.set_large_object_bytes(12);
  Start(v1::Lease::BACKFILL);
  EXPECT_EQ(RecordAll().applied, 3);
  EXPECT_FALSE(End().release);

  Put("large", std::string(11, 'y'));
  lease_.set_large_object_bytes(10);
  const int reads = stores_.source->Calls(Call::kRead);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(
      Segment(1, {{"at-bound"}, {"large"}, {"large-equal"}, {"large"}}));
  const CheckpointModel sum = RecordChanges(4);
  EXPECT_EQ(sum.applied, 2);
  EXPECT_EQ(sum.collapsed, 0);
  ASSERT_THAT(sum.reasons(), ElementsAre(Pair("large", "LARGE")));
  EXPECT_EQ(sum.failed.at("large").changes(), 2);
  EXPECT_EQ(sum.failed.at("large").size_bytes(), 11);
  EXPECT_EQ(stores_.source->Calls(Call::kRead), reads);
  EXPECT_EQ(stores_.destination->Calls(Call::kWrite), 3);
}

TEST_F(LaneFailureTest, AnObjectThatGrewSinceItWasSeenIsLargeToo) {
  Put("a", "x");
  stores_.source->Before(Call::kRead,
                         [&](auto, auto) { Put("a", std::string(11, 'x')); });
  lease_.set_large_object_bytes(10);
  Start(v1::Lease::BACKFILL);
  const CheckpointModel sum = RecordAll();
  ASSERT_THAT(sum.reasons(), ElementsAre(Pair("a", "LARGE")));
  EXPECT_EQ(sum.failed.at("a").size_bytes(), 11);
  EXPECT_EQ(stores_.destination->Calls(Call::kWrite), 0);
}

TEST_F(LaneFailureTest, ADeletionAmongTheChangesIsTold) {
  stores_.destination->FailKey("a", absl::DataLossError("x"));
  stores_.destination->FailKey("b", absl::DataLossError("x"));
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(
      Segment(1, {{"a", v1::Change::DELETE}, {"a"}, {"b"}, {"c"}, {"b"}}));
  const CheckpointModel sum = RecordChanges(5);
  EXPECT_EQ(sum.applied, 1);
  EXPECT_EQ(sum.failed.at("a").changes(), 2);
  EXPECT_TRUE(sum.failed.at("a").deletion());
  EXPECT_EQ(sum.failed.at("b").changes(), 2);
  EXPECT_FALSE(sum.failed.at("b").deletion());
}

// Whoever looks at the object by itself must not take it for one.
TEST_F(LaneFailureTest, ADeletionOfBeforeTheRuleIsToldAsNone) {
  lease_.mutable_rule_create_time()->set_seconds(1'000);
  for (const char* key : {"a", "b"}) {
    stores_.destination->FailKey(key, absl::DataLossError("x"));
  }
  Start(v1::Lease::CHANGES)
      .link()
      .Deliver(Segment(1, {{"a", v1::Change::DELETE, 999},
                           {"b", v1::Change::DELETE, 999},
                           {"b", v1::Change::DELETE, 1'000}}));
  const CheckpointModel sum = RecordChanges(3);
  EXPECT_FALSE(sum.failed.at("a").deletion());
  EXPECT_TRUE(sum.failed.at("b").deletion());
}

TEST_F(LaneFailureTest, OneCheckpointTellsOfAThousandAtMost) {
  for (int i = 0; i < 1'205; ++i) Put(absl::StrCat("k", 10'000 + i), "xx");
  lease_.set_large_object_bytes(1);
  // All of them settle before the first checkpoint.
  timing_.checkpoint_interval = absl::Hours(1);
  timing_.checkpoint_entries = 1'000;
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  CheckpointModel sum(session.link().lease());
  std::vector<int> failed;
  while (!sum.complete) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    ASSERT_EQ(checkpoint.unit(), 5);
    failed.push_back(checkpoint.failed_size());
    sum.Take(checkpoint);
    session.Record(checkpoint);
  }
  EXPECT_EQ(sum.failed.size(), 1'205u);
  EXPECT_GE(failed.size(), 2u);
}

// ---- A lane that lost copiers before.

TEST_F(LaneFailureTest, ASerialLeaseHasOneEntryInWorkAndRecordsEach) {
  for (int i = 0; i < 8; ++i) Put(absl::StrCat("k", i), "x");
  std::atomic<int> in_work = 0;
  std::atomic<bool> alone = true;
  stores_.destination->Before(Call::kHead, [&](auto, auto) {
    if (++in_work > 1) alone = false;
  });
  stores_.destination->After(Call::kProve, [&](auto, auto) { --in_work; });
  timing_.checkpoint_interval = absl::Hours(1);
  lease_.set_serial(true);
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  for (int i = 0; i < 8; ++i) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    EXPECT_EQ(checkpoint.to().key(), i < 7 ? absl::StrCat("k", i) : "~");
    EXPECT_EQ(checkpoint.complete(), i == 7);
    EXPECT_EQ(checkpoint.applied(), 1);
    // What is not recorded is not passed.
    EXPECT_EQ(stores_.destination->Calls(Call::kCommit), i + 1);
    session.Record(checkpoint);
  }
  EXPECT_TRUE(alone);
}

TEST_F(LaneFailureTest, ASerialLeaseWaitsForAnEntryThatFails) {
  for (const char* key : {"a", "b"}) Put(key, "x");
  stores_.destination->FailKey("a", absl::DataLossError("x"));
  std::atomic<bool> early = false;
  stores_.source->Before(Call::kHead,
                         [&](auto, auto key) { early = early || key == "b"; });
  lease_.set_serial(true);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, {{"a"}, {"b"}, {"a"}, {"b"}}));
  v1::SessionRequest message = session.Next();
  while (message.has_trouble()) message = session.Next();
  const v1::Checkpoint first = message.checkpoint();
  EXPECT_EQ(first.to().sequence(), 1);
  ASSERT_EQ(first.failed_size(), 1);
  EXPECT_EQ(first.failed(0).changes(), 1);
  EXPECT_FALSE(early);
  session.Record(first);
  const v1::Checkpoint second = session.NextCheckpoint();
  EXPECT_EQ(second.to().sequence(), 4);
  EXPECT_EQ(second.failed(0).key(), "a");
  EXPECT_EQ(second.failed(0).changes(), 1);
  EXPECT_EQ(second.applied() + second.collapsed(), 2);
}

TEST_F(LaneFailureTest, TheFirstEntryIsTakenOutWithoutALookAtIt) {
  for (const char* key : {"a", "b"}) Put(key, "x");
  std::set<std::string> looked_at;
  Mutex mu;
  const auto note = [&](auto, auto key) {
    MutexLock lock(mu);
    looked_at.emplace(key);
  };
  stores_.source->Before(Call::kHead, note);
  stores_.destination->Before(Call::kHead, note);
  lease_.set_serial(true);
  lease_.set_isolate_first(true);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, {{"a", v1::Change::DELETE}, {"b"}, {"a"}}));
  const CheckpointModel sum = RecordChanges(3);
  ASSERT_THAT(sum.reasons(), ElementsAre(Pair("a", "COPIER_LOST")));
  EXPECT_EQ(sum.failed.at("a").changes(), 2);
  EXPECT_TRUE(sum.failed.at("a").deletion());
  EXPECT_EQ(sum.applied, 1);
  MutexLock lock(mu);
  EXPECT_THAT(looked_at, ElementsAre("b"));
}

TEST_F(LaneFailureTest, TheFirstListedKeyIsTakenOutWithoutALookAtIt) {
  for (const char* key : {"a", "b", "c"}) Put(key, "x");
  lease_.mutable_cursor()->set_key("a");
  lease_.set_serial(true);
  lease_.set_isolate_first(true);
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  const v1::Checkpoint first = session.NextCheckpoint();
  EXPECT_EQ(first.to().key(), "b");
  ASSERT_EQ(first.failed_size(), 1);
  EXPECT_EQ(first.failed(0).reason(), "COPIER_LOST");
  EXPECT_EQ(first.failed(0).changes(), 0);
  EXPECT_EQ(stores_.source->Calls(Call::kHead), 0);
  session.Record(first);
  const v1::Checkpoint second = session.NextCheckpoint();
  EXPECT_EQ(second.applied(), 1);
  EXPECT_THAT(Replicas(), ElementsAre(Pair("c", "x")));
}

// Whatever fails, and however: the checkpoints make sense, every change is in
// one of them, and what did not leave is at the destination.
TEST_F(LaneFailureTest, CountsAddUpUnderRandomFailures) {
  using Calls = std::vector<Call>;
  for (uint32_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto chance = [&](uint32_t percent) {
      return random() % 100 < percent;
    };
    const std::vector<absl::Status> statuses = {
        absl::DataLossError("x"),    absl::InternalError("x"),
        absl::UnavailableError("x"), absl::ResourceExhaustedError("x"),
        absl::AbortedError("x"),     absl::InvalidArgumentError("x")};
    for (const Call call : Calls{Call::kHead, Call::kWrite, Call::kCommit,
                                 Call::kProve, Call::kAppend}) {
      for (int n = 1; n < 600; ++n) {
        if (chance(20)) {
          stores_.destination->FailCall(call, n,
                                        statuses[random() % statuses.size()]);
        } else if (chance(5)) {
          stores_.destination->LoseAnswer(call, n, absl::UnavailableError("x"));
        }
      }
    }
    timing_.window_entries = 1 + random() % 60;
    timing_.checkpoint_entries = 1 + random() % 30;
    lease_.set_serial(chance(20));
    lease_.set_isolate_first(lease_.serial() && chance(50));
    lease_.set_large_object_bytes(8);
    std::vector<Entry> entries;
    for (int i = 0; i < 120; ++i) {
      const std::string key = absl::StrCat("k", random() % 25);
      if (chance(30)) {
        Delete(key);
        entries.push_back({key, v1::Change::DELETE});
      } else {
        Put(key,
            std::string(1 + random() % 9, static_cast<char>('a' + i % 26)));
        entries.push_back({key});
      }
    }
    test::FakeSession& session = Start(v1::Lease::CHANGES);
    session.link().Deliver(Segment(1, entries));
    const CheckpointModel sum = RecordChanges(120);
    int64_t failed = 0;
    for (const auto& [key, failure] : sum.failed) failed += failure.changes();
    EXPECT_EQ(sum.applied + sum.collapsed + failed, 120);
    session.link().Lose();
    EXPECT_FALSE(End().release);
    for (const Entry& entry : entries) {
      if (sum.failed.contains(entry.key)) continue;
      const auto origin = stores_.source_base.Head(kSource, entry.key);
      const auto replica =
          stores_.destination_base.Head(kDestination, entry.key);
      ASSERT_EQ(origin->object.has_value(), replica->object.has_value());
      if (origin->object) {
        EXPECT_EQ(origin->object->etag, replica->object->etag);
      }
    }
  }
}

}  // namespace
}  // namespace crr
