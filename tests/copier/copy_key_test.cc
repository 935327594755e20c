#include "client/copier/copy_key.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "client/store/fault_store.h"
#include "client/store/memory_store.h"
#include "tests/copier/forwarding_store.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::crr::test::HasCode;
using ::crr::test::IsOk;
using Call = FaultStore::Call;
using Outcome = CopyResult::Outcome;

constexpr char kSource[] = "photos";
constexpr char kDestination[] = "photos-dr";
constexpr char kKey[] = "a/1.jpg";

class CopyKeyTest : public ::testing::Test {
 protected:
  CopyKeyTest() {
    const auto source =
        source_base_.EnsureBucket(kSource, BucketVersioning::kUnversioned);
    EXPECT_OK(source);
    EXPECT_OK(destination_base_.EnsureBucket(kDestination,
                                             BucketVersioning::kUnversioned));
    rule_ = {.source = &source_,
             .destination = &destination_,
             .source_bucket = kSource,
             .source_identity = source->identity,
             .destination_bucket = kDestination,
             .operations = Operations::kAddDeleteChange,
             .replica_kms_key = {}};
  }

  static void Put(ObjectStore& store, const std::string& bucket,
                  const std::string& bytes, const ObjectFacts& facts = {},
                  const std::optional<ReplicaMark>& mark = {}) {
    auto writer = store.Write(bucket, kKey);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Append(bytes));
    ASSERT_OK((*writer)->Commit(facts, mark, std::nullopt));
  }
  void PutSource(const std::string& bytes, const ObjectFacts& facts = {}) {
    Put(source_base_, kSource, bytes, facts);
  }
  void DeleteSource() {
    ASSERT_OK(source_base_.Delete(kSource, kKey, std::nullopt));
  }

  absl::StatusOr<CopyResult> Copy(CopyReason reason) {
    CopyTask task;
    task.key = kKey;
    task.reason = reason;
    task.may_commit = [] { return true; };
    return CopyKey(rule_, task);
  }
  absl::StatusOr<CopyResult> Retry(CopyReason reason) {
    CopyTask task;
    task.key = kKey;
    task.reason = reason;
    task.unproven = true;
    return CopyKey(rule_, task);
  }
  // The same by another copier, past all faults.
  absl::StatusOr<CopyResult> CopyElsewhere(CopyReason reason) {
    CopyRule rule = rule_;
    rule.source = &source_base_;
    rule.destination = &destination_base_;
    CopyTask task;
    task.key = kKey;
    task.reason = reason;
    return CopyKey(rule, task);
  }

  // "" for absence.
  static std::string Content(ObjectStore& store, const std::string& bucket) {
    auto reader = store.Read(bucket, kKey);
    EXPECT_OK(reader);
    return *reader == nullptr ? "" : (*reader)->Read(1 << 20).value();
  }
  std::string Replica() { return Content(destination_base_, kDestination); }
  std::optional<ObjectInfo> ReplicaInfo() {
    return destination_base_.Head(kDestination, kKey).value().object;
  }
  std::optional<ObjectInfo> SourceInfo() {
    return source_base_.Head(kSource, kKey).value().object;
  }
  int64_t SourceRevision() {
    return source_base_.Head(kSource, kKey).value().revision;
  }
  // Whether the destination still takes the source's state of `revision`.
  bool Takes(int64_t revision) {
    return destination_base_
               .Touch(kDestination, kKey,
                      {.source_identity = rule_.source_identity,
                       .revision = revision,
                       .may_commit = {}})
               .value() == WriteOutcome::kApplied;
  }

  MemoryStore source_base_;
  MemoryStore destination_base_;
  FaultStore source_{source_base_};
  FaultStore destination_{destination_base_};
  CopyRule rule_;
};

void ExpectOutcome(const absl::StatusOr<CopyResult>& result, Outcome outcome) {
  ASSERT_OK(result);
  EXPECT_EQ(result->outcome, outcome);
}

