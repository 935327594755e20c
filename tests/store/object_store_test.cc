#include "client/store/object_store.h"

#include <gtest/gtest.h>

#include "client/store/facts_codec.h"
#include "tests/store/store_helpers.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;

ObjectFacts FullFacts() {
  return {.user_metadata = {{"a", "1"}, {"b", std::string("\0\xff", 2)}},
          .headers = {.type = "text/plain",
                      .encoding = "gzip",
                      .disposition = "inline",
                      .language = "de",
                      .cache_control = "no-store",
                      .expires = "never"},
          .tags = {{"t", ""}},
          .owner = "acme",
          .acl = "private",
          .creation_time = absl::FromUnixMicros(-12345),
          .encryption = "SSE-KMS",
          .encryption_key_id = "k"};
}

TEST(ObjectStoreTest, KeysAreValidUtf8WithoutNulOf1To1024Bytes) {
  EXPECT_OK(CheckKey("a"));
  EXPECT_OK(CheckKey(std::string(1'024, 'k')));
  EXPECT_OK(CheckKey("../ ü €\u00a0\U0001F600/\U0010FFFF\uD7FF\uE000\x01"));
  for (const std::string& bad :
       {std::string(), std::string(1'025, 'k'), std::string("a\0b", 3),
        std::string("\x80"), std::string("\xc3"), std::string("\xc0\xaf"),
        std::string("\xe0\x80\xaf"), std::string("\xed\xa0\x80"),
        std::string("\xf0\x80\x80\x80"), std::string("\xf4\x90\x80\x80"),
        std::string("\xf8\x88\x80\x80\x80"), std::string("\xff"),
        std::string("a\xe2\x82")}) {
    EXPECT_THAT(CheckKey(bad), HasCode(absl::StatusCode::kInvalidArgument))
        << bad;
  }
}

TEST(ObjectStoreTest, BucketNames) {
  EXPECT_OK(CheckBucketName("abc"));
  EXPECT_OK(CheckBucketName("0-a" + std::string(60, 'x')));
  for (const char* bad : {"ab", "", "-ab", "ab-", "aBc", "a.c", "a/c"}) {
    EXPECT_THAT(CheckBucketName(bad),
                HasCode(absl::StatusCode::kInvalidArgument))
        << bad;
  }
  EXPECT_THAT(CheckBucketName(std::string(64, 'x')),
              HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(ObjectStoreTest, FactsAndMarksSurviveTheirEncoding) {
  const absl::StatusOr<ObjectFacts> facts =
      DecodeFacts(EncodeFacts(FullFacts()));
  ASSERT_OK(facts);
  EXPECT_EQ(*facts, FullFacts());

  ReplicaMark mark = test::MarkOf("bucket", "key");
  mark.digest = "d";
  const absl::StatusOr<ReplicaMark> decoded = DecodeMark(EncodeMark(mark));
  ASSERT_OK(decoded);
  EXPECT_EQ(*decoded, mark);
}

TEST(ObjectStoreTest, DamagedEncodingsAreDataLoss) {
  const std::string facts = EncodeFacts(FullFacts());
  for (size_t size = 0; size < facts.size(); ++size) {
    EXPECT_THAT(DecodeFacts(facts.substr(0, size)),
                HasCode(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(DecodeFacts(facts + "x"), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeFacts(std::string(200, '\xff')),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeMark("x"), HasCode(absl::StatusCode::kDataLoss));
}

TEST(ObjectStoreTest, ContentThatIsGoneIsLostDataOfItsOwnKind) {
  EXPECT_THAT(ContentGoneError("x"), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(ContentGoneError("x").message(), "x");
  EXPECT_TRUE(IsContentGone(ContentGoneError("x")));
  EXPECT_FALSE(IsContentGone(absl::DataLossError("x")));
  EXPECT_FALSE(IsContentGone(absl::OkStatus()));
}

TEST(ObjectStoreTest, EachFactCountsInTheDigest) {
  const std::string digest = DigestOf(FullFacts(), 5, "e");
  EXPECT_EQ(digest, DigestOf(FullFacts(), 5, "e"));
  EXPECT_NE(digest, DigestOf(FullFacts(), 6, "e"));
  EXPECT_NE(digest, DigestOf(FullFacts(), 5, "f"));
  std::vector<ObjectFacts> edited(8, FullFacts());
  edited[0].user_metadata["a"] = "2";
  edited[1].headers.expires = "now";
  edited[2].tags.clear();
  edited[3].owner = "other";
  edited[4].acl = "public-read";
  edited[5].creation_time += absl::Microseconds(1);
  edited[6].encryption = "SSE-OSS";
  edited[7].encryption_key_id = "k2";
  for (const ObjectFacts& facts : edited) {
    EXPECT_NE(digest, DigestOf(facts, 5, "e"));
  }
  // Where one field ends and the next begins counts too.
  ObjectFacts left = FullFacts(), right = FullFacts();
  left.owner = "ab";
  left.acl = "c";
  right.owner = "a";
  right.acl = "bc";
  EXPECT_NE(DigestOf(left, 5, "e"), DigestOf(right, 5, "e"));
}

class ReplicaTest : public ::testing::Test {
 protected:
  ReplicaTest() {
    object_.key = "key";
    object_.size = 5;
    object_.etag = "e";
    object_.facts = FullFacts();
    object_.mark = test::MarkOf("bucket", "key");
    object_.mark->digest = DigestOf(FullFacts(), 5, "e");
  }
  ObjectInfo object_;
};

TEST_F(ReplicaTest, IsValidAsItWasWritten) {
  EXPECT_TRUE(IsValidReplica("bucket", object_));
}

TEST_F(ReplicaTest, IsNoneWithoutAMark) {
  object_.mark.reset();
  EXPECT_FALSE(IsValidReplica("bucket", object_));
}

TEST_F(ReplicaTest, IsNoneAfterACopyElsewhere) {
  EXPECT_FALSE(IsValidReplica("other", object_));
  object_.key = "other";
  EXPECT_FALSE(IsValidReplica("bucket", object_));
}

TEST_F(ReplicaTest, IsNoneAfterAnEdit) {
  ObjectInfo edited = object_;
  edited.facts.acl = "public-read";
  EXPECT_FALSE(IsValidReplica("bucket", edited));
  edited = object_;
  edited.etag = "f";
  EXPECT_FALSE(IsValidReplica("bucket", edited));
}

}  // namespace
}  // namespace crr
