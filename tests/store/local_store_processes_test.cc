// Several processes on one folder, some of them killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "client/store/local_store.h"
#include "tests/store/store_helpers.h"
#include "tests/store/worker_plan.h"
#include "tests/store/worker_process.h"
#include "tests/support/child.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

constexpr char kBucket[] = "bucket";
constexpr int kForever = 1'000'000'000;

// A running store_worker.
class Worker : public test::WorkerProcess {
 public:
  Worker(const std::string& root, const std::string& name, int operations,
         int threads)
      : WorkerProcess({CRR_STORE_WORKER, root, kBucket, name,
                       std::to_string(operations), std::to_string(threads)}) {}
};

// What may be found of each key after what workers have said.
class Expectations {
 public:
  void Hear(const std::string& line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    int generation = 0;
    CRR_CHECK(words.size() == 3 && absl::SimpleAtoi(words[2], &generation));
    if (words[0] == "!") {
      allowed_[words[1]] = {generation};
      ++answered_;
    } else {
      // The first operation on a key finds it absent: generation 0.
      std::set<int>& allowed = allowed_[words[1]];
      if (allowed.empty()) allowed.insert(0);
      allowed.insert(generation);
    }
  }
  int answered() const { return answered_; }

  // Every key is whole, in a state that was said. Returns how many blobs there
  // are.
  size_t Check(LocalStore& store) {
    size_t blobs = 0;
    for (auto& [key, allowed] : allowed_) {
      const absl::StatusOr<std::string> bytes = test::Get(store, kBucket, key);
      int found = 0;
      if (bytes.ok()) {
        if (bytes->size() > 32 << 10) ++blobs;
        for (const int generation : allowed) {
          if (generation != 0 &&
              *bytes == test::PlannedBytes(key, generation)) {
            found = generation;
          }
        }
        EXPECT_NE(found, 0) << key << " is torn";
      } else {
        EXPECT_THAT(bytes, test::HasCode(absl::StatusCode::kNotFound)) << key;
      }
      EXPECT_TRUE(allowed.count(found) == 1)
          << key << " has generation " << found;
      allowed = {found};  // From here on it must stay.
    }
    return blobs;
  }

 private:
  std::map<std::string, std::set<int>> allowed_;
  int answered_ = 0;
};

size_t CountFiles(const fs::path& folder) {
  size_t count = 0;
  if (!fs::exists(folder)) return count;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) ++count;
  }
  return count;
}

class LocalStoreProcessesTest : public ::testing::Test {
 protected:
  std::unique_ptr<LocalStore> Open() {
    auto store = LocalStore::Open(root_, {.create = true}).value();
    EXPECT_OK(store->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
    return store;
  }

  test::TempDir dir_;
  const std::string root_ = dir_ / "root";
};

TEST_F(LocalStoreProcessesTest, TwoProcessesWriteAtOnce) {
  constexpr int kOperations = 100;
  const auto store = Open();
  Expectations expectations;
  Worker one(root_, "one", kOperations, 2);
  Worker two(root_, "two", kOperations, 2);
  for (Worker* worker : {&one, &two}) {
    std::string line;
    while (!(line = worker->NextLine()).empty()) expectations.Hear(line);
    EXPECT_EQ(worker->Wait(), 0);
  }
  EXPECT_EQ(expectations.answered(), 4 * kOperations);
  EXPECT_EQ(expectations.Check(*store), CountFiles(root_ + "/blobs"));

  // One row of numbers, with both in it.
  const auto entries = store->OpenJournal().value()->Read(0, 1'000).value();
  ASSERT_EQ(entries.size(), 4u * kOperations);
  std::set<std::string> names;
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].position, static_cast<int64_t>(i) + 1);
    EXPECT_GE(entries[i].time, entries[i == 0 ? 0 : i - 1].time);
    names.insert(entries[i].key.substr(0, 3));
  }
  EXPECT_EQ(names, std::set<std::string>({"one", "two"}));
}