ObjectFacts SomeFacts() {
  ObjectFacts facts;
  facts.user_metadata = {{"camera", "x100"}};
  facts.headers.type = "image/jpeg";
  facts.tags = {{"album", "sea"}};
  facts.owner = "acme";
  facts.acl = "private";
  facts.creation_time = absl::FromUnixMicros(1'700'000'000'000'001);
  return facts;
}

TEST_F(CopyKeyTest, CopiesBytesFactsAndMark) {
  PutSource("bytes", SomeFacts());
  const auto result = Copy(CopyReason::kOtherChange);
  ExpectOutcome(result, Outcome::kCopied);
  EXPECT_EQ(result->bytes, 5);
  EXPECT_EQ(Replica(), "bytes");
  const ObjectInfo replica = ReplicaInfo().value();
  EXPECT_EQ(replica.facts, SomeFacts());
  EXPECT_TRUE(IsValidReplica(kDestination, replica));
  EXPECT_EQ(replica.mark->source_bucket, kSource);
  EXPECT_EQ(replica.mark->source_etag, SourceInfo()->etag);
  EXPECT_EQ(replica.mark->source_stamp, SourceInfo()->stamp);
}

TEST_F(CopyKeyTest, CopiesAnEmptyObject) {
  PutSource("");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  ASSERT_TRUE(ReplicaInfo().has_value());
  EXPECT_EQ(ReplicaInfo()->size, 0);
}

TEST_F(CopyKeyTest, StreamsInParts) {
  PutSource(std::string(2 * kPartBytes + 1, 'x'));
  CopyTask task;
  task.key = kKey;
  std::vector<int64_t> parts;
  task.before_part = [&](int64_t bytes) {
    parts.push_back(bytes);
    return absl::OkStatus();
  };
  ExpectOutcome(CopyKey(rule_, task), Outcome::kCopied);
  EXPECT_EQ(parts, (std::vector<int64_t>{kPartBytes, kPartBytes, 1}));
}

TEST_F(CopyKeyTest, AnErrorBeforeAPartEndsTheCopyAndLeavesNothing) {
  PutSource("bytes");
  CopyTask task;
  task.key = kKey;
  task.before_part = [](int64_t) { return absl::CancelledError("stop"); };
  EXPECT_THAT(CopyKey(rule_, task), HasCode(absl::StatusCode::kCancelled));
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, EqualReplicaIsNotCopiedAgainButItsRevisionIsRecorded) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  const int64_t first = SourceRevision();
  // The same again, as a new operation of the user: a later revision.
  PutSource("bytes", SourceInfo()->facts);
  ASSERT_GT(SourceRevision(), first);
  const auto again = Copy(CopyReason::kOtherChange);
  ExpectOutcome(again, Outcome::kEqual);
  EXPECT_EQ(again->bytes, 0);
  EXPECT_EQ(destination_.Calls(Call::kWrite), 1);
  EXPECT_FALSE(Takes(first));
}

TEST_F(CopyKeyTest, EqualContentThatNobodyMarkedIsMarkedOnly) {
  PutSource("bytes", SomeFacts());
  Put(destination_base_, kDestination, "bytes", SomeFacts());
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kFactsOnly);
  EXPECT_EQ(destination_.Calls(Call::kWrite), 0);
  EXPECT_TRUE(IsValidReplica(kDestination, ReplicaInfo().value()));
}

TEST_F(CopyKeyTest, OtherFactsAreBroughtOverAlone) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  PutSource("bytes", SomeFacts());
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kFactsOnly);
  EXPECT_EQ(destination_.Calls(Call::kWrite), 1);
  EXPECT_EQ(ReplicaInfo()->facts, SomeFacts());
  EXPECT_TRUE(IsValidReplica(kDestination, ReplicaInfo().value()));
}

TEST_F(CopyKeyTest, FactsGoAgainWhenTheReplicaChangedUnderneath) {
  PutSource("bytes", SomeFacts());
  Put(destination_base_, kDestination, "bytes");
  bool first = true;
  destination_.Before(Call::kSetFacts, [&](auto, auto) {
    if (first) Put(destination_base_, kDestination, "user's");
    first = false;
  });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(Replica(), "bytes");
}

