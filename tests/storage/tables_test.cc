#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/request_table.h"
#include "storage/rule_table.h"
#include "storage/session_table.h"
#include "storage/unit_table.h"
#include "tests/storage/tables_fixture.h"

namespace crr {
namespace {

using test::At;
using test::Count;
using test::HasCode;
using test::TablesTest;
using test::Write;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ------------------------------------------------------------------- requests

using RequestTableTest = TablesTest;

TEST_F(RequestTableTest, AnAnswerIsKeptUntilItsTimeAndNotAfter) {
  const RequestKey key{"caller", "CreateRule", "id"};
  Do([&](Transaction& txn) {
    request_table::Put(txn, key, {.hash = -5, .response = std::string("\0", 1)},
                       At(100), At(200));
    return 0;
  });
  const auto get = [&](absl::Time now) {
    return Do([&](Transaction& txn) {
      return request_table::Get(txn, key, now);
    });
  };
  const auto stored = get(At(200) - absl::Microseconds(1));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->hash, -5);
  EXPECT_EQ(stored->response, std::string("\0", 1));
  EXPECT_FALSE(get(At(200)).has_value());
}

TEST_F(RequestTableTest, AnIdIsFreeAgainOnceItHasExpired) {
  const RequestKey key{"", "CreateRule", "id"};
  Do([&](Transaction& txn) {
    request_table::Put(txn, key, {1, "old"}, At(100), At(200));
    request_table::Put(txn, key, {2, "new"}, At(200), At(300));
    return 0;
  });
  const auto stored = Do([&](Transaction& txn) {
    return request_table::Get(txn, key, At(250));
  });
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->response, "new");
}

TEST_F(RequestTableTest, CallerMethodAndIdTellRequestsApart) {
  Do([&](Transaction& txn) {
    request_table::Put(txn, {"c", "m", "i"}, {1, "r"}, At(1), At(9));
    EXPECT_FALSE(request_table::Get(txn, {"d", "m", "i"}, At(2)));
    EXPECT_FALSE(request_table::Get(txn, {"c", "n", "i"}, At(2)));
    EXPECT_FALSE(request_table::Get(txn, {"c", "m", "j"}, At(2)));
    EXPECT_TRUE(request_table::Get(txn, {"c", "m", "i"}, At(2)));
    return 0;
  });
}

TEST_F(RequestTableTest, ShrinksBackByItself) {
  const auto put = [&](int i, absl::Time now) {
    Do([&](Transaction& txn) {
      request_table::Put(txn, {"", "m", absl::StrCat(i)}, {1, "r"}, now,
                         now + absl::Seconds(10));
      return 0;
    });
  };
  for (int i = 0; i < 50; ++i) put(i, At(100));
  EXPECT_EQ(Count(*database_, "requests"), 50);
  for (int i = 100; i < 150; ++i) put(i, At(200));
  EXPECT_EQ(Count(*database_, "requests"), 50);
}

// ------------------------------------------------------------------- sessions

class SessionTableTest : public TablesTest {
 protected:
  void Add(int64_t number, const std::string& copier) {
    Do([&](Transaction& txn) {
      session_table::Insert(
          txn, {.number = number, .copier = copier, .region = ""}, At(number));
      return 0;
    });
  }
  void GiveLease(int64_t number) {
    Do([&](Transaction& txn) {
      const Unit unit{.id = TakeUnitId(txn),
                      .rule_uid = test::AddRule(txn, "aaa", "bbb")};
      unit_table::Insert(txn, unit);
      unit_table::Grant(txn, {unit.id, number, 1}, At(1));
      return 0;
    });
  }
  std::vector<int64_t> Numbers() {
    return Do([](Transaction& txn) {
      std::vector<int64_t> numbers;
      for (const auto& session : session_table::All(txn)) {
        numbers.push_back(session.number);
      }
      return numbers;
    });
  }
};

TEST_F(SessionTableTest, SupersededSessionsGoUnlessTheyHoldSomething) {
  Add(1, "a");
  Add(2, "b");
  Add(3, "a");
  Add(4, "a");
  GiveLease(3);
  Do([](Transaction& txn) {
    session_table::DeleteSuperseded(txn, "a");
    return 0;
  });
  EXPECT_THAT(Numbers(), ElementsAre(2, 3, 4));
  Do([](Transaction& txn) {
    session_table::DeleteSuperseded(txn, "b");
    session_table::DeleteSuperseded(txn, "nobody");
    return 0;
  });
  EXPECT_THAT(Numbers(), ElementsAre(2, 3, 4));
}

