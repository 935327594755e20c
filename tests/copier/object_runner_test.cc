#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/copier/failure_reason.h"
#include "client/copier/part_copy.h"
#include "tests/copier/forwarding_store.h"
#include "tests/copier/runner_fixture.h"

namespace crr {
namespace {

using ::crr::test::CheckpointModel;
using ::crr::test::IsOk;
using ::crr::test::kDestination;
using ::crr::test::kSource;
using ::crr::test::RunnerTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Call = FaultStore::Call;

constexpr char kKey[] = "a/1.bin";
constexpr int64_t kParts = 3;
constexpr int64_t kLargeSize = 2 * kLargePartBytes + 12'345;

class ObjectRunnerTest : public RunnerTest {
 protected:
  ObjectRunnerTest() {
    lease_.mutable_object()->set_key(kKey);
    lease_.set_large_object_bytes(1'000);
    // Every part is told of.
    timing_.checkpoint_interval = absl::ZeroDuration();
  }

  static std::string LargeBytes(char seed) {
    std::string bytes(static_cast<size_t>(kLargeSize), seed);
    for (size_t i = 0; i < bytes.size(); i += 4'099) {
      bytes[i] = static_cast<char>(i / 4'099 * 31);
    }
    return bytes;
  }

  // What the server would grant next, after it recorded `sum`.
  void GrantAfter(const CheckpointModel& sum) {
    *lease_.mutable_cursor() = sum.cursor();
    lease_.set_token(lease_.token() + 1);
    if (!sum.upload.id().empty()) {
      *lease_.mutable_object()->mutable_upload() = sum.upload;
    }
  }
  // Runs a lease of which everything is recorded, to its end.
  CheckpointModel RunToEnd() {
    Start(v1::Lease::OBJECT);
    const CheckpointModel sum = RecordAll();
    EXPECT_FALSE(End().release);
    return sum;
  }
  // Runs a lease that is lost when the source is asked for bytes the `n`-th
  // time: as of a copier that is killed then.
  CheckpointModel RunAndLoseAtRead(int n) {
    std::atomic<int> reads = 0;
    stores_.source->Before(Call::kReadBytes, [&](auto, auto) {
      if (++reads == n) session_->link().Lose();
    });
    Start(v1::Lease::OBJECT);
    const CheckpointModel sum = Record([&](const CheckpointModel& so_far) {
      return so_far.cursor().sequence() == n - 1 && !so_far.upload.id().empty();
    });
    EXPECT_FALSE(End().release);
    stores_.source->Before(Call::kReadBytes, {});
    return sum;
  }
  RunEnd RunToRelease() {
    Start(v1::Lease::OBJECT);
    return End();
  }
  std::optional<ObjectInfo> Replica() {
    return stores_.destination_base.Head(kDestination, kKey)->object;
  }
  int Calls(Call call) { return stores_.destination->Calls(call); }

  std::string begun_id_;
};

// ---- Small objects.

TEST_F(ObjectRunnerTest, BringsOneObjectAndNoOther) {
  Put(kKey, "bytes");
  Put("other", "bytes");
  const CheckpointModel sum = RunToEnd();
  EXPECT_EQ(sum.applied, 1);
  EXPECT_EQ(sum.bytes, 5);
  EXPECT_THAT(Replicas(), ElementsAre(Pair(kKey, "bytes")));
  EXPECT_EQ(Calls(Call::kBeginUpload), 0);
}

TEST_F(ObjectRunnerTest, ADeletionRemovesWhateverIsThere) {
  PutForeign(kKey, "a user's");
  lease_.mutable_object()->set_deletion(true);
  EXPECT_EQ(RunToEnd().applied, 1);
  EXPECT_THAT(Replicas(), IsEmpty());
}

TEST_F(ObjectRunnerTest, AbsenceAloneRemovesOurReplicaAndNoUsersObject) {
  Put(kKey, "bytes");
  RunToEnd();
  Delete(kKey);
  RunToEnd();
  EXPECT_THAT(Replicas(), IsEmpty());

  PutForeign(kKey, "a user's");
  RunToEnd();
  EXPECT_THAT(Replicas(), ElementsAre(Pair(kKey, "a user's")));
}

TEST_F(ObjectRunnerTest, WhatIsFilteredSaysWhy) {
  auto writer = stores_.source_base.Write(kSource, kKey);
  ObjectFacts facts;
  facts.encryption = "SSE-KMS";
  facts.encryption_key_id = "k";
  ASSERT_OK((*writer)->Commit(facts, std::nullopt, std::nullopt));
  EXPECT_THAT(RunToEnd().filtered, ElementsAre(Pair("SSE_KMS", 1)));
}

TEST_F(ObjectRunnerTest, AReplicaIsProvenAndWrittenAgainWhenItIsDamaged) {
  Put(kKey, "bytes");
  RunToEnd();
  EXPECT_EQ(RunToEnd().bytes, 0);
  EXPECT_EQ(Calls(Call::kProve), 2);
  stores_.destination->FailCall(Call::kProve, 1, absl::DataLossError("bad"));
  EXPECT_EQ(RunToEnd().bytes, 5);
  EXPECT_EQ(Calls(Call::kCommit), 2);
}

TEST_F(ObjectRunnerTest, AnObjectThatFailsIsGivenBackAtOnce) {
  Put(kKey, "bytes");
  for (const absl::Status& status :
       {absl::DataLossError("x"), ContentGoneError("x"),
        absl::InternalError("x"), absl::InvalidArgumentError("x"),
        absl::PermissionDeniedError("x"),
        WithReason(absl::UnavailableError("x"), kObjectMoving)}) {
    const int heads = stores_.source->Calls(Call::kHead);
    stores_.source->FailKey(kKey, status);
    const RunEnd end = RunToRelease();
    EXPECT_TRUE(end.release);
    EXPECT_TRUE(end.object_failed) << status;
    EXPECT_EQ(end.reason, ReasonOf(status));
    EXPECT_EQ(end.message, MessageOf(status));
    EXPECT_EQ(stores_.source->Calls(Call::kHead), heads + 1);
  }
}

TEST_F(ObjectRunnerTest, AStoreThatIsAwayForThisObjectAloneFailsIt) {
  Put(kKey, "bytes");
  for (const absl::Status& status :
       {absl::UnavailableError("x"), absl::DeadlineExceededError("x")}) {
    for (FaultStore* store : {&*stores_.source, &*stores_.destination}) {
      const int asked = store->Calls(Call::kGetBucket);
      store->FailKey(kKey, status);
      const RunEnd end = RunToRelease();
      EXPECT_TRUE(end.release);
      EXPECT_TRUE(end.object_failed) << status;
      EXPECT_EQ(end.reason, ReasonOf(status));
      EXPECT_EQ(end.message, MessageOf(status));
      // To open the lease, and to tell.
      EXPECT_EQ(store->Calls(Call::kGetBucket), asked + 2);
      store->FailKey(kKey, absl::OkStatus());
    }
  }
}

TEST_F(ObjectRunnerTest, AnOutageIsNoFailureOfTheObject) {
  Put(kKey, "bytes");
  for (const absl::Status& status :
       {absl::UnavailableError("x"), absl::DeadlineExceededError("x")}) {
    stores_.source->FailKey(kKey, status);
    for (FaultStore* away : {&*stores_.source, &*stores_.destination}) {
      // It was there when the lease was opened.
      away->FailCall(Call::kGetBucket, 2, absl::UnavailableError("away"));
      const RunEnd end = RunToRelease();
      EXPECT_TRUE(end.release);
      EXPECT_FALSE(end.object_failed) << status;
      EXPECT_EQ(end.reason, ReasonOf(status));
    }
  }
  // These are no matter of one object, whoever answers.
  for (const absl::Status& status :
       {absl::ResourceExhaustedError("x"), absl::NotFoundError("no bucket"),
        WithReason(absl::FailedPreconditionError("x"),
                   kBucketIdentityChanged)}) {
    stores_.source->FailKey(kKey, status);
    const RunEnd end = RunToRelease();
    EXPECT_TRUE(end.release);
    EXPECT_FALSE(end.object_failed) << status;
    EXPECT_EQ(end.reason, ReasonOf(status));
  }
  lease_.mutable_source()->set_identity("another");
  const RunEnd end = RunToRelease();
  EXPECT_EQ(end.reason, "BUCKET_IDENTITY_CHANGED");
  EXPECT_FALSE(end.object_failed);
}

TEST_F(ObjectRunnerTest, ALeaseThatIsLostWritesNothingMore) {
  Put(kKey, "bytes");
  stores_.destination->Before(Call::kCommit,
                              [&](auto, auto) { session_->link().Lose(); });
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  EXPECT_FALSE(End().release);
  EXPECT_TRUE(session.NothingSent());
  EXPECT_THAT(Replicas(), IsEmpty());
}

TEST_F(ObjectRunnerTest, WaitsForASlotForAsLongAsTheLeaseIsNotAskedFor) {
  Put(kKey, "bytes");
  std::latch release(1);
  const auto others = pool_.OpenLane();
  for (int i = 0; i < pool_.slots(); ++i) {
    others->Submit([&] { release.wait(); });
  }
  Start(v1::Lease::OBJECT);
  session_->link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "REVOKED");
  EXPECT_FALSE(end.object_failed);
  EXPECT_EQ(Calls(Call::kHead), 0);

  Start(v1::Lease::OBJECT);
  session_->link().Lose();
  EXPECT_FALSE(End().release);

  Start(v1::Lease::OBJECT);
  release.count_down();
  EXPECT_EQ(RecordAll().applied, 1);
}

TEST_F(ObjectRunnerTest, HoldsItsRate) {
  Put(kKey, std::string(20'000, 'x'));
  // One second's worth is saved up.
  lease_.set_bytes_per_second(18'000);
  const Ticks begin = Clock::Real().Now();
  EXPECT_EQ(RunToEnd().bytes, 20'000);
  EXPECT_GE(Clock::Real().Now() - begin, absl::Milliseconds(100));
  EXPECT_EQ(Calls(Call::kWritePart), 1);
}

// ---- Large ones.

TEST_F(ObjectRunnerTest, ALargeObjectGoesInPartsOfARecordedUpload) {
  Put(kKey, LargeBytes('a'));
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  CheckpointModel sum(session.link().lease());
  const v1::Checkpoint begun = session.NextCheckpoint();
  EXPECT_NE(begun.upload().id(), "");
  EXPECT_EQ(begun.upload().source_etag(),
            stores_.source_base.Head(kSource, kKey)->object->etag);
  EXPECT_EQ(begun.to().sequence(), 0);
  EXPECT_EQ(Calls(Call::kWritePart), 0) << "a part before its upload's name";
  sum.Take(begun);
  session.Record(begun);
  std::vector<int64_t> told;
  while (!sum.complete) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    ASSERT_EQ(checkpoint.unit(), 5);
    told.push_back(checkpoint.to().sequence());
    sum.Take(checkpoint);
    session.Record(checkpoint);
  }
  EXPECT_THAT(told, ElementsAre(1, 2, kParts, kParts));
  EXPECT_EQ(sum.applied, 1);
  EXPECT_EQ(sum.bytes, kLargeSize);
  EXPECT_FALSE(End().release);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
  EXPECT_TRUE(IsValidReplica(kDestination, *Replica()));
  EXPECT_EQ(Calls(Call::kWrite), 0);
}

TEST_F(ObjectRunnerTest, ALargeReplicaThatIsEqualIsNotSentAgain) {
  Put(kKey, LargeBytes('a'));
  RunToEnd();
  lease_.clear_cursor();
  const CheckpointModel sum = RunToEnd();
  EXPECT_EQ(sum.applied, 1);
  EXPECT_EQ(sum.bytes, 0);
  EXPECT_EQ(Calls(Call::kBeginUpload), 1);
}

TEST_F(ObjectRunnerTest, AnotherCopierGoesOnAtThePartWhereThisOneStopped) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(3);
  EXPECT_EQ(first.cursor().sequence(), 2);
  GrantAfter(first);
  const int reads = stores_.source->Calls(Call::kReadBytes);
  const int parts = Calls(Call::kWritePart);
  const CheckpointModel second = RunToEnd();
  EXPECT_EQ(second.bytes, 12'345);
  EXPECT_EQ(Calls(Call::kWritePart), parts + 1);
  // The last part, and the end.
  EXPECT_EQ(stores_.source->Calls(Call::kReadBytes), reads + 2);
  EXPECT_EQ(Calls(Call::kBeginUpload), 1);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, WhatAnEarlierHolderDamagedIsFound) {
  Put(kKey, LargeBytes('a'));
  stores_.destination->CorruptKey(kKey);
  GrantAfter(RunAndLoseAtRead(3));
  Start(v1::Lease::OBJECT);
  Record([](const CheckpointModel& sum) {
    return sum.cursor().sequence() == kParts;
  });
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "CONTENT_DAMAGED");
  EXPECT_TRUE(end.object_failed);
}

// As some stores': no two of them compare.
class OpaqueEtags final : public test::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Capabilities capabilities() const override {
    return {.fences_by_revision = true, .etag_is_content_hash = false};
  }
};

TEST_F(ObjectRunnerTest, WithoutEtagsThatCompareTheSourceIsReadAgainForAProof) {
  stores_.open_destination =
      std::make_shared<OpaqueEtags>(*stores_.destination);
  Put(kKey, LargeBytes('a'));
  GrantAfter(RunAndLoseAtRead(3));
  const int reads = stores_.source->Calls(Call::kRead);
  EXPECT_EQ(RunToEnd().bytes, 12'345);
  EXPECT_EQ(stores_.source->Calls(Call::kRead), reads + 2);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));

  // And what was damaged by the first of the two is found.
  Put(kKey, LargeBytes('b'));
  lease_.clear_object();
  lease_.mutable_object()->set_key(kKey);
  lease_.clear_cursor();
  stores_.destination->CorruptKey(kKey);
  GrantAfter(RunAndLoseAtRead(3));
  Start(v1::Lease::OBJECT);
  Record([](const CheckpointModel& sum) {
    return sum.cursor().sequence() == kParts;
  });
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "CONTENT_DAMAGED");
  EXPECT_TRUE(end.object_failed);
}

TEST_F(ObjectRunnerTest, ACopierKilledBeforeTheFirstPartLeavesItsUpload) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(1);
  EXPECT_EQ(Calls(Call::kWritePart), 0);
  GrantAfter(first);
  const CheckpointModel second = RunToEnd();
  EXPECT_EQ(second.bytes, kLargeSize);
  EXPECT_EQ(Calls(Call::kBeginUpload), 1);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, AnUploadThatWasNotRecordedIsNotUsed) {
  Put(kKey, LargeBytes('a'));
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  const std::string id = session.NextCheckpoint().upload().id();
  session.link().Lose();
  EXPECT_FALSE(End().release);
  EXPECT_EQ(Calls(Call::kWritePart), 0);
  EXPECT_EQ(*stores_.destination_base.ResumeUpload(kDestination, kKey, id),
            nullptr);
  EXPECT_NE(RunToEnd().upload.id(), id);
}

// It may be larger than all the room there is.
TEST_F(ObjectRunnerTest, AFullDestinationGetsTheRoomOfItsPartsBack) {
  Put(kKey, LargeBytes('a'));
  stores_.destination->FailCall(Call::kWritePart, 1,
                                absl::ResourceExhaustedError("full"));
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  const v1::Checkpoint begun = session.NextCheckpoint();
  session.Record(begun);
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "STORE_FULL");
  EXPECT_FALSE(end.object_failed);
  EXPECT_EQ(*stores_.destination_base.ResumeUpload(kDestination, kKey,
                                                   begun.upload().id()),
            nullptr);
}

