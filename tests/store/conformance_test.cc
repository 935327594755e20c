// What every store that fences by revision must do, whatever it is made of.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "client/store/change_journal.h"
#include "client/store/local_store.h"
#include "client/store/memory_store.h"
#include "client/store/object_store.h"
#include "tests/store/store_helpers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using test::Get;
using test::HasCode;
using test::KeysOf;
using test::MarkOf;
using test::Put;
using test::ReadToEnd;
using test::Revision;
using Kind = JournalEntry::Kind;

constexpr char kBucket[] = "bucket";

// Sizes on both sides of where the local store changes from index to file.
const size_t kSizes[] = {0, 1, 32 << 10, (32 << 10) + 1, 3 << 20};

std::string BytesOf(size_t size, char seed = 'x') {
  std::string bytes(size, seed);
  for (size_t i = 0; i < size; i += 97) bytes[i] = static_cast<char>(i);
  return bytes;
}

MATCHER_P(IsOutcome, outcome, "") {
  *result_listener << arg.status().ToString();
  return arg.ok() && *arg == outcome;
}
const auto kIsApplied = IsOutcome(WriteOutcome::kApplied);

class ConformanceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "local") {
      auto local = LocalStore::Open(dir_ / "root",
                                    {.create = true, .clock = &clock_});
      ASSERT_OK(local);
      Use(*std::move(local));
    } else {
      Use(std::make_unique<MemoryStore>(clock_));
    }
    Ensure(kBucket);
  }

  template <typename Store>
  void Use(std::unique_ptr<Store> store) {
    ensure_ = [raw = store.get()](absl::string_view name,
                                  BucketVersioning versioning) {
      return raw->EnsureBucket(name, versioning);
    };
    list_buckets_ = [raw = store.get()] { return raw->ListBuckets(); };
    open_journal_ = [raw = store.get()] { return raw->OpenJournal(); };
    owned_ = std::move(store);
  }

  BucketInfo Ensure(
      absl::string_view name,
      BucketVersioning versioning = BucketVersioning::kUnversioned) {
    return ensure_(name, versioning).value();
  }
  ObjectStore& store() { return *owned_; }
  KeyState Head(absl::string_view key) {
    return store().Head(kBucket, key).value();
  }
  ListPage List(const ListRequest& request) {
    return store().List(kBucket, request).value();
  }
  std::vector<JournalEntry> Journal() {
    return open_journal_().value()->Read(0, 1'000).value();
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  std::function<absl::StatusOr<BucketInfo>(absl::string_view,
                                           BucketVersioning)>
      ensure_;
  std::function<absl::StatusOr<std::vector<BucketInfo>>()> list_buckets_;
  std::function<absl::StatusOr<std::unique_ptr<ChangeJournal>>()>
      open_journal_;
  std::unique_ptr<ObjectStore> owned_;
};

INSTANTIATE_TEST_SUITE_P(Stores, ConformanceTest,
                         ::testing::Values("local", "memory"),
                         [](const auto& test) { return test.param; });

TEST_P(ConformanceTest, Buckets) {
  const BucketInfo made = Ensure("another", BucketVersioning::kEnabled);
  EXPECT_EQ(made.name, "another");
  EXPECT_EQ(made.versioning, BucketVersioning::kEnabled);
  EXPECT_NE(made.identity, Ensure(kBucket).identity);
  // Made once: a second call answers what is there.
  EXPECT_EQ(Ensure("another").identity, made.identity);
  EXPECT_EQ(Ensure("another").versioning, BucketVersioning::kEnabled);
  EXPECT_EQ(store().GetBucket("another")->identity, made.identity);
  EXPECT_THAT(ensure_("No", BucketVersioning::kUnversioned),
              HasCode(absl::StatusCode::kInvalidArgument));

  std::vector<std::string> names;
  const std::vector<BucketInfo> buckets = list_buckets_().value();
  for (const BucketInfo& bucket : buckets) {
    names.push_back(bucket.name);
  }
  EXPECT_THAT(names, ElementsAre("another", kBucket));
}

TEST_P(ConformanceTest, AMissingBucketIsNotFoundInEveryCall) {
  const auto not_found = HasCode(absl::StatusCode::kNotFound);
  EXPECT_THAT(store().GetBucket("none"), not_found);
  EXPECT_THAT(store().List("none", {}), not_found);
  EXPECT_THAT(store().Head("none", "k"), not_found);
  EXPECT_THAT(store().Read("none", "k"), not_found);
  EXPECT_THAT(store().Write("none", "k"), not_found);
  EXPECT_THAT(store().SetFacts("none", "k", "", {}, {}, {}), not_found);
  EXPECT_THAT(store().Delete("none", "k", {}), not_found);
  EXPECT_THAT(store().Touch("none", "k", Revision(1)), not_found);
  EXPECT_THAT(store().Prove("none", "k"), not_found);
}

TEST_P(ConformanceTest, AVersionedBucketRefusesWrites) {
  Ensure("versioned", BucketVersioning::kEnabled);
  const auto refused = HasCode(absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store().Write("versioned", "k"), refused);
  EXPECT_THAT(store().SetFacts("versioned", "k", "", {}, {}, {}), refused);
  EXPECT_THAT(store().Delete("versioned", "k", {}), refused);
  EXPECT_THAT(store().Touch("versioned", "k", Revision(1)), refused);
  EXPECT_THAT(store().List("versioned", {})->objects, IsEmpty());
}

TEST_P(ConformanceTest, AKeyThatNeverWas) {
  EXPECT_FALSE(Head("k").object.has_value());
  EXPECT_EQ(Head("k").revision, 0);
  EXPECT_EQ(store().Read(kBucket, "k").value(), nullptr);
  EXPECT_THAT(store().Prove(kBucket, "k"),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_P(ConformanceTest, WhatWasPutIsRead) {
  for (const size_t size : kSizes) {
    const std::string key = absl::StrCat("k", size);
    const std::string bytes = BytesOf(size);
    ASSERT_THAT(Put(store(), kBucket, key, bytes), kIsApplied);

    const KeyState state = Head(key);
    ASSERT_TRUE(state.object.has_value());
    EXPECT_EQ(state.object->key, key);
    EXPECT_EQ(state.object->size, static_cast<int64_t>(size));
    EXPECT_EQ(state.object->etag, ContentHash::Of(bytes));
    EXPECT_EQ(state.object->last_modified, clock_.WallNow());
    EXPECT_EQ(state.object->mark, std::nullopt);

    const auto reader = store().Read(kBucket, key).value();
    EXPECT_EQ(reader->state().revision, state.revision);
    EXPECT_EQ(reader->state().object->etag, state.object->etag);
    EXPECT_EQ(ReadToEnd(*reader, 1'000).value(), bytes);

    const Proof proof = store().Prove(kBucket, key).value();
    EXPECT_EQ(proof.size, static_cast<int64_t>(size));
    EXPECT_EQ(proof.content_hash, ContentHash::Of(bytes));
    EXPECT_EQ(proof.etag, state.object->etag);
  }
}

TEST_P(ConformanceTest, ManyAppendsMakeOneObject) {
  const std::string bytes = BytesOf(200'000);
  const auto writer = store().Write(kBucket, "k").value();
  for (size_t i = 0; i < bytes.size(); i += 3'001) {
    ASSERT_OK(writer->Append(absl::string_view(bytes).substr(i, 3'001)));
  }
  EXPECT_FALSE(Head("k").object.has_value());
  ASSERT_THAT(writer->Commit({}, {}, {}), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), bytes);
}

TEST_P(ConformanceTest, AWriterThatIsDroppedLeavesNothing) {
  for (const size_t size : kSizes) {
    ASSERT_OK(store().Write(kBucket, "k").value()->Append(BytesOf(size)));
  }
  EXPECT_THAT(List({}).objects, IsEmpty());
  EXPECT_THAT(Journal(), IsEmpty());
}

TEST_P(ConformanceTest, AnOverwriteReplacesEverything) {
  for (const size_t before : kSizes) {
    for (const size_t after : kSizes) {
      ObjectFacts facts;
      facts.owner = "acme";
      ASSERT_THAT(Put(store(), kBucket, "k", BytesOf(before), facts),
                  kIsApplied);
      const int64_t revision = Head("k").revision;
      ASSERT_THAT(Put(store(), kBucket, "k", BytesOf(after, 'y')), kIsApplied);
      EXPECT_EQ(Head("k").revision, revision + 1);
      EXPECT_EQ(Head("k").object->facts.owner, "");
      EXPECT_EQ(Get(store(), kBucket, "k").value(), BytesOf(after, 'y'));
    }
  }
}

TEST_P(ConformanceTest, ADeletedKeyKeepsItsRevision) {
  for (const size_t size : kSizes) {
    ASSERT_THAT(Put(store(), kBucket, "k", BytesOf(size)), kIsApplied);
    const int64_t revision = Head("k").revision;
    ASSERT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
    EXPECT_FALSE(Head("k").object.has_value());
    EXPECT_EQ(Head("k").revision, revision + 1);
    EXPECT_EQ(store().Read(kBucket, "k").value(), nullptr);
    EXPECT_THAT(store().Prove(kBucket, "k"),
                HasCode(absl::StatusCode::kNotFound));
    EXPECT_THAT(List({}).objects, IsEmpty());
  }
}

TEST_P(ConformanceTest, DeletingWhatIsAbsentChangesNothing) {
  EXPECT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
  EXPECT_EQ(Head("k").revision, 0);
  EXPECT_THAT(Journal(), IsEmpty());

  ASSERT_THAT(Put(store(), kBucket, "k", "1"), kIsApplied);
  ASSERT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
  EXPECT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
  EXPECT_EQ(Head("k").revision, 2);
}

TEST_P(ConformanceTest, FactsRoundTrip) {
  const ObjectFacts facts = {
      .user_metadata = {{"a", "1"}, {"ä", "€"}},
      .headers = {.type = "text/plain",
                  .encoding = "gzip",
                  .disposition = "attachment",
                  .language = "de",
                  .cache_control = "no-cache",
                  .expires = "0"},
      .tags = {{"team", "x"}},
      .owner = "acme",
      .acl = "public-read",
      .creation_time = absl::FromUnixMicros(1'234'567'890'123'456),
      .encryption = "SSE-KMS",
      .encryption_key_id = "key-1"};
  ASSERT_THAT(Put(store(), kBucket, "k", "bytes", facts), kIsApplied);
  EXPECT_EQ(Head("k").object->facts, facts);
  EXPECT_EQ(List({}).objects.at(0).facts, facts);
}

TEST_P(ConformanceTest, CreationTimeIsNowUnlessItIsGiven) {
  ASSERT_THAT(Put(store(), kBucket, "k", "bytes"), kIsApplied);
  const absl::Time created = clock_.WallNow();
  EXPECT_EQ(Head("k").object->facts.creation_time, created);
  ObjectFacts facts;
  facts.creation_time = absl::InfinitePast();
  ASSERT_THAT(Put(store(), kBucket, "p", "bytes", facts), kIsApplied);
  EXPECT_EQ(Head("p").object->facts.creation_time, created);

  // An edit does not make the object anew.
  clock_.Advance(absl::Seconds(1));
  ASSERT_THAT(
      store().SetFacts(kBucket, "k", Head("k").object->etag, {}, {}, {}),
      kIsApplied);
  EXPECT_EQ(Head("k").object->facts.creation_time, created);
}

TEST_P(ConformanceTest, SetFactsChangesFactsAlone) {
  for (const size_t size : kSizes) {
    ASSERT_THAT(Put(store(), kBucket, "k", BytesOf(size)), kIsApplied);
    const KeyState before = Head("k");
    ObjectFacts facts = before.object->facts;
    facts.user_metadata["a"] = "1";
    clock_.Advance(absl::Seconds(1));
    ASSERT_THAT(store().SetFacts(kBucket, "k", before.object->etag, facts,
                                 std::nullopt, std::nullopt),
                kIsApplied);
    const KeyState after = Head("k");
    EXPECT_EQ(after.object->facts, facts);
    EXPECT_EQ(after.object->etag, before.object->etag);
    EXPECT_EQ(after.object->last_modified, before.object->last_modified);
    EXPECT_EQ(after.revision, before.revision + 1);
    EXPECT_GT(after.object->stamp, before.object->stamp);
    EXPECT_EQ(Get(store(), kBucket, "k").value(), BytesOf(size));
  }
}

TEST_P(ConformanceTest, SetFactsNeedsTheObjectThatItWasMeantFor) {
  EXPECT_THAT(store().SetFacts(kBucket, "k", "", {}, {}, {}),
              IsOutcome(WriteOutcome::kMissing));
  ASSERT_THAT(Put(store(), kBucket, "k", "1"), kIsApplied);
  const std::string etag = Head("k").object->etag;
  ASSERT_THAT(Put(store(), kBucket, "k", "2"), kIsApplied);
  EXPECT_THAT(store().SetFacts(kBucket, "k", etag, {}, {}, Revision(9)),
              IsOutcome(WriteOutcome::kMissing));
  ASSERT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
  EXPECT_THAT(store().SetFacts(kBucket, "k", etag, {}, {}, {}),
              IsOutcome(WriteOutcome::kMissing));
  // The refused one has not raised the fence.
  EXPECT_THAT(store().Touch(kBucket, "k", Revision(8)), kIsApplied);
  EXPECT_EQ(Journal().size(), 3u);
}

TEST_P(ConformanceTest, AReplicaIsValidUntilAUserTouchesIt) {
  ASSERT_THAT(Put(store(), kBucket, "k", "1", {}, MarkOf(kBucket, "k", 42),
                  Revision(1)),
              kIsApplied);
  ObjectInfo replica = *Head("k").object;
  EXPECT_TRUE(IsValidReplica(kBucket, replica));
  EXPECT_EQ(replica.stamp, 42);
  EXPECT_EQ(replica.mark->source_etag, "source-etag");

  // A copier's edit renews the mark.
  ObjectFacts facts = replica.facts;
  facts.acl = "private";
  ASSERT_THAT(store().SetFacts(kBucket, "k", replica.etag, facts,
                               MarkOf(kBucket, "k", 43), Revision(2)),
              kIsApplied);
  EXPECT_TRUE(IsValidReplica(kBucket, *Head("k").object));
  EXPECT_EQ(Head("k").object->stamp, 43);

  // A user's edit ends it, and so does a user's put.
  ASSERT_THAT(
      store().SetFacts(kBucket, "k", replica.etag, facts, {}, {}),
      kIsApplied);
  EXPECT_FALSE(IsValidReplica(kBucket, *Head("k").object));
  ASSERT_THAT(Put(store(), kBucket, "k", "1", {}, MarkOf(kBucket, "k"),
                  Revision(2)),
              kIsApplied);
  EXPECT_TRUE(IsValidReplica(kBucket, *Head("k").object));
  ASSERT_THAT(Put(store(), kBucket, "k", "1"), kIsApplied);
  EXPECT_FALSE(IsValidReplica(kBucket, *Head("k").object));
}

TEST_P(ConformanceTest, AMarkThatWasCopiedAlongIsNotValid) {
  Ensure("another");
  ASSERT_THAT(Put(store(), kBucket, "copy", "1", {}, MarkOf(kBucket, "k"), {}),
              kIsApplied);
  EXPECT_FALSE(IsValidReplica(kBucket, *Head("copy").object));
  ASSERT_THAT(Put(store(), "another", "k", "1", {}, MarkOf(kBucket, "k"), {}),
              kIsApplied);
  EXPECT_FALSE(
      IsValidReplica("another", *store().Head("another", "k")->object));
}

TEST_P(ConformanceTest, StampsRiseThoughTheClockDoesNot) {
  ASSERT_THAT(Put(store(), kBucket, "k", "1"), kIsApplied);
  const int64_t first = Head("k").object->stamp;
  EXPECT_EQ(first, absl::ToUnixMicros(clock_.WallNow()));
  ASSERT_THAT(Put(store(), kBucket, "k", "2"), kIsApplied);
  EXPECT_EQ(Head("k").object->stamp, first + 1);
  // The tombstone has one too.
  clock_.StepWall(-absl::Hours(1));
  ASSERT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
  EXPECT_EQ(Head("k").stamp, first + 2);
  ASSERT_THAT(Put(store(), kBucket, "k", "3"), kIsApplied);
  EXPECT_EQ(Head("k").object->stamp, first + 3);
}

TEST_P(ConformanceTest, TheStampOfAnAbsenceIsThatOfTheDeletion) {
  EXPECT_EQ(Head("k").stamp, 0);
  // Neither a copier's look nor a deletion of nothing is one.
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(7)), kIsApplied);
  ASSERT_THAT(store().Delete(kBucket, "k", Revision(8)), kIsApplied);
  EXPECT_EQ(Head("k").stamp, 0);

  for (const std::optional<ReplicaWrite>& by :
       {std::optional<ReplicaWrite>(), std::optional(Revision(9))}) {
    ASSERT_THAT(Put(store(), kBucket, "k", "1"), kIsApplied);
    EXPECT_EQ(Head("k").stamp, Head("k").object->stamp);
    clock_.Advance(absl::Seconds(1));
    ASSERT_THAT(store().Delete(kBucket, "k", by), kIsApplied);
    const int64_t deleted = absl::ToUnixMicros(clock_.WallNow());
    EXPECT_EQ(Head("k").stamp, deleted);
    clock_.Advance(absl::Seconds(1));
    ASSERT_THAT(store().Delete(kBucket, "k", by), kIsApplied);
    ASSERT_THAT(store().Touch(kBucket, "k", Revision(9)), kIsApplied);
    EXPECT_EQ(Head("k").stamp, deleted);
  }
}

TEST_P(ConformanceTest, ARevisionBelowTheHighestIsRefused) {
  ASSERT_THAT(Put(store(), kBucket, "k", "10", {}, MarkOf(kBucket, "k"),
                  Revision(10)),
              kIsApplied);
  const KeyState state = Head("k");
  const auto stale = IsOutcome(WriteOutcome::kStale);
  EXPECT_THAT(
      Put(store(), kBucket, "k", "9", {}, MarkOf(kBucket, "k"), Revision(9)),
      stale);
  EXPECT_THAT(store().SetFacts(kBucket, "k", state.object->etag, {}, {},
                               Revision(9)),
              stale);
  EXPECT_THAT(store().Delete(kBucket, "k", Revision(9)), stale);
  EXPECT_THAT(store().Touch(kBucket, "k", Revision(9)), stale);
  EXPECT_EQ(Head("k").revision, state.revision);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), "10");
  EXPECT_EQ(Journal().size(), 1u);
}

TEST_P(ConformanceTest, TheHighestRevisionIsAppliedAgain) {
  ASSERT_THAT(Put(store(), kBucket, "k", "a", {}, {}, Revision(10)),
              kIsApplied);
  EXPECT_THAT(Put(store(), kBucket, "k", "b", {}, {}, Revision(10)),
              kIsApplied);
  EXPECT_THAT(store().SetFacts(kBucket, "k", Head("k").object->etag, {}, {},
                               Revision(10)),
              kIsApplied);
  EXPECT_THAT(store().Touch(kBucket, "k", Revision(10)), kIsApplied);
  EXPECT_THAT(store().Delete(kBucket, "k", Revision(10)), kIsApplied);
  EXPECT_FALSE(Head("k").object.has_value());
}

TEST_P(ConformanceTest, EachKindOfWriteRaisesTheFence) {
  const auto stale = IsOutcome(WriteOutcome::kStale);
  const auto put = [&](int64_t revision) {
    return Put(store(), kBucket, "k", "bytes", {}, {}, Revision(revision));
  };
  ASSERT_THAT(put(1), kIsApplied);
  ASSERT_THAT(store().SetFacts(kBucket, "k", Head("k").object->etag, {}, {},
                               Revision(3)),
              kIsApplied);
  EXPECT_THAT(put(2), stale);
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(5)), kIsApplied);
  EXPECT_THAT(put(4), stale);
  ASSERT_THAT(store().Delete(kBucket, "k", Revision(7)), kIsApplied);
  EXPECT_THAT(put(6), stale);
  // Also a delete and a touch of what is not there.
  ASSERT_THAT(store().Delete(kBucket, "k", Revision(9)), kIsApplied);
  EXPECT_THAT(put(8), stale);
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(11)), kIsApplied);
  EXPECT_THAT(put(10), stale);
  EXPECT_THAT(put(11), kIsApplied);
}

// A backfill read the source, then the key was deleted there and the deletion
// replicated; the backfill's copier wakes up and writes what it read.
TEST_P(ConformanceTest, ALateWriteDoesNotResurrectADeletedKey) {
  ASSERT_THAT(store().Delete(kBucket, "k", Revision(8)), kIsApplied);
  EXPECT_THAT(
      Put(store(), kBucket, "k", "old", {}, MarkOf(kBucket, "k"), Revision(7)),
      IsOutcome(WriteOutcome::kStale));
  EXPECT_FALSE(Head("k").object.has_value());
}

// Decided on a state that is no longer there: nothing changes, and the revision
// is not recorded.
TEST_P(ConformanceTest, AWriteOfAnotherStateThanItWasDecidedOnIsMissing) {
  const auto missing = IsOutcome(WriteOutcome::kMissing);
  const auto decided_on = [](int64_t state, int64_t revision) {
    ReplicaWrite write = Revision(revision);
    write.if_revision = state;
    return write;
  };
  ASSERT_THAT(Put(store(), kBucket, "k", "1", {}, {}, Revision(1)), kIsApplied);
  const int64_t seen = Head("k").revision;
  ASSERT_THAT(Put(store(), kBucket, "k", "2", {}, {}, Revision(2)), kIsApplied);
  const KeyState now = Head("k");
  for (const int64_t other : {seen, int64_t{0}}) {
    const ReplicaWrite late = decided_on(other, 9);
    EXPECT_THAT(store().Touch(kBucket, "k", late), missing);
    EXPECT_THAT(store().Delete(kBucket, "k", late), missing);
    EXPECT_THAT(
        store().SetFacts(kBucket, "k", now.object->etag, {}, {}, late),
        missing);
    EXPECT_THAT(Put(store(), kBucket, "k", "late", {}, {}, late), missing);
  }
  EXPECT_EQ(Head("k").revision, now.revision);
  // A later state of the source says more than that.
  EXPECT_THAT(store().Touch(kBucket, "k", decided_on(seen, 1)),
              IsOutcome(WriteOutcome::kStale));

  EXPECT_THAT(store().Touch(kBucket, "k", decided_on(now.revision, 3)),
              kIsApplied);
  EXPECT_THAT(store().Delete(kBucket, "k", decided_on(now.revision, 4)),
              kIsApplied);
  // Absence has a number too, and that of a key that never was is 0.
  EXPECT_THAT(store().Touch(kBucket, "k", decided_on(now.revision, 5)),
              missing);
  EXPECT_THAT(store().Touch(kBucket, "k", decided_on(Head("k").revision, 5)),
              kIsApplied);
  EXPECT_THAT(store().Touch(kBucket, "never", decided_on(0, 5)), kIsApplied);
}

TEST_P(ConformanceTest, RevisionsOfAnotherSourceAreNotCompared) {
  ASSERT_THAT(Put(store(), kBucket, "k", "a", {}, {}, Revision(10, "one")),
              kIsApplied);
  EXPECT_THAT(Put(store(), kBucket, "k", "b", {}, {}, Revision(5, "two")),
              kIsApplied);
  EXPECT_THAT(Put(store(), kBucket, "k", "c", {}, {}, Revision(4, "two")),
              IsOutcome(WriteOutcome::kStale));
}

TEST_P(ConformanceTest, FencesArePerKeyAndBucket) {
  Ensure("another");
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(10)), kIsApplied);
  EXPECT_THAT(Put(store(), kBucket, "j", "a", {}, {}, Revision(9)),
              kIsApplied);
  EXPECT_THAT(Put(store(), "another", "k", "a", {}, {}, Revision(9)),
              kIsApplied);
}

