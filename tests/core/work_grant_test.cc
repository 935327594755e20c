// Grants as transactions: who may have a lease, and under which token.

#include <gtest/gtest.h>

#include "server/core/limits.h"
#include "server/core/work.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::IsOk;
using test::TestTables;

class WorkGrantTest : public ::testing::Test {
 protected:
  void EndLease(const LeaseSpec& lease) {
    tables_.Do([&](Transaction& txn) {
      crr::EndLease(txn, lease.unit_id, lease.token, {}, test::Epoch());
    });
  }
  void SetState(int64_t rule_uid, RuleState state) {
    tables_.Do([&](Transaction& txn) {
      rule_table::SetState(txn, rule_uid, state, test::Epoch());
    });
  }
  void Sql(absl::string_view sql) {
    tables_.Do([&](Transaction& txn) { txn.Execute(sql); });
  }

  TestTables tables_;
};

TEST_F(WorkGrantTest, EveryGrantOfAUnitHasAHigherToken) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 3);
  const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
  const int64_t session = tables_.AddSession();
  int64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    const auto lease = tables_.Grant(unit.id, session);
    ASSERT_OK(lease);
    EXPECT_GT(lease->token, last);
    EXPECT_EQ(tables_.FindUnit(unit.id)->token, lease->token);
    last = lease->token;
    EndLease(*lease);
  }
}

// The unit of a log goes when the log is empty, and another comes with the next
// change: a copier that slept through both must meet the fence.
TEST_F(WorkGrantTest, TheTokenRisesOverTheUnitsOwnDeletion) {
  const int64_t rule = tables_.AddActiveRule();
  const int64_t session = tables_.AddSession();
  tables_.Publish("photos", 3);
  const Unit before = tables_.TheUnit(rule, UnitKind::kChanges);
  const auto first = tables_.Grant(before.id, session);
  ASSERT_OK(first);
  ASSERT_OK(tables_.Apply(test::Applied(before.id, first->token, 0, 3)));
  EndLease(*first);
  ASSERT_FALSE(tables_.FindUnit(before.id).has_value());

  tables_.Publish("photos", 1);
  const Unit after = tables_.TheUnit(rule, UnitKind::kChanges);
  EXPECT_NE(after.id, before.id);
  const auto second = tables_.Grant(after.id, session);
  ASSERT_OK(second);
  EXPECT_GT(second->token, first->token);
}

// A restored database has old counters, and a higher incarnation.
TEST_F(WorkGrantTest, TheTokenRisesOverARestore) {
  tables_.AddActiveRule();
  tables_.Publish("photos", 1);
  const int64_t session = tables_.AddSession();
  const int64_t unit = tables_.Number("SELECT unit_id FROM work_units");
  Sql("UPDATE rules SET next_token = 1099511627000");
  const auto before = tables_.Grant(unit, session);
  ASSERT_OK(before);
  EndLease(*before);
  Sql("UPDATE rules SET next_token = 1");
  Sql("UPDATE server SET incarnation = incarnation + 1");
  const auto after = tables_.Grant(unit, session);
  ASSERT_OK(after);
  EXPECT_GT(after->token, before->token);
}

