#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "storage/bucket_table.h"
#include "storage/publisher_table.h"
#include "storage/region_table.h"
#include "tests/storage/tables_fixture.h"

// Regions with their policy, buckets, and publishers.
namespace crr {
namespace {

using test::At;
using test::HasCode;
using test::TablesTest;
using test::Write;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> CoveringIds(ReadTransaction& txn,
                                     absl::string_view bucket,
                                     absl::string_view region) {
  std::vector<std::string> ids;
  for (const Publisher& publisher :
       publisher_table::Covering(txn, bucket, region)) {
    ids.push_back(publisher.id);
  }
  return ids;
}

// -------------------------------------------------------------------- regions

using RegionTableTest = TablesTest;

TEST_F(RegionTableTest, AStoreIsSetAndTakenBack) {
  Do([](Transaction& txn) {
    region_table::Insert(txn, test::MakeRegion("r"));
    Region region = test::MakeRegion("r");
    region.store_root = "/data";
    region.update_time = At(7);
    region_table::Update(txn, region);
    EXPECT_EQ(region_table::Get(txn, "r")->store_root, "/data");
    EXPECT_EQ(region_table::Get(txn, "r")->update_time, At(7));
    region.store_root = std::nullopt;
    region_table::Update(txn, region);
    EXPECT_EQ(region_table::Get(txn, "r")->store_root, std::nullopt);
    return 0;
  });
}

TEST_F(RegionTableTest, AnUpdateLeavesAreaAndCreationAlone) {
  Do([](Transaction& txn) {
    region_table::Insert(txn, test::MakeRegion("r"));
    region_table::Insert(txn, test::MakeRegion("s"));
    Region region = test::MakeRegion("r");
    region.area = Area::kOutsideMainlandChina;
    region.display_name = "Here";
    region.credentials = "key";
    region.create_time = At(9);
    region_table::Update(txn, region);
    const auto stored = region_table::Get(txn, "r");
    EXPECT_EQ(stored->area, Area::kMainlandChina);
    EXPECT_EQ(stored->create_time, At(1));
    EXPECT_EQ(stored->display_name, "Here");
    EXPECT_EQ(stored->credentials, "key");
    EXPECT_EQ(region_table::Get(txn, "s")->display_name, "s");
    return 0;
  });
}

TEST_F(RegionTableTest, ARegionIsForgottenAndOnlyWithoutBuckets) {
  Do([](Transaction& txn) {
    test::AddBuckets(txn, {"bbb", "aaa"});
    region_table::Insert(txn, test::MakeRegion("empty"));
    EXPECT_EQ(region_table::AnyBucketOf(txn, "r"), "aaa");
    EXPECT_EQ(region_table::AnyBucketOf(txn, "empty"), std::nullopt);
    EXPECT_EQ(region_table::AnyBucketOf(txn, "nowhere"), std::nullopt);
    region_table::Delete(txn, "empty");
    EXPECT_FALSE(region_table::Get(txn, "empty").has_value());
    region_table::Delete(txn, "nowhere");
    EXPECT_EQ(region_table::List(txn, "", 10).size(), 1u);
    return 0;
  });
  EXPECT_THAT(Write(*database_,
                    [](Transaction& txn) { region_table::Delete(txn, "r"); }),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RegionTableTest, APolicyKeepsItsOrder) {
  using Kind = RegionPattern::Kind;
  const RegionPairPolicy policy{
      .profile = "own",
      .entries = {{false, {Kind::kRegion, "x"}, {Kind::kAny, ""}},
                  {true, {Kind::kArea, "1"}, {Kind::kArea, "2"}},
                  {true, {Kind::kAny, ""}, {Kind::kRegion, "x"}}},
      .update_time = At(3)};
  const auto stored = Do([&](Transaction& txn) {
    region_table::SetPolicy(txn, {.profile = "old", .entries = {{}, {}}});
    region_table::SetPolicy(txn, policy);
    return region_table::GetPolicy(txn);
  });
  EXPECT_EQ(stored.profile, "own");
  EXPECT_EQ(stored.update_time, At(3));
  ASSERT_EQ(stored.entries.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stored.entries[i].allow, policy.entries[i].allow);
    EXPECT_EQ(stored.entries[i].source.kind, policy.entries[i].source.kind);
    EXPECT_EQ(stored.entries[i].source.value, policy.entries[i].source.value);
    EXPECT_EQ(stored.entries[i].destination.value,
              policy.entries[i].destination.value);
  }
}

// -------------------------------------------------------------------- buckets

using BucketTableTest = TablesTest;

TEST_F(BucketTableTest, AnUpdateLeavesRegionAndOwnerAlone) {
  Do([](Transaction& txn) {
    test::AddBuckets(txn, {"aaa", "bbb"});
    Bucket bucket = test::MakeBucket("aaa", Versioning::kEnabled);
    bucket.acceleration = true;
    bucket.update_time = At(8);
    bucket.owner = "other";
    bucket.region = "elsewhere";
    bucket_table::Update(txn, bucket);
    const auto stored = bucket_table::Get(txn, "aaa");
    EXPECT_EQ(stored->versioning, Versioning::kEnabled);
    EXPECT_TRUE(stored->acceleration);
    EXPECT_EQ(stored->update_time, At(8));
    EXPECT_EQ(stored->create_time, At(1));
    EXPECT_EQ(stored->owner, "acme");
    EXPECT_EQ(stored->region, "r");
    EXPECT_EQ(bucket_table::Get(txn, "bbb")->versioning,
              Versioning::kUnversioned);
    return 0;
  });
}

// I3, whatever code above forgets to check.
TEST_F(BucketTableTest, VersioningOfAPairedBucketIsFrozenByTheSchema) {
  Do([](Transaction& txn) { return test::AddRule(txn, "aaa", "bbb"); });
  for (const char* id : {"aaa", "bbb"}) {
    for (const auto versioning :
         {Versioning::kEnabled, Versioning::kSuspended}) {
      EXPECT_THAT(Write(*database_,
                        [&](Transaction& txn) {
                          bucket_table::Update(
                              txn, test::MakeBucket(id, versioning));
                        }),
                  HasCode(absl::StatusCode::kFailedPrecondition));
    }
    // Acceleration is not its business.
    EXPECT_OK(Write(*database_, [&](Transaction& txn) {
      Bucket bucket = test::MakeBucket(id);
      bucket.acceleration = true;
      bucket_table::Update(txn, bucket);
    }));
  }
}

TEST_F(BucketTableTest, ABucketIsForgottenAndOnlyUnpaired) {
  Do([](Transaction& txn) {
    test::AddRule(txn, "aaa", "bbb");
    test::AddBuckets(txn, {"free"});
    bucket_table::Delete(txn, "free");
    bucket_table::Delete(txn, "nowhere");
    EXPECT_FALSE(bucket_table::Get(txn, "free").has_value());
    EXPECT_EQ(bucket_table::List(txn, "", 10).size(), 2u);
    return 0;
  });
  for (const char* id : {"aaa", "bbb"}) {
    EXPECT_THAT(Write(*database_,
                      [&](Transaction& txn) { bucket_table::Delete(txn, id); }),
                HasCode(absl::StatusCode::kFailedPrecondition));
  }
}

// ----------------------------------------------------------------- publishers

class PublisherTableTest : public TablesTest {
 protected:
  using Kind = PublisherScope::Kind;

