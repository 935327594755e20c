#include "client/crrctl/folder_walk.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/crrctl/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using test::HasCode;
using test::MakeFile;

class FolderWalkTest : public ::testing::Test {
 protected:
  std::vector<std::string> Keys() {
    FolderWalk walk(dir_.path(), skipped_);
    EXPECT_OK(walk.Open());
    std::vector<std::string> keys;
    while (const auto file = walk.Next()) keys.push_back(file->key);
    return keys;
  }

  test::TempDir dir_;
  SkipList skipped_;
};

TEST_F(FolderWalkTest, KeysComeInByteOrder) {
  for (const char* key : {"a.b", "a/z", "a/b/c", "a-b", "a0", "B", "é", "~"}) {
    MakeFile(dir_ / key, "");
  }
  EXPECT_THAT(Keys(), ElementsAre("B", "a-b", "a.b", "a/b/c", "a/z", "a0", "~",
                                  "é"));
}

TEST_F(FolderWalkTest, RandomTreesComeInByteOrder) {
  std::mt19937 random(1);
  constexpr char kLetters[] = "a!-.0z";
  for (int i = 0; i < 300; ++i) {
    std::string path;
    for (int depth = 1 + static_cast<int>(random() % 4); depth > 0; --depth) {
      absl::StrAppend(&path, "/d");
      for (int n = static_cast<int>(random() % 3); n > 0; --n) {
        path += kLetters[random() % 6];
      }
    }
    // Names of files end in "f", so that no folder is in the way.
    MakeFile(absl::StrCat(dir_.path(), path, "f"), "");
  }
  const std::vector<std::string> keys = Keys();
  EXPECT_GT(keys.size(), 100u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST_F(FolderWalkTest, SaysSizes) {
  MakeFile(dir_ / "a", "123");
  FolderWalk walk(dir_.path(), skipped_);
  ASSERT_OK(walk.Open());
  EXPECT_EQ(walk.Next()->size, 3);
  EXPECT_FALSE(walk.Next().has_value());
  EXPECT_FALSE(walk.Next().has_value());
}

TEST_F(FolderWalkTest, WhatIsNoFileIsSkippedAndNamed) {
  MakeFile(dir_ / "real/file", "");
  fs::create_symlink("real/file", dir_ / "to-file");
  fs::create_directory_symlink("real", dir_ / "to-folder");
  fs::create_symlink("nowhere", dir_ / "to-nothing");
  ASSERT_EQ(::mkfifo((dir_ / "real/pipe").c_str(), 0600), 0);
  fs::create_directory(dir_ / "empty");
  EXPECT_THAT(Keys(), ElementsAre("real/file"));
  EXPECT_EQ(skipped_.count(), 4);
  EXPECT_THAT(skipped_.Report(), HasSubstr("skipped real/pipe: a pipe\n"));
  EXPECT_THAT(skipped_.Report(),
              HasSubstr("skipped to-folder: a symbolic link\n"));
}

TEST_F(FolderWalkTest, NamesThatAreNoKeysAreSkippedAndNamed) {
  MakeFile(dir_ / "\xff", "");
  MakeFile(dir_ / "caf\xe9/a", "");
  MakeFile(dir_ / "caf\xe9/b", "");
  MakeFile(dir_ / "ok", "");
  EXPECT_THAT(Keys(), ElementsAre("ok"));
  EXPECT_EQ(skipped_.count(), 3);
  EXPECT_THAT(skipped_.Report(), HasSubstr("skipped \\xff: not a valid key"));
}

TEST_F(FolderWalkTest, AKeyHasAtMost1024Bytes) {
  const std::string part(199, 'p');
  std::string path;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&path, part, "/");
  MakeFile(dir_ / (path + std::string(24, 'k')), "");
  MakeFile(dir_ / (path + std::string(25, 'k')), "");
  const std::vector<std::string> keys = Keys();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].size(), 1'024u);
  EXPECT_EQ(skipped_.count(), 1);
}

TEST_F(FolderWalkTest, AMissingFolderIsAnError) {
  FolderWalk walk(dir_ / "none", skipped_);
  EXPECT_THAT(walk.Open(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(FolderWalkTest, AFileIsNoFolder) {
  MakeFile(dir_ / "file", "");
  FolderWalk walk(dir_ / "file", skipped_);
  EXPECT_FALSE(walk.Open().ok());
}

TEST(SkipListTest, NamesTwentyAndCountsTheRest) {
  SkipList skipped;
  EXPECT_THAT(skipped.Report(), IsEmpty());
  for (int i = 1; i <= 20; ++i) skipped.Add(absl::StrCat("n", i), "why");
  EXPECT_THAT(skipped.Report(), HasSubstr("skipped n20: why\n"));
  EXPECT_THAT(skipped.Report(), ::testing::Not(HasSubstr("more")));
  skipped.Add("n21", "why");
  EXPECT_EQ(skipped.count(), 21);
  EXPECT_THAT(skipped.Report(), HasSubstr("skipped 1 more\n"));
  EXPECT_THAT(skipped.Report(), ::testing::Not(HasSubstr("n21")));
}

}  // namespace
}  // namespace crr
