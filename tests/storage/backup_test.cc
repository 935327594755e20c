#include "storage/backup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/database.h"
#include "storage/migrator.h"
#include "tests/storage/golden.h"
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
using test::Read;
using test::Write;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum absl::StatusCode;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void MakeCounted(Database& database) {
  ASSERT_OK(Write(database, [](Transaction& txn) {
    txn.Execute(
        "CREATE TABLE counted (n INTEGER NOT NULL PRIMARY KEY, "
        "bytes BLOB NOT NULL) STRICT");
    txn.Execute("CREATE TABLE counter (n INTEGER NOT NULL) STRICT");
    txn.Execute("INSERT INTO counter VALUES (0)");
  }));
}

// Rows are 1, 2, 3, … and the counter says the last.
void AddCounted(Transaction& txn) {
  const int64_t n =
      txn.QueryOne("UPDATE counter SET n = n + 1 RETURNING n")->Int(0);
  txn.Execute("INSERT INTO counted VALUES ($1, $2)",
              {Int(n), Bytes(std::string(2000, 'x'))});
}

// The last row of a copy, whose rows must be all up to it.
int64_t LastCounted(const std::string& path) {
  auto connection = sqlite::Connection::Open(path, {.read_only = true});
  CRR_CHECK(connection.ok());
  const auto rows =
      (*connection)
          ->Query(
              "SELECT (SELECT n FROM counter), count(*), coalesce(max(n), 0) "
              "FROM counted");
  EXPECT_OK(rows);
  if (!rows.ok()) return -1;
  EXPECT_EQ(rows->at(0).Int(0), rows->at(0).Int(1));
  EXPECT_EQ(rows->at(0).Int(0), rows->at(0).Int(2));
  return rows->at(0).Int(0);
}

class BackupTest : public ::testing::Test {
 protected:
  std::unique_ptr<Database> Open(const std::string& path) {
    auto database = Database::Open({.path = path});
    CRR_CHECK(database.ok());
    return *std::move(database);
  }
  void RunScript(const std::string& path, const std::string& sql) {
    auto connection = sqlite::Connection::Open(path, {});
    ASSERT_OK(connection);
    ASSERT_OK((*connection)->ExecuteScript(sql));
  }
  // Nothing but these is in the backups' folder.
  void ExpectBackups(const std::vector<std::string>& names) {
    EXPECT_EQ(FilesIn(backups_.path()), names);
  }

  test::TempDir dir_;
  test::TempDir backups_;
  const std::string path_ = dir_ / "crr.db";
  const std::string file_ = backups_ / "b.db";
};

TEST_F(BackupTest, HoldsWhatTheDatabaseHolds) {
  auto database = Open(path_);
  ASSERT_OK(
      Write(*database, [](Transaction& txn) { test::AddRule(txn, "a", "b"); }));
  const auto report = Backup(path_, file_);
  ASSERT_OK(report);
  EXPECT_EQ(report->bytes,
            static_cast<int64_t>(std::filesystem::file_size(file_)));
  EXPECT_EQ(report->schema_version, SchemaVersion());
  // One file, which needs no log to be whole.
  ExpectBackups({"b.db"});
  auto copy = Open(file_);
  EXPECT_EQ(Count(*copy, "rules WHERE source = 'a'"), 1);
}

// Each is the state as of one instant between its start and its end.
TEST_F(BackupTest, IsOneInstantOfADatabaseUnderLoad) {
  auto database = Open(path_);
  MakeCounted(*database);
  std::atomic<bool> stop = false;
  std::atomic<int64_t> submitted = 0;
  std::atomic<int64_t> committed = 0;
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      while (!stop) {
        ++submitted;
        ASSERT_OK(Write(*database, AddCounted));
        ++committed;
      }
    });
  }
  for (int i = 0; i < 10; ++i) {
    // So that the log was cut in between.
    while (committed < i * 400) std::this_thread::yield();
    const std::string file = backups_ / absl::StrCat(i, ".db");
    const int64_t at_least = committed;
    ASSERT_OK(Backup(path_, file));
    const int64_t at_most = submitted;
    const int64_t last = LastCounted(file);
    EXPECT_GE(last, at_least);
    EXPECT_LE(last, at_most);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  database.reset();
  EXPECT_EQ(LastCounted(path_), committed);
}

