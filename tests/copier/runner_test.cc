#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/copier/runner_fixture.h"

namespace crr {
namespace {

using ::crr::test::IsOk;
using ::crr::test::kSource;
using ::crr::test::RunnerTest;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Call = FaultStore::Call;

// ---- PROBE

TEST_F(RunnerTest, ProbeReportsBothBuckets) {
  test::FakeSession& session = Start(v1::Lease::PROBE);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_EQ(checkpoint.unit(), 5);
  EXPECT_EQ(checkpoint.token(), 77);
  EXPECT_TRUE(checkpoint.complete());
  EXPECT_EQ(checkpoint.probe().source().identity(), stores_.source_identity);
  EXPECT_EQ(checkpoint.probe().destination().identity(),
            stores_.destination_identity);
  EXPECT_EQ(checkpoint.probe().source().versioning(), v1::Bucket::UNVERSIONED);
  EXPECT_EQ(checkpoint.probe().source().problem(), "");
  session.Record(checkpoint);
  EXPECT_FALSE(End().release);
}

TEST_F(RunnerTest, ProbeReportsWhatCannotBeReached) {
  lease_.mutable_destination()->set_region("regions/nowhere");
  test::FakeSession& session = Start(v1::Lease::PROBE);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_EQ(checkpoint.probe().source().problem(), "");
  EXPECT_THAT(checkpoint.probe().destination().problem(),
              HasSubstr("no such disk"));
  session.Record(checkpoint);
  EXPECT_FALSE(End().release);
}

// ---- What every lease checks before it touches anything.

TEST_F(RunnerTest, AnotherBucketOfTheSameNameIsNotTouched) {
  Put("k", "bytes");
  lease_.mutable_destination()->set_identity("another");
  Start(v1::Lease::BACKFILL);
  const RunEnd end = End();
  EXPECT_TRUE(end.release);
  EXPECT_EQ(end.reason, "BUCKET_IDENTITY_CHANGED");
  EXPECT_TRUE(Replicas().empty());
}

TEST_F(RunnerTest, AStoreThatCannotBeOpenedGivesTheLeaseBack) {
  lease_.mutable_source()->set_region("regions/nowhere");
  Start(v1::Lease::CHANGES);
  EXPECT_EQ(End().reason, "STORE_UNREACHABLE");
}

TEST_F(RunnerTest, OperationsThatAreNotKnownGiveTheLeaseBack) {
  lease_.set_operations(v1::Rule::OPERATIONS_UNSPECIFIED);
  Start(v1::Lease::CHANGES);
  EXPECT_EQ(End().reason, "INVALID_LEASE");
}

// ---- INVENTORY

TEST_F(RunnerTest, InventoryCutsRangesInsideThePrefixes) {
  for (const char* key : {"a/1", "a/2", "b/1", "c/1", "c/2", "c/3"}) {
    Put(key, "x");
  }
  lease_.set_range_objects(2);
  lease_.add_prefixes("c/");
  lease_.add_prefixes("a/");
  test::FakeSession& session = Start(v1::Lease::INVENTORY);

  const v1::Checkpoint first = session.NextCheckpoint();
  EXPECT_EQ(first.from().key(), "");
  EXPECT_EQ(first.to().key(), "a/2");
  EXPECT_FALSE(first.complete());
  ASSERT_THAT(first.ranges(), SizeIs(1));
  EXPECT_EQ(first.ranges(0).end(), "a/2");
  EXPECT_EQ(first.ranges(0).objects(), 2);
  session.Record(first);

  const v1::Checkpoint second = session.NextCheckpoint();
  EXPECT_EQ(second.from().key(), "a/2");
  EXPECT_EQ(second.to().key(), "c/3");
  EXPECT_TRUE(second.complete());
  ASSERT_THAT(second.ranges(), SizeIs(2));
  EXPECT_EQ(second.ranges(0).end(), "c/2");
  EXPECT_EQ(second.ranges(1).end(), "c/3");
  EXPECT_EQ(second.ranges(1).objects(), 1);
  session.Record(second);
  EXPECT_FALSE(End().release);
}

TEST_F(RunnerTest, InventoryOfNothingIsComplete) {
  test::FakeSession& session = Start(v1::Lease::INVENTORY);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_TRUE(checkpoint.complete());
  EXPECT_THAT(checkpoint.ranges(), SizeIs(0));
  EXPECT_EQ(checkpoint.to().key(), "");
  session.Record(checkpoint);
  EXPECT_FALSE(End().release);
}

TEST_F(RunnerTest, InventoryGoesOnAfterItsCursor) {
  for (const char* key : {"a", "b", "c"}) Put(key, "x");
  lease_.mutable_cursor()->set_key("a");
  test::FakeSession& session = Start(v1::Lease::INVENTORY);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_EQ(checkpoint.from().key(), "a");
  ASSERT_THAT(checkpoint.ranges(), SizeIs(1));
  EXPECT_EQ(checkpoint.ranges(0).objects(), 2);
}

TEST_F(RunnerTest, AListingThatFailsIsTriedAgainAndReported) {
  Put("a", "x");
  for (int n = 1; n <= 3; ++n) {
    stores_.source->FailCall(Call::kList, n, absl::UnavailableError("away"));
  }
  test::FakeSession& session = Start(v1::Lease::INVENTORY);
  const v1::SessionRequest trouble = session.Next();
  ASSERT_TRUE(trouble.has_trouble());
  EXPECT_EQ(trouble.trouble().reason(), "STORE_UNREACHABLE");
  EXPECT_NE(trouble.trouble().key(), "");
  // Not again within the interval; and the listing is whole in the end.
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  ASSERT_THAT(checkpoint.ranges(), SizeIs(1));
}

// ---- BACKFILL

TEST_F(RunnerTest, BackfillCopiesItsRangeAndNoMore) {
  for (int i = 0; i < 300; ++i) {
    Put(absl::StrCat("k", 1'000 + i), absl::StrCat("bytes of ", i));
  }
  lease_.set_range_start("k1099");
  lease_.mutable_cursor()->set_key("k1099");
  lease_.set_range_end("k1199z");
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  int64_t applied = 0;
  int64_t bytes = 0;
  std::string cursor = "k1099";
  for (bool complete = false; !complete;) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    ASSERT_EQ(checkpoint.from().key(), cursor);
    cursor = checkpoint.to().key();
    applied += checkpoint.applied();
    bytes += checkpoint.bytes();
    complete = checkpoint.complete();
    session.Record(checkpoint);
  }
  EXPECT_FALSE(End().release);
  EXPECT_EQ(cursor, "k1199z");
  EXPECT_EQ(applied, 100);
  EXPECT_EQ(bytes, 100 * 12);
  const auto replicas = Replicas();
  EXPECT_EQ(replicas.size(), 100u);
  EXPECT_EQ(replicas.begin()->first, "k1100");
  EXPECT_EQ(replicas.begin()->second, "bytes of 100");
}

TEST_F(RunnerTest, BackfillSendsOneCheckpointAtATime) {
  for (int i = 0; i < 50; ++i) Put(absl::StrCat("k", 10 + i), "x");
  timing_.checkpoint_interval = absl::ZeroDuration();
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  std::string cursor;
  for (bool complete = false; !complete;) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    ASSERT_EQ(checkpoint.from().key(), cursor);
    ASSERT_TRUE(session.NothingSent());
    cursor = checkpoint.to().key();
    complete = checkpoint.complete();
    session.Record(checkpoint);
  }
  EXPECT_EQ(cursor, "k59");
}

TEST_F(RunnerTest, BackfillOfAnEmptyRangeIsComplete) {
  lease_.set_range_start("k");
  lease_.mutable_cursor()->set_key("k");
  lease_.set_range_end("m");
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_TRUE(checkpoint.complete());
  EXPECT_EQ(checkpoint.from().key(), "k");
  EXPECT_EQ(checkpoint.to().key(), "m");
  EXPECT_EQ(checkpoint.applied(), 0);
}

TEST_F(RunnerTest, AStoreThatIsFullHoldsTheCursorAndNothingElse) {
  // With no more keys than these, none gets through between failures.
  for (const char* key : {"a", "b"}) Put(key, "x");
  stores_.destination->FailKey("b", absl::ResourceExhaustedError("full"));
  test::FakeSession& session = Start(v1::Lease::BACKFILL);

  v1::SessionRequest message = session.Next();
  bool troubled = false;
  std::string cursor;
  // The trouble and the checkpoint of "a" come in either order.
  while (!troubled || cursor != "a") {
    if (message.has_trouble()) {
      EXPECT_EQ(message.trouble().key(), "b");
      EXPECT_EQ(message.trouble().reason(), "STORE_FULL");
      EXPECT_THAT(message.trouble().message(), HasSubstr("full"));
      troubled = true;
    } else {
      ASSERT_TRUE(message.has_checkpoint());
      cursor = message.checkpoint().to().key();
      ASSERT_EQ(cursor, "a");
      session.Record(message.checkpoint());
    }
    if (!troubled || cursor != "a") message = session.Next();
  }
  stores_.destination->FailKey("b", absl::OkStatus());
  v1::Checkpoint last;
  while (!last.complete()) {
    message = session.Next();
    ASSERT_NE(message.message_case(), v1::SessionRequest::MESSAGE_NOT_SET);
    if (message.has_trouble()) continue;
    last = message.checkpoint();
    session.Record(last);
  }
  EXPECT_FALSE(End().release);
  EXPECT_EQ(Replicas().size(), 2u);
}

TEST_F(RunnerTest, ACheckpointThatTheServerHasNoRoomForIsRepeated) {
  Put("a", "x");
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  const v1::Checkpoint first = session.NextCheckpoint();
  session.Answer(first, v1::CheckpointAck::STORAGE_FULL);
  const v1::Checkpoint second = session.NextCheckpoint();
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  session.Answer(second, v1::CheckpointAck::OBJECTS_FULL);
  const v1::Checkpoint third = session.NextCheckpoint();
  EXPECT_EQ(first.SerializeAsString(), third.SerializeAsString());
  session.Record(third);
  EXPECT_FALSE(End().release);
}

TEST_F(RunnerTest, AFencedCheckpointEndsTheRunnerWithoutARelease) {
  Put("a", "x");
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  session.Answer(session.NextCheckpoint(), v1::CheckpointAck::FENCED);
  EXPECT_FALSE(End().release);
}

TEST_F(RunnerTest, AnotherCursorAtTheServerGivesTheLeaseBack) {
  Put("a", "x");
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  session.Answer(session.NextCheckpoint(), v1::CheckpointAck::CURSOR_DIFFERS);
  EXPECT_EQ(End().reason, "CURSOR_DIFFERS");
}

TEST_F(RunnerTest, ADrainedLeaseReportsWhatIsSettledAndIsGivenBack) {
  for (char key = 'a'; key <= 'j'; ++key) Put(std::string(1, key), "x");
  // "b" is written when the lease is asked for; the window ends three further.
  timing_.window_entries = 4;
  timing_.checkpoint_interval = absl::Hours(1);
  std::latch writing(1);
  std::latch go(1);
  stores_.destination->Before(Call::kCommit, [&](auto, auto key) {
    if (key != "b") return;
    writing.count_down();
    go.wait();
  });
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  writing.wait();
  session.link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
  go.count_down();
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_FALSE(checkpoint.complete());
  EXPECT_GE(checkpoint.to().key(), "b");
  EXPECT_LE(checkpoint.to().key(), "e");
  session.Record(checkpoint);
  const RunEnd end = End();
  EXPECT_TRUE(end.release);
  EXPECT_EQ(end.reason, "REVOKED");
  EXPECT_EQ(Replicas().rbegin()->first, checkpoint.to().key());
  EXPECT_EQ(static_cast<int64_t>(Replicas().size()), checkpoint.applied());
}

TEST_F(RunnerTest, ALostLeaseWritesNothingMore) {
  Put("a", "x");
  std::latch writing(1);
  std::latch go(1);
  stores_.destination->Before(Call::kCommit, [&](auto, auto) {
    writing.count_down();
    go.wait();
  });
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  writing.wait();
  session.link().Lose();
  go.count_down();
  EXPECT_FALSE(End().release);
  EXPECT_TRUE(session.NothingSent());
  EXPECT_TRUE(Replicas().empty());
}

TEST_F(RunnerTest, ALeaseThatRanOutStartsNothingUntilItIsRenewed) {
  Put("a", "x");
  std::latch opened(1);
  stores_.destination->After(Call::kGetBucket,
                             [&](auto, auto) { opened.count_down(); });
  std::atomic<bool> always_allowed = true;
  stores_.source->Before(Call::kHead, [&](auto, auto) {
    if (!session_->link().guard().StartAllowed()) always_allowed = false;
  });
  test::FakeSession& session =
      Start(v1::Lease::BACKFILL,
            Clock::Real().Now() + -test::FakeSession::kTerms.ttl);
  opened.wait();
  session.link().Renew(test::FakeSession::kTerms, Clock::Real().Now());
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_TRUE(checkpoint.complete());
  EXPECT_EQ(checkpoint.applied(), 1);
  EXPECT_TRUE(always_allowed);
}

TEST_F(RunnerTest, ALargeObjectStopsWhenTheTimeToDrainIsUp) {
  Put("a", std::string(3 * kPartBytes, 'x'));
  std::latch reading(1);
  std::latch go(1);
  bool first = true;
  stores_.source->Before(Call::kReadBytes, [&](auto, auto) {
    if (!first) return;
    first = false;
    reading.count_down();
    go.wait();
  });
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  reading.wait();
  session.link().Drain("STOPPING", Clock::Real().Now());
  go.count_down();
  EXPECT_EQ(End().reason, "STOPPING");
  EXPECT_TRUE(Replicas().empty());
  EXPECT_EQ(stores_.destination->Calls(Call::kAppend), 0);
}

TEST_F(RunnerTest, ALeaseWithARateStillFinishes) {
  for (int i = 0; i < 20; ++i) {
    Put(absl::StrCat("k", 10 + i), std::string(1'000, 'x'));
  }
  // One second's worth is saved up: 20,000 bytes take a tenth of a second.
  lease_.set_bytes_per_second(18'000);
  test::FakeSession& session = Start(v1::Lease::BACKFILL);
  const Ticks begin = Clock::Real().Now();
  for (v1::Checkpoint last; !last.complete();) {
    last = session.NextCheckpoint();
    ASSERT_EQ(last.unit(), 5);
    session.Record(last);
  }
  EXPECT_GE(Clock::Real().Now() - begin, absl::Milliseconds(100));
  EXPECT_EQ(Replicas().size(), 20u);
}

// ---- CHANGES

TEST_F(RunnerTest, ChangesBringTheSourcesStateOver) {
  Put("a", "1");
  Put("b", "22");
  Put("c", "333");
  Delete("c");
  lease_.mutable_cursor()->set_sequence(10);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(
      Segment(11, {{"a"}, {"b"}, {"c", v1::Change::DELETE}}));
  const v1::Checkpoint sum = RecordUpTo(13);
  EXPECT_EQ(sum.applied(), 3);
  EXPECT_EQ(sum.bytes(), 3);
  EXPECT_EQ(Replicas(),
            (std::map<std::string, std::string>{{"a", "1"}, {"b", "22"}}));

  Delete("a");
  session.link().Deliver(Segment(14, {{"a", v1::Change::DELETE}}));
  const v1::Checkpoint next = session.NextCheckpoint();
  EXPECT_EQ(next.from().sequence(), 13);
  EXPECT_EQ(next.to().sequence(), 14);
  EXPECT_EQ(Replicas(), (std::map<std::string, std::string>{{"b", "22"}}));
}

// A journal that is told again from its beginning.
TEST_F(RunnerTest, ADeletionOfBeforeTheRuleRemovesNoUsersObject) {
  const std::string keys[] = {"before", "replica", "at", "untimed"};
  for (const std::string& key : keys) Put(key, "x");
  Start(v1::Lease::CHANGES).link().Deliver(Segment(1, {{"replica"}}));
  RecordUpTo(1);
  session_->link().Lose();
  EXPECT_FALSE(End().release);
  for (const std::string& key : keys) {
    Delete(key);
    if (key != "replica") PutForeign(key, "a user's");
  }

  lease_.mutable_rule_create_time()->set_seconds(1'000);
  lease_.mutable_cursor()->set_sequence(1);
  Start(v1::Lease::CHANGES)
      .link()
      .Deliver(Segment(2, {{"before", v1::Change::DELETE, 999},
                           {"replica", v1::Change::DELETE, 999},
                           {"at", v1::Change::DELETE, 1'000},
                           {"untimed", v1::Change::DELETE}}));
  EXPECT_EQ(RecordUpTo(5).applied(), 4);
  EXPECT_EQ(Replicas(), (std::map<std::string, std::string>{
                            {"before", "a user's"}}));
}

TEST_F(RunnerTest, ChangesOfOneKeyAreCopiedOnce) {
  Put("a", "x");
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, std::vector<Entry>(500, {"a"})));
  const v1::Checkpoint sum = RecordUpTo(500);
  EXPECT_EQ(sum.applied(), 1);
  EXPECT_EQ(sum.collapsed(), 499);
  EXPECT_EQ(stores_.destination->Calls(Call::kCommit), 1);
}

TEST_F(RunnerTest, ChangesThatAreFilteredCountByReason) {
  auto writer = stores_.source_base.Write(kSource, "a");
  ObjectFacts facts;
  facts.encryption = "SSE-KMS";
  facts.encryption_key_id = "k";
  ASSERT_OK((*writer)->Commit(facts, std::nullopt, std::nullopt));
  Put("b", "x");
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, {{"a"}, {"b"}, {"a"}}));
  const v1::Checkpoint sum = RecordUpTo(3);
  EXPECT_EQ(sum.applied(), 1);
  EXPECT_EQ(sum.collapsed(), 1);
  EXPECT_EQ(sum.filtered().at("SSE_KMS"), 1);
}

TEST_F(RunnerTest, ChangesThatCameBeforeAreSkipped) {
  Put("a", "x");
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, {{"a"}, {"b"}}));
  session.link().Deliver(Segment(1, {{"a"}, {"b"}, {"c"}}));
  session.link().Deliver(Segment(2, {{"b"}}));
  const v1::Checkpoint sum = RecordUpTo(3);
  EXPECT_EQ(sum.applied(), 3);
}

TEST_F(RunnerTest, ChangesLeftOutGiveTheLeaseBack) {
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(2, {{"a"}}));
  EXPECT_EQ(End().reason, "MALFORMED_SEGMENT");
}

