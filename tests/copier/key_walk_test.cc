#include "client/copier/key_walk.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/store/fault_store.h"
#include "client/store/memory_store.h"
#include "tests/copier/forwarding_store.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::crr::test::HasCode;
using ::crr::test::IsOk;

constexpr char kBucket[] = "photos";

class KeyWalkTest : public ::testing::Test {
 protected:
  KeyWalkTest() {
    EXPECT_OK(base_.EnsureBucket(kBucket, BucketVersioning::kUnversioned));
  }
  void Put(const std::string& key) {
    auto writer = base_.Write(kBucket, key);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Commit({}, std::nullopt, std::nullopt));
  }
  std::vector<std::string> Walk(std::vector<std::string> prefixes,
                                const std::string& after,
                                const std::string& until) {
    KeyWalk walk(store_, kBucket, std::move(prefixes), after, until);
    std::vector<std::string> all;
    while (!walk.done()) {
      const auto objects = walk.Next();
      EXPECT_OK(objects);
      for (const ObjectInfo& object : *objects) all.push_back(object.key);
    }
    return all;
  }

  MemoryStore base_;
  FaultStore store_{base_};
};

using Keys = std::vector<std::string>;

TEST_F(KeyWalkTest, WalksWithinPrefixesInOrderOfKeys) {
  for (const char* key : {"a/1", "a/2", "b/1", "c/1", "c/2", "d"}) Put(key);
  EXPECT_EQ(Walk({}, "", ""), (Keys{"a/1", "a/2", "b/1", "c/1", "c/2", "d"}));
  EXPECT_EQ(Walk({"c/", "a/"}, "", ""), (Keys{"a/1", "a/2", "c/1", "c/2"}));
}

TEST_F(KeyWalkTest, WalksFromJustAfterTheStartToJustTheEnd) {
  for (const char* key : {"a/1", "a/2", "b/1", "c/1", "c/2"}) Put(key);
  EXPECT_EQ(Walk({}, "a/1", "c/1"), (Keys{"a/2", "b/1", "c/1"}));
  EXPECT_EQ(Walk({"a/", "c/"}, "a/1", "c/1"), (Keys{"a/2", "c/1"}));
  EXPECT_EQ(Walk({"a/", "c/"}, "b/", ""), (Keys{"c/1", "c/2"}));
}

TEST_F(KeyWalkTest, WalksOverManyPages) {
  Keys all;
  for (int i = 0; i < 2'500; ++i) {
    all.push_back(absl::StrCat("k", 10'000 + i));
    Put(all.back());
  }
  EXPECT_EQ(Walk({}, "", ""), all);
}

TEST_F(KeyWalkTest, AnEmptyBucketIsWalkedAtOnce) {
  EXPECT_TRUE(Walk({"a/", "b/"}, "", "").empty());
}

TEST_F(KeyWalkTest, StandsWhereItStoodAfterAnError) {
  Put("a");
  Put("b");
  store_.FailCall(FaultStore::Call::kList, 1, absl::UnavailableError("away"));
  KeyWalk walk(store_, kBucket, {}, "", "");
  EXPECT_THAT(walk.Next(), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(walk.done());
  EXPECT_EQ(walk.Next()->size(), 2u);
  EXPECT_TRUE(walk.done());
}

// Answers with the page it was made with.
class OnePageStore final : public test::ForwardingStore {
 public:
  OnePageStore(ObjectStore& base, ListPage page)
      : ForwardingStore(base), page_(std::move(page)) {}
  absl::StatusOr<ListPage> List(absl::string_view,
                                const ListRequest&) override {
    return page_;
  }

 private:
  const ListPage page_;
};

ListPage PageOf(const Keys& keys, bool complete) {
  ListPage page;
  page.complete = complete;
  for (const std::string& key : keys) page.objects.emplace_back().key = key;
  return page;
}

TEST_F(KeyWalkTest, AListingThatCannotBeRightIsAnError) {
  const struct {
    const char* what;
    ListPage page;
  } cases[] = {
      {"unordered", PageOf({"p/2", "p/1"}, true)},
      {"a key twice", PageOf({"p/1", "p/1"}, true)},
      {"not after the start", PageOf({"p/0"}, true)},
      {"after the end", PageOf({"p/9z"}, true)},
      {"outside of the prefix", PageOf({"q"}, true)},
      {"nothing, and more", PageOf({}, false)},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    OnePageStore store(base_, c.page);
    KeyWalk walk(store, kBucket, {"p/"}, "p/0", "p/9");
    EXPECT_THAT(walk.Next(), HasCode(absl::StatusCode::kInternal));
    EXPECT_FALSE(walk.done());
  }
}

}  // namespace
}  // namespace crr
