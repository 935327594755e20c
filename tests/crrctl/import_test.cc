#include "client/crrctl/import.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/crrctl/bytes.h"
#include "client/crrctl/compare.h"
#include "client/store/fault_store.h"
#include "client/store/local_store.h"
#include "client/store/memory_store.h"
#include "tests/crrctl/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using test::HasCode;
using test::MakeFile;

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() { fs::create_directory(folder_); }

  test::TempDir dir_;
  const std::string folder_ = dir_ / "folder";
  SkipList skipped_;
};

TEST_F(ImportTest, ALocalStoreHoldsWhatTheFolderHeld) {
  MakeFile(folder_ + "/a/b.txt", "hello");
  MakeFile(folder_ + "/empty", "");
  MakeFile(folder_ + "/ünïcödé/文件 1", "x");
  MakeFile(folder_ + "/large", std::string(3 * kChunkBytes + 5, 'l'));
  for (int i = 0; i < 200; ++i) {
    MakeFile(absl::StrCat(folder_, "/many/", i), absl::StrCat(i));
  }
  MakeFile(folder_ + "/\xff\xfe", "no key");
  fs::create_symlink("a/b.txt", folder_ + "/link");
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0600), 0);

  const std::shared_ptr<LocalStore> store =
      LocalStore::Open(dir_ / "store", {.create = true}).value();
  ASSERT_OK(store->EnsureBucket("photos", BucketVersioning::kUnversioned));
  const ImportTotals totals =
      ImportFolder(folder_, *store, "photos", skipped_).value();
  EXPECT_EQ(totals.objects, 204);
  EXPECT_EQ(skipped_.count(), 3);
  EXPECT_EQ(test::ObjectBytes(*store, "photos", "a/b.txt"), "hello");
  EXPECT_EQ(test::ObjectBytes(*store, "photos", "ünïcödé/文件 1"), "x");
  EXPECT_EQ(test::ObjectBytes(*store, "photos", "empty"), "");

  SkipList ignored;
  const auto folder = FolderSide(folder_, ignored).value();
  const Comparison compared =
      Compare(*folder, *BucketSide(store, "photos"),
              [](absl::string_view line) { ADD_FAILURE() << line; })
          .value();
  EXPECT_EQ(compared.b.objects, totals.objects);
  EXPECT_EQ(compared.b.bytes, totals.bytes);
}

TEST_F(ImportTest, OnlyARegularFileIsOpened) {
  MakeFile(folder_ + "/file", "1");
  fs::create_symlink("file", folder_ + "/link");
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  EXPECT_OK(FromRegularFile(folder_ + "/file"));
  EXPECT_THAT(FromRegularFile(folder_ + "/none"),
              HasCode(absl::StatusCode::kNotFound));
  for (const char* name : {"/link", "/pipe", ""}) {
    EXPECT_THAT(FromRegularFile(folder_ + name),
                HasCode(absl::StatusCode::kFailedPrecondition));
  }
}

// What a file was when the walk passed it is not what it is when its turn
// comes: here the store's first call is when it goes.
TEST_F(ImportTest, FilesThatGoMeanwhileAreSkipped) {
  constexpr int kFiles = 100;
  for (int i = 0; i < kFiles; ++i) {
    MakeFile(absl::StrCat(folder_, "/", 100 + i), "1");
  }
  MemoryStore store;
  ASSERT_OK(store.EnsureBucket("photos", BucketVersioning::kUnversioned));
  FaultStore faults(store);
  faults.Before(FaultStore::Call::kWrite,
                [this](absl::string_view, absl::string_view) {
                  for (int i = kFiles / 2; i < kFiles; ++i) {
                    fs::remove(absl::StrCat(folder_, "/", 100 + i));
                  }
                });
  const ImportTotals totals =
      ImportFolder(folder_, faults, "photos", skipped_).value();
  EXPECT_EQ(totals.objects + skipped_.count(), kFiles);
  EXPECT_GT(skipped_.count(), 0);
}

TEST_F(ImportTest, AnErrorOfTheStoreEndsItAndNamesTheFile) {
  MakeFile(folder_ + "/a", "1");
  MemoryStore store;
  ASSERT_OK(store.EnsureBucket("photos", BucketVersioning::kUnversioned));
  FaultStore faults(store);
  faults.FailCall(FaultStore::Call::kCommit, 1,
                  absl::ResourceExhaustedError("full"));
  const auto result = ImportFolder(folder_, faults, "photos", skipped_);
  EXPECT_THAT(result, HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("a: full"));
}

TEST_F(ImportTest, AMissingFolderIsAnError) {
  MemoryStore store;
  EXPECT_THAT(ImportFolder(dir_ / "none", store, "photos", skipped_),
              HasCode(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace crr