TEST_P(ConformanceTest, AUsersWriteIsNeverFenced) {
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(10)), kIsApplied);
  EXPECT_THAT(Put(store(), kBucket, "k", "user"), kIsApplied);
  EXPECT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
}

TEST_P(ConformanceTest, NothingChangesWhenTheLeaseIsOver) {
  const auto not_allowed = IsOutcome(WriteOutcome::kNotAllowed);
  ReplicaWrite late = Revision(10);
  late.may_commit = [] { return false; };
  for (const size_t size : kSizes) {
    EXPECT_THAT(Put(store(), kBucket, "k", BytesOf(size), {}, {}, late),
                not_allowed);
  }
  EXPECT_EQ(Head("k").revision, 0);
  ASSERT_THAT(Put(store(), kBucket, "k", "1", {}, {}, Revision(5)),
              kIsApplied);
  const KeyState state = Head("k");
  EXPECT_THAT(
      store().SetFacts(kBucket, "k", state.object->etag, {}, {}, late),
      not_allowed);
  EXPECT_THAT(store().Delete(kBucket, "k", late), not_allowed);
  EXPECT_THAT(store().Touch(kBucket, "k", late), not_allowed);
  EXPECT_EQ(Head("k").revision, state.revision);
  EXPECT_EQ(Journal().size(), 1u);
  // Nor was the fence raised.
  EXPECT_THAT(store().Touch(kBucket, "k", Revision(6)), kIsApplied);

  int asked = 0;
  late.may_commit = [&] { return ++asked == 1; };
  EXPECT_THAT(store().Delete(kBucket, "k", late), kIsApplied);
  EXPECT_EQ(asked, 1);
}

