#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/bucket_table.h"
#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

// The second line of defence: design §4's exclusivity, tried straight through
// the tables, without the validator that stands before them.
namespace crr {
namespace {

using sqlite::Int;
using sqlite::Text;
using test::Count;
using test::HasCode;
using test::Write;

class PairingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = dir_ / "crr.db"});
    ASSERT_OK(database);
    database_ = *std::move(database);
    ASSERT_OK(Write(*database_, [](Transaction& txn) {
      test::AddBuckets(txn, {"aaa", "bbb", "ccc", "ddd"});
      bucket_table::Insert(txn,
                           test::MakeBucket("versioned", Versioning::kEnabled));
      bucket_table::Insert(
          txn, test::MakeBucket("versioned-2", Versioning::kEnabled));
      bucket_table::Insert(
          txn, test::MakeBucket("suspended", Versioning::kSuspended));
      bucket_table::Insert(
          txn, test::MakeBucket("suspended-2", Versioning::kSuspended));
    }));
  }

  // Whether the pair is claimed in a commit of its own.
  bool Claim(const std::string& a, const std::string& b,
             Versioning versioning = Versioning::kUnversioned) {
    const auto claimed = Write(*database_, [&](Transaction& txn) {
      return bucket_table::ClaimPair(txn, a, b, versioning);
    });
    return claimed.ok() && *claimed;
  }

  absl::Status Execute(const std::string& sql) {
    return Write(*database_, [&](Transaction& txn) { txn.Execute(sql); });
  }

  absl::Status InsertRule(int64_t uid, const std::string& source,
                          const std::string& destination) {
    return Write(*database_, [&](Transaction& txn) {
      rule_table::Insert(txn, test::MakeRule(uid, source, destination));
    });
  }

  std::map<std::string, std::string> Pairs() {
    return test::Read(*database_,
                      [](ReadTransaction& txn) {
                        std::map<std::string, std::string> pairs;
                        for (const auto& row :
                             txn.Query("SELECT bucket, peer FROM pairings")) {
                          pairs.emplace(row.Text(0), row.Text(1));
                        }
                        return pairs;
                      })
        .value();
  }

  test::TempDir dir_;
  std::unique_ptr<Database> database_;
};

TEST_F(PairingTest, OnlyTheReverseOfAPairMayFollowIt) {
  ASSERT_TRUE(Claim("aaa", "bbb"));
  const auto pairs = Pairs();
  EXPECT_FALSE(Claim("aaa", "ccc"));
  EXPECT_FALSE(Claim("ccc", "bbb"));
  EXPECT_FALSE(Claim("bbb", "ccc"));
  EXPECT_FALSE(Claim("ccc", "aaa"));
  EXPECT_EQ(Pairs(), pairs);
  EXPECT_TRUE(Claim("bbb", "aaa"));
  EXPECT_TRUE(Claim("aaa", "bbb"));
  EXPECT_EQ(Pairs(), pairs);
  // Those that were refused are not worn out.
  EXPECT_TRUE(Claim("ccc", "ddd"));
}

TEST_F(PairingTest, TwoPairsCannotBeCrossed) {
  ASSERT_TRUE(Claim("aaa", "bbb"));
  ASSERT_TRUE(Claim("ccc", "ddd"));
  const auto pairs = Pairs();
  for (const char* from : {"aaa", "bbb"}) {
    for (const char* to : {"ccc", "ddd"}) {
      EXPECT_FALSE(Claim(from, to)) << from << to;
      EXPECT_FALSE(Claim(to, from)) << from << to;
    }
  }
  EXPECT_EQ(Pairs(), pairs);
}

TEST_F(PairingTest, ABucketIsNoPartnerOfItselfNorOfNone) {
  EXPECT_FALSE(Claim("aaa", "aaa"));
  EXPECT_FALSE(Claim("aaa", "nowhere"));
  EXPECT_FALSE(Claim("nowhere", "aaa"));
  EXPECT_TRUE(Pairs().empty());
}

TEST_F(PairingTest, APairHasTheVersioningOfBothItsBuckets) {
  EXPECT_FALSE(Claim("aaa", "versioned", Versioning::kUnversioned));
  EXPECT_FALSE(Claim("aaa", "versioned", Versioning::kEnabled));
  EXPECT_FALSE(Claim("aaa", "bbb", Versioning::kEnabled));
  EXPECT_FALSE(Claim("versioned", "versioned-2", Versioning::kUnversioned));
  EXPECT_FALSE(Claim("suspended", "suspended-2", Versioning::kSuspended));
  EXPECT_TRUE(Pairs().empty());
  EXPECT_TRUE(Claim("versioned", "versioned-2", Versioning::kEnabled));
}

TEST_F(PairingTest, VersioningIsFrozenWhileABucketIsPaired) {
  ASSERT_TRUE(Claim("aaa", "bbb"));
  for (const char* bucket : {"aaa", "bbb"}) {
    for (const int versioning : {1, 2}) {
      EXPECT_THAT(Execute(absl::StrCat("UPDATE buckets SET versioning = ",
                                       versioning, " WHERE bucket = '", bucket,
                                       "'")),
                  HasCode(absl::StatusCode::kFailedPrecondition));
    }
    EXPECT_THAT(Execute(absl::StrCat("DELETE FROM buckets WHERE bucket = '",
                                     bucket, "'")),
                HasCode(absl::StatusCode::kFailedPrecondition));
  }
  EXPECT_OK(Execute("UPDATE buckets SET versioning = 1 WHERE bucket = 'ccc'"));
  // Everything else of it may change.
  EXPECT_OK(Execute("UPDATE buckets SET acceleration = 1"));
}

