#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/child.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

// A disk that fails, at every operation of a small workload in turn.
namespace crr {
namespace {

using sqlite::Bytes;
using sqlite::Int;
using test::Fault;
using test::Io;

constexpr int64_t kRuns = 2;    // Of the database, each closed in order.
constexpr int64_t kGroups = 3;  // Commits a run.
constexpr int64_t kBodies = 3;  // In each of them.

// What the child says, in order: a body was committed, or refused; the fault.
struct Word {
  enum Kind : int64_t { kCommitted, kRefused, kFault, kOperations } kind;
  int64_t value;
};

// What became of a child.
struct Story {
  int exit_status = 0;
  std::vector<std::string> log;
  std::set<int64_t> committed;
  std::set<int64_t> refused;
  std::vector<Io> faults;
  bool committed_after_fault = false;
  int64_t operations = 0;
};

// Each body writes a row in two tables, so that half of one would show.
void Submit(Database& database, int64_t id, int fd) {
  database.Write<test::Nothing>(
      {},
      [id](Transaction& txn) -> absl::StatusOr<test::Nothing> {
        txn.Execute("INSERT INTO one VALUES ($1, $2)",
                    {Int(id), Bytes(std::string(3000, 'x'))});
        txn.Execute("INSERT INTO two VALUES ($1)", {Int(id)});
        return test::Nothing();
      },
      [id, fd](const absl::StatusOr<test::Nothing>& answer) {
        const Word word{answer.ok() ? Word::kCommitted : Word::kRefused, id};
        if (write(fd, &word, sizeof(word)) != sizeof(word)) _exit(4);
      });
}

int Work(const std::string& path, Fault fault, int fd) {
  fault.on_fault = [fd](Io io) {
    const Word word{Word::kFault, static_cast<int64_t>(io)};
    if (write(fd, &word, sizeof(word)) != sizeof(word)) _exit(4);
  };
  test::InstallFaultVfs(fault);
  int64_t id = 0;
  for (int64_t run = 0; run < kRuns; ++run) {
    auto database = Database::Open({.path = path, .readers = 1});
    if (!database.ok()) return 3;
    for (int64_t group = 0; group < kGroups; ++group) {
      {
        test::WriterBlock block(**database);
        for (int64_t i = 0; i < kBodies; ++i) Submit(**database, ++id, fd);
        block.Release();
      }
      static_cast<void>(test::Write(**database, [](Transaction&) {}));
      static_cast<void>(
          test::Read(**database, [](ReadTransaction& txn) -> int64_t {
            return static_cast<int64_t>(txn.Query("SELECT * FROM one").size());
          }));
    }
  }
  const Word word{Word::kOperations, test::IoCount()};
  return write(fd, &word, sizeof(word)) == sizeof(word) ? 0 : 4;
}

class IoFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = dir_ / "made.db"});
    ASSERT_OK(database);
    ASSERT_OK(test::Write(**database, [](Transaction& txn) {
      txn.Execute(
          "CREATE TABLE one (id INTEGER NOT NULL PRIMARY KEY, "
          "bytes BLOB NOT NULL) STRICT");
      txn.Execute("CREATE TABLE two (id INTEGER NOT NULL PRIMARY KEY) STRICT");
    }));
  }

  // Runs the workload on a fresh database and fails where that is not whole
  // afterwards.
  Story Run(const Fault& fault) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path_ + suffix);
    }
    std::filesystem::copy_file(dir_ / "made.db", path_);
    Story story;
    int ends[2];
    CRR_CHECK(pipe(ends) == 0);
    const std::string log_path = dir_ / "log";
    test::Child child([&] {
      const int log =
          open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(log, STDERR_FILENO);
      return Work(path_, fault, ends[1]);
    });
    close(ends[1]);
    Word word{};
    while (read(ends[0], &word, sizeof(word)) ==
           static_cast<ssize_t>(sizeof(word))) {
      switch (word.kind) {
        case Word::kCommitted:
          story.committed.insert(word.value);
          if (!story.faults.empty()) story.committed_after_fault = true;
          break;
        case Word::kRefused:
          story.refused.insert(word.value);
          break;
        case Word::kFault:
          story.faults.push_back(static_cast<Io>(word.value));
          break;
        case Word::kOperations:
          story.operations = word.value;
          break;
      }
    }
    close(ends[0]);
    story.exit_status = child.Wait();
    std::ifstream log(log_path);
    for (std::string line; std::getline(log, line);) story.log.push_back(line);
    CheckStored(story);
    return story;
  }

  // The disk is well again.
  void CheckStored(const Story& story) {
    auto database = Database::Open({.path = path_});
    ASSERT_OK(database);
    ASSERT_OK(test::Read(**database, [&](ReadTransaction& txn) {
      EXPECT_EQ(txn.QueryOne("PRAGMA integrity_check")->Text(0), "ok");
      std::vector<std::set<int64_t>> tables;
      for (const char* sql : {"SELECT id FROM one", "SELECT id FROM two"}) {
        tables.emplace_back();
        for (const auto& row : txn.Query(sql)) tables.back().insert(row.Int(0));
      }
      EXPECT_EQ(tables[0], tables[1]);
      for (const int64_t id : story.committed) {
        EXPECT_TRUE(tables[0].contains(id)) << "committed and lost: " << id;
      }
      for (const int64_t id : story.refused) {
        EXPECT_FALSE(tables[0].contains(id)) << "refused and stored: " << id;
      }
      return 0;
    }));
    ASSERT_OK(test::Write(
        **database, [](Transaction& txn) { txn.Execute("DELETE FROM one"); }));
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "crr.db";
};

