// What uploads in parts to a store in a folder can do or suffer, in one
// process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/hash.h"
#include "client/store/index_connection.h"
#include "client/store/index_tables.h"
#include "client/store/local_store.h"
#include "tests/store/peak_memory.h"
#include "tests/store/store_helpers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

using test::Get;
using test::HasCode;
using test::Revision;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kBucket[] = "bucket";

class LocalUploadTest : public ::testing::Test {
 protected:
  LocalUploadTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    store_ =
        LocalStore::Open(root_, {.create = true, .clock = &clock_}).value();
    EXPECT_OK(store_->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
  }
  std::unique_ptr<ObjectUpload> Begin(int64_t part_bytes = 4) {
    return store_->BeginUpload(kBucket, "k", part_bytes).value();
  }
  std::unique_ptr<ObjectUpload> Resume(const std::string& id) {
    return store_->ResumeUpload(kBucket, "k", id).value();
  }
  fs::path BlobOf(const std::string& id) {
    return fs::path(root_) / "blobs" / id.substr(0, 2) / id;
  }
  std::vector<fs::path> Blobs() { return FilesBelow("blobs"); }
  std::vector<fs::path> Unfinished() { return FilesBelow("writing"); }
  std::unique_ptr<IndexConnection> Index() {
    return IndexConnection::Open(root_ + "/index.db", {}).value();
  }
  int64_t Count(const std::string& table) {
    return Index()->Query("SELECT count(*) FROM " + table)->at(0).Int(0);
  }

  test::TempDir dir_;
  const std::string root_ = dir_ / "root";
  test::FakeClock clock_;
  std::unique_ptr<LocalStore> store_;

 private:
  std::vector<fs::path> FilesBelow(const std::string& folder) {
    std::vector<fs::path> files;
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(root_) / folder)) {
      if (!entry.is_directory()) files.push_back(entry.path());
    }
    return files;
  }
};

TEST_F(LocalUploadTest, SurvivesASweep) {
  const std::string id = Begin()->id();
  ASSERT_OK(Resume(id)->WritePart(0, "abcd"));
  Reopen();
  ASSERT_OK(Resume(id)->WritePart(1, "ef"));
  Reopen();
  ASSERT_EQ(*Resume(id)->Commit(6, {}, {}, {}), WriteOutcome::kApplied);
  Reopen();
  EXPECT_EQ(Get(*store_, kBucket, "k").value(), "abcdef");
}

TEST_F(LocalUploadTest, LeavesNothingBehindHoweverItEnds) {
  const auto aborted = Begin();
  ASSERT_OK(aborted->WritePart(0, "abcd"));
  EXPECT_THAT(Blobs(), SizeIs(1));
  EXPECT_THAT(Unfinished(), IsEmpty());
  ASSERT_OK(store_->AbortUpload(kBucket, "k", aborted->id()));
  EXPECT_THAT(Blobs(), IsEmpty());

  const auto committed = Begin();
  ASSERT_OK(committed->WritePart(0, "abcd"));
  ASSERT_EQ(*committed->Commit(4, {}, {}, Revision(5)), WriteOutcome::kApplied);
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(BlobOf(committed->id())));

  const auto stale = Begin();
  ASSERT_OK(stale->WritePart(0, "wxyz"));
  ASSERT_EQ(*stale->Commit(4, {}, {}, Revision(4)), WriteOutcome::kStale);
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(BlobOf(committed->id())));

  ASSERT_OK(store_->Delete(kBucket, "k", {}));
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(Count("uploads"), 0);
  EXPECT_EQ(Count("upload_parts"), 0);
}

TEST_F(LocalUploadTest, ExpiresAWeekAfterItsLastPart) {
  const std::string idle = Begin()->id();
  const std::string busy = Begin()->id();
  clock_.Advance(absl::Hours(24));
  ASSERT_OK(Resume(busy)->WritePart(0, "abcd"));
  clock_.Advance(absl::Hours(6 * 24));
  Reopen();
  EXPECT_NE(Resume(idle), nullptr);

  clock_.Advance(absl::Microseconds(1));
  // Another process, while this one has the store open.
  ASSERT_OK(LocalStore::Open(root_, {.clock = &clock_}));
  EXPECT_EQ(Resume(idle), nullptr);
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(BlobOf(busy)));
  EXPECT_THAT(ReadGarbage(*Index()).value(), IsEmpty());

  clock_.Advance(absl::Hours(24));
  Reopen();
  EXPECT_EQ(Resume(busy), nullptr);
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(Count("upload_parts"), 0);
}