TEST_F(ObjectRunnerTest, WhatTookTheLastRoomItselfHasFailed) {
  Put(kKey, LargeBytes('a'));
  stores_.destination->FailCall(Call::kWritePart, 2,
                                absl::ResourceExhaustedError("full"));
  Start(v1::Lease::OBJECT);
  Record([](const CheckpointModel& so_far) {
    return so_far.cursor().sequence() == 1;
  });
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "STORE_FULL");
  EXPECT_TRUE(end.object_failed);
}

TEST_F(ObjectRunnerTest, AnUploadOfAnotherContentIsAborted) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(3);
  GrantAfter(first);
  Put(kKey, LargeBytes('b'));
  const CheckpointModel second = RunToEnd();
  EXPECT_NE(second.upload.id(), first.upload.id());
  EXPECT_EQ(second.bytes, kLargeSize);
  EXPECT_EQ(*stores_.destination_base.ResumeUpload(kDestination, kKey,
                                                   first.upload.id()),
            nullptr);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('b'));
}

TEST_F(ObjectRunnerTest, AnUploadThatTheStoreForgotIsBegunAnew) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(3);
  GrantAfter(first);
  ASSERT_OK(stores_.destination_base.AbortUpload(kDestination, kKey,
                                                 first.upload.id()));
  EXPECT_EQ(RunToEnd().bytes, kLargeSize);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, AnUploadThatGoesAwayInTheMiddleIsBegunAnew) {
  Put(kKey, LargeBytes('a'));
  bool done = false;
  stores_.destination->Before(Call::kWritePart, [&](auto, auto) {
    if (Calls(Call::kWritePart) < 2 || std::exchange(done, true)) return;
    ASSERT_OK(
        stores_.destination_base.AbortUpload(kDestination, kKey, begun_id_));
  });
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  CheckpointModel sum(session.link().lease());
  while (!sum.complete) {
    const v1::Checkpoint checkpoint = session.NextCheckpoint();
    ASSERT_EQ(checkpoint.unit(), 5);
    if (begun_id_.empty()) begun_id_ = checkpoint.upload().id();
    sum.Take(checkpoint);
    session.Record(checkpoint);
  }
  EXPECT_EQ(Calls(Call::kBeginUpload), 2);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, PartsOfOneUploadAreOfOneState) {
  Put(kKey, LargeBytes('a'));
  stores_.destination->Before(Call::kWritePart, [&](auto, auto) {
    if (Calls(Call::kWritePart) == 2) Put(kKey, LargeBytes('b'));
  });
  std::vector<std::string> committed;
  stores_.destination->After(Call::kCommitUpload, [&](auto, auto) {
    committed.push_back(Replicas()[kKey]);
  });
  const CheckpointModel sum = RunToEnd();
  EXPECT_EQ(sum.applied, 1);
  EXPECT_EQ(sum.bytes, 2 * kLargeSize);
  ASSERT_EQ(committed.size(), 2u);
  EXPECT_TRUE(committed[0] == LargeBytes('a'));
  EXPECT_TRUE(committed[1] == LargeBytes('b'));
}

