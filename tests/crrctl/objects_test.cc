#include "client/crrctl/objects.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/store/memory_store.h"
#include "tests/crrctl/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using test::HasCode;
using test::MakeFile;

class ObjectsTest : public ::testing::Test {
 protected:
  ObjectsTest() {
    CRR_CHECK(
        store_.EnsureBucket("photos", BucketVersioning::kUnversioned).ok());
  }
  std::string FileContent(const std::string& name) {
    std::ifstream file(dir_ / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  MemoryStore store_{clock_};
  std::string out_;
  const Console console_{
      .out = [this](absl::string_view text) { absl::StrAppend(&out_, text); },
      .err = [](absl::string_view text) { ADD_FAILURE() << text; }};
};

TEST_F(ObjectsTest, WhatWasPutIsGot) {
  const std::string content(2 * kChunkBytes + 3, 'x');
  MakeFile(dir_ / "in", content);
  ASSERT_OK(PutObject(store_, "photos", "a/b", dir_ / "in", ObjectFacts()));
  ASSERT_OK(GetObject(store_, "photos", "a/b", dir_ / "out"));
  EXPECT_EQ(FileContent("out"), content);
}

TEST_F(ObjectsTest, GetReplacesALongerFile) {
  test::PutObject(store_, "photos", "k", "1");
  MakeFile(dir_ / "out", "longer");
  ASSERT_OK(GetObject(store_, "photos", "k", dir_ / "out"));
  EXPECT_EQ(FileContent("out"), "1");
}

TEST_F(ObjectsTest, WhatIsAbsentIsNotGot) {
  for (const char* bucket : {"photos", "missing"}) {
    EXPECT_THAT(GetObject(store_, bucket, "k", dir_ / "out"),
                HasCode(absl::StatusCode::kNotFound));
    EXPECT_THAT(StatObject(store_, bucket, "k", console_),
                HasCode(absl::StatusCode::kNotFound));
  }
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
}

TEST_F(ObjectsTest, AMissingFileIsAnErrorAndNoObject) {
  EXPECT_FALSE(
      PutObject(store_, "photos", "k", dir_ / "none", ObjectFacts()).ok());
  EXPECT_FALSE(store_.Head("photos", "k").value().object.has_value());
}

TEST_F(ObjectsTest, RemovingWhatIsAbsentIsFine) {
  test::PutObject(store_, "photos", "k", "1");
  ASSERT_OK(RemoveObject(store_, "photos", "k"));
  EXPECT_FALSE(store_.Head("photos", "k").value().object.has_value());
  EXPECT_OK(RemoveObject(store_, "photos", "k"));
  EXPECT_OK(RemoveObject(store_, "missing", "k"));
}

TEST_F(ObjectsTest, ListsWhatBeginsWithThePrefix) {
  test::PutObject(store_, "photos", "a/1", "123");
  test::PutObject(store_, "photos", "b", "1");
  ASSERT_OK(ListObjects(store_, "photos", "a/", console_));
  EXPECT_EQ(out_, "           3  2027-01-15T08:00:00.000Z  a/1\n");
}

TEST_F(ObjectsTest, ListsMoreThanOnePage) {
  for (int i = 0; i < 1'001; ++i) {
    test::PutObject(store_, "photos", std::to_string(10'000 + i), "");
  }
  ASSERT_OK(ListObjects(store_, "photos", "", console_));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1'001);
  EXPECT_THAT(out_, HasSubstr("  11000\n"));
}

TEST_F(ObjectsTest, AMissingBucketListsNothing) {
  EXPECT_OK(ListObjects(store_, "missing", "", console_));
  EXPECT_EQ(out_, "");
}

TEST_F(ObjectsTest, StatSaysWhatTheObjectCarries) {
  MakeFile(dir_ / "in", "12345");
  ObjectFacts facts;
  facts.headers.type = "text/plain";
  facts.user_metadata = {{"colour", "red"}, {"line", "a\nb"}};
  ASSERT_OK(PutObject(store_, "photos", "k", dir_ / "in", facts));
  ASSERT_OK(StatObject(store_, "photos", "k", console_));
  EXPECT_THAT(out_, HasSubstr("key: k\n"));
  EXPECT_THAT(out_, HasSubstr("size: 5\n"));
  EXPECT_THAT(out_, HasSubstr("content_type: text/plain\n"));
  EXPECT_THAT(out_, HasSubstr("metadata.colour: red\n"));
  EXPECT_THAT(out_, HasSubstr("metadata.line: a\\nb\n"));
  EXPECT_THAT(out_, HasSubstr("creation_time: 2027-01-15T08:00:00.000Z\n"));
  EXPECT_THAT(out_, Not(HasSubstr("replica")));
}

TEST_F(ObjectsTest, StatTellsAReplicaFromOneThatWasEdited) {
  KeyState state;
  ObjectInfo& object = state.object.emplace();
  object.key = "k";
  object.size = 1;
  object.etag = "e";
  ReplicaMark& mark = object.mark.emplace();
  mark.source_bucket = "origin";
  mark.destination_bucket = "photos";
  mark.key = "k";
  mark.digest = DigestOf(object.facts, object.size, object.etag);
  EXPECT_THAT(DescribeObject("photos", state), HasSubstr("replica: yes\n"));
  EXPECT_THAT(DescribeObject("photos", state),
              HasSubstr("replica.source_bucket: origin\n"));
  object.facts.user_metadata["edited"] = "yes";
  EXPECT_THAT(DescribeObject("photos", state),
              HasSubstr("replica: edited since\n"));
}

}  // namespace
}  // namespace crr