// A copier that was frozen since it was let commit wakes up between the look at
// the destination and the touch: what it commits was not looked at.
TEST_F(CopyKeyTest, ADestinationThatMovedSinceItWasEqualIsNotCertified) {
  PutSource("bytes", SomeFacts());
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  ObjectFacts open = SomeFacts();
  open.acl = "public-read";
  PutSource("bytes", open);
  const int64_t frozen_revision = SourceRevision();
  PutSource("bytes", SomeFacts());
  bool first = true;
  destination_.Before(Call::kTouch, [&](auto, auto) {
    if (!first) return;
    first = false;
    EXPECT_EQ(destination_base_
                  .SetFacts(kDestination, kKey, ReplicaInfo()->etag, open,
                            ReplicaInfo()->mark,
                            ReplicaWrite{
                                .source_identity = rule_.source_identity,
                                .revision = frozen_revision,
                                .may_commit = {}})
                  .value(),
              WriteOutcome::kApplied);
  });
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kFactsOnly);
  EXPECT_EQ(ReplicaInfo()->facts, SomeFacts());
  EXPECT_FALSE(Takes(frozen_revision));
}

TEST_F(CopyKeyTest, ReplicaEditedByAUserIsOverwritten) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  Put(destination_base_, kDestination, "edit");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(Replica(), "bytes");
}

TEST_F(CopyKeyTest, DeleteChangeDeletesWhateverIsThere) {
  PutSource("bytes");
  DeleteSource();
  Put(destination_base_, kDestination, "nobody's");
  ExpectOutcome(Copy(CopyReason::kDelete), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, AbsenceDeletesAReplicaOfThisSourceForAnyReason) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  DeleteSource();
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, AbsenceAloneDeletesNoObjectOfAUser) {
  PutSource("bytes");
  const int64_t revision = SourceRevision();
  DeleteSource();
  Put(destination_base_, kDestination, "user's");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kNothingToDo);
  EXPECT_EQ(Replica(), "user's");
  EXPECT_FALSE(Takes(revision)) << "the tombstone was not recorded";
}

TEST_F(CopyKeyTest, AbsenceAloneDeletesNoObjectThatAUserJustWrote) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  const int64_t revision = SourceRevision();
  DeleteSource();
  destination_.Before(Call::kDelete, [&](auto, auto) {
    Put(destination_base_, kDestination, "user's");
  });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kNothingToDo);
  EXPECT_EQ(Replica(), "user's");
  EXPECT_FALSE(Takes(revision)) << "the tombstone was not recorded";
}

// A change that says "deleted" deletes whatever is there by then.
TEST_F(CopyKeyTest, ADeleteChangeDeletesWhatAUserJustWrote) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  DeleteSource();
  destination_.Before(Call::kDelete, [&](auto, auto) {
    Put(destination_base_, kDestination, "user's");
  });
  ExpectOutcome(Copy(CopyReason::kDelete), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

// A late write of the source's bytes, after the absence was seen at both ends.
TEST_F(CopyKeyTest, AReplicaThatCameBackIsNotCertifiedAsAbsent) {
  PutSource("bytes");
  const int64_t revision = SourceRevision();
  const ObjectInfo origin = SourceInfo().value();
  DeleteSource();
  bool first = true;
  destination_.Before(Call::kTouch, [&](auto, auto) {
    if (!first) return;
    first = false;
    auto writer = destination_base_.Write(kDestination, kKey);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Append("bytes"));
    EXPECT_EQ((*writer)
                  ->Commit(origin.facts,
                           ReplicaMark{.source_bucket = kSource,
                                       .source_etag = origin.etag,
                                       .source_stamp = origin.stamp,
                                       .destination_bucket = kDestination,
                                       .key = kKey,
                                       .digest = ""},
                           ReplicaWrite{
                               .source_identity = rule_.source_identity,
                               .revision = revision,
                               .may_commit = {}})
                  .value(),
              WriteOutcome::kApplied);
  });
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

// The source bucket was made anew: what is not in it was not deleted from it.
TEST_F(CopyKeyTest, ABucketThatNeverHeldTheKeyDeletesNoReplicaByItsAbsence) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  MemoryStore anew;
  rule_.source = &anew;
  rule_.source_identity =
      anew.EnsureBucket(kSource, BucketVersioning::kUnversioned)->identity;
  for (const CopyReason reason :
       {CopyReason::kBackfill, CopyReason::kOtherChange}) {
    ExpectOutcome(Copy(reason), Outcome::kNothingToDo);
    EXPECT_EQ(Replica(), "bytes");
  }
  // A copier that looked there has left no trace of a deletion.
  ASSERT_OK(anew.Touch(kSource, kKey, {.source_identity = "x"}));
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kNothingToDo);
  // A deletion that somebody tells of is another matter.
  ExpectOutcome(Copy(CopyReason::kDelete), Outcome::kDeleted);
}

