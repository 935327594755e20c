// What every store must do of what a giant object needs: uploads in parts that
// anybody may go on with, and readers that go on from the middle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <latch>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "client/store/fault_store.h"
#include "client/store/local_store.h"
#include "client/store/memory_store.h"
#include "client/store/object_store.h"
#include "tests/store/store_helpers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using test::Get;
using test::HasCode;
using test::MarkOf;
using test::Put;
using test::ReadToEnd;
using test::Revision;

constexpr char kBucket[] = "bucket";
constexpr char kVersioned[] = "versioned";
constexpr int64_t kPartBytes = 30'000;

// Three parts and a shorter one.
constexpr int64_t kSize = 3 * kPartBytes + 777;

std::string WholeObject() {
  std::string bytes(static_cast<size_t>(kSize), 'x');
  for (size_t i = 0; i < bytes.size(); i += 97) bytes[i] = static_cast<char>(i);
  return bytes;
}

const std::string kWhole = WholeObject();

std::string Part(int64_t number) {
  return kWhole.substr(static_cast<size_t>(number * kPartBytes), kPartBytes);
}

MATCHER_P(IsOutcome, outcome, "") {
  *result_listener << arg.status().ToString();
  return arg.ok() && *arg == outcome;
}
const auto kIsApplied = IsOutcome(WriteOutcome::kApplied);
const auto kIsStale = IsOutcome(WriteOutcome::kStale);
const auto kIsMissing = IsOutcome(WriteOutcome::kMissing);

class UploadConformanceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "local") {
      Use(LocalStore::Open(dir_ / "root", {.create = true, .clock = &clock_})
              .value());
    } else {
      Use(std::make_unique<MemoryStore>(clock_));
    }
    if (GetParam() == "fault") fault_ = std::make_unique<FaultStore>(*owned_);
  }

  template <typename Store>
  void Use(std::unique_ptr<Store> store) {
    ASSERT_OK(store->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
    ASSERT_OK(store->EnsureBucket(kVersioned, BucketVersioning::kEnabled));
    owned_ = std::move(store);
  }

  ObjectStore& store() { return fault_ != nullptr ? *fault_ : *owned_; }
  std::unique_ptr<ObjectUpload> Begin(absl::string_view key = "k") {
    return store().BeginUpload(kBucket, key, kPartBytes).value();
  }
  std::unique_ptr<ObjectUpload> Resume(absl::string_view id,
                                       absl::string_view key = "k") {
    return store().ResumeUpload(kBucket, key, id).value();
  }
  // An upload with all its parts.
  std::unique_ptr<ObjectUpload> BeginWhole() {
    auto upload = Begin();
    for (const int64_t number : {0, 1, 2, 3}) {
      EXPECT_OK(upload->WritePart(number, Part(number)));
    }
    return upload;
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  std::unique_ptr<ObjectStore> owned_;
  std::unique_ptr<FaultStore> fault_;
};

INSTANTIATE_TEST_SUITE_P(Stores, UploadConformanceTest,
                         ::testing::Values("local", "memory", "fault"),
                         [](const auto& test) { return test.param; });

TEST_P(UploadConformanceTest, PartsInAnyOrderByManyHandsMakeOneObject) {
  const auto first = Begin();
  EXPECT_EQ(first->part_bytes(), kPartBytes);
  ASSERT_OK(first->WritePart(1, Part(1)));
  ASSERT_OK(first->WritePart(3, Part(3)));
  const auto second = Resume(first->id());
  EXPECT_EQ(second->id(), first->id());
  EXPECT_EQ(second->part_bytes(), kPartBytes);
  ASSERT_OK(second->WritePart(0, Part(0)));
  ASSERT_OK(first->WritePart(2, Part(2)));
  // Once more, by the other.
  ASSERT_OK(second->WritePart(3, Part(3)));
  ASSERT_OK(second->WritePart(1, Part(1)));
  EXPECT_FALSE(store().Head(kBucket, "k")->object.has_value());

  ObjectFacts facts;
  facts.owner = "acme";
  ASSERT_THAT(second->Commit(kSize, facts, MarkOf(kBucket, "k"), Revision(5)),
              kIsApplied);
  const ObjectInfo object = *store().Head(kBucket, "k")->object;
  EXPECT_EQ(object.size, kSize);
  EXPECT_EQ(object.etag, ContentHash::Of(kWhole));
  EXPECT_EQ(object.facts.owner, "acme");
  EXPECT_EQ(object.stamp, 77);
  EXPECT_TRUE(IsValidReplica(kBucket, object));
  EXPECT_EQ(Get(store(), kBucket, "k").value(), kWhole);
  EXPECT_EQ(store().Prove(kBucket, "k")->content_hash, ContentHash::Of(kWhole));
}

TEST_P(UploadConformanceTest, ManyUploadsOfOneKeyStandSideBySide) {
  const auto one = Begin();
  const auto two = Begin();
  EXPECT_NE(one->id(), two->id());
  ASSERT_OK(one->WritePart(0, "one"));
  ASSERT_OK(two->WritePart(0, "two"));
  ASSERT_THAT(two->Commit(3, {}, {}, {}), kIsApplied);
  ASSERT_THAT(one->Commit(3, {}, {}, {}), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), "one");
}

