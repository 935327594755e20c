// A hot rule's log is split, and the order of each key holds all the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/work.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PartitionsTest : public ::testing::Test {
 protected:
  // Changes of `keys` keys, of so many bytes together.
  WorkEvents Publish(int keys, int64_t bytes) {
    std::vector<std::string> names;
    for (int i = 0; i < keys; ++i) names.push_back(absl::StrCat("k", i));
    Batch batch = test::TestTables::BatchOf("photos", names);
    for (PublishedChange& change : batch.changes) {
      change.encoded = std::string(static_cast<size_t>(bytes / keys), 'x');
    }
    const auto outcome = tables_.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, limits::kRuleLogBytesMax, test::Epoch());
    });
    CRR_CHECK(outcome.ok());
    return outcome->events;
  }
  WorkEvents MakeHot() {
    return Publish(100, limits::kHotPartitionBytes + 100);
  }
  // Settles the whole log of a partition.
  WorkEvents Drain(int64_t partition) {
    for (const Unit& unit : tables_.UnitsOf(rule_)) {
      if (unit.partition != partition) continue;
      const auto lease = tables_.Grant(unit.id, session_);
      CRR_CHECK(lease.ok());
      const int64_t end = tables_.Do([&](Transaction& txn) {
        return *segment_table::LastSequence(txn, rule_, partition);
      });
      const auto outcome = tables_.Apply(test::Applied(
          unit.id, lease->token, unit.cursor.sequence, end));
      CRR_CHECK(outcome.ok());
      tables_.Do([&](Transaction& txn) {
        EndLease(txn, unit.id, lease->token, {}, test::Epoch());
      });
      return outcome->events;
    }
    CRR_CHECK(false && "the partition has no unit");
    return {};
  }
  // Those that have a unit.
  std::set<int64_t> Offered() {
    std::set<int64_t> partitions;
    for (const Unit& unit : tables_.UnitsOf(rule_)) {
      partitions.insert(unit.partition);
    }
    return partitions;
  }
  std::pair<int64_t, int64_t> Mapping() {
    const auto rule = tables_.FindRule(rule_);
    return {rule->first_partition, rule->partitions};
  }
  void TearDown() override {
    const Ledger ledger = tables_.LedgerOfRule(rule_);
    EXPECT_TRUE(ledger.balances()) << ToText(ledger);
  }

  test::TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  const int64_t rule_ = tables_.AddActiveRule();
};

TEST_F(PartitionsTest, AQuietRuleHasOneLog) {
  for (int i = 0; i < 50; ++i) Publish(10, 100);
  EXPECT_EQ(Mapping(), std::pair(int64_t{0}, int64_t{1}));
  EXPECT_THAT(Offered(), ElementsAre(0));
}

TEST_F(PartitionsTest, AHotRuleGrowsAndTheOldLogIsEmptiedFirst) {
  MakeHot();
  EXPECT_EQ(Mapping(), std::pair(int64_t{1}, int64_t{2}));
  // The same keys again: their later changes may not overtake.
  EXPECT_THAT(Publish(100, 1000).added, IsEmpty());
  EXPECT_THAT(Offered(), ElementsAre(0));
  EXPECT_EQ(tables_.Pending(rule_), 200);
  const WorkEvents drained = Drain(0);
  EXPECT_EQ(drained.added.size(), 2u);
  EXPECT_THAT(Offered(), ElementsAre(1, 2));
  EXPECT_EQ(tables_.Pending(rule_), 100);
}