  static std::vector<std::string> Ids(
      const std::vector<Publisher>& publishers) {
    std::vector<std::string> ids;
    for (const Publisher& publisher : publishers) ids.push_back(publisher.id);
    return ids;
  }
};

TEST_F(PublisherTableTest, FindsWhoSpeaksForABucket) {
  Do([](Transaction& txn) {
    publisher_table::Put(txn, {"p1", {Kind::kBucket, "aaa"}, 1, 0}, At(1));
    publisher_table::Put(txn, {"p2", {Kind::kRegion, "r"}, 1, 0}, At(1));
    // Names of one kind mean nothing in the other.
    publisher_table::Put(txn, {"p3", {Kind::kRegion, "aaa"}, 1, 0}, At(1));
    publisher_table::Put(txn, {"p4", {Kind::kBucket, "r"}, 1, 0}, At(1));
    EXPECT_THAT(CoveringIds(txn, "aaa", "r"),
                ElementsAre("p1", "p2"));
    EXPECT_THAT(CoveringIds(txn, "bbb", "other"), IsEmpty());
    publisher_table::Put(txn, {"p1", {Kind::kBucket, "bbb"}, 2, 9}, At(2));
    EXPECT_THAT(CoveringIds(txn, "aaa", "r"), ElementsAre("p2"));
    const auto moved = publisher_table::Get(txn, "p1");
    EXPECT_EQ(moved->epoch, 2);
    EXPECT_EQ(moved->last_number, 9);
    EXPECT_EQ(moved->create_time, At(1));
    return 0;
  });
}

TEST_F(PublisherTableTest, AScopeIsSpokenForByItselfOnly) {
  Do([](Transaction& txn) {
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kRegion, "r"}), std::nullopt);
    publisher_table::Put(txn, {"p2", {Kind::kRegion, "r"}}, At(1));
    publisher_table::Put(txn, {"p1", {Kind::kRegion, "r"}}, At(1));
    publisher_table::Put(txn, {"p0", {Kind::kBucket, "aaa"}}, At(1));
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kRegion, "r"}), "p1");
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kBucket, "aaa"}), "p0");
    // A region's publisher is not the bucket's, nor the other way round.
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kBucket, "r"}), std::nullopt);
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kRegion, "aaa"}),
              std::nullopt);
    return 0;
  });
}

