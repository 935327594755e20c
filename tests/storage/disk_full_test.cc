#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/child.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using sqlite::Bytes;
using sqlite::Int;
using test::Count;
using test::HasCode;
using test::Nothing;
using test::Write;
using test::WriterBlock;

constexpr absl::StatusCode kFull = absl::StatusCode::kResourceExhausted;

// How the statement that does not fit is written. SQLite rolls the whole
// transaction back after the first, and only the statement after the second.
enum class Shape { kOneRow, kManyRows };

class DiskFullTest : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = dir_ / "crr.db"});
    ASSERT_OK(database);
    database_ = *std::move(database);
    ASSERT_OK(Write(*database_, [](Transaction& txn) {
      txn.Execute("CREATE TABLE scratch (id INTEGER NOT NULL PRIMARY KEY, "
                  "bytes BLOB) STRICT");
      txn.Execute("CREATE TABLE counter (n INTEGER NOT NULL) STRICT");
      txn.Execute("INSERT INTO counter VALUES (0)");
    }));
    LeaveRoom(16);
  }

  // Lets the file grow by so many pages and no further.
  void LeaveRoom(int64_t pages) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      const int64_t now = txn.QueryOne("PRAGMA page_count")->Int(0);
      txn.Query(absl::StrCat("PRAGMA max_page_count = ", now + pages));
    }));
  }

  // Counts and stores one row of `bytes`.
  void Submit(int64_t id, size_t bytes,
              std::function<bool()> cancelled = nullptr) {
    database_->Write<Nothing>(
        {.cancelled = std::move(cancelled)},
        [this, id, bytes, shape = GetParam()](
            Transaction& txn) -> absl::StatusOr<Nothing> {
          ++runs_[id];
          txn.Execute("UPDATE counter SET n = n + 1");
          const auto blob = Bytes(std::string(bytes, 'x'));
          if (shape == Shape::kOneRow) {
            txn.Execute("INSERT INTO scratch VALUES ($1, $2)", {Int(id), blob});
          } else {
            txn.Execute("INSERT INTO scratch VALUES ($1, NULL), ($2, $3)",
                        {Int(-id), Int(id), blob});
          }
          return Nothing();
        },
        [this, id](const absl::StatusOr<Nothing>& answer) {
          outcomes_[id].push_back(answer.status());
        });
  }

  void Flush() {
    ASSERT_OK(Write(*database_, [](Transaction&) {}));
  }

  test::TempDir dir_;
  // Both on the writer's thread, read after Flush.
  std::map<int64_t, int> runs_;
  std::map<int64_t, std::vector<absl::Status>> outcomes_;
  std::unique_ptr<Database> database_;
};

TEST_P(DiskFullTest, WhatDoesNotFitIsRefusedAndItsNeighboursStandOnce) {
  constexpr int64_t kBig = 4;
  constexpr int64_t kBodies = 8;
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= kBodies; ++id) {
      Submit(id, id == kBig ? 1 << 20 : 10);
    }
    block.Release();
  }
  Flush();
  // The whole transaction went with it, or not.
  EXPECT_EQ(runs_[1], GetParam() == Shape::kOneRow ? 2 : 1);
  for (int64_t id = 1; id <= kBodies; ++id) {
    ASSERT_EQ(outcomes_[id].size(), 1u) << id;
    if (id == kBig) {
      EXPECT_THAT(outcomes_[id][0], HasCode(kFull));
    } else {
      EXPECT_OK(outcomes_[id][0]);
    }
    EXPECT_EQ(Count(*database_, absl::StrCat("scratch WHERE id = ", id)),
              id == kBig ? 0 : 1);
  }
  // Nothing of the refused one is there, and nothing of the others twice.
  EXPECT_EQ(Count(*database_, absl::StrCat("counter WHERE n = ", kBodies - 1)),
            1);
}

TEST_P(DiskFullTest, ItWorksAgainOnceThereIsRoom) {
  Submit(1, 1 << 20);
  Flush();
  EXPECT_THAT(outcomes_[1][0], HasCode(kFull));
  Submit(2, 10);
  Flush();
  EXPECT_OK(outcomes_[2][0]);
  LeaveRoom(1000);
  Submit(1, 1 << 20);
  Flush();
  EXPECT_OK(outcomes_[1][1]);
  EXPECT_EQ(Count(*database_, "scratch WHERE id > 0"), 2);
  EXPECT_EQ(Count(*database_, "counter WHERE n = 2"), 1);
}

TEST_P(DiskFullTest, ReadsGoOn) {
  Submit(1, 10);
  Submit(2, 1 << 20);
  Flush();
  EXPECT_THAT(outcomes_[2][0], HasCode(kFull));
  EXPECT_EQ(Count(*database_, "scratch WHERE id = 1"), 1);
}

