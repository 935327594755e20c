#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/audit_table.h"
#include "storage/database.h"
#include "storage/migrator.h"
#include "storage/object_work_table.h"
#include "storage/publisher_table.h"
#include "storage/request_table.h"
#include "storage/segment_table.h"
#include "storage/session_table.h"
#include "storage/unit_table.h"
#include "storage/verification_table.h"
#include "tests/storage/golden.h"
#include "tests/storage/helpers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

// Databases of older versions of crr.
namespace crr {
namespace {

using test::HasCode;
using test::Read;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// When the golden file of version 1 was written.
const absl::Time kThen = absl::FromUnixSeconds(1'800'000'000);

class MigrationTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Database>> Open() {
    return Database::Open({.path = path_});
  }

  // The rows of one column of text.
  std::vector<std::string> Texts(const std::string& sql) {
    return TextsOf(path_, sql);
  }
  static std::vector<std::string> TextsOf(const std::string& path,
                                          const std::string& sql) {
    auto connection = sqlite::Connection::Open(path, {.read_only = true});
    const auto rows = (*connection)->Query(sql);
    EXPECT_OK(rows);
    std::vector<std::string> texts;
    for (const auto& row : *rows) texts.push_back(row.Text(0));
    return texts;
  }
  int64_t Version() {
    auto connection = sqlite::Connection::Open(path_, {.read_only = true});
    return (*connection)->Query("PRAGMA user_version")->at(0).Int(0);
  }
  std::vector<std::string> Schema() { return SchemaOf(path_); }
  static std::vector<std::string> SchemaOf(const std::string& path) {
    return TextsOf(path,
                   "SELECT type || ' ' || name || ': ' || coalesce(sql, '') "
                   "FROM sqlite_schema ORDER BY type, name");
  }
  void RunScript(const std::string& sql) {
    auto connection = sqlite::Connection::Open(path_, {});
    ASSERT_OK(connection);
    ASSERT_OK((*connection)->ExecuteScript(sql));
  }

  test::TempDir dir_;
  const std::string path_ = dir_ / "crr.db";
};

class EveryVersionTest : public MigrationTest,
                         public ::testing::WithParamInterface<int> {};

// What was not counted before is counted from what stands.
TEST_P(EveryVersionTest, WhatIsLoggedIsCounted) {
  test::MakeGolden(GetParam(), path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    int64_t logged = 0;
    for (const Rule& rule : rule_table::List(txn, {}, "", 100)) {
      const int64_t counted = rule_table::GetCounters(txn, rule.uid).logged;
      EXPECT_EQ(counted, segment_table::Summarize(txn, rule.uid).pending)
          << rule.source;
      logged += counted;
    }
    EXPECT_GT(logged, 0);
    return 0;
  }));
}

TEST_P(EveryVersionTest, BecomesThePresentOne) {
  test::MakeGolden(GetParam(), path_);
  ASSERT_EQ(Version(), GetParam());
  ASSERT_OK(Open());
  EXPECT_EQ(Version(), SchemaVersion());
  EXPECT_THAT(Texts("PRAGMA integrity_check"), ElementsAre("ok"));
  EXPECT_THAT(Texts("PRAGMA foreign_key_check"), IsEmpty());
  const std::vector<std::string> migrated = Schema();
  ASSERT_THAT(migrated, Not(IsEmpty()));

  // A new database has taken every step.
  const test::TempDir fresh;
  ASSERT_OK(Database::Open({.path = fresh / "crr.db"}));
  EXPECT_EQ(migrated, SchemaOf(fresh / "crr.db"));
}

INSTANTIATE_TEST_SUITE_P(All, EveryVersionTest,
                         ::testing::Range(1, SchemaVersion()));

TEST_F(MigrationTest, OpeningAgainChangesNothing) {
  test::MakeGolden(1, path_);
  ASSERT_OK(Open());
  const std::vector<std::string> once = Schema();
  ASSERT_OK(Open());
  EXPECT_EQ(Schema(), once);
}