// Which has nothing but absence to tell.
class StoreWithoutRevisions final : public test::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Capabilities capabilities() const override { return {}; }
};

TEST_F(CopyKeyTest, OnlyStoresThatKnowOfDeletionsCanDenyOne) {
  const KeyState unknown;
  const KeyState deleted = {.object = {}, .revision = 7, .stamp = 1'000};
  EXPECT_FALSE(IsDeletion(rule_, unknown));
  EXPECT_TRUE(IsDeletion(rule_, deleted));
  rule_.changed_since = absl::FromUnixMicros(1'000);
  EXPECT_TRUE(IsDeletion(rule_, deleted));
  rule_.changed_since = absl::FromUnixMicros(1'001);
  EXPECT_FALSE(IsDeletion(rule_, deleted));

  StoreWithoutRevisions source(source_base_);
  rule_.source = &source;
  EXPECT_TRUE(IsDeletion(rule_, unknown));
}

TEST_F(CopyKeyTest, AbsenceDeletesNoReplicaOfAnotherSource) {
  PutSource("bytes");
  DeleteSource();
  Put(destination_base_, kDestination, "theirs", {},
      ReplicaMark{.source_bucket = "elsewhere",
                  .source_etag = "e",
                  .source_stamp = 1,
                  .destination_bucket = kDestination,
                  .key = kKey,
                  .digest = ""});
  ASSERT_TRUE(IsValidReplica(kDestination, ReplicaInfo().value()));
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kNothingToDo);
  EXPECT_EQ(Replica(), "theirs");
}

TEST_F(CopyKeyTest, AbsenceAtBothEndsRecordsTheTombstone) {
  PutSource("bytes");
  const int64_t revision = SourceRevision();
  DeleteSource();
  ExpectOutcome(Copy(CopyReason::kDelete), Outcome::kNothingToDo);
  EXPECT_FALSE(Takes(revision));
}

TEST_F(CopyKeyTest, AddChangeNeverDeletesAndRecordsTheTombstone) {
  rule_.operations = Operations::kAddChange;
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  const int64_t revision = SourceRevision();
  DeleteSource();
  ExpectOutcome(Copy(CopyReason::kDelete), Outcome::kNothingToDo);
  EXPECT_EQ(Replica(), "bytes");
  EXPECT_FALSE(Takes(revision));
}

TEST_F(CopyKeyTest, AMissingBucketIsNoAbsence) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  rule_.source_bucket = "not-there";
  EXPECT_THAT(Copy(CopyReason::kDelete), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(Replica(), "bytes");
}

TEST_F(CopyKeyTest, AbsenceInAnotherBucketOfTheSameNameDeletesNothing) {
  PutSource("bytes");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  DeleteSource();
  rule_.source_identity = "the bucket that was here before";
  EXPECT_THAT(Copy(CopyReason::kDelete),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Replica(), "bytes");
}

// The resurrection case: the key is deleted between a backfill's read and its
// write, and the deletion is applied by the holder of the changes first.
TEST_F(CopyKeyTest, ABackfillDoesNotBringBackWhatWasDeletedMeanwhile) {
  PutSource("bytes");
  destination_.Before(Call::kCommit, [&](auto, auto) {
    DeleteSource();
    ExpectOutcome(CopyElsewhere(CopyReason::kDelete), Outcome::kNothingToDo);
  });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kStale);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

// The same, but the backfill's write comes first and its copier is killed
// before it looks again.
TEST_F(CopyKeyTest, TheDeletionFollowsABackfillThatDiedAfterItsWrite) {
  PutSource("bytes");
  destination_.Before(Call::kCommit, [&](auto, auto) { DeleteSource(); });
  source_.FailCall(Call::kHead, 2, absl::UnavailableError("killed"));
  EXPECT_THAT(Copy(CopyReason::kBackfill),
              HasCode(absl::StatusCode::kUnavailable));
  ASSERT_EQ(Replica(), "bytes");
  ExpectOutcome(CopyElsewhere(CopyReason::kDelete), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, ABackfillUndoesItsOwnWriteOfAKeyThatIsGoneByThen) {
  PutSource("bytes");
  destination_.Before(Call::kCommit, [&](auto, auto) { DeleteSource(); });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kDeleted);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, ASourceThatMovedIsLookedAtAgain) {
  PutSource("old");
  bool first = true;
  destination_.Before(Call::kCommit, [&](auto, auto) {
    if (first) PutSource("new!");
    first = false;
  });
  const auto result = Copy(CopyReason::kBackfill);
  ExpectOutcome(result, Outcome::kCopied);
  EXPECT_EQ(result->bytes, 3 + 4);
  EXPECT_EQ(Replica(), "new!");
}

TEST_F(CopyKeyTest, ASourceThatKeepsMovingIsLeftToItsOwnChanges) {
  int n = 0;
  PutSource("0");
  destination_.Before(Call::kCommit,
                      [&](auto, auto) { PutSource(std::to_string(++n)); });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(destination_.Calls(Call::kCommit), 4);
  EXPECT_EQ(Replica(), "3");
}

TEST_F(CopyKeyTest, WhatIsReadIsTheTruthNotWhatWasSeenBefore) {
  PutSource("old");
  source_.Before(Call::kRead, [&](auto, auto) {
    ObjectFacts facts;
    facts.encryption = "SSE-KMS";
    facts.encryption_key_id = "k";
    PutSource("secret", facts);
  });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kFiltered);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, AnObjectDeletedBeforeItIsReadIsAbsent) {
  PutSource("bytes");
  source_.Before(Call::kRead, [&](auto, auto) { DeleteSource(); });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kNothingToDo);
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, ALaterStateOfTheSourceStays) {
  PutSource("old");
  const int64_t revision = SourceRevision();
  ASSERT_TRUE(Takes(revision + 100));
  Put(destination_base_, kDestination, "later");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kStale);
  EXPECT_EQ(Replica(), "later");
}