TEST_F(LocalUploadTest, BeginningOneExpiresOthers) {
  const auto idle = Begin();
  ASSERT_OK(idle->WritePart(0, "abcd"));
  clock_.Advance(absl::Hours(7 * 24) + absl::Microseconds(1));
  const std::string id = Begin()->id();
  EXPECT_EQ(Resume(idle->id()), nullptr);
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(BlobOf(id)));
  EXPECT_THAT(idle->WritePart(1, "ef"),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(LocalUploadTest, ABoundedNumberExpiresAtOnce) {
  ASSERT_OK(Index()->Execute(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
      " WHERE i < 150) INSERT INTO uploads"
      " SELECT printf('%032x', i), bucket_id, x'6b', 4, 0 FROM n, buckets"));
  Begin();
  EXPECT_EQ(Count("uploads"), 50 + 1);
  Begin();
  EXPECT_EQ(Count("uploads"), 2);
}

// As if killed while beginning, before the index's commit and after it.
TEST_F(LocalUploadTest, ASweepFinishesWhatBeginningLeft) {
  const std::string id = Begin()->id();
  const std::string half = "00" + std::string(30, 'a');
  fs::create_hard_link(BlobOf(id), fs::path(root_) / "writing" / id);
  std::ofstream(BlobOf(half)).close();
  fs::create_hard_link(BlobOf(half), fs::path(root_) / "writing" / half);
  Reopen();
  EXPECT_THAT(Unfinished(), IsEmpty());
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(BlobOf(id)));
  EXPECT_NE(Resume(id), nullptr);
}

// A copier was frozen in the middle of its part while another finished.
TEST_F(LocalUploadTest, ALatePartChangesNothing) {
  const auto frozen = Begin();
  ASSERT_OK(frozen->WritePart(0, "abcd"));
  ASSERT_OK(frozen->WritePart(1, "ef"));
  ASSERT_EQ(*Resume(frozen->id())->Commit(6, {}, {}, {}),
            WriteOutcome::kApplied);
  const auto reader = store_->Read(kBucket, "k").value();
  EXPECT_EQ(reader->Read(3).value(), "abc");
  EXPECT_THAT(frozen->WritePart(0, "abcd"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(test::ReadToEnd(*reader).value(), "def");
  EXPECT_EQ(store_->Prove(kBucket, "k")->content_hash,
            ContentHash::Of("abcdef"));
}

TEST_F(LocalUploadTest, AFullDiskIsResourceExhausted) {
  const std::string id = Begin()->id();
  ASSERT_OK(Resume(id)->WritePart(0, "abcd"));
  // Its blob is where no more fits.
  const fs::path saved = fs::path(root_) / "saved";
  fs::rename(BlobOf(id), saved);
  fs::create_symlink("/dev/full", BlobOf(id));
  EXPECT_THAT(Resume(id)->WritePart(1, "ef"),
              HasCode(absl::StatusCode::kResourceExhausted));
  fs::rename(saved, BlobOf(id));
  // There is space again: the part is not thought to be there.
  EXPECT_THAT(Resume(id)->Commit(6, {}, {}, {}),
              HasCode(absl::StatusCode::kDataLoss));
  ASSERT_OK(Resume(id)->WritePart(1, "ef"));
  EXPECT_EQ(*Resume(id)->Commit(6, {}, {}, {}), WriteOutcome::kApplied);
}

TEST_F(LocalUploadTest, BytesThatAreLostOnDiskAreNotCommitted) {
  const auto upload = Begin();
  ASSERT_OK(upload->WritePart(0, "abcd"));
  fs::resize_file(BlobOf(upload->id()), 3);
  EXPECT_THAT(upload->Commit(4, {}, {}, {}),
              HasCode(absl::StatusCode::kDataLoss));
  fs::remove(BlobOf(upload->id()));
  EXPECT_EQ(Resume(upload->id()), nullptr);
  EXPECT_OK(store_->AbortUpload(kBucket, "k", upload->id()));
  EXPECT_EQ(Count("uploads"), 0);
}

// A store that was made by a program without uploads has them when it is next
// opened; that program can still open it.
TEST_F(LocalUploadTest, AnOlderStoreGainsUploads) {
  store_.reset();
  ASSERT_OK(
      Index()->ExecuteScript("DROP TABLE upload_parts; DROP TABLE uploads"));
  Reopen();
  const auto upload = Begin();
  ASSERT_OK(upload->WritePart(0, "abcd"));
  EXPECT_EQ(*upload->Commit(4, {}, {}, {}), WriteOutcome::kApplied);
  EXPECT_EQ(Index()->Query("PRAGMA user_version")->at(0).Int(0), 1);
}

// 64 MiB in parts of 1 MiB, committed and read from the middle: nothing holds
// more than a few parts.
TEST_F(LocalUploadTest, AGiantStreams) {
  constexpr int64_t kParts = 64;
  constexpr int64_t kPartBytes = 1 << 20;
  std::string part(kPartBytes, 'x');
  ContentHash hash;
  const int64_t before = test::PeakKib();
  const auto upload = Begin(kPartBytes);
  for (int64_t number = 0; number < kParts; ++number) {
    part[0] = static_cast<char>(number);
    hash.Update(part);
    ASSERT_OK(upload->WritePart(number, part));
  }
  ASSERT_EQ(*upload->Commit(kParts * kPartBytes, {}, {}, {}),
            WriteOutcome::kApplied);
  EXPECT_EQ(store_->Prove(kBucket, "k")->content_hash, hash.Hex());
  const auto reader = store_->Read(kBucket, "k").value();
  ASSERT_OK(reader->Skip((kParts - 1) * kPartBytes));
  EXPECT_EQ(test::ReadToEnd(*reader).value(), part);
  EXPECT_LT(test::PeakKib() - before, 16 << 10);
}

}  // namespace
}  // namespace crr
