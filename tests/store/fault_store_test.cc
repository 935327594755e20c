#include "client/store/fault_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "client/store/memory_store.h"
#include "tests/store/store_helpers.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Get;
using test::HasCode;
using test::Put;
using Call = FaultStore::Call;

constexpr char kBucket[] = "bucket";

class FaultStoreTest : public ::testing::Test {
 protected:
  FaultStoreTest() {
    EXPECT_OK(base_.EnsureBucket(kBucket, BucketVersioning::kUnversioned));
  }
  MemoryStore base_;
  FaultStore store_{base_};
};

TEST_F(FaultStoreTest, PassesEverythingThrough) {
  ASSERT_OK(Put(store_, kBucket, "k", "bytes"));
  EXPECT_EQ(Get(store_, kBucket, "k").value(), "bytes");
  EXPECT_EQ(store_.Head(kBucket, "k")->revision, 1);
  EXPECT_EQ(store_.List(kBucket, {})->objects.size(), 1u);
  EXPECT_EQ(store_.Prove(kBucket, "k")->size, 5);
  EXPECT_EQ(store_.Read(kBucket, "none").value(), nullptr);
  EXPECT_EQ(store_.GetBucket(kBucket)->name, kBucket);
  EXPECT_EQ(*store_.Touch(kBucket, "k", test::Revision(1)),
            WriteOutcome::kApplied);
  EXPECT_EQ(*store_.SetFacts(kBucket, "k", ContentHash::Of("bytes"), {}, {},
                             {}),
            WriteOutcome::kApplied);
  EXPECT_EQ(*store_.Delete(kBucket, "k", {}), WriteOutcome::kApplied);
  EXPECT_TRUE(store_.capabilities().fences_by_revision);
  EXPECT_EQ(store_.Calls(Call::kRead), 2);
  EXPECT_EQ(store_.Calls(Call::kCommit), 1);
}

TEST_F(FaultStoreTest, FailsTheNthCallFromNowOn) {
  ASSERT_OK(store_.Head(kBucket, "k"));
  store_.FailCall(Call::kHead, 2, absl::UnavailableError("x"));
  EXPECT_OK(store_.Head(kBucket, "k"));
  EXPECT_THAT(store_.Head(kBucket, "k"),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_OK(store_.Head(kBucket, "k"));

  store_.FailCall(Call::kCommit, 1, absl::ResourceExhaustedError("x"));
  EXPECT_THAT(Put(store_, kBucket, "k", "bytes"),
              HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_FALSE(base_.Head(kBucket, "k")->object.has_value());
}

TEST_F(FaultStoreTest, LosesTheAnswerOfWhatWasDone) {
  store_.LoseAnswer(Call::kCommit, 1, absl::UnavailableError("x"));
  EXPECT_THAT(Put(store_, kBucket, "k", "bytes"),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(base_.Head(kBucket, "k")->object.has_value());
  EXPECT_OK(Put(store_, kBucket, "k", "bytes"));
}

TEST_F(FaultStoreTest, FailsAKeyUntilItIsHealed) {
  store_.FailKey("bad", absl::InternalError("x"));
  EXPECT_THAT(store_.Head(kBucket, "bad"),
              HasCode(absl::StatusCode::kInternal));
  EXPECT_THAT(Put(store_, kBucket, "bad", "bytes"),
              HasCode(absl::StatusCode::kInternal));
  EXPECT_OK(Put(store_, kBucket, "good", "bytes"));
  store_.FailKey("bad", absl::OkStatus());
  EXPECT_OK(Put(store_, kBucket, "bad", "bytes"));
}

TEST_F(FaultStoreTest, CorruptsWhatIsStored) {
  store_.CorruptKey("k");
  ASSERT_OK(Put(store_, kBucket, "k", "bytes"));
  EXPECT_EQ(store_.Prove(kBucket, "k")->size, 5);
  EXPECT_NE(store_.Prove(kBucket, "k")->content_hash,
            ContentHash::Of("bytes"));
  ASSERT_OK(Put(store_, kBucket, "j", "bytes"));
  EXPECT_EQ(Get(store_, kBucket, "j").value(), "bytes");
}

TEST_F(FaultStoreTest, UploadsAndSkipsFailLikeTheRest) {
  const auto unavailable = HasCode(absl::StatusCode::kUnavailable);
  const absl::Status fault = absl::UnavailableError("x");
  store_.FailCall(Call::kBeginUpload, 1, fault);
  EXPECT_THAT(store_.BeginUpload(kBucket, "k", 4), unavailable);
  const std::string id = store_.BeginUpload(kBucket, "k", 4).value()->id();
  store_.FailCall(Call::kResumeUpload, 1, fault);
  EXPECT_THAT(store_.ResumeUpload(kBucket, "k", id), unavailable);
  const auto upload = store_.ResumeUpload(kBucket, "k", id).value();
  store_.FailCall(Call::kWritePart, 1, fault);
  EXPECT_THAT(upload->WritePart(0, "abcd"), unavailable);
  EXPECT_THAT(upload->Commit(4, {}, {}, {}),
              HasCode(absl::StatusCode::kDataLoss));
  int parts = 0;
  store_.Before(Call::kWritePart,
                [&](absl::string_view, absl::string_view) { ++parts; });
  EXPECT_OK(upload->WritePart(0, "abcd"));
  EXPECT_EQ(parts, 1);
  store_.LoseAnswer(Call::kCommitUpload, 1, fault);
  EXPECT_THAT(upload->Commit(4, {}, {}, {}), unavailable);
  EXPECT_EQ(Get(base_, kBucket, "k").value(), "abcd");
  store_.FailCall(Call::kAbortUpload, 1, fault);
  EXPECT_THAT(store_.AbortUpload(kBucket, "k", id), unavailable);

  const auto reader = store_.Read(kBucket, "k").value();
  store_.FailCall(Call::kSkip, 1, fault);
  EXPECT_THAT(reader->Skip(1), unavailable);
  EXPECT_EQ(reader->Read(1).value(), "a");
}

TEST_F(FaultStoreTest, CorruptsTheFirstPartAlikeEachTime) {
  store_.CorruptKey("k");
  const auto upload = store_.BeginUpload(kBucket, "k", 4).value();
  ASSERT_OK(upload->WritePart(0, "abcd"));
  ASSERT_OK(upload->WritePart(0, "abcd"));
  ASSERT_OK(upload->WritePart(1, "ef"));
  ASSERT_OK(upload->Commit(6, {}, {}, {}));
  EXPECT_EQ(Get(base_, kBucket, "k").value(), "`bcdef");
}

TEST_F(FaultStoreTest, HooksRunAroundACall) {
  ASSERT_OK(Put(base_, kBucket, "k", "bytes"));
  store_.Before(Call::kHead, [&](absl::string_view bucket,
                                 absl::string_view key) {
    ASSERT_OK(base_.Delete(bucket, key, {}));
  });
  EXPECT_FALSE(store_.Head(kBucket, "k")->object.has_value());
  store_.Before(Call::kHead, nullptr);
  store_.After(Call::kHead, [&](absl::string_view bucket,
                                absl::string_view key) {
    ASSERT_OK(Put(base_, bucket, key, "bytes"));
  });
  EXPECT_FALSE(store_.Head(kBucket, "k")->object.has_value());
  EXPECT_TRUE(store_.Head(kBucket, "k")->object.has_value());
}

}  // namespace
}  // namespace crr