TEST_F(MigrationTest, RegistryAndRulesOfVersion1AreThere) {
  test::MakeGolden(1, path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    EXPECT_EQ(region_table::List(txn, "", 1000).size(), 36u);
    const auto region = region_table::Get(txn, "oss-cn-hangzhou");
    EXPECT_EQ(region->store_root, "/data/oss-cn-hangzhou");
    EXPECT_EQ(region->area, Area::kMainlandChina);
    EXPECT_EQ(region->create_time, kThen);
    EXPECT_EQ(region_table::GetPolicy(txn).profile, "seeds-union");
    EXPECT_EQ(region_table::GetPolicy(txn).entries.size(), 3u);

    EXPECT_EQ(bucket_table::List(txn, "", 1000).size(), 13u);
    const auto spare = bucket_table::Get(txn, "spare");
    EXPECT_EQ(spare->versioning, Versioning::kSuspended);
    EXPECT_EQ(spare->owner, "other");
    EXPECT_TRUE(bucket_table::Get(txn, "videos-us")->acceleration);
    EXPECT_EQ(bucket_table::Partner(txn, "photos-dr"), "photos");

    std::map<std::string, RuleState> states;
    for (const Rule& rule : rule_table::List(txn, {}, "", 1000)) {
      states[rule.source] = rule.state;
    }
    EXPECT_THAT(states, ElementsAre(testing::Pair("art", RuleState::kPaused),
                                    testing::Pair("docs", RuleState::kClosing),
                                    testing::Pair("logs", RuleState::kStarting),
                                    testing::Pair("mail", RuleState::kStarting),
                                    testing::Pair("photos", RuleState::kActive),
                                    testing::Pair("videos",
                                                  RuleState::kActive)));
    const auto photos = rule_table::GetBySource(txn, "photos");
    EXPECT_EQ(photos->uid, 1);
    EXPECT_THAT(photos->prefixes, ElementsAre("a/", "b/"));
    EXPECT_EQ(photos->labels, (std::map<std::string, std::string>{
                                  {"team", "web"}, {"tier", "1"}}));
    EXPECT_EQ(photos->max_leases, 3);
    EXPECT_EQ(photos->max_bytes_per_second, 1'000'000);
    EXPECT_TRUE(photos->historical);
    EXPECT_EQ(photos->source_identity, "source-id");
    EXPECT_EQ(photos->active_time, kThen);
    const auto videos = rule_table::GetBySource(txn, "videos");
    EXPECT_EQ(videos->transfer, Transfer::kAccelerated);
    EXPECT_EQ(videos->kms_key, "key-1");

    const RuleCounters counters = rule_table::GetCounters(txn, photos->uid);
    EXPECT_EQ(counters.published, 3);
    EXPECT_EQ(counters.historical_total, 12);
    EXPECT_EQ(counters.historical_done, 5);
    EXPECT_EQ(counters.historical_bytes, 4196);
    EXPECT_EQ(rule_table::GetFiltered(txn, photos->uid),
              (std::map<std::string, int64_t>{{"PREFIX", 1}}));
    const auto conditions = rule_table::GetConditions(txn, photos->uid);
    EXPECT_EQ(conditions.size(), 1u);
    EXPECT_EQ(conditions[0].type, "OBJECT_FAILING");
    return 0;
  }));
}

TEST_F(MigrationTest, WorkOfVersion1IsThere) {
  test::MakeGolden(1, path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    std::vector<std::string> units;
    for (const Unit& unit : unit_table::All(txn)) {
      const auto lease = unit_table::GetLease(txn, unit.id);
      units.push_back(absl::StrCat(
          unit.id, " ", static_cast<int>(unit.kind), " ", unit.cursor.sequence,
          unit.cursor.key, lease ? " leased" : ""));
      if (lease) {
        EXPECT_EQ(lease->token, unit.token);
        EXPECT_EQ(lease->session_number, 1);
      }
    }
    EXPECT_THAT(units, ElementsAre("2 2 0a/9 leased", "4 3 0a/3 leased",
                                   "5 3 0a/5 leased", "7 4 0",
                                   "8 4 2 leased", "9 1 0 leased"));
    EXPECT_EQ(session_table::Newest(txn, "copier-1")->number, 1);

    const auto log = segment_table::Read(txn, 2, 0, 2, 1 << 20);
    EXPECT_EQ(log.size(), 2u);
    EXPECT_EQ(log[0].last_sequence, 5);
    EXPECT_EQ(log[0].changes.size(), 278u);
    EXPECT_EQ(segment_table::Summarize(txn, 2).pending, 4);
    return 0;
  }));
}

// To write the logs again would need as much room as they take.
TEST_F(MigrationTest, AnOldSegmentCountsForNoSmallObject) {
  test::MakeGolden(1, path_);
  ASSERT_OK(Open());
  EXPECT_THAT(Texts("SELECT 'differs' FROM change_segments "
                    "WHERE oldest_small_event_us IS NOT NULL"),
              IsEmpty());
}