TEST_P(UploadConformanceTest, AnEmptyUploadMakesAnEmptyObject) {
  ASSERT_THAT(Begin()->Commit(0, {}, {}, {}), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), "");
}

TEST_P(UploadConformanceTest, AnObjectIsOnlyMadeOfAllItsParts) {
  ASSERT_OK(Put(store(), kBucket, "k", "before"));
  const auto upload = Begin();
  const auto data_loss = HasCode(absl::StatusCode::kDataLoss);
  EXPECT_THAT(upload->Commit(1, {}, {}, {}), data_loss);
  ASSERT_OK(upload->WritePart(0, Part(0)));
  ASSERT_OK(upload->WritePart(3, Part(3)));
  // A gap is not made of zeros.
  EXPECT_THAT(upload->Commit(kSize, {}, {}, {}), data_loss);
  EXPECT_THAT(upload->Commit(kPartBytes + 777, {}, {}, {}), data_loss);
  ASSERT_OK(upload->WritePart(2, Part(2)));
  EXPECT_THAT(upload->Commit(kSize, {}, {}, Revision(9)), data_loss);
  ASSERT_OK(upload->WritePart(1, Part(1)));
  EXPECT_THAT(upload->Commit(kSize - 1, {}, {}, {}), data_loss);
  EXPECT_THAT(upload->Commit(kSize + 1, {}, {}, {}), data_loss);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), "before");
  // No fence was raised either.
  ASSERT_THAT(upload->Commit(kSize, {}, {}, Revision(1)), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), kWhole);
}