constexpr auto kAll = static_cast<size_t>(kRuns * kGroups * kBodies);

// An I/O error ends the process, with one line that says why, and nothing is
// acknowledged any more; or the database does not open.
TEST_F(IoFaultTest, AnyIoErrorStopsTheProcessAndLosesNothing) {
  const Story whole = Run({});
  ASSERT_EQ(whole.exit_status, 0);
  ASSERT_EQ(whole.committed.size(), kAll);
  ASSERT_GT(whole.operations, 100);
  int64_t stops = 0;
  for (int64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    const Story story = Run({.at = at});
    if (story.faults.empty()) {  // It was over before.
      EXPECT_EQ(story.exit_status, 0);
      break;
    }
    SCOPED_TRACE(absl::StrCat("kind ", static_cast<int>(story.faults[0])));
    EXPECT_FALSE(story.committed_after_fault);
    if (story.exit_status == 3) continue;  // It does not start.
    ASSERT_EQ(story.exit_status, 1);
    ++stops;
    ASSERT_EQ(story.log.size(), 1u);
    EXPECT_THAT(story.log[0],
                AllOf(::testing::HasSubstr("storage_failed"),
                      ::testing::HasSubstr(absl::StrCat("path=", path_)),
                      ::testing::HasSubstr("I/O error"),
                      ::testing::HasSubstr("remedy=")));
    if (HasFailure()) return;
  }
  EXPECT_GT(stops, whole.operations / 2);
}

// A full disk refuses what does not fit, and what did fit stands.
TEST_F(IoFaultTest, AFullDiskAtAnyWriteRefusesAndGoesOn) {
  const auto writes = [](Io io) { return io == Io::kWrite; };
  size_t refused = 0;
  for (const int64_t count : {1, 12}) {
    for (int64_t at = 1;; ++at) {
      SCOPED_TRACE(absl::StrCat(count, " from ", at));
      const Story story =
          Run({.at = at, .count = count, .may_fail = writes, .full = true});
      if (story.faults.empty()) break;
      if (story.exit_status == 3) continue;
      ASSERT_EQ(story.exit_status, 0);
      EXPECT_EQ(story.committed.size() + story.refused.size(), kAll);
      refused += story.refused.size();
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace crr