TEST_F(LocalStoreProcessesTest, KilledWritersLoseAndTearNothing) {
  Open();
  Expectations expectations;
  std::mt19937 random(7);
  for (int round = 0; round < 15; ++round) {
    // What they leave goes beside a process that lives, and without one.
    const auto bystander = round % 2 == 0 ? Open() : nullptr;
    Worker one(root_, absl::StrCat("one", round), kForever, 3);
    Worker two(root_, absl::StrCat("two", round), kForever, 1);
    const int lines = std::uniform_int_distribution<>(1, 120)(random);
    for (int i = 0; i < lines; ++i) expectations.Hear(one.NextLine());
    one.Kill();
    // The other goes on meanwhile.
    const int answered = expectations.answered();
    while (expectations.answered() < answered + 3) {
      expectations.Hear(two.NextLine());
    }
    two.Kill();
    for (Worker* worker : {&one, &two}) {
      worker->Wait();
      std::string line;
      while (!(line = worker->NextLine()).empty()) expectations.Hear(line);
    }
    const auto store = Open();
    EXPECT_EQ(expectations.Check(*store), CountFiles(root_ + "/blobs"));
    EXPECT_EQ(CountFiles(root_ + "/writing"), 0u);
  }
  EXPECT_GT(expectations.answered(), 100);
}

TEST_F(LocalStoreProcessesTest, AKilledWritersFileGoesAndALiveOnesStays) {
  const auto bystander = Open();
  const std::string gate = dir_ / "gate";
  ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
  test::WorkerProcess killed({CRR_STORE_WORKER, root_, kBucket, "a", gate});
  test::WorkerProcess lives({CRR_STORE_WORKER, root_, kBucket, "b", gate});
  EXPECT_EQ(killed.NextLine(), "half");
  EXPECT_EQ(lives.NextLine(), "half");
  Open();
  EXPECT_EQ(CountFiles(root_ + "/writing"), 2u);

  killed.Kill();
  killed.Wait();
  Open();
  EXPECT_EQ(CountFiles(root_ + "/writing"), 1u);

  // Its reader is the one that lives.
  std::ofstream(gate).close();
  EXPECT_EQ(lives.NextLine(), "whole");
  EXPECT_EQ(lives.Wait(), 0);
  EXPECT_EQ(test::Get(*bystander, kBucket, "b").value(),
            std::string(2 * test::kHalfBytes, 'x'));
  EXPECT_EQ(CountFiles(root_ + "/writing"), 0u);
  EXPECT_EQ(CountFiles(root_ + "/blobs"), 1u);
}

// A few objects that are written over and over: nearly all that could fill the
// disk is the index's log. The status is that of a child.
int OverwriteOnASmallDisk(const std::string& folder) {
  if (!test::MountSmallFileSystem(folder)) return test::kCannotMount;
  const auto store = LocalStore::Open(folder + "/store", {.create = true});
  CRR_CHECK(store.ok());
  CRR_CHECK(
      (*store)->EnsureBucket(kBucket, BucketVersioning::kUnversioned).ok());
  const std::string bytes(30'000, 'x');
  for (int i = 0; i < 500; ++i) {
    const std::string key(1, static_cast<char>('a' + i % 3));
    if (!test::Put(**store, kBucket, key, bytes).ok()) return 1;
  }
  return 0;
}

TEST(LocalStoreDiskTest, TheLogOfTheIndexDoesNotFillTheDisk) {
  const test::TempDir dir;
  test::Child child([&] { return OverwriteOnASmallDisk(dir.path()); });
  const int status = child.Wait();
  if (status == test::kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(status, 0);
}

TEST_F(LocalStoreProcessesTest, WaitEndsWithAnotherProcessesWrite) {
  const auto store = Open();
  const auto journal = store->OpenJournal().value();
  journal->Wait(absl::ZeroDuration());
  const absl::Time start = absl::Now();
  Worker worker(root_, "one", 1, 1);
  while (journal->Read(0, 1)->empty()) journal->Wait(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  EXPECT_EQ(worker.Wait(), 0);
}

}  // namespace
}  // namespace crr
