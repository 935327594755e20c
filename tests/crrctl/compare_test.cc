#include "client/crrctl/compare.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/store/fault_store.h"
#include "client/store/memory_store.h"
#include "tests/crrctl/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using test::HasCode;
using test::MakeFile;

class CompareTest : public ::testing::Test {
 protected:
  CompareTest() {
    for (const char* bucket : {"aaa", "bbb"}) {
      CRR_CHECK(
          store_->EnsureBucket(bucket, BucketVersioning::kUnversioned).ok());
    }
  }
  void Put(absl::string_view bucket, absl::string_view key,
           std::string content) {
    test::PutObject(*store_, bucket, key, std::move(content));
  }
  // Compares and keeps the lines.
  absl::StatusOr<Comparison> Run(Side& a, Side& b) {
    return Compare(a, b, [this](absl::string_view line) {
      lines_.push_back(std::string(line));
    });
  }
  Comparison RunBuckets() {
    return Run(*BucketSide(store_, "aaa"), *BucketSide(store_, "bbb")).value();
  }

  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  std::vector<std::string> lines_;
};

TEST_F(CompareTest, EqualBucketsHaveNoDifference) {
  for (const char* bucket : {"aaa", "bbb"}) {
    Put(bucket, "x", "12");
    Put(bucket, "y", "");
    Put(bucket, "z/ü", "345");
  }
  const Comparison result = RunBuckets();
  EXPECT_EQ(result.differences, 0);
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(result.a.objects, 3);
  EXPECT_EQ(result.b.objects, 3);
  EXPECT_EQ(result.a.bytes, 5);
  EXPECT_EQ(result.b.bytes, 5);
}

TEST_F(CompareTest, TwoEmptySidesAreEqual) {
  const Comparison result = RunBuckets();
  EXPECT_EQ(result.differences, 0);
  EXPECT_EQ(result.a.objects, 0);
}

TEST_F(CompareTest, TheFirstAndTheLastKeyCount) {
  Put("aaa", "a", "1");
  Put("bbb", "m", "1");
  Put("aaa", "m", "1");
  Put("bbb", "z", "12");
  const Comparison result = RunBuckets();
  EXPECT_THAT(lines_, ElementsAre("only in A: a", "only in B: z"));
  EXPECT_EQ(result.differences, 2);
  EXPECT_EQ(result.a.objects, 2);
  EXPECT_EQ(result.a.bytes, 2);
  EXPECT_EQ(result.b.objects, 2);
  EXPECT_EQ(result.b.bytes, 3);
}

TEST_F(CompareTest, ABucketAgainstAnEmptyOneIsAllDifference) {
  Put("bbb", "a", "1");
  Put("bbb", "b", "1");
  RunBuckets();
  EXPECT_THAT(lines_, ElementsAre("only in B: a", "only in B: b"));
}

TEST_F(CompareTest, BytesDecideNotSizes) {
  Put("aaa", "k", "12");
  Put("bbb", "k", "21");
  const Comparison result = RunBuckets();
  EXPECT_THAT(lines_, ElementsAre("differs: k"));
  EXPECT_EQ(result.a.objects, 1);
  EXPECT_EQ(result.b.objects, 1);
}

TEST_F(CompareTest, TheStartOfAnObjectIsNotTheObject) {
  Put("aaa", "k", "12");
  Put("bbb", "k", "123");
  const Comparison result = RunBuckets();
  EXPECT_THAT(lines_, ElementsAre("differs: k"));
  EXPECT_EQ(result.a.bytes, 2);
  EXPECT_EQ(result.b.bytes, 3);
}

TEST_F(CompareTest, ADifferenceInTheLastByteOfALargeObjectIsFound) {
  std::string content(3 * kChunkBytes + 1, 'x');
  Put("aaa", "k", content);
  Put("bbb", "k", content);
  EXPECT_EQ(RunBuckets().differences, 0);
  content.back() = 'y';
  Put("bbb", "k", content);
  EXPECT_EQ(RunBuckets().differences, 1);
}

