// What only a store in a folder can do or suffer, in one process.

#include "client/store/local_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "client/store/blob_files.h"
#include "client/store/group_commit.h"
#include "client/store/index_connection.h"
#include "client/store/index_schema.h"
#include "client/store/index_tables.h"
#include "client/store/local_writes.h"
#include "client/store/write_lock.h"
#include "tests/store/peak_memory.h"
#include "tests/store/store_helpers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

using ::testing::IsEmpty;
using ::testing::SizeIs;
using test::Get;
using test::HasCode;
using test::Put;
using test::Revision;

constexpr char kBucket[] = "bucket";
constexpr size_t kLarge = 100'000;

std::vector<fs::path> FilesBelow(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

class LocalStoreTest : public ::testing::Test {
 protected:
  LocalStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    store_ =
        LocalStore::Open(root_, {.create = true, .clock = &clock_}).value();
    EXPECT_OK(store_->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
  }
  std::vector<fs::path> Blobs() { return FilesBelow(root_ + "/blobs"); }
  std::vector<fs::path> Unfinished() { return FilesBelow(root_ + "/writing"); }
  std::vector<fs::path> OfOlderPrograms() {
    return FilesBelow(root_ + "/tmp");
  }
  // As if killed while writing, before the commit, after the commit, and after
  // a replacement, having kept names in `folder` of the root. Returns the blob
  // of the third.
  fs::path LeaveBehind(const std::string& folder) {
    EXPECT_OK(Put(*store_, kBucket, "kept", std::string(kLarge, 'x')));
    const fs::path kept = Blobs().at(0);
    const fs::path blobs = root_ + "/blobs", names = root_ + "/" + folder;
    std::ofstream(names / "00aa") << "half";
    std::ofstream(names / "11aa") << "whole";
    fs::create_hard_link(names / "11aa", blobs / "11" / "11aa");
    fs::create_hard_link(kept, names / kept.filename());
    std::ofstream(blobs / "22" / "22aa") << "replaced";
    EXPECT_OK(AddGarbage(*Index(), "22aa"));
    return kept;
  }
  // The index as another program would open it.
  std::unique_ptr<IndexConnection> Index() {
    return IndexConnection::Open(root_ + "/index.db", {}).value();
  }

  test::TempDir dir_;
  const std::string root_ = dir_ / "a root";
  test::FakeClock clock_;
  std::unique_ptr<LocalStore> store_;
};

TEST_F(LocalStoreTest, EverythingIsThereAfterAReopen) {
  ASSERT_OK(Put(*store_, kBucket, "small", "bytes"));
  ASSERT_OK(Put(*store_, kBucket, "large", std::string(kLarge, 'x')));
  ASSERT_OK(Put(*store_, kBucket, "deleted", ""));
  ASSERT_OK(store_->Delete(kBucket, "deleted", Revision(5)));
  const BucketInfo bucket = store_->GetBucket(kBucket).value();
  const int64_t epoch = store_->OpenJournal().value()->epoch();

  Reopen();
  EXPECT_EQ(store_->GetBucket(kBucket)->identity, bucket.identity);
  EXPECT_EQ(Get(*store_, kBucket, "small").value(), "bytes");
  EXPECT_EQ(Get(*store_, kBucket, "large").value(), std::string(kLarge, 'x'));
  EXPECT_EQ(store_->Head(kBucket, "deleted")->revision, 4);
  EXPECT_EQ(*store_->Touch(kBucket, "deleted", Revision(4)),
            WriteOutcome::kStale);
  EXPECT_EQ(store_->OpenJournal().value()->epoch(), epoch);
  ASSERT_OK(Put(*store_, kBucket, "small", "more"));
  EXPECT_EQ(store_->Head(kBucket, "small")->revision, 5);
}

TEST_F(LocalStoreTest, AStoreMadeAnewHasAHigherEpochAndOtherIdentities) {
  const int64_t epoch = store_->OpenJournal().value()->epoch();
  const std::string identity = store_->GetBucket(kBucket)->identity;
  store_.reset();
  fs::remove_all(root_);
  clock_.Advance(absl::Seconds(1));
  Reopen();
  EXPECT_GT(store_->OpenJournal().value()->epoch(), epoch);
  EXPECT_NE(store_->GetBucket(kBucket)->identity, identity);
}

// It may be a disk that is not mounted: never "there is no such bucket".
TEST_F(LocalStoreTest, AMissingStoreIsUnavailable) {
  const auto unavailable = HasCode(absl::StatusCode::kUnavailable);
  EXPECT_THAT(LocalStore::Open(dir_ / "none", {}), unavailable);
  EXPECT_FALSE(fs::exists(dir_ / "none"));
  fs::create_directory(dir_ / "empty");
  EXPECT_THAT(LocalStore::Open(dir_ / "empty", {}), unavailable);
  EXPECT_TRUE(fs::is_empty(dir_ / "empty"));

  // Its maker was killed before the index was made.
  store_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(root_ + "/index.db" + suffix);
  }
  EXPECT_THAT(LocalStore::Open(root_, {}), unavailable);
  std::ofstream(root_ + "/index.db").close();
  EXPECT_THAT(LocalStore::Open(root_, {}), unavailable);
  EXPECT_OK(LocalStore::Open(root_, {.create = true}));
}