TEST_F(ObjectRunnerTest, AFrozenHoldersLatePartsChangeNothing) {
  Put(kKey, LargeBytes('a'));
  std::latch frozen(1);
  std::latch thaw(1);
  std::atomic<bool> first = true;
  stores_.destination->Before(Call::kWritePart, [&](auto, auto) {
    if (Calls(Call::kWritePart) != 2 || !first.exchange(false)) return;
    frozen.count_down();
    thaw.wait();
  });
  Start(v1::Lease::OBJECT);
  const CheckpointModel recorded = Record(
      [](const CheckpointModel& sum) { return sum.cursor().sequence() == 1; });
  frozen.wait();
  const auto old_session = std::exchange(session_, nullptr);
  std::future<RunEnd> old_end = std::move(end_);

  GrantAfter(recorded);
  RunToEnd();
  Put(kKey, LargeBytes('b'));
  lease_.mutable_object()->clear_upload();
  lease_.clear_cursor();
  lease_.set_token(lease_.token() + 1);
  RunToEnd();
  const int64_t revision =
      stores_.destination_base.Head(kDestination, kKey)->revision;

  // The fence of the store has to do without that of the lease.
  thaw.count_down();
  const v1::Checkpoint late = old_session->NextCheckpoint();
  EXPECT_EQ(late.bytes(), 0);
  old_session->Answer(late, v1::CheckpointAck::FENCED);
  EXPECT_FALSE(old_end.get().release);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('b'));
  EXPECT_EQ(stores_.destination_base.Head(kDestination, kKey)->revision,
            revision);
}

