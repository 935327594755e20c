#include "server/core/log_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/change_log.h"
#include "server/core/limits.h"
#include "storage/object_work_table.h"
#include "storage/publisher_table.h"
#include "storage/server_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::TestTables;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Time Ago(int64_t seconds) {
  return test::Epoch() - absl::Seconds(seconds);
}

class LogStatusTest : public ::testing::Test {
 protected:
  // An ACTIVE rule from `source`.
  int64_t AddRule(const std::string& source) {
    return tables_.AddActiveRule(
        {.source = source, .destination = source + "-dr"});
  }
  // One change of a bucket.
  void Log(const std::string& bucket, absl::Time event_time,
           bool small = true) {
    Batch batch = TestTables::BatchOf(bucket, {"k"});
    batch.changes[0].event_time = event_time;
    batch.changes[0].is_timed = event_time != UnknownEventTime();
    batch.changes[0].small = small;
    ASSERT_OK(tables_.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, limits::kRuleLogBytesMax, test::Epoch());
    }));
  }
  // Settles everything up to `sequence` of an ACTIVE rule's log.
  void Settle(int64_t rule, int64_t sequence) {
    const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
    const auto lease = tables_.Grant(unit.id, tables_.AddSession());
    ASSERT_OK(lease);
    ASSERT_OK(tables_.Apply(Applied(unit.id, lease->token,
                                    unit.cursor.sequence, sequence)));
  }
  LogStatus Status(int rules_max = 100) {
    return tables_.Do([&](Transaction& txn) {
      return LogStatusOf(txn, watermarks_, rules_max);
    });
  }
  // Names of the rules with the oldest changes, and how old those are.
  std::vector<std::string> Oldest(int rules_max = 100) {
    std::vector<std::string> shown;
    for (const auto& log : Status(rules_max).oldest) {
      shown.push_back(absl::StrCat(
          log.rule, " ",
          absl::ToInt64Seconds(test::Epoch() - log.oldest_event)));
    }
    return shown;
  }
  void SetState(int64_t rule, RuleState state) {
    tables_.Do([&](Transaction& txn) {
      rule_table::SetState(txn, rule, state, test::Epoch());
    });
  }

  TestTables tables_;
  Watermarks watermarks_;
};

TEST_F(LogStatusTest, IdleRulesAreNotInIt) {
  AddRule("aaa");
  AddRule("bbb");
  LogStatus status = Status();
  EXPECT_THAT(status.by_state, IsEmpty());
  EXPECT_THAT(status.oldest, IsEmpty());
  EXPECT_THAT(status.fullest, IsEmpty());
  EXPECT_EQ(status.oldest_small_event, std::nullopt);
  Log("aaa", Ago(5));
  status = Status();
  ASSERT_EQ(status.by_state.size(), 1u);
  const LogStatus::Total& total = status.by_state[RuleState::kActive];
  EXPECT_EQ(total.rules, 1);
  EXPECT_EQ(total.changes, 1);
  EXPECT_GT(total.bytes, 0);
}

TEST_F(LogStatusTest, TheOldestComeFirst) {
  for (const char* bucket : {"aaa", "bbb", "ccc"}) AddRule(bucket);
  Log("aaa", Ago(10));
  Log("bbb", Ago(30));
  Log("ccc", Ago(20));
  EXPECT_THAT(Oldest(),
              ElementsAre("buckets/bbb/rules/dr 30", "buckets/ccc/rules/dr 20",
                          "buckets/aaa/rules/dr 10"));
  // One that came late is older than all of them.
  Log("aaa", Ago(55));
  EXPECT_THAT(Oldest(),
              ElementsAre("buckets/aaa/rules/dr 55", "buckets/bbb/rules/dr 30",
                          "buckets/ccc/rules/dr 20"));
}

// A change is as late when its object has left the lane.
TEST_F(LogStatusTest, ObjectsApartAreUnfinishedToo) {
  const int64_t rule = AddRule("aaa");
  AddRule("bbb");
  Log("aaa", Ago(50));
  Log("bbb", Ago(20));
  const auto put = [&](int64_t age, int64_t size, bool dead) {
    tables_.Do([&](Transaction& txn) {
      const int64_t unit = TakeUnitId(txn);
      unit_table::Insert(txn, {.id = unit,
                               .rule_uid = rule,
                               .kind = UnitKind::kObject});
      ObjectWork work{.rule_uid = rule,
                      .key = absl::StrCat("k", age),
                      .changes = 1,
                      .oldest_event = Ago(age),
                      .size_bytes = size,
                      .reason = "X",
                      .first_failure = Ago(1),
                      .last_failure = Ago(1)};
      if (!dead) work.unit_id = unit;
      object_work_table::Put(txn, work);
      // As of one change.
      RuleCounters delta;
      (dead ? delta.failed : delta.apart) = 1;
      rule_table::AddCounters(txn, rule, delta);
    });
  };
  Settle(rule, 1);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/bbb/rules/dr 20"));
  put(40, 100, /*dead=*/false);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/aaa/rules/dr 40",
                                    "buckets/bbb/rules/dr 20"));
  EXPECT_EQ(Status().oldest_small_event, Ago(40));
  put(70, limits::kSmallObjectBytes, /*dead=*/true);
  put(90, limits::kSmallObjectBytes + 1, /*dead=*/true);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/aaa/rules/dr 90",
                                    "buckets/bbb/rules/dr 20"));
  EXPECT_EQ(Status().oldest_small_event, Ago(70));
  SetState(rule, RuleState::kPaused);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/bbb/rules/dr 20"));
  EXPECT_EQ(Status().oldest_small_event, Ago(20));
}