TEST_F(PairingTest, HalfAPairCannotStand) {
  for (const char* sql :
       {"INSERT INTO pairings VALUES ('aaa', 'bbb', 0)",
        "INSERT INTO pairings VALUES ('aaa', 'bbb', 0), ('bbb', 'ccc', 0), "
        "('ccc', 'aaa', 0)",
        "INSERT INTO pairings VALUES ('aaa', 'bbb', 0), "
        "('bbb', 'aaa', 1)"}) {
    EXPECT_THAT(Execute(sql), HasCode(absl::StatusCode::kFailedPrecondition))
        << sql;
  }
  ASSERT_TRUE(Claim("aaa", "bbb"));
  EXPECT_THAT(Execute("DELETE FROM pairings WHERE bucket = 'aaa'"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Execute("UPDATE pairings SET peer = 'ccc' WHERE bucket = 'aaa'"),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(PairingTest, ARuleNeedsItsPair) {
  EXPECT_THAT(InsertRule(1, "aaa", "bbb"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_TRUE(Claim("aaa", "bbb"));
  ASSERT_TRUE(Claim("ccc", "ddd"));
  EXPECT_THAT(InsertRule(1, "aaa", "ccc"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(InsertRule(1, "aaa", "bbb"));
  EXPECT_THAT(InsertRule(2, "aaa", "bbb"),
              HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(InsertRule(1, "ccc", "ddd"),
              HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(InsertRule(2, "bbb", "aaa"));
  EXPECT_EQ(Count(*database_, "rules"), 2);
}

TEST_F(PairingTest, APairIsFreedOnlyWhenNoRuleStands) {
  const auto free = [&] {
    return Write(*database_, [](Transaction& txn) {
      bucket_table::FreePair(txn, "aaa", "bbb");
    });
  };
  ASSERT_TRUE(Claim("aaa", "bbb"));
  ASSERT_OK(InsertRule(1, "aaa", "bbb"));
  ASSERT_OK(InsertRule(2, "bbb", "aaa"));
  EXPECT_THAT(free(), HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(Write(*database_,
                  [](Transaction& txn) { rule_table::Delete(txn, 1); }));
  EXPECT_THAT(free(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(Claim("aaa", "ccc"));
  ASSERT_OK(Write(*database_,
                  [](Transaction& txn) { rule_table::Delete(txn, 2); }));
  EXPECT_OK(free());
  EXPECT_TRUE(Pairs().empty());
  EXPECT_TRUE(Claim("aaa", "ccc"));
  EXPECT_TRUE(Claim("ddd", "bbb"));
}

TEST_F(PairingTest, PartnersAreFoundFromBothSides) {
  ASSERT_TRUE(Claim("aaa", "bbb"));
  const auto partner = [&](const std::string& bucket) {
    return test::Read(*database_,
                      [&](ReadTransaction& txn) {
                        return bucket_table::Partner(txn, bucket);
                      })
        .value();
  };
  EXPECT_EQ(partner("aaa"), "bbb");
  EXPECT_EQ(partner("bbb"), "aaa");
  EXPECT_EQ(partner("ccc"), std::nullopt);
  const auto paired_in = [&](const std::string& region) {
    return test::Read(*database_,
                      [&](ReadTransaction& txn) {
                        return bucket_table::PairedBucketOf(txn, region);
                      })
        .value();
  };
  EXPECT_EQ(paired_in("r"), "aaa");
  EXPECT_EQ(paired_in("other"), std::nullopt);
}

// Any sequence of claims and releases, against a model of one map.
TEST_F(PairingTest, AtMostOnePartnerWhateverIsTried) {
  constexpr int kBuckets = 6;
  std::vector<std::string> buckets;
  for (int i = 0; i < kBuckets; ++i) {
    buckets.push_back(absl::StrCat("bucket-", i));
  }
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    test::AddBuckets(txn, buckets);
  }));
  std::map<std::string, std::string> model;
  int claimed_count = 0;
  int refused_count = 0;
  for (const uint32_t seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    for (int step = 0; step < 300; ++step) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, " step ", step));
      const std::string& a = buckets[random() % kBuckets];
      const std::string& b = buckets[random() % kBuckets];
      if (random() % 3 == 0) {
        if (!model.contains(a)) continue;
        const std::string peer = model.at(a);
        ASSERT_OK(Write(*database_, [&](Transaction& txn) {
          bucket_table::FreePair(txn, a, peer);
        }));
        model.erase(peer);
        model.erase(a);
      } else {
        const auto is_free_or = [&](const std::string& x,
                                    const std::string& other) {
          return !model.contains(x) || model.at(x) == other;
        };
        const bool allowed = a != b && is_free_or(a, b) && is_free_or(b, a);
        ASSERT_EQ(Claim(a, b), allowed);
        ++(allowed ? claimed_count : refused_count);
        if (allowed) {
          model[a] = b;
          model[b] = a;
        }
      }
      ASSERT_EQ(Pairs(), model);
    }
  }
  EXPECT_GT(claimed_count, 50);
  EXPECT_GT(refused_count, 50);
}

}  // namespace
}  // namespace crr