TEST_F(MigrationTest, PublishersAndAnswersOfVersion1AreThere) {
  test::MakeGolden(1, path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    const auto publishers = publisher_table::List(txn, "", 100);
    EXPECT_EQ(publishers.size(), 2u);
    EXPECT_EQ(publishers[0].id, "gateway");
    EXPECT_EQ(publishers[0].scope.id, "oss-cn-hangzhou");
    EXPECT_EQ(publishers[0].epoch, 7);
    EXPECT_EQ(publishers[0].last_number, 4);
    EXPECT_EQ(publishers[1].scope.kind, PublisherScope::Kind::kBucket);
    for (const auto& [method, id] :
         {std::pair("crr.v1.BucketService/CreateBucket", 1),
          std::pair("crr.v1.ReplicationService/CreateRule", 2)}) {
      EXPECT_TRUE(request_table::Get(
          txn,
          {.caller = "",
           .method = method,
           .request_id = absl::StrCat("00000000-0000-4000-8000-00000000000",
                                      id)},
          kThen))
          << method;
    }
    EXPECT_THAT(audit_table::List(txn, "", 0, 100), IsEmpty());
    return 0;
  }));
}

TEST_F(MigrationTest, ObjectsApartOfVersion3AreThere) {
  test::MakeGolden(3, path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    const int64_t sick = rule_table::GetBySource(txn, "sick")->uid;
    std::vector<std::string> rows;
    for (const ObjectWork& work :
         object_work_table::List(txn, sick, {}, "", 100)) {
      rows.push_back(absl::StrCat(work.key, work.unit_id ? " waits" : " dead",
                                  " ", work.attempts, " ", work.reason));
    }
    EXPECT_THAT(rows, ElementsAre("a/dead dead 8 CONTENT_DAMAGED",
                                  "a/gone dead 8 CONTENT_DAMAGED",
                                  "d/waiting waits 1 CONTENT_DAMAGED"));
    const auto verification = verification_table::Get(txn, sick);
    EXPECT_EQ(verification->compared, 4);
    EXPECT_EQ(verification->differences,
              (std::map<std::string, int64_t>{{"FOREIGN", 1}, {"MISSING", 1}}));
    EXPECT_TRUE(verification->end_time);
    // The log of this one overflowed.
    const auto art = rule_table::GetBySource(txn, "art");
    EXPECT_EQ(art->resync, Resync::kNeeded);
    EXPECT_EQ(art->resync_since, art->update_time);
    EXPECT_EQ(rule_table::GetCounters(txn, art->uid).resync, 300'000);
    EXPECT_THAT(rule_table::UidsImbalanced(txn), IsEmpty());
    return 0;
  }));
}

// Of those of version 3, the first was tried again.
TEST_F(MigrationTest, WhatFailsOfVersion4IsKnown) {
  test::MakeGolden(4, path_);
  const auto database = Open();
  ASSERT_OK(database);
  ASSERT_OK(Read(**database, [](ReadTransaction& txn) {
    const int64_t sick = rule_table::GetBySource(txn, "sick")->uid;
    std::vector<std::string> failing;
    for (const ObjectWork& work :
         object_work_table::List(txn, sick, {.failing = true}, "", 100)) {
      failing.push_back(work.key);
      EXPECT_EQ(work.failing_since, work.first_failure);
    }
    EXPECT_THAT(failing, ElementsAre("a/gone", "d/waiting"));
    return 0;
  }));
}

TEST_F(MigrationTest, ANewerDatabaseIsRefusedInPlainWords) {
  ASSERT_OK(Open());
  RunScript(absl::StrCat("PRAGMA user_version = ", SchemaVersion() + 1));
  const auto refused = Open();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr(absl::StrCat("version ", SchemaVersion() + 1)),
                    HasSubstr(absl::StrCat("up to ", SchemaVersion())),
                    HasSubstr("use the newer crr")));
  EXPECT_EQ(Version(), SchemaVersion() + 1);
}

TEST_F(MigrationTest, AStepThatFailsHalfWayLeavesTheOldVersionWhole) {
  test::MakeGolden(1, path_);
  // In the way of what the step does late, after it has made other things.
  RunScript("CREATE TABLE change_segments_by_small_event (n INTEGER) STRICT");
  const std::vector<std::string> before = Schema();
  const auto refused = Open();
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("to schema version 2"),
                    HasSubstr("change_segments_by_small_event")));
  EXPECT_EQ(Version(), 1);
  EXPECT_EQ(Schema(), before);
  EXPECT_THAT(Texts("PRAGMA integrity_check"), ElementsAre("ok"));
  // And nothing is in the way of another try.
  RunScript("DROP TABLE change_segments_by_small_event");
  ASSERT_OK(Open());
  EXPECT_EQ(Version(), SchemaVersion());
}

}  // namespace
}  // namespace crr
