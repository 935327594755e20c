// Several processes on one upload, some of them killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/store/local_store.h"
#include "storage/sqlite/connection.h"
#include "tests/store/store_helpers.h"
#include "tests/store/worker_plan.h"
#include "tests/store/worker_process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

using ::testing::Contains;

constexpr char kBucket[] = "bucket";
constexpr char kKey[] = "giant";

// What an uploader has said.
struct Heard {
  std::string id;
  int next = 0;  // The part after the last that was answered.
  std::vector<std::string> lines;
};

class LocalUploadProcessesTest : public ::testing::Test {
 protected:
  LocalUploadProcessesTest() { Open(); }

  std::unique_ptr<LocalStore> Open() {
    auto store = LocalStore::Open(root_, {.create = true}).value();
    EXPECT_OK(store->EnsureBucket(kBucket, BucketVersioning::kUnversioned));
    return store;
  }

  struct Work {
    int generation = 1;
    int parts = 6;
    std::string id = "-";
    int first = 0;
    std::string commit = "live";
  };
  std::unique_ptr<test::WorkerProcess> Start(const Work& work) {
    return std::make_unique<test::WorkerProcess>(std::vector<std::string>{
        CRR_UPLOAD_WORKER, root_, kBucket, kKey,
        std::to_string(work.generation), std::to_string(work.parts), work.id,
        std::to_string(work.first), work.commit});
  }
  // Hears `count` lines, or fewer when there are no more.
  static void Hear(test::WorkerProcess& worker, int count, Heard& heard) {
    std::string line;
    while (count-- > 0 && !(line = worker.NextLine()).empty()) {
      heard.lines.push_back(line);
      if (absl::StartsWith(line, "begun ")) heard.id = line.substr(6);
      if (absl::StartsWith(line, "part ")) {
        heard.next = std::stoi(line.substr(5)) + 1;
      }
    }
  }
  static Heard HearAll(test::WorkerProcess& worker) {
    Heard heard;
    Hear(worker, 1'000'000, heard);
    worker.Wait();
    return heard;
  }

  // Every blob is an upload's or the object's, and nothing is half made.
  void CheckFiles(LocalStore& store) {
    const auto index =
        sqlite::Connection::Open(root_ + "/index.db", {}).value();
    const int64_t uploads =
        index->Query("SELECT count(*) FROM uploads")->at(0).Int(0);
    const bool object = store.Head(kBucket, kKey)->object.has_value();
    EXPECT_EQ(CountFiles("/blobs"), uploads + (object ? 1 : 0));
    EXPECT_EQ(CountFiles("/writing"), 0);
  }
  int64_t CountFiles(const std::string& folder) {
    int64_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root_ + folder)) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }

  test::TempDir dir_;
  const std::string root_ = dir_ / "root";
};

TEST_F(LocalUploadProcessesTest, KilledUploadersLoseAndTearNothing) {
  constexpr int kRounds = 40;
  std::mt19937 random(7);
  Work work;
  int committed = 0;  // The generation that the object must have.
  int resumed = 0;
  for (int round = 0; round < kRounds; ++round) {
    Heard heard;
    heard.next = work.first;
    {
      const auto worker = Start(work);
      // Up to "outcome", which is rarer than "commit".
      Hear(*worker, std::uniform_int_distribution<>(1, work.parts + 3)(random),
           heard);
      worker->Kill();
      Hear(*worker, 1'000'000, heard);
      worker->Wait();
    }
    if (work.id != "-") {
      EXPECT_EQ(heard.id, work.id);
      ++resumed;
    }

    const auto store = Open();
    CheckFiles(*store);
    const absl::StatusOr<std::string> bytes = test::Get(*store, kBucket, kKey);
    if (bytes.ok() &&
        *bytes == test::PlannedUpload(work.generation, work.parts)) {
      EXPECT_THAT(heard.lines, Contains("commit"));
      EXPECT_EQ(*store->ResumeUpload(kBucket, kKey, heard.id), nullptr);
      committed = work.generation;
      work = {.generation = committed + 1};
      continue;
    }
    EXPECT_THAT(heard.lines, ::testing::Not(Contains("outcome 0")));
    if (committed == 0) {
      EXPECT_THAT(bytes, test::HasCode(absl::StatusCode::kNotFound));
    } else {
      EXPECT_EQ(*bytes, test::PlannedUpload(committed, work.parts));
    }
    if (!heard.id.empty()) {
      EXPECT_NE(*store->ResumeUpload(kBucket, kKey, heard.id), nullptr);
      work.id = heard.id;
      work.first = heard.next;
    }
  }
  EXPECT_GT(committed, 3);
  EXPECT_GT(resumed, 3);
}

TEST_F(LocalUploadProcessesTest, KilledInItsCommitItLeavesTheUpload) {
  Work work = {.commit = "die"};
  const Heard heard = HearAll(*Start(work));
  EXPECT_EQ(heard.lines.back(), "commit");
  {
    const auto store = Open();
    EXPECT_FALSE(store->Head(kBucket, kKey)->object.has_value());
    EXPECT_NE(*store->ResumeUpload(kBucket, kKey, heard.id), nullptr);
    CheckFiles(*store);
  }
  work.id = heard.id;
  work.first = heard.next;
  work.commit = "live";
  EXPECT_THAT(
      HearAll(*Start(work)).lines,
      ::testing::ElementsAre("begun " + heard.id, "commit", "outcome 0"));
  const auto store = Open();
  EXPECT_EQ(*test::Get(*store, kBucket, kKey),
            test::PlannedUpload(work.generation, work.parts));
  CheckFiles(*store);
}

TEST_F(LocalUploadProcessesTest, OfTwoThatResumeAtOnceOneCommits) {
  for (int round = 1; round <= 10; ++round) {
    Work work = {.generation = round};
    work.id = Open()
                  ->BeginUpload(kBucket, kKey, test::kPlannedPartBytes)
                  .value()
                  ->id();
    const auto one = Start(work);
    const auto two = Start(work);
    std::vector<std::string> last = {HearAll(*one).lines.back(),
                                     HearAll(*two).lines.back()};
    EXPECT_THAT(last, Contains("outcome 0").Times(1));
    const auto store = Open();
    EXPECT_EQ(*test::Get(*store, kBucket, kKey),
              test::PlannedUpload(work.generation, work.parts));
    EXPECT_EQ(*store->ResumeUpload(kBucket, kKey, work.id), nullptr);
    CheckFiles(*store);
  }
}

TEST_F(LocalUploadProcessesTest, AFrozenUploaderComesTooLate) {
  Work work = {.parts = 60};
  const auto frozen = Start(work);
  Heard heard;
  Hear(*frozen, 2, heard);
  frozen->Signal(SIGSTOP);

  work.id = heard.id;
  work.first = heard.next;
  EXPECT_EQ(HearAll(*Start(work)).lines.back(), "outcome 0");
  const auto store = Open();
  const auto reader = store->Read(kBucket, kKey).value();
  EXPECT_EQ(reader->Read(10)->size(), 10u);

  frozen->Signal(SIGCONT);
  EXPECT_TRUE(absl::StartsWith(HearAll(*frozen).lines.back(), "failed "));
  EXPECT_EQ(*test::ReadToEnd(*reader),
            test::PlannedUpload(work.generation, work.parts).substr(10));
  EXPECT_OK(store->Prove(kBucket, kKey));
  CheckFiles(*store);
}

}  // namespace
}  // namespace crr