TEST_F(WorkGrantTest, ALeasedUnitIsRefusedAndNothingChanges) {
  tables_.AddActiveRule();
  tables_.Publish("photos", 1);
  const int64_t unit = tables_.Number("SELECT unit_id FROM work_units");
  const auto lease = tables_.Grant(unit, tables_.AddSession("c1"));
  ASSERT_OK(lease);
  EXPECT_THAT(tables_.Grant(unit, tables_.AddSession("c2")),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(tables_.FindUnit(unit)->token, lease->token);
  EXPECT_EQ(tables_.FindUnit(unit)->attempts, 1);
}

TEST_F(WorkGrantTest, AUnitThatIsGoneIsNotFound) {
  EXPECT_THAT(tables_.Grant(77, tables_.AddSession()),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_F(WorkGrantTest, OnlyAnActiveRuleGivesLeasesOfItsWork) {
  const int64_t rule = tables_.AddActiveRule({.historical = true});
  tables_.Publish("photos", 1);
  const int64_t session = tables_.AddSession();
  for (const RuleState state :
       {RuleState::kStarting, RuleState::kPaused, RuleState::kClosing}) {
    SetState(rule, state);
    for (const UnitKind kind : {UnitKind::kChanges, UnitKind::kInventory}) {
      EXPECT_THAT(tables_.Grant(tables_.TheUnit(rule, kind).id, session),
                  HasCode(absl::StatusCode::kFailedPrecondition));
    }
  }
  SetState(rule, RuleState::kActive);
  EXPECT_OK(
      tables_.Grant(tables_.TheUnit(rule, UnitKind::kChanges).id, session));
}

TEST_F(WorkGrantTest, OnlyAStartingRuleIsProbed) {
  const int64_t rule = tables_.AddRule();
  const Unit probe = tables_.TheUnit(rule, UnitKind::kProbe);
  const int64_t session = tables_.AddSession();
  SetState(rule, RuleState::kClosing);
  EXPECT_THAT(tables_.Grant(probe.id, session),
              HasCode(absl::StatusCode::kFailedPrecondition));
  SetState(rule, RuleState::kStarting);
  EXPECT_OK(tables_.Grant(probe.id, session));
}

// How a copier that crashes on an object is noticed.
TEST_F(WorkGrantTest, AttemptsCountGrantsSinceTheLastProgress) {
  const int64_t rule = tables_.AddActiveRule();
  tables_.Publish("photos", 5);
  const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
  const int64_t session = tables_.AddSession();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto lease = tables_.Grant(unit.id, session);
    ASSERT_OK(lease);
    EXPECT_EQ(tables_.FindUnit(unit.id)->attempts, attempt);
    tables_.Do([&](Transaction& txn) {
      crr::EndLease(txn, lease->unit_id, lease->token,
                    {.kind = LeaseEnd::Kind::kLost}, test::Epoch());
    });
  }
  const auto lease = tables_.Grant(unit.id, session);
  ASSERT_OK(tables_.Apply(test::Applied(unit.id, lease->token, 0, 0)));
  EXPECT_EQ(tables_.FindUnit(unit.id)->attempts, 4);  // Nothing was done.
  ASSERT_OK(tables_.Apply(test::Applied(unit.id, lease->token, 0, 1)));
  EXPECT_EQ(tables_.FindUnit(unit.id)->attempts, 0);
}

TEST_F(WorkGrantTest, TheLeaseTellsAllThatACopierNeeds) {
  const int64_t rule = tables_.AddActiveRule({.prefixes = {"b/", "a/"},
                                              .historical = true});
  tables_.CutRanges(rule, {{"k1", 3}, {"k2", 4}});
  const int64_t session = tables_.AddSession();
  const Unit second = tables_.UnitsOf(rule).at(1);
  const auto lease = tables_.Grant(second.id, session);
  ASSERT_OK(lease);
  EXPECT_EQ(lease->unit_id, second.id);
  EXPECT_EQ(lease->kind, UnitKind::kBackfill);
  EXPECT_EQ(lease->rule.uid, rule);
  EXPECT_EQ(lease->rule.prefixes, (std::vector<std::string>{"a/", "b/"}));
  EXPECT_EQ(lease->source.bucket.id, "photos");
  EXPECT_EQ(lease->source.store_root, "/hangzhou");
  EXPECT_EQ(lease->source.identity, "source-id");
  EXPECT_EQ(lease->destination.bucket.id, "photos-dr");
  EXPECT_EQ(lease->destination.store_root, "/beijing");
  EXPECT_EQ(lease->destination.identity, "dest-id");
  EXPECT_EQ(lease->cursor.key, "k1");
  EXPECT_EQ(lease->range_start, "k1");
  EXPECT_EQ(lease->range_end, "k2");
  EXPECT_EQ(lease->bytes_per_second, 0);
}

// Each lease gets an even share, so that all of them keep the rule's bound.
TEST_F(WorkGrantTest, LeasesShareTheBytesOfTheirRule) {
  struct Case {
    int64_t max_leases;
    int64_t max_bytes;
    int64_t share;
    int64_t leases;  // That the scheduler is told.
  };
  int n = 0;
  for (const Case& c :
       {Case{4, 1000, 250, 4},
        Case{0, 1000, 1000 / limits::kDefaultLeasesOfLimitedRule,
             limits::kDefaultLeasesOfLimitedRule},
        Case{10, 3, 1, 10}, Case{3, 0, 0, 3}, Case{0, 0, 0, 0}}) {
    const std::string bucket = "photos-" + std::to_string(++n);
    const int64_t rule =
        tables_.AddActiveRule({.source = bucket,
                               .destination = bucket + "-dr",
                               .max_leases = c.max_leases,
                               .max_bytes_per_second = c.max_bytes});
    const BatchOutcome outcome = tables_.Publish(bucket, 1);
    ASSERT_EQ(outcome.events.added.size(), 1u);
    EXPECT_EQ(outcome.events.added[0].max_leases, c.leases);
    const auto lease = tables_.Grant(
        tables_.TheUnit(rule, UnitKind::kChanges).id, tables_.AddSession());
    ASSERT_OK(lease);
    EXPECT_EQ(lease->bytes_per_second, c.share);
  }
}

}  // namespace
}  // namespace crr