TEST_F(CopyKeyTest, ACorruptedWriteIsCaughtByTheProof) {
  PutSource("bytes");
  destination_.CorruptKey(kKey);
  EXPECT_THAT(Copy(CopyReason::kBackfill),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(CopyKeyTest, AReplicaDeletedBeforeItsProofIsCopiedAgain) {
  PutSource("bytes");
  bool first = true;
  destination_.Before(Call::kProve, [&](auto, auto) {
    if (first) {
      ASSERT_OK(destination_base_.Delete(kDestination, kKey, std::nullopt));
    }
    first = false;
  });
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(Replica(), "bytes");
}

TEST_F(CopyKeyTest, ALostAnswerIsProvenAndNotCopiedAgain) {
  PutSource("bytes");
  destination_.LoseAnswer(Call::kCommit, 1, absl::UnavailableError("lost"));
  EXPECT_THAT(Copy(CopyReason::kBackfill),
              HasCode(absl::StatusCode::kUnavailable));
  ASSERT_EQ(destination_.Calls(Call::kProve), 0);
  ExpectOutcome(Retry(CopyReason::kBackfill), Outcome::kEqual);
  EXPECT_EQ(destination_.Calls(Call::kProve), 1);
  EXPECT_EQ(destination_.Calls(Call::kWrite), 1);
}

TEST_F(CopyKeyTest, AReplicaThatCannotBeProvenOnRetryIsCopiedAgain) {
  PutSource("bytes");
  destination_.FailCall(Call::kProve, 1, absl::DataLossError("damaged"));
  EXPECT_THAT(Copy(CopyReason::kBackfill),
              HasCode(absl::StatusCode::kDataLoss));
  destination_.FailCall(Call::kProve, 1, absl::DataLossError("damaged"));
  ExpectOutcome(Retry(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(destination_.Calls(Call::kWrite), 2);
}

TEST_F(CopyKeyTest, AReplicaOfTheDestinationIsAnEcho) {
  Put(source_base_, kSource, "bytes", {},
      ReplicaMark{.source_bucket = kDestination,
                  .source_etag = "e",
                  .source_stamp = 1,
                  .destination_bucket = kSource,
                  .key = kKey,
                  .digest = ""});
  const auto result = Copy(CopyReason::kOtherChange);
  ExpectOutcome(result, Outcome::kFiltered);
  EXPECT_EQ(result->filter_reason, "REPLICA");
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, AReplicaOfAThirdBucketIsNoEcho) {
  Put(source_base_, kSource, "bytes", {},
      ReplicaMark{.source_bucket = "elsewhere",
                  .source_etag = "e",
                  .source_stamp = 1,
                  .destination_bucket = kSource,
                  .key = kKey,
                  .digest = ""});
  ExpectOutcome(Copy(CopyReason::kOtherChange), Outcome::kCopied);
}

TEST_F(CopyKeyTest, AnObjectUnderACustomerKeyIsFiltered) {
  ObjectFacts facts;
  facts.encryption = "SSE-KMS";
  facts.encryption_key_id = "source-key";
  PutSource("secret", facts);
  const auto result = Copy(CopyReason::kBackfill);
  ExpectOutcome(result, Outcome::kFiltered);
  EXPECT_EQ(result->filter_reason, "SSE_KMS");
  EXPECT_FALSE(ReplicaInfo().has_value());
}

TEST_F(CopyKeyTest, AnObjectUnderACustomerKeyGetsTheKeyOfTheRule) {
  ObjectFacts facts;
  facts.encryption = "SSE-KMS";
  facts.encryption_key_id = "source-key";
  PutSource("secret", facts);
  rule_.replica_kms_key = "replica-key";
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(ReplicaInfo()->facts.encryption_key_id, "replica-key");
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kEqual);
}

TEST_F(CopyKeyTest, KmsWithoutACustomerKeyIsReplicated) {
  ObjectFacts facts;
  facts.encryption = "SSE-KMS";
  PutSource("bytes", facts);
  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  EXPECT_EQ(ReplicaInfo()->facts.encryption, "SSE-KMS");
}

TEST_F(CopyKeyTest, NothingIsWrittenOnceTheLeaseIsOver) {
  CopyTask task;
  task.key = kKey;
  task.reason = CopyReason::kDelete;
  task.may_commit = [] { return false; };

  PutSource("bytes");
  EXPECT_THAT(CopyKey(rule_, task), HasCode(absl::StatusCode::kAborted));
  EXPECT_FALSE(ReplicaInfo().has_value());

  ExpectOutcome(Copy(CopyReason::kBackfill), Outcome::kCopied);
  PutSource("bytes", SomeFacts());
  EXPECT_THAT(CopyKey(rule_, task), HasCode(absl::StatusCode::kAborted));
  EXPECT_NE(ReplicaInfo()->facts, SomeFacts());

  DeleteSource();
  EXPECT_THAT(CopyKey(rule_, task), HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(Replica(), "bytes");
}

TEST_F(CopyKeyTest, AReadThatBreaksOffLeavesNothing) {
  PutSource(std::string(2 * kPartBytes, 'x'));
  source_.FailCall(Call::kReadBytes, 2, absl::UnavailableError("gone"));
  EXPECT_THAT(Copy(CopyReason::kBackfill),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(ReplicaInfo().has_value());
}

}  // namespace
}  // namespace crr
