#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "storage/database.h"
#include "storage/migrator.h"
#include "tests/storage/helpers.h"
#include "tests/support/child.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using sqlite::Int;
using test::HasCode;
using test::Write;

class DatabaseOpenTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Database>> Open() {
    return Database::Open({.path = path_});
  }

  void RunScript(const std::string& sql) {
    auto connection = sqlite::Connection::Open(path_, {});
    ASSERT_OK(connection);
    ASSERT_OK((*connection)->ExecuteScript(sql));
  }

  std::string FileBytes() {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  test::TempDir dir_;
  const std::string path_ = dir_ / "crr.db";
};

TEST_F(DatabaseOpenTest, ReopeningKeepsTheRowsAndTheCounters) {
  int64_t first = 0;
  {
    auto database = Open();
    ASSERT_OK(database);
    first = *Write(**database, [](Transaction& txn) {
      test::AddBuckets(txn, {"aaa"});
      return TakeRuleUid(txn);
    });
  }
  for (int i = 1; i <= 3; ++i) {
    auto database = Open();
    ASSERT_OK(database);
    EXPECT_EQ(*Write(**database,
                     [](Transaction& txn) {
                       EXPECT_TRUE(bucket_table::Get(txn, "aaa").has_value());
                       return TakeRuleUid(txn);
                     }),
              first + i);
  }
}

TEST_F(DatabaseOpenTest, ANewFileHasTheNewestSchema) {
  ASSERT_OK(Open());
  auto connection = sqlite::Connection::Open(path_, {.read_only = true});
  ASSERT_OK(connection);
  EXPECT_EQ((*connection)->Query("PRAGMA user_version")->at(0).Int(0),
            SchemaVersion());
  EXPECT_EQ((*connection)->Query("PRAGMA journal_mode")->at(0).Text(0), "wal");
}

TEST_F(DatabaseOpenTest, ANewerDatabaseIsRefusedAndLeftAsItWas) {
  ASSERT_OK(Open());
  // A newer crr may keep another journal.
  RunScript("PRAGMA journal_mode = DELETE; PRAGMA user_version = " +
            std::to_string(SchemaVersion() + 1));
  const std::string before = FileBytes();
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(FileBytes(), before);
}

TEST_F(DatabaseOpenTest, AnotherProgramsDatabaseIsRefusedAndLeftAsItWas) {
  RunScript("CREATE TABLE t (i INTEGER); PRAGMA application_id = 1234;");
  const std::string before = FileBytes();
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(FileBytes(), before);
}

TEST_F(DatabaseOpenTest, AnUnmarkedDatabaseOfAnotherIsRefused) {
  RunScript("CREATE TABLE t (i INTEGER);");
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DatabaseOpenTest, AFileThatIsNoDatabaseIsRefusedAndLeftAsItWas) {
  std::ofstream(path_) << std::string(8192, 'x');
  const std::string before = FileBytes();
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(FileBytes(), before);
}

TEST_F(DatabaseOpenTest, ADamagedDatabaseIsRefused) {
  {
    auto database = Open();
    ASSERT_OK(database);
    ASSERT_OK(Write(**database, [](Transaction& txn) {
      for (int i = 0; i < 2000; ++i) {
        test::AddBuckets(txn, {"bucket-" + std::to_string(i)});
      }
    }));
  }
  const auto size = std::filesystem::file_size(path_);
  {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file << std::string(size / 4, 'x');
  }
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(DatabaseOpenTest, ADatabaseCutAnywhereIsRefusedAndLeftAsItWas) {
  {
    auto database = Open();
    ASSERT_OK(database);
    ASSERT_OK(Write(**database, [](Transaction& txn) {
      for (int i = 0; i < 200; ++i) {
        test::AddBuckets(txn, {"bucket-" + std::to_string(i)});
      }
    }));
  }
  const std::string whole = FileBytes();
  for (size_t size = 0; size < whole.size(); size += whole.size() / 7) {
    SCOPED_TRACE(size);
    std::ofstream(path_, std::ios::binary) << whole.substr(0, size);
    const auto refused = Open();
    EXPECT_THAT(refused, HasCode(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(refused.status().message()),
                AllOf(::testing::HasSubstr(path_),
                      ::testing::HasSubstr("restore the last backup")));
    EXPECT_EQ(FileBytes(), whole.substr(0, size));
  }
  std::ofstream(path_, std::ios::binary) << whole;
  EXPECT_OK(Open());
}

// Nor is a log taken away that may be all that is left.
TEST_F(DatabaseOpenTest, ADatabaseThatIsGoneIsNotBegunAnew) {
  ASSERT_OK(Open());
  std::filesystem::rename(path_, dir_ / "elsewhere.db");
  std::ofstream(path_ + "-wal") << "log";
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 3u);
  std::filesystem::remove(path_ + "-wal");
  std::filesystem::remove(path_ + ".lock");
  EXPECT_OK(Open());
}

TEST_F(DatabaseOpenTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(Database::Open({.path = dir_ / "nowhere/crr.db"}),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DatabaseOpenTest, ASecondDatabaseOnTheFileIsRefused) {
  auto first = Open();
  ASSERT_OK(first);
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
  // The refusal took nothing from the first, nor its lock.
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(Write(**first, [](Transaction& txn) { TakeRuleUid(txn); }));
  first->reset();
  EXPECT_OK(Open());
}

TEST_F(DatabaseOpenTest, ASecondNameOfTheFileIsTheSameFile) {
  const std::string link = dir_ / "link.db";
  auto first = Open();
  ASSERT_OK(first);
  std::filesystem::create_symlink(path_, link);
  EXPECT_THAT(Database::Open({.path = link}),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DatabaseOpenTest, AnotherProcessHoldsTheFileUntilItIsKilled) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  test::Child holder([&] {
    const auto database = Open();
    if (!database.ok() || write(ready[1], "x", 1) != 1) return 1;
    pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kFailedPrecondition));
  holder.Kill();
  EXPECT_OK(Open());
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace crr