TEST_F(SessionTableTest, AnIdleSessionIsForgottenAndABusyOneIsNot) {
  Add(1, "a");
  Add(2, "b");
  GiveLease(2);
  Do([](Transaction& txn) {
    session_table::DeleteIdle(txn, 1);
    session_table::DeleteIdle(txn, 2);
    session_table::DeleteIdle(txn, 3);
    return 0;
  });
  EXPECT_THAT(Numbers(), ElementsAre(2));
}

TEST_F(SessionTableTest, FindsTheNewestOfACopier) {
  Add(1, "a");
  Add(2, "b");
  Add(3, "a");
  Do([](Transaction& txn) {
    EXPECT_EQ(session_table::Newest(txn, "a")->number, 3);
    EXPECT_EQ(session_table::Newest(txn, "b")->number, 2);
    EXPECT_FALSE(session_table::Newest(txn, "c").has_value());
    return 0;
  });
}

// ---------------------------------------------------------------------- units

class UnitTableTest : public TablesTest {
 protected:
  void SetUp() override {
    TablesTest::SetUp();
    Do([&](Transaction& txn) {
      rule_ = test::AddRule(txn, "aaa", "bbb");
      session_table::Insert(txn, {1, "copier", ""}, At(1));
      session_table::Insert(txn, {2, "other", ""}, At(1));
      return 0;
    });
  }
  Unit Add(UnitKind kind) {
    return Do([&](Transaction& txn) {
      Unit unit{.id = TakeUnitId(txn), .rule_uid = rule_, .kind = kind};
      unit_table::Insert(txn, unit);
      return unit;
    });
  }
  int64_t rule_ = 0;
};