// A backup's own connection must not write the log back: Debian's SQLite can
// lose data when a second one does.
TEST_F(BackupTest, LeavesDatabaseAndLogAsTheyWere) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  test::Child server([&] {
    auto database = Open(path_);
    MakeCounted(*database);
    for (int i = 0; i < 20; ++i) {
      if (!Write(*database, AddCounted).ok()) return 1;
    }
    if (write(ready[1], "x", 1) != 1) return 1;
    pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string database = FileBytes(path_);
  const std::string log = FileBytes(path_ + "-wal");
  ASSERT_FALSE(log.empty());
  ASSERT_OK(Backup(path_, backups_ / "running.db"));
  server.Kill();
  // What the crash left, and again without the index of the log.
  ASSERT_OK(Backup(path_, backups_ / "crashed.db"));
  std::filesystem::remove(path_ + "-shm");
  ASSERT_OK(Backup(path_, file_));
  EXPECT_EQ(FileBytes(path_), database);
  EXPECT_EQ(FileBytes(path_ + "-wal"), log);
  for (const char* name : {"running.db", "crashed.db", "b.db"}) {
    EXPECT_EQ(LastCounted(backups_ / name), 20) << name;
  }
  close(ready[0]);
  close(ready[1]);
}

TEST_F(BackupTest, ReplacesNothing) {
  Open(path_).reset();
  std::ofstream(file_) << "dear";
  const auto refused = Backup(path_, file_);
  EXPECT_THAT(refused, HasCode(kAlreadyExists));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(file_));
  EXPECT_EQ(FileBytes(file_), "dear");
  ExpectBackups({"b.db"});
}

TEST_F(BackupTest, SaysWhatIsWrongWithItsSource) {
  EXPECT_THAT(Backup(dir_ / "nowhere.db", file_), HasCode(kNotFound));
  RunScript(dir_ / "other.db", "CREATE TABLE t (i INTEGER)");
  EXPECT_THAT(Backup(dir_ / "other.db", file_), HasCode(kFailedPrecondition));
  std::ofstream(dir_ / "empty.db").flush();
  EXPECT_THAT(Backup(dir_ / "empty.db", file_), HasCode(kFailedPrecondition));
  std::ofstream(dir_ / "text.db") << std::string(5000, 't');
  EXPECT_THAT(Backup(dir_ / "text.db", file_), HasCode(kDataLoss));
  Open(path_).reset();
  EXPECT_THAT(Backup(path_, backups_ / "nowhere/b.db"),
              HasCode(kFailedPrecondition));
  RunScript(path_, absl::StrCat("PRAGMA user_version = ", SchemaVersion() + 1));
  const auto newer = Backup(path_, file_);
  EXPECT_THAT(newer, HasCode(kFailedPrecondition));
  EXPECT_THAT(std::string(newer.status().message()),
              AllOf(HasSubstr(path_), HasSubstr("use the newer crr")));
  ExpectBackups({});
}

TEST_F(BackupTest, OfADamagedDatabaseIsNone) {
  {
    auto database = Open(path_);
    MakeCounted(*database);
    for (int i = 0; i < 200; ++i) ASSERT_OK(Write(*database, AddCounted));
  }
  const auto size = std::filesystem::file_size(path_);
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(size / 2));
  file << std::string(size / 4, 'x') << std::flush;
  EXPECT_THAT(Backup(path_, file_), HasCode(kDataLoss));
  ExpectBackups({});
}

TEST_F(BackupTest, WhatRefersToNothingIsDamage) {
  Open(path_).reset();
  RunScript(path_,
            "PRAGMA foreign_keys = OFF;"
            "INSERT INTO leases VALUES (9, 9, 9, 9)");
  const auto refused = Backup(path_, file_);
  EXPECT_THAT(refused, HasCode(kDataLoss));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("leases"));
  ExpectBackups({});
}