TEST_F(PartitionsTest, AKeyHasOnePartitionAndNumbersHaveNoGaps) {
  MakeHot();
  tables_.Publish("photos", {"key-0"});  // With nothing logged, it would shrink.
  Drain(0);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) {
      tables_.Publish("photos", {absl::StrCat("key-", i)});
    }
  }
  std::map<std::string, std::set<int64_t>> partitions;
  for (const int64_t partition : {1, 2}) {
    int64_t last = 0;
    for (const Segment& segment : tables_.Do([&](Transaction& txn) {
           return segment_table::Read(txn, rule_, partition, 0, 1 << 20);
         })) {
      EXPECT_EQ(segment.first_sequence, last + 1);
      last = segment.last_sequence;
      partitions[segment.changes].insert(partition);
    }
    EXPECT_GT(last, 0);
  }
  EXPECT_EQ(partitions.size(), 50u);
  for (const auto& [key, where] : partitions) {
    EXPECT_EQ(where.size(), 1u) << key;
  }
}

TEST_F(PartitionsTest, ItDoesNotGrowAgainBeforeTheOldLogIsEmpty) {
  MakeHot();
  MakeHot();
  MakeHot();
  EXPECT_EQ(Mapping(), std::pair(int64_t{1}, int64_t{2}));
  Drain(0);
  MakeHot();
  EXPECT_EQ(Mapping(), std::pair(int64_t{3}, int64_t{4}));
}

TEST_F(PartitionsTest, ItGrowsToItsBound) {
  for (int64_t partitions = 1; partitions < limits::kPartitionsMax;
       partitions *= 2) {
    const int64_t first = Mapping().first;
    EXPECT_EQ(Mapping().second, partitions);
    while (Mapping().second == partitions) MakeHot();
    Publish(100, 1000);  // For the later logs: with none, it would shrink.
    for (int64_t n = 0; n < partitions; ++n) Drain(first + n);
  }
  EXPECT_EQ(Mapping().second, limits::kPartitionsMax);
  for (int64_t n = 0; n < 2 * limits::kPartitionsMax; ++n) MakeHot();
  EXPECT_EQ(Mapping().second, limits::kPartitionsMax);
}

TEST_F(PartitionsTest, WithNothingLoggedOneLogIsEnoughAgain) {
  MakeHot();
  Publish(100, 1000);
  Drain(0);
  Drain(1);
  EXPECT_EQ(Mapping(), std::pair(int64_t{1}, int64_t{2}));
  Drain(2);
  // A number that no log had: an old unit may linger on its empty log.
  EXPECT_EQ(Mapping(), std::pair(int64_t{3}, int64_t{1}));
  Publish(10, 100);
  EXPECT_TRUE(Offered().contains(3));
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM rule_partitions"), 1);
}

TEST_F(PartitionsTest, ALingeringUnitOfAnOldLogNeverSeesNewChanges) {
  MakeHot();
  const Unit old = tables_.TheUnit(rule_, UnitKind::kChanges);
  const auto lease = tables_.Grant(old.id, session_);
  ASSERT_OK(lease);
  ASSERT_OK(tables_.Apply(test::Applied(old.id, lease->token, 0, 100)));
  // Its lease lives on, with nothing to do.
  EXPECT_THAT(Offered(), ElementsAre(0));
  const WorkEvents events = Publish(100, 1000);
  EXPECT_EQ(events.added.size(), 1u);
  EXPECT_THAT(events.grown, IsEmpty());
  EXPECT_THAT(Offered(), ElementsAre(0, 3));
}

TEST_F(PartitionsTest, APausedRuleGrowsAndDrainsInOrderLater) {
  tables_.Do([&](Transaction& txn) {
    ASSERT_OK(PauseRule(txn, *rule_table::Get(txn, rule_), test::Epoch()));
  });
  MakeHot();
  Publish(100, 1000);
  EXPECT_THAT(Offered(), IsEmpty());
  const auto resumed = tables_.Try([&](Transaction& txn) {
    return ResumeRule(txn, *rule_table::Get(txn, rule_), test::Epoch());
  });
  ASSERT_OK(resumed);
  EXPECT_EQ(resumed->events.added.size(), 1u);
  EXPECT_THAT(Offered(), ElementsAre(0));
  Drain(0);
  EXPECT_THAT(Offered(), ElementsAre(1, 2));
}

}  // namespace
}  // namespace crr