TEST_P(UploadConformanceTest, AShortPartInTheMiddleIsAGap) {
  const auto upload = Begin();
  ASSERT_OK(upload->WritePart(0, "short"));
  ASSERT_OK(upload->WritePart(1, Part(1)));
  EXPECT_THAT(upload->Commit(kPartBytes + 5, {}, {}, {}),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(upload->Commit(2 * kPartBytes, {}, {}, {}),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST_P(UploadConformanceTest, PartsThatNoUploadHasAreRefused) {
  const auto invalid = HasCode(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(store().BeginUpload(kBucket, "k", 0), invalid);
  EXPECT_THAT(store().BeginUpload(kBucket, "k", -1), invalid);
  const auto upload = Begin();
  EXPECT_THAT(upload->WritePart(-1, "x"), invalid);
  EXPECT_THAT(upload->WritePart(0, ""), invalid);
  EXPECT_THAT(upload->WritePart(0, Part(0) + "x"), invalid);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(upload->WritePart(kMost, "x"), invalid);
  EXPECT_THAT(upload->WritePart(kMost / kPartBytes, "x"), invalid);
}

TEST_P(UploadConformanceTest, IdsAreOfOneKeyAndMayBeAnything) {
  ASSERT_OK(store().BeginUpload(kBucket, "other", kPartBytes));
  const auto upload = BeginWhole();
  const std::string ids[] = {"",
                             "none",
                             "../../index.db",
                             std::string(32, 'f'),
                             std::string(32, '/'),
                             std::string(32, '\0'),
                             "\xff\xfe",
                             upload->id() + "x",
                             std::string(1 << 20, 'a')};
  for (const std::string& id : ids) {
    EXPECT_EQ(Resume(id), nullptr) << id.substr(0, 40);
    EXPECT_OK(store().AbortUpload(kBucket, "k", id)) << id.substr(0, 40);
  }
  EXPECT_EQ(Resume(upload->id(), "other"), nullptr);
  EXPECT_OK(store().AbortUpload(kBucket, "other", upload->id()));
  ASSERT_NE(Resume(upload->id()), nullptr);
  EXPECT_THAT(upload->Commit(kSize, {}, {}, {}), kIsApplied);
}

TEST_P(UploadConformanceTest, BucketsAndKeysAreChecked) {
  const auto not_found = HasCode(absl::StatusCode::kNotFound);
  EXPECT_THAT(store().BeginUpload("none", "k", 1), not_found);
  EXPECT_THAT(store().ResumeUpload("none", "k", "id"), not_found);
  EXPECT_THAT(store().AbortUpload("none", "k", "id"), not_found);
  const auto invalid = HasCode(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(store().BeginUpload(kBucket, "\xff", 1), invalid);
  EXPECT_THAT(store().ResumeUpload(kBucket, "\xff", "id"), invalid);
  EXPECT_THAT(store().AbortUpload(kBucket, "\xff", "id"), invalid);
  EXPECT_THAT(store().BeginUpload(kVersioned, "k", 1),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_P(UploadConformanceTest, AnAbortedUploadIsGone) {
  ASSERT_OK(Put(store(), kBucket, "k", "before"));
  const auto upload = BeginWhole();
  ASSERT_OK(store().AbortUpload(kBucket, "k", upload->id()));
  ASSERT_OK(store().AbortUpload(kBucket, "k", upload->id()));
  EXPECT_EQ(Resume(upload->id()), nullptr);
  EXPECT_THAT(upload->WritePart(0, Part(0)),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(upload->Commit(kSize, {}, {}, {}), kIsMissing);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), "before");
}

// Its answer was lost, or another has committed it.
TEST_P(UploadConformanceTest, ACommittedUploadIsGone) {
  const auto upload = BeginWhole();
  const auto frozen = Resume(upload->id());
  ASSERT_THAT(upload->Commit(kSize, {}, {}, Revision(5)), kIsApplied);
  const int64_t revision = store().Head(kBucket, "k")->revision;
  EXPECT_THAT(upload->Commit(kSize, {}, {}, Revision(5)), kIsMissing);
  EXPECT_THAT(frozen->Commit(kSize, {}, {}, Revision(5)), kIsMissing);
  EXPECT_EQ(Resume(upload->id()), nullptr);
  EXPECT_OK(store().AbortUpload(kBucket, "k", upload->id()));
  EXPECT_THAT(frozen->WritePart(2, Part(2)),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(store().Head(kBucket, "k")->revision, revision);
  EXPECT_EQ(store().Prove(kBucket, "k")->content_hash, ContentHash::Of(kWhole));
}

TEST_P(UploadConformanceTest, ALateCommitIsStale) {
  const auto upload = BeginWhole();
  ASSERT_OK(store().Delete(kBucket, "k", Revision(6)));
  EXPECT_THAT(upload->Commit(kSize, {}, {}, Revision(5)), kIsStale);
  EXPECT_FALSE(store().Head(kBucket, "k")->object.has_value());
  EXPECT_EQ(Resume(upload->id()), nullptr);
  EXPECT_THAT(upload->Commit(kSize, {}, {}, Revision(7)), kIsMissing);
}

// As with a writer: a user's deletion does not stop a copier.
TEST_P(UploadConformanceTest, TheKeyMayComeAndGoMeanwhile) {
  const auto upload = BeginWhole();
  ASSERT_OK(Put(store(), kBucket, "k", "meanwhile"));
  ASSERT_OK(store().Delete(kBucket, "k", {}));
  EXPECT_OK(store().AbortUpload(kBucket, "k", Begin()->id()));
  ASSERT_THAT(upload->Commit(kSize, {}, {}, Revision(1)), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), kWhole);
}

TEST_P(UploadConformanceTest, ACommitThatIsNotAllowedLeavesTheUpload) {
  const auto upload = BeginWhole();
  ReplicaWrite replica = Revision(5);
  replica.may_commit = [] { return false; };
  EXPECT_THAT(upload->Commit(kSize, {}, {}, replica),
              IsOutcome(WriteOutcome::kNotAllowed));
  EXPECT_FALSE(store().Head(kBucket, "k")->object.has_value());
  const auto resumed = Resume(upload->id());
  ASSERT_NE(resumed, nullptr);
  // A lower revision: the refused one was not recorded.
  ASSERT_THAT(resumed->Commit(kSize, {}, {}, Revision(4)), kIsApplied);
  EXPECT_EQ(Get(store(), kBucket, "k").value(), kWhole);
}

TEST_P(UploadConformanceTest, OfManyCommitsAtOnceOneApplies) {
  constexpr int kThreads = 4;
  const auto upload = BeginWhole();
  std::vector<absl::StatusOr<WriteOutcome>> outcomes(kThreads);
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t, mine = Resume(upload->id())] {
      start.arrive_and_wait();
      mine->WritePart(1, Part(1)).IgnoreError();
      outcomes[t] = mine->Commit(kSize, {}, {}, Revision(5));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(outcomes, ::testing::Contains(kIsApplied).Times(1));
  EXPECT_THAT(outcomes, ::testing::Contains(kIsMissing).Times(kThreads - 1));
  EXPECT_EQ(Get(store(), kBucket, "k").value(), kWhole);
}

TEST_P(UploadConformanceTest, AReaderGoesOnFromTheMiddle) {
  ASSERT_OK(Put(store(), kBucket, "large", kWhole));
  ASSERT_OK(Put(store(), kBucket, "small", kWhole.substr(0, 1'000)));
  for (const auto& [key, size] :
       {std::pair("large", kSize), std::pair("small", int64_t{1'000})}) {
    const std::string all = kWhole.substr(0, static_cast<size_t>(size));
    const auto reader = store().Read(kBucket, key).value();
    ASSERT_OK(reader->Skip(0));
    ASSERT_OK(reader->Skip(100));
    EXPECT_EQ(reader->Read(50).value(), all.substr(100, 50));
    ASSERT_OK(reader->Skip(50));
    EXPECT_EQ(ReadToEnd(*reader).value(), all.substr(200));

    const auto to_the_end = store().Read(kBucket, key).value();
    const auto invalid = HasCode(absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(to_the_end->Skip(-1), invalid);
    EXPECT_THAT(to_the_end->Skip(size + 1), invalid);
    ASSERT_OK(to_the_end->Skip(size));
    EXPECT_THAT(to_the_end->Skip(1), invalid);
    EXPECT_EQ(to_the_end->Read(1).value(), "");
  }
}

}  // namespace
}  // namespace crr