TEST_F(ObjectRunnerTest, ADrainedLeaseTellsOfItsPartsAndIsGivenBack) {
  Put(kKey, LargeBytes('a'));
  timing_.checkpoint_interval = absl::Hours(1);
  stores_.destination->After(Call::kWritePart, [&](auto, auto) {
    if (Calls(Call::kWritePart) == 2) {
      session_->link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
    }
  });
  Start(v1::Lease::OBJECT);
  const CheckpointModel first = Record(
      [](const CheckpointModel& sum) { return sum.cursor().sequence() > 0; });
  EXPECT_EQ(first.cursor().sequence(), 2);
  EXPECT_EQ(first.bytes, 2 * kLargePartBytes);
  const RunEnd end = End();
  EXPECT_TRUE(end.release);
  EXPECT_EQ(end.reason, "REVOKED");
  EXPECT_FALSE(end.object_failed);

  stores_.destination->After(Call::kWritePart, {});
  GrantAfter(first);
  EXPECT_EQ(RunToEnd().bytes, 12'345);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, PartsThatAreThereAreToldWhenTheNextFails) {
  Put(kKey, LargeBytes('a'));
  timing_.checkpoint_interval = absl::Hours(1);
  stores_.destination->FailCall(Call::kWritePart, 3,
                                absl::UnavailableError("away"));
  Start(v1::Lease::OBJECT);
  const CheckpointModel first = Record(
      [](const CheckpointModel& sum) { return sum.cursor().sequence() > 0; });
  EXPECT_EQ(first.cursor().sequence(), 2);
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "STORE_UNREACHABLE");
  EXPECT_TRUE(end.object_failed);
  GrantAfter(first);
  EXPECT_EQ(RunToEnd().bytes, 12'345);
}

TEST_F(ObjectRunnerTest, AnUploadThatLacksPartsIsGivenUp) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(2);
  GrantAfter(first);
  lease_.mutable_cursor()->set_sequence(2);  // More than there are.
  Start(v1::Lease::OBJECT);
  Record([](const CheckpointModel& sum) {
    return sum.cursor().sequence() == kParts;
  });
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "CONTENT_DAMAGED");
  EXPECT_TRUE(end.object_failed);
  EXPECT_FALSE(Replica().has_value());
  lease_.mutable_cursor()->set_sequence(kParts);
  EXPECT_EQ(RunToEnd().bytes, kLargeSize);
  EXPECT_TRUE(Replicas()[kKey] == LargeBytes('a'));
}