// "Dropped before its body starts; after, it commits", however often it has to
// be run.
TEST_P(DiskFullTest, ACallerThatLeavesAfterItsBodyBeganIsNotAskedAgain) {
  int asked = 0;
  {
    WriterBlock block(*database_);
    Submit(1, 10, [&] { return asked++ > 0; });
    Submit(2, 1 << 20);
    block.Release();
  }
  Flush();
  EXPECT_EQ(asked, 1);
  EXPECT_OK(outcomes_[1][0]);
  EXPECT_EQ(Count(*database_, "scratch WHERE id = 1"), 1);
}

INSTANTIATE_TEST_SUITE_P(Shapes, DiskFullTest,
                         ::testing::Values(Shape::kOneRow, Shape::kManyRows),
                         [](const auto& shape) {
                           return shape.param == Shape::kOneRow ? "OneRow"
                                                                : "ManyRows";
                         });

#define OR_FAIL(condition)                                             \
  do {                                                                 \
    if (!(condition)) {                                                \
      std::fprintf(stderr, "%d: not so: %s\n", __LINE__, #condition);  \
      return 1;                                                        \
    }                                                                  \
  } while (false)

// Runs in a process of its own, the only one that sees the mount.
int FillAFileSystem(const std::string& mount_point) {
  if (!test::MountSmallFileSystem(mount_point)) return test::kCannotMount;
  const std::string path = mount_point + "/crr.db";
  const std::string ballast = mount_point + "/ballast";
  std::ofstream(ballast) << std::string(1 << 20, 'b');
  std::vector<int64_t> acknowledged;
  {
    auto opened = Database::Open({.path = path});
    OR_FAIL(opened.ok());
    Database& database = **opened;
    OR_FAIL(Write(database, [](Transaction& txn) {
              txn.Execute("CREATE TABLE scratch (id INTEGER NOT NULL PRIMARY "
                          "KEY, bytes BLOB NOT NULL) STRICT");
            }).ok());
    const auto insert = [&](int64_t id, size_t bytes) {
      return Write(database, [=](Transaction& txn) {
        txn.Execute("INSERT INTO scratch VALUES ($1, $2)",
                    {Int(id), Bytes(std::string(bytes, 'x'))});
      });
    };
    int64_t id = 1;
    absl::Status status;
    // Big steps until one does not fit, then small ones.
    for (const size_t bytes : {100'000, 3'000, 10}) {
      while ((status = insert(id, bytes)).ok()) acknowledged.push_back(id++);
      std::fprintf(stderr, "%zu: %s\n", bytes, status.ToString().c_str());
      OR_FAIL(absl::IsResourceExhausted(status));
      // It is full; asking again changes nothing.
      OR_FAIL(absl::IsResourceExhausted(insert(id, bytes)));
    }
    OR_FAIL(Count(database, "scratch") ==
            static_cast<int64_t>(acknowledged.size()));
    std::filesystem::remove(ballast);
    OR_FAIL(insert(id, 100'000).ok());
    acknowledged.push_back(id);
  }
  auto again = Database::Open({.path = path});
  OR_FAIL(again.ok());
  for (const int64_t id : acknowledged) {
    OR_FAIL(Count(**again, absl::StrCat("scratch WHERE id = ", id)) == 1);
  }
  OR_FAIL(Count(**again, "scratch") ==
          static_cast<int64_t>(acknowledged.size()));
  return 0;
}

TEST(FullFileSystemTest, RefusesUntilThereIsRoomAndLosesNothing) {
  const test::TempDir dir;
  test::Child child([&] { return FillAFileSystem(dir.path()); });
  const int status = child.Wait();
  if (status == test::kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(status, 0);
}

// Rewrites one row until many times the size of the file system has gone
// through the write-ahead log.
int RewriteOneRow(const std::string& mount_point) {
  if (!test::MountSmallFileSystem(mount_point)) return test::kCannotMount;
  auto opened = Database::Open({.path = mount_point + "/crr.db"});
  OR_FAIL(opened.ok());
  Database& database = **opened;
  OR_FAIL(Write(database, [](Transaction& txn) {
            txn.Execute("CREATE TABLE scratch (bytes BLOB NOT NULL) STRICT");
            txn.Execute("INSERT INTO scratch VALUES (x'')");
          }).ok());
  for (int i = 0; i < 200; ++i) {
    // Other bytes each time: SQLite does not write what is there already.
    const std::string bytes(100'000, i % 2 == 0 ? 'a' : 'b');
    const auto rewrite = [&] {
      return Write(database, [&](Transaction& txn) {
        txn.Execute("UPDATE scratch SET bytes = $1", {Bytes(bytes)});
      });
    };
    // The first may find it full; the log must be written back by then.
    OR_FAIL(rewrite().ok() || rewrite().ok());
  }
  return 0;
}

TEST(FullFileSystemTest, ItsOwnLogDoesNotKeepItFull) {
  const test::TempDir dir;
  test::Child child([&] { return RewriteOneRow(dir.path()); });
  const int status = child.Wait();
  if (status == test::kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace crr