TEST_P(ConformanceTest, AReaderKeepsWhatItOpened) {
  for (const size_t size : kSizes) {
    for (const bool deleted : {false, true}) {
      const std::string bytes = BytesOf(size);
      ASSERT_THAT(Put(store(), kBucket, "k", bytes), kIsApplied);
      const auto reader = store().Read(kBucket, "k").value();
      std::string read = reader->Read(10).value();
      if (deleted) {
        ASSERT_THAT(store().Delete(kBucket, "k", {}), kIsApplied);
      } else {
        ASSERT_THAT(Put(store(), kBucket, "k", BytesOf(size + 5, 'y')),
                    kIsApplied);
      }
      read += ReadToEnd(*reader).value();
      EXPECT_EQ(read, bytes);
      EXPECT_EQ(reader->state().object->etag, ContentHash::Of(bytes));
    }
  }
}

TEST_P(ConformanceTest, KeysAreBytesAndNoPaths) {
  const std::string keys[] = {"/",       "../../etc/x",   "a//b",
                              ".",       "..",            "a b\t\n",
                              "日本語",  "\U0001F600",    "%00'\";--",
                              "\x01",    std::string(1'024, 'k')};
  for (const std::string& key : keys) {
    const std::string bytes = BytesOf(40'000) + key;
    ASSERT_THAT(Put(store(), kBucket, key, bytes), kIsApplied) << key;
    EXPECT_EQ(Get(store(), kBucket, key).value(), bytes);
  }
  EXPECT_EQ(List({}).objects.size(), std::size(keys));
}

TEST_P(ConformanceTest, KeysThatNoStoreMayHoldAreRefused) {
  const auto refused = HasCode(absl::StatusCode::kInvalidArgument);
  for (const std::string& key :
       {std::string(), std::string(1'025, 'k'), std::string("a\0b", 3),
        std::string("\xff\xfe")}) {
    EXPECT_THAT(store().Head(kBucket, key), refused);
    EXPECT_THAT(store().Read(kBucket, key), refused);
    EXPECT_THAT(store().Write(kBucket, key), refused);
    EXPECT_THAT(store().SetFacts(kBucket, key, "", {}, {}, {}), refused);
    EXPECT_THAT(store().Delete(kBucket, key, {}), refused);
    EXPECT_THAT(store().Touch(kBucket, key, Revision(1)), refused);
    EXPECT_THAT(store().Prove(kBucket, key), refused);
  }
}

class ListTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    Ensure("another");
    ASSERT_THAT(Put(store(), "another", "a/0", ""), kIsApplied);
    // Out of order, with tombstones between.
    for (const char* key : {"é", "b", "a/2", "a", "a/1", "a0", "Z", "a/1/x"}) {
      ASSERT_THAT(Put(store(), kBucket, key, key), kIsApplied);
    }
    for (const char* key : {"a/10", "0", "zz"}) {
      ASSERT_THAT(Put(store(), kBucket, key, key), kIsApplied);
      ASSERT_THAT(store().Delete(kBucket, key, {}), kIsApplied);
    }
    ASSERT_THAT(store().Touch(kBucket, "a/3", Revision(1)), kIsApplied);
  }
  std::vector<std::string> Keys(const ListRequest& request) {
    const ListPage page = List(request);
    EXPECT_TRUE(page.complete);
    return KeysOf(page);
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, ListTest,
                         ::testing::Values("local", "memory"),
                         [](const auto& test) { return test.param; });

TEST_P(ListTest, IsInByteOrderAndWithoutTombstones) {
  EXPECT_THAT(Keys({}), ElementsAre("Z", "a", "a/1", "a/1/x", "a/2", "a0", "b",
                                    "é"));
  const ObjectInfo object = List({}).objects.at(2);
  EXPECT_EQ(object.size, 3);
  EXPECT_EQ(object.etag, ContentHash::Of("a/1"));
}

TEST_P(ListTest, PrefixAfterAndUntil) {
  EXPECT_THAT(Keys({.prefix = "a/"}),
              ElementsAre("a/1", "a/1/x", "a/2"));
  EXPECT_THAT(Keys({.prefix = "\xc3"}),
              ElementsAre("é"));
  EXPECT_THAT(Keys({.prefix = "none"}), IsEmpty());
  // `after` is left out, `until` is in.
  EXPECT_THAT(Keys({.after = "a/1", .until = "a0"}),
              ElementsAre("a/1/x", "a/2", "a0"));
  EXPECT_THAT(Keys({.prefix = "a/", .after = "Z", .until = "z"}),
              ElementsAre("a/1", "a/1/x", "a/2"));
  EXPECT_THAT(Keys({.prefix = "a/", .after = "a/1", .until = "a/1/x"}),
              ElementsAre("a/1/x"));
  EXPECT_THAT(Keys({.prefix = "a/", .after = "b"}), IsEmpty());
  EXPECT_THAT(Keys({.after = "b", .until = "b"}), IsEmpty());
}

TEST_P(ListTest, Pages) {
  std::vector<std::string> keys;
  ListRequest request = {.prefix = "a", .limit = 2};
  ListPage page = List(request);
  EXPECT_THAT(KeysOf(page), ElementsAre("a", "a/1"));
  EXPECT_FALSE(page.complete);
  request.after = "a/1";
  page = List(request);
  EXPECT_THAT(KeysOf(page), ElementsAre("a/1/x", "a/2"));
  EXPECT_FALSE(page.complete);
  request.after = "a/2";
  page = List(request);
  EXPECT_THAT(KeysOf(page), ElementsAre("a0"));
  EXPECT_TRUE(page.complete);
  // A page that is just full is complete when nothing follows.
  request = {.prefix = "a/", .limit = 3};
  EXPECT_TRUE(List(request).complete);
}

TEST_P(ListTest, LimitIs1To1000) {
  for (const int limit : {-1, 0, 1'001}) {
    EXPECT_THAT(store().List(kBucket, {.limit = limit}),
                HasCode(absl::StatusCode::kInvalidArgument));
  }
}

TEST_P(ConformanceTest, JournalTellsEveryOperationInOrder) {
  ASSERT_THAT(Put(store(), kBucket, "k", "bytes"), kIsApplied);
  const ObjectInfo object = *Head("k").object;
  clock_.Advance(absl::Seconds(1));
  ObjectFacts facts = object.facts;
  const auto edit = [&] {
    return store().SetFacts(kBucket, "k", object.etag, facts, {}, {});
  };
  facts.acl = "private";
  ASSERT_THAT(edit(), kIsApplied);
  facts.tags["a"] = "1";
  ASSERT_THAT(edit(), kIsApplied);
  facts.user_metadata["a"] = "1";
  ASSERT_THAT(edit(), kIsApplied);
  facts.acl = "";
  facts.tags.clear();
  ASSERT_THAT(edit(), kIsApplied);
  ASSERT_THAT(store().Touch(kBucket, "k", Revision(1)), kIsApplied);
  ASSERT_THAT(store().Delete(kBucket, "k", Revision(2)), kIsApplied);
  ASSERT_THAT(Put(store(), kBucket, "k", "1", {}, {}, Revision(1)),
              IsOutcome(WriteOutcome::kStale));

  const std::vector<JournalEntry> entries = Journal();
  ASSERT_EQ(entries.size(), 6u);
  const Kind kinds[] = {Kind::kPut,      Kind::kAcl,      Kind::kTagging,
                        Kind::kMetadata, Kind::kMetadata, Kind::kDelete};
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].position, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(entries[i].bucket, kBucket);
    EXPECT_EQ(entries[i].key, "k");
    EXPECT_EQ(entries[i].version_id, "");
    EXPECT_EQ(entries[i].kind, kinds[i]);
    EXPECT_EQ(entries[i].replica, i == 5);
    EXPECT_EQ(entries[i].time,
              object.last_modified + absl::Seconds(i == 0 ? 0 : 1));
    EXPECT_EQ(entries[i].size, i == 5 ? 0 : 5);
    EXPECT_EQ(entries[i].etag, i == 5 ? "" : object.etag);
  }
  EXPECT_EQ(Head("k").revision, entries.back().position);
}

TEST_P(ConformanceTest, JournalIsReadFromAnyPosition) {
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_THAT(Put(store(), kBucket, key, key), kIsApplied);
  }
  const auto journal = open_journal_().value();
  EXPECT_GT(journal->epoch(), 0);
  EXPECT_EQ(journal->epoch(), open_journal_().value()->epoch());
  const auto keys = [&](int64_t position, int limit) {
    std::vector<std::string> found;
    const auto entries = journal->Read(position, limit).value();
    for (const JournalEntry& entry : entries) {
      found.push_back(entry.key);
    }
    return found;
  };
  EXPECT_THAT(keys(0, 10), ElementsAre("a", "b", "c"));
  EXPECT_THAT(keys(1, 1), ElementsAre("b"));
  EXPECT_THAT(keys(2, 10), ElementsAre("c"));
  EXPECT_THAT(keys(3, 10), IsEmpty());
  EXPECT_THAT(keys(99, 10), IsEmpty());
}

TEST_P(ConformanceTest, NothingComesBeforeASample) {
  const auto journal = open_journal_().value();
  EXPECT_EQ(journal->TakeSample()->position, 0);
  ASSERT_THAT(Put(store(), kBucket, "a", ""), kIsApplied);
  clock_.Advance(absl::Minutes(1));
  const ChangeJournal::Sample sample = journal->TakeSample().value();
  EXPECT_EQ(sample.position, 1);
  EXPECT_EQ(sample.time, clock_.WallNow());

  // The wall clock is put back.
  clock_.StepWall(-absl::Hours(1));
  EXPECT_EQ(journal->TakeSample()->time, sample.time);
  ASSERT_THAT(Put(store(), kBucket, "b", ""), kIsApplied);
  const std::vector<JournalEntry> entries = Journal();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_GE(entries[1].time, sample.time);
  EXPECT_EQ(journal->TakeSample()->position, 2);
}

TEST_P(ConformanceTest, WaitEndsWithAnOperation) {
  const auto journal = open_journal_().value();
  journal->Wait(absl::ZeroDuration());
  std::thread writer([&] {
    EXPECT_THAT(Put(store(), kBucket, "k", "bytes"), kIsApplied);
  });
  const absl::Time start = absl::Now();
  while (journal->Read(0, 1)->empty()) journal->Wait(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  writer.join();
}

TEST_P(ConformanceTest, WaitEndsWithAnOperationThatCameBefore) {
  const auto journal = open_journal_().value();
  EXPECT_THAT(journal->Read(0, 1).value(), IsEmpty());
  ASSERT_THAT(Put(store(), kBucket, "k", "bytes"), kIsApplied);
  const absl::Time start = absl::Now();
  journal->Wait(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_P(ConformanceTest, WaitEndsWithItsTimeout) {
  const auto journal = open_journal_().value();
  journal->Wait(absl::Milliseconds(1));
  const absl::Time start = absl::Now();
  journal->Wait(absl::Milliseconds(20));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(20));
}

TEST_P(ConformanceTest, WakeEndsWait) {
  const auto journal = open_journal_().value();
  const absl::Time start = absl::Now();
  journal->Wake();
  journal->Wait(absl::InfiniteDuration());
  std::thread waiter([&] { journal->Wait(absl::InfiniteDuration()); });
  journal->Wake();
  waiter.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

// Each of many threads finds its own writes applied; the journal has each once.
TEST_P(ConformanceTest, ManyThreadsWrite) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 20;
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int i = 0; i < kRounds; ++i) {
        const std::string key = absl::StrCat(t, "/", i);
        const std::string bytes = BytesOf(i % 5 == 0 ? 40'000 : 100) + key;
        EXPECT_THAT(Put(store(), kBucket, key, bytes), kIsApplied);
        // A neighbour's failure is its own.
        EXPECT_THAT(store().Delete("none", key, {}),
                    HasCode(absl::StatusCode::kNotFound));
        EXPECT_EQ(Get(store(), kBucket, key).value(), bytes);
        EXPECT_THAT(Put(store(), kBucket, "shared", bytes), kIsApplied);
        EXPECT_OK(Get(store(), kBucket, "shared"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<JournalEntry> entries = Journal();
  ASSERT_EQ(entries.size(), 2u * kThreads * kRounds);
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].position, static_cast<int64_t>(i) + 1);
  }
  EXPECT_EQ(List({}).objects.size(), kThreads * kRounds + 1u);
}

}  // namespace
}  // namespace crr