TEST_F(PublisherTableTest, ListsInPages) {
  Do([](Transaction& txn) {
    for (const char* id : {"c", "a", "d", "b"}) {
      publisher_table::Put(
          txn, {.id = id, .scope = {Kind::kBucket, "aaa"}, .epoch = 4}, At(6));
    }
    EXPECT_THAT(Ids(publisher_table::List(txn, "", 3)),
                ElementsAre("a", "b", "c"));
    EXPECT_THAT(Ids(publisher_table::List(txn, "c", 3)), ElementsAre("d"));
    EXPECT_THAT(Ids(publisher_table::List(txn, "bb", 1)), ElementsAre("c"));
    EXPECT_THAT(publisher_table::List(txn, "d", 3), IsEmpty());
    const Publisher first = publisher_table::List(txn, "", 1)[0];
    EXPECT_EQ(first.scope, (PublisherScope{Kind::kBucket, "aaa"}));
    EXPECT_EQ(first.epoch, 4);
    EXPECT_EQ(first.create_time, At(6));
    EXPECT_EQ(publisher_table::Count(txn), 4);
    return 0;
  });
}

TEST_F(PublisherTableTest, AForgottenPublisherSpeaksForNobody) {
  Do([](Transaction& txn) {
    publisher_table::Put(txn, {"p1", {Kind::kBucket, "aaa"}, 1, 5}, At(1));
    publisher_table::Put(txn, {"p2", {Kind::kBucket, "aaa"}, 1, 5}, At(1));
    publisher_table::Delete(txn, "p1");
    publisher_table::Delete(txn, "nobody");
    EXPECT_FALSE(publisher_table::Get(txn, "p1").has_value());
    EXPECT_THAT(CoveringIds(txn, "aaa", "r"), ElementsAre("p2"));
    EXPECT_EQ(publisher_table::AnyOf(txn, {Kind::kBucket, "aaa"}), "p2");
    EXPECT_EQ(publisher_table::Count(txn), 1);
    // One of the same name is another one.
    publisher_table::Put(txn, {"p1", {Kind::kBucket, "aaa"}, 1, 0}, At(2));
    EXPECT_EQ(publisher_table::Get(txn, "p1")->last_number, 0);
    EXPECT_EQ(publisher_table::Get(txn, "p1")->create_time, At(2));
    return 0;
  });
}

}  // namespace
}  // namespace crr