TEST_F(CompareTest, BucketsOfManyPagesAreWalkedToTheirEnd) {
  for (int i = 0; i < 2'500; ++i) {
    Put("aaa", absl::StrCat(10'000 + i), "x");
    if (i != 1'000 && i != 2'499) Put("bbb", absl::StrCat(10'000 + i), "x");
  }
  const Comparison result = RunBuckets();
  EXPECT_THAT(lines_, ElementsAre("only in A: 11000", "only in A: 12499"));
  EXPECT_EQ(result.a.objects, 2'500);
  EXPECT_EQ(result.b.objects, 2'498);
}

TEST_F(CompareTest, AMissingBucketHoldsNothing) {
  Put("aaa", "k", "1");
  const Comparison result =
      Run(*BucketSide(store_, "aaa"), *BucketSide(store_, "ccc")).value();
  EXPECT_EQ(result.differences, 1);
  EXPECT_EQ(result.b.objects, 0);
}

TEST_F(CompareTest, AFolderIsComparedAsAnImportWouldTakeIt) {
  const test::TempDir dir;
  // In byte order "a-b" is before "a/c", and "a0" after it.
  for (const char* key : {"a-b", "a/c", "a0", "z/y/x"}) {
    MakeFile(dir / key, key);
    Put("aaa", key, key);
  }
  std::filesystem::create_symlink("a0", dir / "link");
  SkipList skipped;
  const auto folder = FolderSide(dir.path(), skipped).value();
  const Comparison result = Run(*folder, *BucketSide(store_, "aaa")).value();
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(result.a.objects, 4);
  EXPECT_EQ(result.a.bytes, 13);
  EXPECT_EQ(skipped.count(), 1);
}

TEST_F(CompareTest, AMissingFolderIsAnError) {
  const test::TempDir dir;
  SkipList skipped;
  EXPECT_THAT(FolderSide(dir / "none", skipped).status(),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_F(CompareTest, AnErrorIsNoDifference) {
  Put("aaa", "k", "1");
  Put("bbb", "k", "1");
  for (const FaultStore::Call call :
       {FaultStore::Call::kList, FaultStore::Call::kRead,
        FaultStore::Call::kReadBytes}) {
    const auto faults = std::make_shared<FaultStore>(*store_);
    faults->FailCall(call, 1, absl::UnavailableError("away"));
    EXPECT_THAT(Run(*BucketSide(store_, "aaa"), *BucketSide(faults, "bbb")),
                HasCode(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(CompareTest, AnObjectThatGoesMeanwhileDiffers) {
  Put("aaa", "k", "1");
  Put("bbb", "k", "1");
  const auto faults = std::make_shared<FaultStore>(*store_);
  faults->Before(FaultStore::Call::kRead,
                 [this](absl::string_view bucket, absl::string_view key) {
                   CRR_CHECK(store_->Delete(bucket, key, std::nullopt).ok());
                 });
  Run(*BucketSide(store_, "aaa"), *BucketSide(faults, "bbb")).value();
  EXPECT_THAT(lines_, ElementsAre("differs: k"));
}

// Hands out one object in pieces of a given size.
class PieceSide final : public Side {
 public:
  PieceSide(std::string content, size_t piece)
      : content_(std::move(content)), piece_(piece) {}
  absl::StatusOr<std::optional<Item>> Next() override {
    if (std::exchange(given_, true)) return std::nullopt;
    return Item{.key = "k", .size = static_cast<int64_t>(content_.size())};
  }
  absl::StatusOr<ByteSource> Read(absl::string_view) override {
    return test::Pieces(content_, piece_);
  }

 private:
  const std::string content_;
  const size_t piece_;
  bool given_ = false;
};

TEST_F(CompareTest, HowTheBytesAreCutDoesNotMatter) {
  for (const size_t piece : {1u, 2u, 3u, 7u, 100u}) {
    PieceSide a("0123456789", 3);
    PieceSide b("0123456789", piece);
    const Comparison result = Run(a, b).value();
    EXPECT_EQ(result.differences, 0) << piece;
    EXPECT_EQ(result.a.bytes, 10);

    PieceSide c("0123456789", 3);
    PieceSide d("012345678", piece);
    EXPECT_EQ(Run(c, d).value().differences, 1) << piece;
  }
}

}  // namespace
}  // namespace crr