// Kills a process that makes backups without end, again and again.
TEST_F(BackupTest, AKilledOneLeavesNothingThatLooksWhole) {
  {
    auto database = Open(path_);
    MakeCounted(*database);
    ASSERT_OK(Write(*database, [](Transaction& txn) {
      for (int i = 0; i < 3000; ++i) AddCounted(txn);
    }));
  }
  int leftovers = 0;
  for (int cycle = 0; cycle < 10; ++cycle) {
    {
      test::Child child([&] {
        for (int i = 0;; ++i) {
          if (!Backup(path_, backups_ / absl::StrCat(i, ".db")).ok()) return 1;
        }
      });
      // Some are whole and the next one has got somewhere.
      const std::string next = backups_ / "2.db.incomplete";
      const auto far_enough = static_cast<uintmax_t>(cycle) * 600'000;
      std::error_code none;
      while (!std::filesystem::exists(backups_ / "2.db") &&
             (!std::filesystem::exists(next) ||
              std::filesystem::file_size(next, none) < far_enough)) {
        std::this_thread::yield();
      }
      child.Kill();
    }
    for (const std::string& name : FilesIn(backups_.path())) {
      if (absl::StrContains(name, ".incomplete")) {
        ++leftovers;
        continue;
      }
      EXPECT_EQ(LastCounted(backups_ / name), 3000) << name;
    }
    // The next for the same file is not in its way, nor in that of others.
    std::filesystem::remove(backups_ / "2.db");
    ASSERT_OK(Backup(path_, backups_ / "2.db"));
    EXPECT_EQ(LastCounted(backups_ / "2.db"), 3000);
    EXPECT_FALSE(std::filesystem::exists(backups_ / "2.db.incomplete"));
    EXPECT_FALSE(std::filesystem::exists(backups_ / "2.db.incomplete-journal"));
    for (const std::string& name : FilesIn(backups_.path())) {
      std::filesystem::remove(backups_ / name);
    }
  }
  EXPECT_GT(leftovers, 0);
}