TEST_F(ObjectRunnerTest, BytesThatChangedOnTheWayAreFound) {
  Put(kKey, LargeBytes('a'));
  stores_.destination->CorruptKey(kKey);
  Start(v1::Lease::OBJECT);
  Record([](const CheckpointModel& sum) {
    return sum.cursor().sequence() == kParts;
  });
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "CONTENT_DAMAGED");
  EXPECT_TRUE(end.object_failed);
}

TEST_F(ObjectRunnerTest, AnUploadOfNoMoreUseIsFreed) {
  Put(kKey, LargeBytes('a'));
  const CheckpointModel first = RunAndLoseAtRead(3);
  GrantAfter(first);
  Put(kKey, "small now");
  EXPECT_EQ(RunToEnd().bytes, 9);
  EXPECT_EQ(*stores_.destination_base.ResumeUpload(kDestination, kKey,
                                                   first.upload.id()),
            nullptr);
}

TEST_F(ObjectRunnerTest, AnotherCursorAtTheServerGivesTheLeaseBack) {
  Put(kKey, LargeBytes('a'));
  test::FakeSession& session = Start(v1::Lease::OBJECT);
  session.Answer(session.NextCheckpoint(), v1::CheckpointAck::CURSOR_DIFFERS);
  const RunEnd end = End();
  EXPECT_EQ(end.reason, "CURSOR_DIFFERS");
  EXPECT_FALSE(end.object_failed);
}

}  // namespace
}  // namespace crr
