#include "client/access/region_stores.h"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "client/store/file_lock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

namespace fs = std::filesystem;
using test::HasCode;

constexpr absl::StatusCode kDenied = absl::StatusCode::kPermissionDenied;

v1::Store At(const std::string& root) {
  v1::Store store;
  store.mutable_local()->set_root(root);
  return store;
}

class RegionStoresTest : public ::testing::Test {
 protected:
  RegionStoresTest() {
    fs::create_directory(dir_ / "data");
    fs::create_directory(dir_ / "data2");
  }
  auto Open(const std::string& root) {
    return stores_.Open(At(root), /*create=*/true);
  }

  test::TempDir dir_;
  RegionStores stores_{{dir_ / "data"}};
};

TEST_F(RegionStoresTest, OpensBelowARoot) {
  EXPECT_OK(Open(dir_ / "data/hz"));
  EXPECT_TRUE(fs::is_directory(dir_ / "data/hz"));
}

TEST_F(RegionStoresTest, OpensARootItself) { EXPECT_OK(Open(dir_ / "data")); }

TEST_F(RegionStoresTest, ASlashAtTheEndChangesNothing) {
  RegionStores stores({dir_ / "data/"});
  const auto first = stores.Open(At(dir_ / "data/hz/"), /*create=*/true);
  const auto second = stores.Open(At(dir_ / "data/hz"), /*create=*/true);
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(*first, *second);
}

TEST_F(RegionStoresTest, ARootThatDoesNotExistYetStillCounts) {
  RegionStores stores({dir_ / "later/"});
  fs::create_directory(dir_ / "later");
  EXPECT_OK(stores.Open(At(dir_ / "later/hz"), /*create=*/true));
}

TEST_F(RegionStoresTest, OpensAStoreOnceAndSharesIt) {
  fs::create_directory_symlink(dir_ / "data", dir_ / "alias");
  const auto first = Open(dir_ / "data/hz");
  const auto second = Open(dir_ / "alias/hz");
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(*first, *second);
}

// Another process, perhaps a frozen one, holds the lock of one of the stores.
TEST_F(RegionStoresTest, AStoreThatIsStuckHoldsUpNoOther) {
  // Made by another process.
  ASSERT_OK(LocalStore::Open(dir_ / "data/stuck", {.create = true}));
  FileLock held =
      FileLock::Open(dir_ / "data/stuck/write.lock", /*create=*/false).value();
  ASSERT_OK(held.LockExclusive());
  std::thread opening([&] { EXPECT_OK(Open(dir_ / "data/stuck")); });
  // It has begun once it has the store's other lock.
  FileLock probe =
      FileLock::Open(dir_ / "data/stuck/open.lock", /*create=*/false).value();
  while (probe.TryLockExclusive().value()) {
    probe.Unlock();
    std::this_thread::yield();
  }

  EXPECT_OK(Open(dir_ / "data/hz"));

  held.Unlock();
  opening.join();
}

TEST_F(RegionStoresTest, TheStartOfANameIsNotAFolder) {
  EXPECT_THAT(Open(dir_ / "data2/hz"), HasCode(kDenied));
  EXPECT_FALSE(fs::exists(dir_ / "data2/hz"));
}

TEST_F(RegionStoresTest, ALinkThatLeadsOutIsDenied) {
  fs::create_directory_symlink(dir_ / "data2", dir_ / "data/out");
  EXPECT_THAT(Open(dir_ / "data/out"), HasCode(kDenied));
  EXPECT_THAT(Open(dir_ / "data/out/hz"), HasCode(kDenied));
  EXPECT_FALSE(fs::exists(dir_ / "data2/hz"));
}

TEST_F(RegionStoresTest, ALinkThatStaysInsideIsFine) {
  fs::create_directory(dir_ / "data/real");
  fs::create_directory_symlink(dir_ / "data/real", dir_ / "data/link");
  EXPECT_OK(Open(dir_ / "data/link/hz"));
}

TEST_F(RegionStoresTest, ARootMayBeALinkItself) {
  fs::create_directory_symlink(dir_ / "data", dir_ / "alias");
  RegionStores stores({dir_ / "alias"});
  EXPECT_OK(stores.Open(At(dir_ / "data/hz"), /*create=*/true));
}

TEST_F(RegionStoresTest, PathsThatWalkAreDenied) {
  EXPECT_THAT(Open(dir_ / "data/../data/hz"), HasCode(kDenied));
  EXPECT_THAT(Open(dir_ / "data/./hz"), HasCode(kDenied));
  EXPECT_THAT(Open("data/hz"), HasCode(kDenied));
  EXPECT_THAT(Open(""), HasCode(kDenied));
}

TEST_F(RegionStoresTest, NothingIsAllowedWithoutRoots) {
  const std::vector<std::vector<std::string>> useless = {
      {}, {""}, {"relative"}};
  for (const std::vector<std::string>& roots : useless) {
    RegionStores stores(roots);
    EXPECT_THAT(stores.Open(At(dir_ / "data/hz"), /*create=*/true),
                HasCode(kDenied));
  }
}

TEST_F(RegionStoresTest, ARegionWithoutAStoreSaysSo) {
  EXPECT_THAT(stores_.Open(v1::Store(), /*create=*/true),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RegionStoresTest, AMissingStoreIsNotMadeUnasked) {
  EXPECT_FALSE(stores_.Open(At(dir_ / "data/hz"), /*create=*/false).ok());
  EXPECT_FALSE(fs::exists(dir_ / "data/hz"));
  EXPECT_OK(Open(dir_ / "data/hz"));
}

}  // namespace
}  // namespace crr