TEST_F(BackupTest, OnlyOneProcessMakesAFile) {
  Open(path_).reset();
  std::ofstream(file_ + ".incomplete") << "half";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  test::Child other([&] {
    const int fd = open((file_ + ".incomplete").c_str(), O_RDWR);
    if (flock(fd, LOCK_EX) != 0 || write(ready[1], "x", 1) != 1) return 1;
    pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(Backup(path_, file_), HasCode(kAborted));
  EXPECT_EQ(FileBytes(file_ + ".incomplete"), "half");
  other.Kill();
  EXPECT_OK(Backup(path_, file_));
  ExpectBackups({"b.db"});
  close(ready[0]);
  close(ready[1]);
}

TEST_F(BackupTest, AFullDiskLeavesNothing) {
  {
    auto database = Open(path_);
    MakeCounted(*database);
    ASSERT_OK(Write(*database, [](Transaction& txn) {
      for (int i = 0; i < 3000; ++i) AddCounted(txn);
    }));
  }
  test::Child child([&] {
    if (!test::MountSmallFileSystem(backups_.path())) return test::kCannotMount;
    for (const bool restoring : {false, true}) {
      const absl::Status status = restoring
                                      ? Restore(path_, file_, kNow).status()
                                      : Backup(path_, file_).status();
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      if (!absl::IsResourceExhausted(status)) return 1;
      std::filesystem::remove(file_ + ".lock");
      if (!FilesIn(backups_.path()).empty()) return 2;
    }
    return 0;
  });
  const int status = child.Wait();
  if (status == test::kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(status, 0);
}

class RestoreTest : public BackupTest {
 protected:
  // A backup with one rule, and the tokens that follow it.
  void SetUp() override {
    {
      auto database = Open(dir_ / "first.db");
      ASSERT_OK(Write(*database, [](Transaction& txn) {
        test::AddRule(txn, "a", "b");
        TakeUnitId(txn);
        TakeSessionNumber(txn);
      }));
    }
    ASSERT_OK(Backup(dir_ / "first.db", file_));
  }

  // The numbers that a database would give next.
  std::vector<int64_t> NextNumbers(const std::string& path) {
    auto database = Open(path);
    return Write(*database,
                 [](Transaction& txn) {
                   const auto rule = rule_table::GetBySource(txn, "a");
                   return std::vector<int64_t>{
                       TakeRuleUid(txn), TakeUnitId(txn),
                       TakeSessionNumber(txn),
                       rule_table::TakeToken(txn, rule->uid)};
                 })
        .value();
  }
};

TEST_F(RestoreTest, MarksServerAndRules) {
  const std::string before = FileBytes(file_);
  const auto report = Restore(file_, path_, kNow);
  ASSERT_OK(report);
  EXPECT_EQ(report->rules, 1);
  EXPECT_EQ(report->incarnation, 2);
  auto database = Open(path_);
  ASSERT_OK(Read(*database, [](ReadTransaction& txn) {
    EXPECT_EQ(GetIncarnation(txn), 2);
    EXPECT_TRUE(IsRestored(txn));
    const auto rule = rule_table::GetBySource(txn, "a");
    EXPECT_EQ(rule->resync, Resync::kNeeded);
    EXPECT_TRUE(rule->restored);
    return 0;
  }));
  // The backup can be restored once more.
  EXPECT_EQ(FileBytes(file_), before);
}

TEST_F(RestoreTest, NoNumberIsGivenTwiceHoweverOftenABackupIsRestored) {
  std::vector<int64_t> last = NextNumbers(dir_ / "first.db");
  for (int i = 0; i < 3; ++i) {
    const std::string path = dir_ / absl::StrCat(i, ".db");
    ASSERT_OK(Restore(file_, path, kNow + i * absl::Seconds(1)));
    const std::vector<int64_t> next = NextNumbers(path);
    for (size_t k = 0; k < next.size(); ++k) EXPECT_GT(next[k], last[k]) << k;
    last = next;
  }
}

// A clock that was set back must not lower what the backup knows.
TEST_F(RestoreTest, ItsOwnNumbersStandAboveAClockThatIsBehind) {
  const std::vector<int64_t> before = NextNumbers(dir_ / "first.db");
  ASSERT_OK(Restore(dir_ / "first.db", path_, absl::UnixEpoch()));
  const std::vector<int64_t> after = NextNumbers(path_);
  for (size_t k = 0; k < after.size(); ++k) EXPECT_GT(after[k], before[k]) << k;
}

TEST_F(RestoreTest, TouchesNothingThatIsThere) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string there = path_ + suffix;
    std::ofstream(there) << "dear";
    const auto refused = Restore(file_, path_, kNow);
    EXPECT_THAT(refused, HasCode(kAlreadyExists)) << suffix;
    EXPECT_THAT(std::string(refused.status().message()),
                AllOf(HasSubstr(there), HasSubstr("move")));
    EXPECT_EQ(FileBytes(there), "dear");
    std::filesystem::remove(there);
  }
  // Nor a server's database, whatever became of its file.
  auto running = Open(path_);
  std::filesystem::rename(path_, dir_ / "moved.db");
  EXPECT_THAT(Restore(file_, path_, kNow), HasCode(kFailedPrecondition));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(RestoreTest, RefusesWhatIsNoWholeBackup) {
  EXPECT_THAT(Restore(backups_ / "nowhere.db", path_, kNow),
              HasCode(kNotFound));
  std::ofstream(backups_ / "text.db") << std::string(5000, 't');
  EXPECT_THAT(Restore(backups_ / "text.db", path_, kNow), HasCode(kDataLoss));
  std::filesystem::copy_file(file_, backups_ / "cut.db");
  std::filesystem::resize_file(backups_ / "cut.db",
                               std::filesystem::file_size(file_) / 2);
  EXPECT_THAT(Restore(backups_ / "cut.db", path_, kNow), HasCode(kDataLoss));
  std::filesystem::resize_file(backups_ / "cut.db", 0);
  EXPECT_THAT(Restore(backups_ / "cut.db", path_, kNow),
              HasCode(kFailedPrecondition));
  RunScript(file_, absl::StrCat("PRAGMA user_version = ", SchemaVersion() + 1));
  const auto newer = Restore(file_, path_, kNow);
  EXPECT_THAT(newer, HasCode(kFailedPrecondition));
  EXPECT_THAT(std::string(newer.status().message()),
              AllOf(HasSubstr(file_), HasSubstr("use the newer crr")));
  for (const std::string& name : FilesIn(dir_.path())) {
    EXPECT_TRUE(name == "crr.db.lock" || absl::StartsWith(name, "first.db"))
        << name;
  }
}

// Whatever was deleted before the backup, a user may have written since.
TEST_F(RestoreTest, NoOldDeletionIsEvidenceAnyMore) {
  RunScript(file_,
            "INSERT INTO object_work (rule_uid, key, changes, historical, "
            "repair, deletion, size_bytes, reason, message, first_failure_us, "
            "last_failure_us) SELECT min(rule_uid), x'6b', 1, 0, 0, 1, 0, 'X', "
            "'', 0, 0 FROM rules");
  ASSERT_OK(Restore(file_, path_, kNow));
  auto database = Open(path_);
  ASSERT_OK(Read(*database, [](ReadTransaction& txn) {
    const auto work = txn.Query("SELECT deletion FROM object_work");
    EXPECT_EQ(work.size(), 1u);
    EXPECT_EQ(work[0].Int(0), 0);
    return 0;
  }));
}

// Killed at any moment, there is the whole database or none.
TEST_F(RestoreTest, AKilledOneLeavesNothingThatLooksWhole) {
  constexpr int kCycles = 30;
  int none = 0;
  const absl::Time begun = absl::Now();
  ASSERT_OK(Restore(file_, dir_ / "timed.db", kNow));
  const absl::Duration step = 2 * (absl::Now() - begun) / kCycles;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    const std::string path = dir_ / absl::StrCat("k", cycle, ".db");
    {
      test::Child child(
          [&] { return Restore(file_, path, kNow).ok() ? 0 : 1; });
      // Until after it is done.
      const absl::Time until = absl::Now() + cycle * step;
      while (absl::Now() < until) std::this_thread::yield();
      child.Kill();
    }
    if (!std::filesystem::exists(path)) {
      ++none;
      ASSERT_OK(Restore(file_, path, kNow));
    }
    auto database = Open(path);
    ASSERT_OK(Read(*database, [](ReadTransaction& txn) {
      EXPECT_TRUE(IsRestored(txn));
      EXPECT_EQ(GetIncarnation(txn), 2);
      return 0;
    }));
  }
  EXPECT_GT(none, 0);
  EXPECT_LT(none, kCycles);
}

class RestoreEveryVersionTest : public BackupTest,
                                public ::testing::WithParamInterface<int> {};

TEST_P(RestoreEveryVersionTest, BecomesThePresentOneAndIsMarked) {
  test::MakeGolden(GetParam(), dir_ / "old.db");
  const auto backup = Backup(dir_ / "old.db", file_);
  ASSERT_OK(backup);
  EXPECT_EQ(backup->schema_version, GetParam());
  const auto report = Restore(file_, path_, kNow);
  ASSERT_OK(report);
  auto database = Open(path_);
  ASSERT_OK(Read(*database, [&](ReadTransaction& txn) {
    EXPECT_EQ(txn.QueryOne("PRAGMA user_version")->Int(0), SchemaVersion());
    EXPECT_EQ(txn.QueryOne("PRAGMA integrity_check")->Text(0), "ok");
    EXPECT_THAT(txn.Query("PRAGMA foreign_key_check"), IsEmpty());
    const auto rules = rule_table::List(txn, {}, "", 1000);
    EXPECT_FALSE(rules.empty());
    EXPECT_EQ(report->rules, static_cast<int64_t>(rules.size()));
    for (const Rule& rule : rules) EXPECT_EQ(rule.resync, Resync::kNeeded);
    EXPECT_TRUE(IsRestored(txn));
    return 0;
  }));
}

INSTANTIATE_TEST_SUITE_P(All, RestoreEveryVersionTest,
                         ::testing::Range(1, SchemaVersion()));

}  // namespace
}  // namespace crr
