#include <gtest/gtest.h>

#include <latch>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/child.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using sqlite::Bytes;
using sqlite::Int;

// Commits rows from `first` on, several under way at once, until it is killed,
// and writes the number of each to `fd` once `done` says that it is committed.
int CommitForever(const std::string& path, int64_t first, int fd) {
  auto opened = Database::Open({.path = path});
  if (!opened.ok()) return 1;
  Database& database = **opened;
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int64_t n = first + i;; n += kThreads) {
        std::latch committed(1);
        database.Write<test::Nothing>(
            {},
            [n](Transaction& txn) -> absl::StatusOr<test::Nothing> {
              txn.Execute("INSERT INTO acknowledged VALUES ($1, $2)",
                          {Int(n), Bytes(std::string(3000, 'x'))});
              return test::Nothing();
            },
            [&](const absl::StatusOr<test::Nothing>& answer) {
              if (!answer.ok() || write(fd, &n, sizeof(n)) != sizeof(n)) {
                _exit(1);
              }
              committed.count_down();
            });
        committed.wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

// I4's ground: whatever was acknowledged before a kill -9 is there after it.
TEST(DurabilityTest, EveryAcknowledgedRowSurvivesAKill) {
  constexpr int kCycles = 25;
  const test::TempDir dir;
  const std::string path = dir / "crr.db";
  {
    auto database = Database::Open({.path = path});
    ASSERT_OK(database);
    ASSERT_OK(test::Write(**database, [](Transaction& txn) {
      txn.Execute("CREATE TABLE acknowledged (n INTEGER NOT NULL PRIMARY KEY, "
                  "bytes BLOB NOT NULL) STRICT");
    }));
  }
  std::mt19937 random(20261122);
  std::set<int64_t> acknowledged;
  int64_t next = 1;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    SCOPED_TRACE(cycle);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    {
      test::Child child([&] { return CommitForever(path, next, ends[1]); });
      close(ends[1]);
      // Killed in the midst of it, at another moment each time.
      const int wanted = 1 + static_cast<int>(random() % 150);
      int64_t n = 0;
      for (int i = 0; i < wanted; ++i) {
        ASSERT_EQ(read(ends[0], &n, sizeof(n)),
                  static_cast<ssize_t>(sizeof(n)));
        acknowledged.insert(n);
      }
      child.Kill();
      // Those that it said with its last breath count too.
      while (read(ends[0], &n, sizeof(n)) == static_cast<ssize_t>(sizeof(n))) {
        acknowledged.insert(n);
      }
      close(ends[0]);
    }
    auto database = Database::Open({.path = path});
    ASSERT_OK(database);
    const auto stored = test::Read(**database, [](ReadTransaction& txn) {
      std::set<int64_t> numbers;
      for (const auto& row : txn.Query("SELECT n FROM acknowledged")) {
        numbers.insert(row.Int(0));
      }
      return numbers;
    });
    ASSERT_OK(stored);
    for (const int64_t n : acknowledged) {
      ASSERT_TRUE(stored->contains(n)) << "acknowledged and lost: " << n;
    }
    next = *stored->rbegin() + 1;
  }
  EXPECT_GE(acknowledged.size(), static_cast<size_t>(kCycles));
}

}  // namespace
}  // namespace crr