// So is what was dropped, until the buckets are compared.
TEST_F(LogStatusTest, ADroppedLogIsUnfinishedToo) {
  const int64_t rule = AddRule("aaa");
  AddRule("bbb");
  Log("bbb", Ago(20));
  tables_.Do([&](Transaction& txn) {
    rule_table::NeedResync(txn, rule, Ago(60), test::Epoch());
  });
  EXPECT_THAT(Oldest(), ElementsAre("buckets/aaa/rules/dr 60",
                                    "buckets/bbb/rules/dr 20"));
  EXPECT_EQ(Status().oldest_small_event, Ago(60));
  tables_.Do([&](Transaction& txn) { rule_table::SetVerifying(txn, rule); });
  EXPECT_EQ(Oldest().size(), 2u);
  tables_.Do([&](Transaction& txn) { rule_table::ClearResync(txn, rule); });
  EXPECT_THAT(Oldest(), ElementsAre("buckets/bbb/rules/dr 20"));
  // After a restore nothing is known of times.
  tables_.Do([&](Transaction& txn) {
    rule_table::MarkAllForResync(txn, test::Epoch());
  });
  EXPECT_THAT(Oldest(), ElementsAre("buckets/bbb/rules/dr 20"));
}

TEST_F(LogStatusTest, NamesSoManyRulesAndNoMore) {
  for (int i = 0; i < 5; ++i) {
    AddRule(absl::StrCat("bucket-", i));
    Log(absl::StrCat("bucket-", i), Ago(55 - i));
  }
  EXPECT_EQ(Status(5).oldest.size(), 5u);
  EXPECT_EQ(Status(5).fullest.size(), 5u);
  EXPECT_THAT(Oldest(2), ElementsAre("buckets/bucket-0/rules/dr 55",
                                     "buckets/bucket-1/rules/dr 54"));
  EXPECT_EQ(Status(2).fullest.size(), 2u);
  EXPECT_THAT(Oldest(0), IsEmpty());
  // The totals are of all, however few are named.
  EXPECT_EQ(Status(0).by_state[RuleState::kActive].rules, 5);
  EXPECT_EQ(Status(0).oldest_small_event, Ago(55));
}

TEST_F(LogStatusTest, TheSmallObjectsAgeIsNotThatOfLargeOnes) {
  const int64_t rule = AddRule("aaa");
  Log("aaa", Ago(50), /*small=*/false);
  EXPECT_EQ(Status().oldest_small_event, std::nullopt);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/aaa/rules/dr 50"));
  Log("aaa", Ago(30));
  Log("aaa", Ago(40));
  EXPECT_EQ(Status().oldest_small_event, Ago(40));
  Settle(rule, 3);
  EXPECT_EQ(Status().oldest_small_event, std::nullopt);
  EXPECT_THAT(Oldest(), IsEmpty());
  Log("aaa", Ago(5));
  EXPECT_EQ(Status().oldest_small_event, Ago(5));
}

// Nobody waits for them; for what a rule waits that was never stopped, somebody
// does.
TEST_F(LogStatusTest, StoppedRulesAreOnlyCounted) {
  const int64_t rule = AddRule("aaa");
  Log("aaa", Ago(60));
  for (const auto state : {RuleState::kPaused, RuleState::kClosing}) {
    SetState(rule, state);
    EXPECT_THAT(Oldest(), IsEmpty());
    EXPECT_EQ(Status().oldest_small_event, std::nullopt);
    EXPECT_EQ(Status().by_state[state].rules, 1);
    ASSERT_EQ(Status().fullest.size(), 1u);
    EXPECT_EQ(Status().fullest[0].rule, "buckets/aaa/rules/dr");
  }
  SetState(rule, RuleState::kStarting);
  EXPECT_THAT(Oldest(), ElementsAre("buckets/aaa/rules/dr 60"));
  EXPECT_EQ(Status().oldest_small_event, Ago(60));
}

TEST_F(LogStatusTest, AChangeOfUnknownTimeHasNoAge) {
  AddRule("aaa");
  Log("aaa", UnknownEventTime());
  EXPECT_THAT(Oldest(), IsEmpty());
  EXPECT_EQ(Status().oldest_small_event, std::nullopt);
  EXPECT_EQ(Status().by_state[RuleState::kActive].changes, 1);
}

TEST_F(LogStatusTest, TellsHowFarEachIsInStep) {
  AddRule("aaa");
  AddRule("bbb");
  Log("aaa", Ago(20));
  Log("bbb", Ago(10));
  tables_.Do([](Transaction& txn) {
    publisher_table::Put(txn,
                         {.id = "p",
                          .scope = {PublisherScope::Kind::kBucket, "aaa"}},
                         test::Epoch());
  });
  watermarks_[{"p", {PublisherScope::Kind::kBucket, "aaa"}}] = Ago(15);
  const LogStatus status = Status();
  ASSERT_EQ(status.oldest.size(), 2u);
  EXPECT_EQ(status.oldest[0].last_sync_time, Ago(20));
  EXPECT_EQ(status.oldest[1].last_sync_time, std::nullopt);  // Nobody vouches.
  EXPECT_EQ(status.publishers, 1);
}

TEST_F(LogStatusTest, CountsWhatIsNotSettledYet) {
  const int64_t rule = AddRule("aaa");
  tables_.Publish("aaa", 5);
  EXPECT_EQ(Status().by_state[RuleState::kActive].changes, 5);
  Settle(rule, 2);
  EXPECT_EQ(Status().by_state[RuleState::kActive].changes, 3);
  EXPECT_EQ(Status().by_state[RuleState::kActive].changes,
            tables_.Pending(rule));
}

}  // namespace
}  // namespace crr