TEST_F(RunnerTest, ASegmentThatCannotBeReadGivesTheLeaseBack) {
  v1::Segment segment = Segment(1, {{"a"}});
  segment.set_last_sequence(2);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(std::move(segment));
  EXPECT_EQ(End().reason, "MALFORMED_SEGMENT");
}

TEST_F(RunnerTest, ManyChangesOfManyKeysAllSettleWithinABoundedWindow) {
  timing_.window_entries = 20;
  std::vector<Entry> entries;
  for (int i = 0; i < 1'000; ++i) {
    entries.push_back({absl::StrCat("k", i % 37)});
    if (i < 37) Put(entries.back().key, entries.back().key);
  }
  for (int n = 1; n < 400; n += 7) {
    stores_.destination->FailCall(Call::kWrite, n,
                                  absl::UnavailableError("away"));
    stores_.destination->LoseAnswer(Call::kCommit, n,
                                    absl::UnavailableError("lost"));
  }
  timing_.trouble_interval = absl::Hours(1);
  test::FakeSession& session = Start(v1::Lease::CHANGES);
  session.link().Deliver(Segment(1, entries));
  const test::CheckpointModel sum = RecordChanges(1'000);
  // A key that is struck thrice leaves.
  const auto replicas = Replicas();
  for (int i = 0; i < 37; ++i) {
    const std::string key = absl::StrCat("k", i);
    EXPECT_TRUE(replicas.contains(key) || sum.failed.contains(key)) << key;
  }
}

}  // namespace
}  // namespace crr