TEST_F(UnitTableTest, AUnitHasOneLeaseAtMost) {
  const Unit unit = Add(UnitKind::kProbe);
  const auto grant = [&](int64_t session, int64_t token) {
    return Write(*database_, [&](Transaction& txn) {
      unit_table::Grant(txn, {unit.id, session, token}, At(1));
    });
  };
  ASSERT_OK(grant(1, 10));
  EXPECT_THAT(grant(2, 11), HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(grant(1, 11), HasCode(absl::StatusCode::kAlreadyExists));
  Do([&](Transaction& txn) {
    EXPECT_EQ(unit_table::GetLease(txn, unit.id)->token, 10);
    EXPECT_EQ(unit_table::Get(txn, unit.id)->token, 10);
    EXPECT_EQ(unit_table::Get(txn, unit.id)->attempts, 1);
    EXPECT_TRUE(unit_table::RuleHasLease(txn, rule_));
    unit_table::EndLease(txn, unit.id);
    EXPECT_FALSE(unit_table::RuleHasLease(txn, rule_));
    return 0;
  });
  ASSERT_OK(grant(2, 12));
  EXPECT_EQ(Do([&](Transaction& txn) {
              return unit_table::Get(txn, unit.id)->attempts;
            }),
            2);
}

TEST_F(UnitTableTest, ALeaseNeedsAKnownSession) {
  const Unit unit = Add(UnitKind::kProbe);
  EXPECT_THAT(Write(*database_,
                    [&](Transaction& txn) {
                      unit_table::Grant(txn, {unit.id, 99, 10}, At(1));
                    }),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(UnitTableTest, AUnitTakesItsLeaseWithIt) {
  const Unit unit = Add(UnitKind::kBackfill);
  Do([&](Transaction& txn) {
    unit_table::Grant(txn, {unit.id, 1, 10}, At(1));
    unit_table::Delete(txn, unit.id);
    EXPECT_THAT(unit_table::AllLeases(txn), IsEmpty());
    EXPECT_THAT(unit_table::All(txn), IsEmpty());
    return 0;
  });
}

TEST_F(UnitTableTest, OnlyBackfillMayStandManyTimes) {
  Add(UnitKind::kBackfill);
  Add(UnitKind::kBackfill);
  for (const UnitKind kind :
       {UnitKind::kProbe, UnitKind::kInventory, UnitKind::kChanges}) {
    Add(kind);
    EXPECT_THAT(Write(*database_,
                      [&](Transaction& txn) {
                        unit_table::Insert(txn, {.id = TakeUnitId(txn),
                                                 .rule_uid = rule_,
                                                 .kind = kind});
                      }),
                HasCode(absl::StatusCode::kAlreadyExists));
  }
}

TEST_F(UnitTableTest, ProgressMovesTheCursorAndForgivesAttempts) {
  const Unit unit = Add(UnitKind::kBackfill);
  Do([&](Transaction& txn) {
    unit_table::Grant(txn, {unit.id, 1, 10}, At(1));
    const Cursor cursor{.sequence = 0, .key = std::string("k\xff\0", 3)};
    unit_table::Progress(txn, unit.id, cursor, 7);
    const auto stored = unit_table::Get(txn, unit.id);
    EXPECT_EQ(stored->cursor, cursor);
    EXPECT_EQ(stored->visited, 7);
    EXPECT_EQ(stored->attempts, 0);
    EXPECT_EQ(stored->token, 10);
    return 0;
  });
}

TEST_F(UnitTableTest, KnowsWhetherHistoryIsOpen) {
  const auto open = [&] {
    return Do([&](Transaction& txn) {
      return unit_table::HasHistoricalWork(txn, rule_);
    });
  };
  Add(UnitKind::kProbe);
  Add(UnitKind::kChanges);
  EXPECT_FALSE(open());
  const Unit inventory = Add(UnitKind::kInventory);
  EXPECT_TRUE(open());
  Do([&](Transaction& txn) {
    unit_table::Delete(txn, inventory.id);
    return 0;
  });
  EXPECT_FALSE(open());
  Add(UnitKind::kBackfill);
  EXPECT_TRUE(open());
}

// ---------------------------------------------------------------------- rules

class RuleTableTest : public TablesTest {
 protected:
  void SetUp() override {
    TablesTest::SetUp();
    rule_ = Do([](Transaction& txn) {
      return test::AddRule(txn, "aaa", "bbb");
    });
  }
  int64_t rule_ = 0;
};

TEST_F(RuleTableTest, ARuleComesBackAsItWas) {
  Rule rule = test::MakeRule(0, "ccc", "ddd");
  rule.id = "r-1";
  rule.prefixes = {"a/", "b\xc3\xa9", std::string(1023, 'x')};
  rule.operations = Operations::kAddChange;
  rule.historical = true;
  rule.transfer = Transfer::kAccelerated;
  rule.kms_replicate = true;
  rule.kms_key = "key";
  rule.max_leases = 3;
  rule.max_bytes_per_second = 1'000'000'000'000;
  rule.labels = {{"a", ""}, {"b", "x=y"}};
  rule.state = RuleState::kPaused;
  rule.source_identity = "one";
  rule.destination_identity = "two";
  rule.create_time = At(10);
  rule.update_time = At(20);
  rule.active_time = At(15);
  const auto stored = Do([&](Transaction& txn) {
    test::AddBuckets(txn, {"ccc", "ddd"});
    bucket_table::ClaimPair(txn, "ccc", "ddd", Versioning::kUnversioned);
    rule.uid = TakeRuleUid(txn);
    rule_table::Insert(txn, rule);
    return rule_table::GetBySource(txn, "ccc");
  });
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->uid, rule.uid);
  EXPECT_EQ(stored->destination, "ddd");
  EXPECT_EQ(stored->id, rule.id);
  EXPECT_EQ(stored->prefixes, rule.prefixes);
  EXPECT_EQ(stored->operations, rule.operations);
  EXPECT_EQ(stored->historical, rule.historical);
  EXPECT_EQ(stored->transfer, rule.transfer);
  EXPECT_EQ(stored->kms_replicate, rule.kms_replicate);
  EXPECT_EQ(stored->kms_key, rule.kms_key);
  EXPECT_EQ(stored->max_leases, rule.max_leases);
  EXPECT_EQ(stored->max_bytes_per_second, rule.max_bytes_per_second);
  EXPECT_EQ(stored->labels, rule.labels);
  EXPECT_EQ(stored->state, rule.state);
  EXPECT_EQ(stored->source_identity, rule.source_identity);
  EXPECT_EQ(stored->destination_identity, rule.destination_identity);
  EXPECT_EQ(stored->create_time, rule.create_time);
  EXPECT_EQ(stored->update_time, rule.update_time);
  EXPECT_EQ(stored->active_time, rule.active_time);
}

TEST_F(RuleTableTest, SequencesAndTokensOnlyRise) {
  Do([&](Transaction& txn) {
    EXPECT_EQ(rule_table::TakeSequences(txn, rule_, 0, 3), 1);
    EXPECT_EQ(rule_table::TakeSequences(txn, rule_, 0, 1), 4);
    EXPECT_EQ(rule_table::TakeSequences(txn, rule_, 0, 1000), 5);
    EXPECT_EQ(rule_table::TakeSequences(txn, rule_, 0, 1), 1005);
    EXPECT_EQ(rule_table::TakeToken(txn, rule_), 1);
    EXPECT_EQ(rule_table::TakeToken(txn, rule_), 2);
    return 0;
  });
}

TEST_F(RuleTableTest, UidsAreNotGivenTwiceEvenAfterADelete) {
  Do([&](Transaction& txn) {
    rule_table::Delete(txn, rule_);
    bucket_table::FreePair(txn, "aaa", "bbb");
    EXPECT_GT(test::AddRule(txn, "aaa", "bbb"), rule_);
    return 0;
  });
}

TEST_F(RuleTableTest, DeletingARuleLeavesNothingOfIt) {
  Do([&](Transaction& txn) {
    rule_table::AddFiltered(txn, rule_, {{"PREFIX", 2}});
    rule_table::SetCondition(txn, rule_, {"LANE_FAILING", 1, "m", At(1)});
    rule_table::Delete(txn, rule_);
    return 0;
  });
  for (const char* table :
       {"rules", "rule_counters", "rule_filtered", "rule_conditions",
        "rule_prefixes", "rule_labels"}) {
    EXPECT_EQ(Count(*database_, table), 0) << table;
  }
}

TEST_F(RuleTableTest, CountersAddUp) {
  const RuleCounters counters = Do([&](Transaction& txn) {
    rule_table::AddCounters(txn, rule_,
                            {.published = 10, .applied = 4, .log_bytes = 100});
    rule_table::AddCounters(txn, rule_,
                            {.applied = 1,
                             .collapsed = 2,
                             .log_bytes = -60,
                             .inventory_complete = true,
                             .historical_total = 5});
    rule_table::AddCounters(txn, rule_, {.historical_total = -3});
    return rule_table::GetCounters(txn, rule_);
  });
  EXPECT_EQ(counters.published, 10);
  EXPECT_EQ(counters.applied, 5);
  EXPECT_EQ(counters.collapsed, 2);
  EXPECT_EQ(counters.log_bytes, 40);
  EXPECT_TRUE(counters.inventory_complete);
  EXPECT_EQ(counters.historical_total, 2);
}

TEST_F(RuleTableTest, ACounterBelowZeroIsABugThatTheSchemaStops) {
  EXPECT_THAT(Write(*database_,
                    [&](Transaction& txn) {
                      rule_table::AddCounters(txn, rule_, {.applied = -1});
                    }),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RuleTableTest, FilteredAddsUpByReason) {
  const auto filtered = Do([&](Transaction& txn) {
    rule_table::AddFiltered(txn, rule_, {{"PREFIX", 2}, {"REPLICA", 0}});
    rule_table::AddFiltered(txn, rule_, {{"PREFIX", 3}, {"OPERATIONS", 1}});
    return rule_table::GetFiltered(txn, rule_);
  });
  EXPECT_EQ(filtered, (std::map<std::string, int64_t>{{"OPERATIONS", 1},
                                                      {"PREFIX", 5}}));
}

TEST_F(RuleTableTest, AConditionKeepsItsFirstTime) {
  Do([&](Transaction& txn) {
    rule_table::SetCondition(txn, rule_, {"LANE_FAILING", 7, "first", At(10)});
    rule_table::SetCondition(txn, rule_, {"LANE_FAILING", 7, "later", At(20)});
    rule_table::SetCondition(txn, rule_, {"LANE_FAILING", 8, "other", At(30)});
    return 0;
  });
  Do([&](Transaction& txn) {
    const auto conditions = rule_table::GetConditions(txn, rule_);
    EXPECT_EQ(conditions.size(), 2u);
    EXPECT_EQ(conditions[0].message, "later");
    EXPECT_EQ(conditions[0].since, At(10));
    rule_table::ClearConditions(txn, rule_, 7);
    EXPECT_EQ(rule_table::GetConditions(txn, rule_).size(), 1u);
    return 0;
  });
}

// As the resource names sort: '-' before '/' before the digits.
TEST_F(RuleTableTest, ListsInTheOrderOfNames) {
  const auto sources = Do([&](Transaction& txn) {
    for (const char* source : {"aaa0", "aaa-b", "aaa-", "aab"}) {
      test::AddRule(txn, source, absl::StrCat(source, "-destination"));
    }
    std::vector<std::string> listed;
    std::string after;
    while (true) {
      const auto page = rule_table::List(txn, {}, after, 2);
      if (page.empty()) break;
      for (const Rule& rule : page) listed.push_back(rule.source);
      after = page.back().source + "/";
    }
    return listed;
  });
  EXPECT_THAT(sources, ElementsAre("aaa-", "aaa-b", "aaa", "aaa0", "aab"));
}

TEST_F(RuleTableTest, ListsByStateSourceAndDestination) {
  const auto uids = [&](const RuleFilter& filter) {
    return Do([&](Transaction& txn) {
      std::vector<int64_t> found;
      for (const Rule& rule : rule_table::List(txn, filter, "", 100)) {
        found.push_back(rule.uid);
      }
      return found;
    });
  };
  const int64_t other = Do([](Transaction& txn) {
    const int64_t uid = test::AddRule(txn, "ccc", "ddd");
    rule_table::SetState(txn, uid, RuleState::kClosing, At(5));
    return uid;
  });
  EXPECT_THAT(uids({}), ElementsAre(rule_, other));
  EXPECT_THAT(uids({.state = RuleState::kClosing}), ElementsAre(other));
  EXPECT_THAT(uids({.state = RuleState::kActive}), IsEmpty());
  EXPECT_THAT(uids({.source = "aaa"}), ElementsAre(rule_));
  EXPECT_THAT(uids({.destination = "ddd"}), ElementsAre(other));
  EXPECT_THAT(uids({.source = "aaa", .destination = "ddd"}), IsEmpty());
}

TEST_F(RuleTableTest, OnlyLimitsAndLabelsAreUpdated) {
  const Rule before = Do([&](Transaction& txn) {
    return *rule_table::Get(txn, rule_);
  });
  const auto update = [&](Rule rule) {
    return Do([&](Transaction& txn) {
      rule_table::Update(txn, rule);
      return *rule_table::Get(txn, rule_);
    });
  };
  Rule changed = before;
  changed.max_leases = 7;
  changed.max_bytes_per_second = 1000;
  changed.labels = {{"a", "1"}, {"b", ""}};
  changed.update_time = At(50);
  // None of these.
  changed.id = "other";
  changed.prefixes = {"x/"};
  changed.state = RuleState::kPaused;
  changed.create_time = At(50);
  Rule stored = update(changed);
  EXPECT_EQ(stored.max_leases, 7);
  EXPECT_EQ(stored.max_bytes_per_second, 1000);
  EXPECT_EQ(stored.labels, changed.labels);
  EXPECT_EQ(stored.update_time, At(50));
  EXPECT_EQ(stored.id, before.id);
  EXPECT_EQ(stored.prefixes, before.prefixes);
  EXPECT_EQ(stored.state, before.state);
  EXPECT_EQ(stored.create_time, before.create_time);

  // Labels that are not named again go.
  changed.labels = {{"b", "2"}, {"c", "3"}};
  EXPECT_EQ(update(changed).labels, changed.labels);
  changed.labels.clear();
  EXPECT_THAT(update(changed).labels, IsEmpty());
}

TEST_F(RuleTableTest, AnUpdateIsOfOneRule) {
  const Rule other = Do([&](Transaction& txn) {
    Rule rule = test::MakeRule(test::AddRule(txn, "ccc", "ddd"), "ccc", "ddd");
    rule.labels = {{"mine", "1"}};
    rule.max_leases = 3;
    rule_table::Update(txn, rule);
    Rule first = *rule_table::Get(txn, rule_);
    first.labels = {{"first", "1"}};
    first.max_leases = 9;
    rule_table::Update(txn, first);
    first.labels.clear();
    rule_table::Update(txn, first);
    return *rule_table::Get(txn, rule.uid);
  });
  EXPECT_EQ(other.max_leases, 3);
  EXPECT_EQ(other.labels, (std::map<std::string, std::string>{{"mine", "1"}}));
}

TEST_F(RuleTableTest, FindsThoseThatAreNotActive) {
  const auto add = [&](const std::string& source, RuleState state) {
    return Do([&](Transaction& txn) {
      const int64_t uid =
          test::AddRule(txn, source, absl::StrCat(source, "-to"));
      rule_table::SetState(txn, uid, state, At(5));
      return uid;
    });
  };
  const int64_t paused = add("ppp", RuleState::kPaused);
  const int64_t closing = add("qqq", RuleState::kClosing);
  add("rrr", RuleState::kActive);
  Do([&](Transaction& txn) {
    const auto in = [&](RuleState state,
                        const std::optional<std::string>& region) {
      return rule_table::UidsInState(txn, state, region);
    };
    EXPECT_THAT(in(RuleState::kStarting, std::nullopt), ElementsAre(rule_));
    EXPECT_THAT(in(RuleState::kPaused, std::nullopt), ElementsAre(paused));
    EXPECT_THAT(in(RuleState::kClosing, std::nullopt), ElementsAre(closing));
    EXPECT_THAT(in(RuleState::kStarting, "r"), ElementsAre(rule_));
    EXPECT_THAT(in(RuleState::kStarting, "elsewhere"), IsEmpty());
    return 0;
  });
}

}  // namespace
}  // namespace crr