TEST_F(LocalStoreTest, ANewerSchemaIsRefused) {
  store_.reset();
  ASSERT_OK(Index()->ExecuteScript("PRAGMA user_version = 2"));
  EXPECT_THAT(LocalStore::Open(root_, {}),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(LocalStore::Open(root_, {.create = true}),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

// Errors of the index are the store's: DATA_LOSS would be held against each
// object that is asked for.
TEST_F(LocalStoreTest, AnIndexThatCannotBeUsedIsUnavailable) {
  const auto says = [](const char* what) {
    return ::testing::AllOf(
        HasCode(absl::StatusCode::kUnavailable),
        ::testing::ResultOf(
            [](const auto& answer) {
              return std::string(answer.status().message());
            },
            ::testing::HasSubstr(what)));
  };
  ASSERT_OK(Put(*store_, kBucket, "k", "bytes"));
  {
    const auto index = Index();
    ASSERT_OK(ReadEpoch(*index));
    ASSERT_OK(index->Checkpoint(absl::Seconds(5)));
  }

  // One that has no connection for reading yet.
  auto opened = LocalStore::Open(root_, {}).value();
  fs::rename(root_ + "/index.db", root_ + "/away");
  EXPECT_THAT(opened->Head(kBucket, "k"), says("unable to open"));
  EXPECT_THAT(opened->List(kBucket, {}), says("unable to open"));
  EXPECT_THAT(opened->Write(kBucket, "k"), says("unable to open"));
  EXPECT_THAT(opened->OpenJournal(), says("unable to open"));
  fs::rename(root_ + "/away", root_ + "/index.db");
  EXPECT_OK(opened->Head(kBucket, "k"));

  // The pages after the first are garbage.
  opened = LocalStore::Open(root_, {}).value();
  const auto size = static_cast<size_t>(fs::file_size(root_ + "/index.db"));
  std::fstream(root_ + "/index.db", std::ios::in | std::ios::out).seekp(4096)
      << std::string(size - 4096, 'x');
  EXPECT_THAT(opened->Head(kBucket, "k"), says("malformed"));
  EXPECT_THAT(opened->Delete(kBucket, "k", {}), says("malformed"));

  opened.reset();
  store_.reset();
  fs::remove(root_ + "/index.db-wal");
  std::ofstream(root_ + "/index.db") << std::string(8192, 'x');
  EXPECT_THAT(LocalStore::Open(root_, {}), says("not a database"));
}

TEST_F(LocalStoreTest, SmallObjectsHaveNoFiles) {
  ASSERT_OK(Put(*store_, kBucket, "k", std::string(32 << 10, 'x')));
  EXPECT_THAT(Blobs(), IsEmpty());
  ASSERT_OK(Put(*store_, kBucket, "k", std::string((32 << 10) + 1, 'x')));
  EXPECT_THAT(Blobs(), SizeIs(1));
}

TEST_F(LocalStoreTest, ReplacedAndRefusedBlobsAreRemoved) {
  const std::string bytes(kLarge, 'x');
  ASSERT_OK(Put(*store_, kBucket, "k", bytes, {}, {}, Revision(5)));
  ASSERT_OK(Put(*store_, kBucket, "k", bytes, {}, {}, Revision(5)));
  EXPECT_EQ(*Put(*store_, kBucket, "k", bytes, {}, {}, Revision(4)),
            WriteOutcome::kStale);
  {
    const auto dropped = store_->Write(kBucket, "k").value();
    ASSERT_OK(dropped->Append(bytes));
    EXPECT_THAT(Unfinished(), SizeIs(1));
  }
  EXPECT_THAT(Blobs(), SizeIs(1));
  EXPECT_THAT(Unfinished(), IsEmpty());
  ASSERT_OK(store_->Delete(kBucket, "k", {}));
  EXPECT_THAT(Blobs(), IsEmpty());
  // Of what had to go, nothing is left to remember but the last.
  ASSERT_OK(Put(*store_, kBucket, "other", ""));
  EXPECT_THAT(ReadGarbage(*Index()).value(), IsEmpty());
}

TEST_F(LocalStoreTest, BytesThatChangedOnDiskAreDataLoss) {
  const auto data_loss = HasCode(absl::StatusCode::kDataLoss);
  ASSERT_OK(Put(*store_, kBucket, "k", std::string(kLarge, 'x')));
  const fs::path blob = Blobs().at(0);

  std::fstream(blob, std::ios::in | std::ios::out).seekp(kLarge / 2) << 'y';
  EXPECT_THAT(store_->Prove(kBucket, "k"), data_loss);
  EXPECT_THAT(Get(*store_, kBucket, "k"), data_loss);

  fs::resize_file(blob, kLarge - 1);
  EXPECT_THAT(store_->Prove(kBucket, "k"), data_loss);
  fs::resize_file(blob, kLarge + 1);
  EXPECT_THAT(store_->Prove(kBucket, "k"), data_loss);

  fs::resize_file(blob, 0);
  EXPECT_THAT(store_->Prove(kBucket, "k"), data_loss);
  EXPECT_FALSE(IsContentGone(store_->Prove(kBucket, "k").status()));

  ASSERT_OK(Put(*store_, kBucket, "small", "bytes"));
  ASSERT_OK(Index()->Execute("UPDATE inline_bytes SET bytes = x'00'"));
  EXPECT_THAT(store_->Prove(kBucket, "small"), data_loss);
  EXPECT_FALSE(IsContentGone(store_->Prove(kBucket, "small").status()));
}

TEST_F(LocalStoreTest, MissingBytesAreNoMissingObject) {
  ASSERT_OK(Put(*store_, kBucket, "k", std::string(kLarge, 'x')));
  ASSERT_OK(Put(*store_, kBucket, "small", "bytes"));
  fs::remove(Blobs().at(0));
  ASSERT_OK(Index()->Execute("DELETE FROM inline_bytes"));
  for (const char* key : {"k", "small"}) {
    EXPECT_TRUE(IsContentGone(store_->Prove(kBucket, key).status()));
    EXPECT_TRUE(IsContentGone(store_->Read(kBucket, key).status()));
    EXPECT_TRUE(store_->Head(kBucket, key)->object.has_value());
  }
}

TEST_F(LocalStoreTest, WhatNobodyHoldsIsSweptBesideOthers) {
  const std::string bytes(kLarge, 'y');
  const auto writer = store_->Write(kBucket, "live").value();
  ASSERT_OK(writer->Append(bytes));
  const fs::path live = Unfinished().at(0);
  const fs::path kept = LeaveBehind("writing");

  ASSERT_OK(LocalStore::Open(root_, {}));
  EXPECT_THAT(Unfinished(), ::testing::ElementsAre(live));
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(kept));
  EXPECT_THAT(ReadGarbage(*Index()).value(), IsEmpty());
  EXPECT_OK(store_->Prove(kBucket, "kept"));

  ASSERT_EQ(*writer->Commit({}, {}, {}), WriteOutcome::kApplied);
  EXPECT_EQ(Get(*store_, kBucket, "live").value(), bytes);
  EXPECT_THAT(Unfinished(), IsEmpty());
}

// An older program locks nothing: it may be at work on what it has in tmp/.
TEST_F(LocalStoreTest, OneWhoIsAloneSweepsForOlderPrograms) {
  const fs::path kept = LeaveBehind("tmp");
  ASSERT_OK(LocalStore::Open(root_, {}));
  EXPECT_THAT(OfOlderPrograms(), SizeIs(3));
  EXPECT_THAT(Blobs(), SizeIs(2));

  Reopen();
  EXPECT_THAT(OfOlderPrograms(), IsEmpty());
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(kept));
  EXPECT_THAT(ReadGarbage(*Index()).value(), IsEmpty());
  EXPECT_OK(store_->Prove(kBucket, "kept"));
}

// Killed between removing a blob and its name: the row may be there already.
TEST_F(LocalStoreTest, ASweepThatWasCutOffIsGoneOnWith) {
  const fs::path kept = LeaveBehind("writing");
  ASSERT_OK(AddGarbage(*Index(), "11aa"));
  ASSERT_OK(LocalStore::Open(root_, {}));
  EXPECT_THAT(Unfinished(), IsEmpty());
  EXPECT_THAT(Blobs(), ::testing::ElementsAre(kept));
}

// 64 MiB in pieces of 1 MiB: neither side holds more than a few pieces.
TEST_F(LocalStoreTest, ALargeObjectStreams) {
  constexpr int kPieces = 64;
  std::string piece(1 << 20, 'x');
  ContentHash hash;
  const int64_t before = test::PeakKib();
  const auto writer = store_->Write(kBucket, "k").value();
  for (int i = 0; i < kPieces; ++i) {
    piece[0] = static_cast<char>(i);
    hash.Update(piece);
    ASSERT_OK(writer->Append(piece));
  }
  ASSERT_EQ(*writer->Commit({}, {}, {}), WriteOutcome::kApplied);
  const Proof proof = store_->Prove(kBucket, "k").value();
  EXPECT_EQ(proof.size, kPieces << 20);
  EXPECT_EQ(proof.content_hash, hash.Hex());
  EXPECT_LT(test::PeakKib() - before, 16 << 10);
}

TEST_F(LocalStoreTest, TheLogOfTheIndexStaysBounded) {
  const std::string bytes(32 << 10, 'x');
  for (int i = 0; i < 1'500; i += 8) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        ASSERT_OK(Put(*store_, kBucket, absl::StrCat(i + t), bytes));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  // Almost 50 MiB were written.
  EXPECT_LT(fs::file_size(root_ + "/index.db-wal"), 24u << 20);
  EXPECT_GT(fs::file_size(root_ + "/index.db"), 24u << 20);
  EXPECT_EQ(Get(*store_, kBucket, "7").value(), bytes);
}

TEST_F(LocalStoreTest, ListingsReadAlongTheKeys) {
  const sqlite::Rows plan =
      Index()
          ->Query("EXPLAIN QUERY PLAN SELECT key, facts FROM objects"
                  " WHERE bucket_id = 1 AND key >= x'61' AND key < x'62'"
                  " AND is_current = 1 AND is_marker = 0 ORDER BY key LIMIT 10")
          .value();
  EXPECT_FALSE(plan.empty());
  for (const sqlite::Row& row : plan) {
    EXPECT_THAT(row.Text(3), ::testing::HasSubstr("PRIMARY KEY"));
    EXPECT_THAT(row.Text(3), ::testing::Not(::testing::HasSubstr("TEMP")));
  }
}

// The disk fills up: who was told "applied" is in the index, and nobody else.
TEST(GroupCommitTest, AFullDiskAppliesNothingThatItRefused) {
  test::TempDir dir;
  test::FakeClock clock;
  const std::string root = dir.path();
  const std::string index = root + "/index.db";
  ASSERT_OK(LocalStore::Open(root, {.create = true})
                .value()
                ->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
  auto db = OpenIndex(index, /*create=*/false, clock.WallNow()).value();
  ASSERT_OK(db->Query("PRAGMA max_page_count = 400"));
  const BlobFiles blobs(root);
  auto commits =
      GroupCommit::Make(
          index, root + "/changed",
          WriteLock::Open(root + "/write.lock", /*create=*/false).value(),
          std::move(db), blobs, clock)
          .value();

  constexpr int kThreads = 8;
  constexpr int kRounds = 20;
  std::vector<std::string> applied[kThreads];
  std::vector<std::string> refused[kThreads];
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string key = absl::StrCat(t, "/", i);
        const NewContent content = {.size = 30'000,
                                    .etag = "etag",
                                    .inline_bytes = std::string(30'000, 'x')};
        const GroupCommit::Result result = commits->Run(
            [&](IndexTransaction& txn) {
              return PutObject(txn, kBucket, key, content, {}, {}, {});
            },
            std::nullopt);
        if (result.outcome.ok()) {
          EXPECT_EQ(*result.outcome, WriteOutcome::kApplied);
          applied[t].push_back(key);
        } else {
          EXPECT_THAT(result.outcome,
                      HasCode(absl::StatusCode::kResourceExhausted));
          EXPECT_FALSE(result.unknown);
          refused[t].push_back(key);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const auto store = LocalStore::Open(root, {}).value();
  size_t applied_count = 0, refused_count = 0;
  for (int t = 0; t < kThreads; ++t) {
    for (const std::string& key : applied[t]) {
      EXPECT_TRUE(store->Head(kBucket, key)->object.has_value()) << key;
    }
    for (const std::string& key : refused[t]) {
      EXPECT_FALSE(store->Head(kBucket, key)->object.has_value()) << key;
    }
    applied_count += applied[t].size();
    refused_count += refused[t].size();
  }
  EXPECT_GT(applied_count, 0u);
  EXPECT_GT(refused_count, 0u);
  EXPECT_THAT(store->OpenJournal().value()->Read(0, 1'000).value(),
              SizeIs(applied_count));
}

}  // namespace
}  // namespace crr
