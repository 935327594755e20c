// Objects that left their lane: folding, attempts, dead letters, and where the
// ledger has their changes meanwhile.

#include "server/core/object_lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/progress.h"
#include "server/core/work.h"
#include "storage/object_work_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::HasCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = LeaseEnd::Kind;
using Result = CheckpointOutcome::Result;

const LeaseEnd kLost{.kind = Kind::kLost};

class ObjectLaneTest : public ::testing::Test {
 protected:
  LeaseSpec Grant(const Unit& unit) {
    auto lease = tables_.Grant(unit.id, session_);
    CRR_CHECK(lease.ok());
    return *std::move(lease);
  }
  WorkEvents End(const LeaseSpec& lease, const LeaseEnd& end,
                 absl::Time now = test::Epoch()) {
    return tables_.Do([&](Transaction& txn) {
      return EndLease(txn, lease.unit_id, lease.token, end, now);
    });
  }
  static LeaseEnd Failed(const std::string& reason) {
    return {.kind = Kind::kObjectFailed, .reason = reason, .message = "why"};
  }
  // Publishes `keys` and lets the lane report them: those of `failing` leave
  // it, the others are applied.
  void Settle(const std::vector<std::string>& keys,
              const std::set<std::string>& failing,
              const std::string& reason = "DATA_LOSS", bool deletion = false) {
    tables_.Publish("photos", keys);
    const Unit unit = tables_.TheUnit(rule_, UnitKind::kChanges);
    const LeaseSpec lease = Grant(unit);
    const auto count = static_cast<int64_t>(keys.size());
    Checkpoint report = Applied(unit.id, lease.token, unit.cursor.sequence,
                                unit.cursor.sequence + count);
    std::map<std::string, int64_t> failed;
    for (const std::string& key : keys) {
      if (failing.contains(key)) ++failed[key];
    }
    for (const auto& [key, changes] : failed) {
      report.applied -= changes;
      report.failed.push_back({.key = key,
                               .reason = reason,
                               .changes = changes,
                               .deletion = deletion,
                               .size_bytes = 9});
    }
    const auto outcome = tables_.Apply(report);
    ASSERT_OK(outcome);
    ASSERT_EQ(outcome->result, Result::kRecorded);
    End(lease, {});
  }
  std::optional<ObjectWork> Row(const std::string& key) {
    return tables_.Do([&](Transaction& txn) {
      return object_work_table::Get(txn, rule_, key);
    });
  }
  Unit UnitOf(const std::string& key) {
    const auto unit = tables_.FindUnit(Row(key)->unit_id.value());
    CRR_CHECK(unit.has_value());
    return *unit;
  }
  absl::StatusOr<CheckpointOutcome> Finish(const LeaseSpec& lease,
                                           const std::string& filtered = "") {
    Checkpoint done{.unit_id = lease.unit_id,
                    .token = lease.token,
                    .from = lease.cursor,
                    .to = lease.cursor,
                    .complete = true,
                    .applied = filtered.empty() ? 1 : 0};
    if (!filtered.empty()) done.filtered = {{filtered, 1}};
    return tables_.Apply(done);
  }
  void MakeDeadLetter(const std::string& key, const std::string& reason) {
    for (int64_t i = 0; i < limits::kObjectAttemptsMax; ++i) {
      End(Grant(UnitOf(key)), Failed(reason));
    }
    ASSERT_FALSE(Row(key)->unit_id.has_value());
  }
  BulkOutcome Retry(const ObjectWorkFilter& filter) {
    return tables_.Do([&](Transaction& txn) {
      return RetryObjects(txn, *rule_table::Get(txn, rule_), filter);
    });
  }
  BulkOutcome Skip(const ObjectWorkFilter& filter) {
    return tables_.Do([&](Transaction& txn) {
      return SkipObjects(txn, *rule_table::Get(txn, rule_), filter);
    });
  }
  LiveProgress Live() {
    return tables_
        .Do([&](Transaction& txn) {
          return ProgressOf(txn, *rule_table::Get(txn, rule_), {},
                            test::Epoch());
        })
        .live;
  }
  Ledger Sums() { return tables_.LedgerOfRule(rule_); }
  void TearDown() override {
    EXPECT_TRUE(Sums().balances()) << ToText(Sums());
  }

  test::TestTables tables_;
  const int64_t session_ = tables_.AddSession();
  const int64_t rule_ = tables_.AddActiveRule();
};

TEST_F(ObjectLaneTest, WhatFailsLeavesItsLaneAndIsPendingStill) {
  Settle({"a", "b", "a", "c"}, {"a"});
  const ObjectWork row = *Row("a");
  EXPECT_EQ(row.changes, 2);
  EXPECT_EQ(row.reason, "DATA_LOSS");
  EXPECT_EQ(row.oldest_event, test::Epoch());
  EXPECT_EQ(row.size_bytes, 9);
  EXPECT_EQ(Sums().applied, 2);
  EXPECT_EQ(Sums().pending, 2);
  EXPECT_EQ(Live().pending, 2);
  EXPECT_TRUE(tables_.Log(rule_).empty());
  const LeaseSpec lease = Grant(UnitOf("a"));
  ASSERT_TRUE(lease.object.has_value());
  EXPECT_EQ(lease.object->key, "a");
  EXPECT_FALSE(lease.object->deletion);
}

TEST_F(ObjectLaneTest, OneLookSettlesAllItsChanges) {
  Settle({"a", "a", "a"}, {"a"});
  const LeaseSpec lease = Grant(UnitOf("a"));
  const auto done = Finish(lease);
  ASSERT_OK(done);
  EXPECT_TRUE(done->lease_over);
  EXPECT_THAT(done->events.removed, ElementsAre(lease.unit_id));
  EXPECT_FALSE(Row("a").has_value());
  EXPECT_EQ(Sums().applied, 1);
  EXPECT_EQ(Sums().collapsed, 2);
  // Told again, it counts once.
  EXPECT_EQ(Finish(lease)->result, Result::kFenced);
  EXPECT_EQ(Sums().applied, 1);
}

TEST_F(ObjectLaneTest, AnObjectThatStaysAwayCountsByItsReason) {
  Settle({"a", "a"}, {"a"});
  ASSERT_OK(Finish(Grant(UnitOf("a")), "SSE_KMS"));
  EXPECT_EQ(tables_.Filtered(rule_)["SSE_KMS"], 1);
  EXPECT_EQ(Sums().collapsed, 1);
}

TEST_F(ObjectLaneTest, LaterChangesFoldAndAreNotLostByAnEarlierGrant) {
  Settle({"a"}, {"a"});
  const LeaseSpec lease = Grant(UnitOf("a"));
  Settle({"a", "a"}, {"a"}, "INTERNAL", /*deletion=*/true);
  ObjectWork row = *Row("a");
  EXPECT_EQ(row.generation, 2);
  EXPECT_EQ(row.changes, 3);
  EXPECT_TRUE(row.deletion);
  EXPECT_EQ(row.reason, "INTERNAL");
  // What it looked at may have been before the later changes.
  const auto done = Finish(lease);
  ASSERT_OK(done);
  EXPECT_EQ(done->result, Result::kRecorded);
  EXPECT_TRUE(done->lease_over);
  EXPECT_THAT(done->events.removed, IsEmpty());
  ASSERT_TRUE(Row("a").has_value());
  EXPECT_EQ(Sums().pending, 3);
  const LeaseSpec again = Grant(UnitOf("a"));
  EXPECT_GT(again.token, lease.token);
  EXPECT_TRUE(again.object->deletion);
  ASSERT_OK(Finish(again));
  EXPECT_FALSE(Row("a").has_value());
  EXPECT_EQ(Sums().collapsed, 2);
}

TEST_F(ObjectLaneTest, TheOldestEventStays) {
  const auto fold = [&](absl::Time event) {
    tables_.Do([&](Transaction& txn) {
      FoldObject(txn, *rule_table::Get(txn, rule_),
                 {.key = "a", .reason = "X", .changes = 0},
                 {.repair = true, .oldest_event = event}, test::Epoch());
    });
    return *Row("a")->oldest_event;
  };
  const absl::Time t = test::Epoch();
  EXPECT_EQ(fold(t), t);
  EXPECT_EQ(fold(t + absl::Seconds(1)), t);
  EXPECT_EQ(fold(t - absl::Seconds(1)), t - absl::Seconds(1));
}

TEST_F(ObjectLaneTest, AfterTheLastAttemptItIsADeadLetter) {
  Settle({"a", "a"}, {"a"});
  for (int64_t i = 1; i < limits::kObjectAttemptsMax; ++i) {
    EXPECT_THAT(End(Grant(UnitOf("a")), Failed("FORBIDDEN")).removed,
                IsEmpty());
    EXPECT_EQ(Row("a")->attempts, i);
  }
  const LeaseSpec last = Grant(UnitOf("a"));
  EXPECT_THAT(End(last, Failed("FORBIDDEN")).removed,
              ElementsAre(last.unit_id));
  const ObjectWork row = *Row("a");
  EXPECT_FALSE(row.unit_id.has_value());
  EXPECT_EQ(row.attempts, limits::kObjectAttemptsMax);
  EXPECT_EQ(row.reason, "FORBIDDEN");
  EXPECT_EQ(row.message, "why");
  EXPECT_EQ(Sums().failed, 2);
  EXPECT_EQ(Sums().pending, 0);
  EXPECT_EQ(Live().pending, 0);
  // Since it is one, whatever a user did to the rule.
  tables_.Do([&](Transaction& txn) {
    EXPECT_EQ(object_work_table::Dead(txn, rule_).since, test::Epoch());
    rule_table::SetState(txn, rule_, RuleState::kActive,
                         test::Epoch() + absl::Hours(1));
    const auto conditions = ConditionsOf(txn, *rule_table::Get(txn, rule_));
    ASSERT_EQ(conditions.size(), 1u);
    EXPECT_EQ(conditions[0].since, test::Epoch());
  });
  // The late report of its last holder changes nothing.
  EXPECT_EQ(Finish(last)->result, Result::kFenced);
}

TEST_F(ObjectLaneTest, AnObjectThatLosesItsCopiersIsADeadLetterToo) {
  Settle({"a"}, {"a"});
  for (int64_t i = 0; i < limits::kObjectAttemptsMax; ++i) {
    End(Grant(UnitOf("a")), kLost);
  }
  EXPECT_EQ(Row("a")->reason, "COPIER_LOST");
  EXPECT_FALSE(Row("a")->unit_id.has_value());
}

TEST_F(ObjectLaneTest, WhatIsNotTheObjectsFaultIsNoAttempt) {
  Settle({"a"}, {"a"});
  for (int64_t i = 0; i < 3 * limits::kObjectAttemptsMax; ++i) {
    End(Grant(UnitOf("a")), {});
    End(Grant(UnitOf("a")),
        {.kind = Kind::kProblem, .reason = "STORE_UNREACHABLE"});
  }
  EXPECT_EQ(UnitOf("a").attempts, 0);
  EXPECT_TRUE(Row("a")->unit_id.has_value());
}

TEST_F(ObjectLaneTest, PartsAreProgressAndAnotherUploadBeginsAnew) {
  Settle({"a"}, {"a"}, "LARGE");
  for (int i = 0; i < 3; ++i) End(Grant(UnitOf("a")), kLost);
  LeaseSpec lease = Grant(UnitOf("a"));
  Checkpoint report{.unit_id = lease.unit_id,
                    .token = lease.token,
                    .upload = Checkpoint::Upload{"u-1", "e-1"}};
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);
  report.to.sequence = 5;
  report.bytes = 50;
  EXPECT_EQ(tables_.Apply(report)->cursor.sequence, 5);
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);  // Again.
  EXPECT_EQ(UnitOf("a").attempts, 0);
  End(lease, kLost);

  lease = Grant(UnitOf("a"));
  EXPECT_EQ(lease.cursor.sequence, 5);
  EXPECT_EQ(lease.object->upload_id, "u-1");
  EXPECT_EQ(lease.object->upload_etag, "e-1");
  Checkpoint anew{.unit_id = lease.unit_id,
                  .token = lease.token,
                  .from = {.sequence = 5},
                  .to = {.sequence = 0},
                  .upload = Checkpoint::Upload{"u-2", "e-2"}};
  EXPECT_EQ(tables_.Apply(anew)->result, Result::kRecorded);
  EXPECT_EQ(Row("a")->upload_id, "u-2");
  EXPECT_EQ(UnitOf("a").cursor.sequence, 0);
  // Without another upload, parts never go.
  anew.from = {.sequence = 3};
  anew.upload.reset();
  EXPECT_THAT(tables_.Apply(anew),
              HasCode(absl::StatusCode::kInvalidArgument));
}

// Damaged at its end, say: all its parts go over, again and again.
TEST_F(ObjectLaneTest, TheSamePartsAgainAreNoProgress) {
  Settle({"a"}, {"a"}, "LARGE");
  for (int64_t i = 0; Row("a")->unit_id.has_value(); ++i) {
    ASSERT_LE(i, limits::kObjectAttemptsMax);
    const LeaseSpec lease = Grant(UnitOf("a"));
    Checkpoint report{.unit_id = lease.unit_id,
                      .token = lease.token,
                      .from = lease.cursor,
                      .to = {.sequence = 0},
                      .upload = Checkpoint::Upload{absl::StrCat("u-", i), "e"}};
    ASSERT_EQ(tables_.Apply(report)->result, Result::kRecorded);
    report.from = {.sequence = 0};
    report.to = {.sequence = 9};
    const auto parts = tables_.Apply(report);
    ASSERT_OK(parts);
    EXPECT_EQ(parts->progressed, i == 0);
    End(lease, Failed("CONTENT_DAMAGED"));
  }
  EXPECT_EQ(Row("a")->reason, "CONTENT_DAMAGED");
  EXPECT_EQ(Sums().failed, 1);
}

TEST_F(ObjectLaneTest, ARetryBeginsWithAllAttempts) {
  Settle({"a", "a", "b"}, {"a", "b"});
  MakeDeadLetter("a", "FORBIDDEN");
  EXPECT_EQ(Sums().failed, 2);
  const BulkOutcome retried = Retry({.reason = "FORBIDDEN"});
  EXPECT_EQ(retried.objects, 1);
  EXPECT_FALSE(retried.more);
  EXPECT_EQ(retried.events.added.size(), 1u);
  EXPECT_EQ(Row("a")->attempts, 0);
  EXPECT_EQ(UnitOf("a").attempts, 0);
  EXPECT_EQ(Sums().failed, 0);
  EXPECT_EQ(Sums().pending, 3);
  // What was retried already is left alone, and so is what is being held.
  EXPECT_EQ(Retry({}).objects, 0);
  End(Grant(UnitOf("b")), Failed("X"));
  const LeaseSpec held = Grant(UnitOf("b"));
  EXPECT_EQ(Retry({}).objects, 0);
  End(held, Failed("X"));
  EXPECT_EQ(Retry({}).objects, 1);
}

TEST_F(ObjectLaneTest, ADeadLetterThatFailsInItsLaneAgainIsTriedAgain) {
  Settle({"a"}, {"a"});
  MakeDeadLetter("a", "FORBIDDEN");
  Settle({"a"}, {"a"});
  EXPECT_EQ(Row("a")->changes, 2);
  EXPECT_EQ(UnitOf("a").attempts, 0);
  EXPECT_EQ(Sums().failed, 0);
  EXPECT_EQ(Sums().pending, 2);
}

TEST_F(ObjectLaneTest, AnOutageOfTheStoreMayOutliveAllAttempts) {
  Settle({"a"}, {"a"});
  const LeaseEnd away = Failed("STORE_UNREACHABLE");
  // That it left its lane long before does not count.
  const auto endures_a_day_from = [&](absl::Time begin) {
    for (int64_t i = 0; i < 2 * limits::kObjectAttemptsMax; ++i) {
      End(Grant(UnitOf("a")), away,
          i == 0 ? begin : begin + limits::kOutageMax - absl::Seconds(1));
    }
    EXPECT_EQ(Row("a")->attempts, 2 * limits::kObjectAttemptsMax);
    End(Grant(UnitOf("a")), away, begin + limits::kOutageMax);
    EXPECT_FALSE(Row("a")->unit_id.has_value());
    EXPECT_EQ(Row("a")->reason, "STORE_UNREACHABLE");
    EXPECT_EQ(Sums().failed, 1);
  };
  endures_a_day_from(test::Epoch() + 2 * limits::kOutageMax);
  EXPECT_EQ(Retry({}).objects, 1);
  endures_a_day_from(test::Epoch() + 4 * limits::kOutageMax);
  // Nor that something else was wrong before.
  EXPECT_EQ(Retry({}).objects, 1);
  const absl::Time full = test::Epoch() + 6 * limits::kOutageMax;
  End(Grant(UnitOf("a")),
      {.kind = LeaseEnd::Kind::kProblem, .reason = "STORE_FULL"}, full);
  endures_a_day_from(full + 2 * limits::kOutageMax);
}

// Nor does it begin anew when a change brings the object to its lane once more.
TEST_F(ObjectLaneTest, AnOutageGoesOnWhateverItsLaneReports) {
  Settle({"a"}, {"a"}, "LARGE");
  const LeaseEnd away = Failed("STORE_UNREACHABLE");
  for (int64_t i = 0; i < limits::kObjectAttemptsMax; ++i) {
    End(Grant(UnitOf("a")), away);
  }
  Settle({"a"}, {"a"}, "LARGE");
  EXPECT_EQ(Row("a")->changes, 2);
  EXPECT_EQ(Row("a")->reason, "STORE_UNREACHABLE");
  End(Grant(UnitOf("a")), away, test::Epoch() + limits::kOutageMax);
  EXPECT_FALSE(Row("a")->unit_id.has_value());
}

// What stands in for it is elsewhere: no attempt, but a reason, and a wait that
// a retry ends.
TEST_F(ObjectLaneTest, WhatWaitsForItsStoreCanBeRetried) {
  Settle({"a"}, {"a"}, "LARGE_OBJECT");
  EXPECT_EQ(Retry({}).objects, 0);  // Nobody has looked at it yet.
  End(Grant(UnitOf("a")), {.kind = LeaseEnd::Kind::kProblem,
                           .reason = "STORE_FULL",
                           .message = "no room"});
  EXPECT_EQ(Row("a")->reason, "STORE_FULL");
  EXPECT_EQ(Row("a")->message, "no room");
  EXPECT_EQ(Row("a")->attempts, 0);
  const int64_t unit = UnitOf("a").id;
  EXPECT_EQ(Retry({.reason = "STORE_FULL"}).objects, 1);
  EXPECT_NE(UnitOf("a").id, unit);  // A new one waits for nothing.
  EXPECT_EQ(Retry({}).objects, 0);
}

TEST_F(ObjectLaneTest, AChangeDuringAnAttemptKeepsNoneFromSucceeding) {
  Settle({"a"}, {"a"});
  const LeaseSpec lease = Grant(UnitOf("a"));
  tables_.Publish("photos", {"a"});
  ASSERT_OK(Finish(lease));
  EXPECT_FALSE(Row("a").has_value());
  EXPECT_EQ(Sums().pending, 1);  // The log has it.
}

TEST_F(ObjectLaneTest, WhatIsWrongWithACopierSaysNothingOfTheObject) {
  Settle({"a"}, {"a"}, "CONTENT_DAMAGED");
  End(Grant(UnitOf("a")), {.kind = LeaseEnd::Kind::kProblem,
                           .reason = "NO_SLOT",
                           .message = "busy"});
  EXPECT_EQ(Row("a")->reason, "CONTENT_DAMAGED");
  EXPECT_EQ(Retry({}).objects, 0);
}

// The last attempt may have looked before the last change came.
TEST_F(ObjectLaneTest, AChangeDuringTheLastAttemptIsTriedOnce) {
  Settle({"a"}, {"a"});
  const auto last_grant = [&] {
    while (UnitOf("a").attempts < limits::kObjectAttemptsMax - 1) {
      End(Grant(UnitOf("a")), Failed("FORBIDDEN"));
    }
    return Grant(UnitOf("a"));
  };
  LeaseSpec last = last_grant();
  tables_.Publish("photos", {"a"});
  End(last, Failed("OBJECT_MOVING"));
  ASSERT_TRUE(Row("a")->unit_id.has_value());
  End(Grant(UnitOf("a")), Failed("OBJECT_MOVING"));
  EXPECT_FALSE(Row("a")->unit_id.has_value());
  // One that may have killed its copier is not tried for that.
  EXPECT_EQ(Retry({}).objects, 1);
  last = last_grant();
  tables_.Publish("photos", {"a"});
  End(last, {.kind = LeaseEnd::Kind::kLost});
  EXPECT_FALSE(Row("a")->unit_id.has_value());
}

TEST_F(ObjectLaneTest, ADeadLetterWhoseObjectChangesIsTriedAgain) {
  Settle({"a", "b"}, {"a", "b"});
  MakeDeadLetter("a", "FORBIDDEN");
  MakeDeadLetter("b", "FORBIDDEN");
  tables_.Publish("photos", {"a", "c", "a"});
  EXPECT_EQ(UnitOf("a").attempts, 0);
  EXPECT_FALSE(Row("b")->unit_id.has_value());
  EXPECT_EQ(Row("a")->changes, 1);  // The log has the others.
  EXPECT_EQ(Sums().failed, 1);
  EXPECT_EQ(Sums().pending, 4);
  EXPECT_TRUE(Sums().balances()) << ToText(Sums());
}

TEST_F(ObjectLaneTest, WhatIsRetriedIsSkippedOnlyByItsName) {
  Settle({"a", "a", "b", "c"}, {"a", "b", "c"});
  MakeDeadLetter("a", "FORBIDDEN");
  MakeDeadLetter("b", "DATA_LOSS");
  EXPECT_EQ(Skip({.prefix = "c"}).objects, 0);
  const auto lease = tables_.Grant(UnitOf("c").id, session_);
  ASSERT_OK(lease);
  EXPECT_EQ(Skip({.keys = {"c", "a", "nobody"}}).objects, 1);
  EXPECT_FALSE(Row("a").has_value());
  EXPECT_TRUE(Row("c").has_value());  // A copier has it.
  EXPECT_EQ(tables_.Filtered(rule_)["SKIPPED"], 2);
  tables_.Do([&](Transaction& txn) {
    EndLease(txn, lease->unit_id, lease->token, {}, test::Epoch());
  });
  EXPECT_THAT(Skip({.keys = {"c"}}).events.removed,
              ElementsAre(lease->unit_id));
  EXPECT_FALSE(Row("c").has_value());
  EXPECT_EQ(tables_.Filtered(rule_)["SKIPPED"], 3);
  EXPECT_EQ(Sums().failed, 1);
  EXPECT_EQ(Skip({.first_failure_until = test::Epoch() - absl::Seconds(1)})
                .objects,
            0);
  EXPECT_EQ(Skip({.first_failure_until = test::Epoch()}).objects, 1);
}

TEST_F(ObjectLaneTest, BulkGoesOnWhereTheLastCallEnded) {
  const auto most = static_cast<int>(limits::kFailedObjectsPerCallMax);
  const int all = 2 * most + 7;
  // Rows as dead letters are; the units' way there is tested above.
  tables_.Do([&](Transaction& txn) {
    for (int i = 0; i < all; ++i) {
      object_work_table::Put(txn, {.rule_uid = rule_,
                                   .key = absl::StrCat("k", i),
                                   .changes = 0,
                                   .attempts = limits::kObjectAttemptsMax,
                                   .reason = "X",
                                   .first_failure = test::Epoch(),
                                   .last_failure = test::Epoch(),
                                   .failing_since = test::Epoch()});
    }
  });
  EXPECT_TRUE(Skip({.prefix = "k1"}).more);
  const BulkOutcome first = Retry({});
  EXPECT_EQ(first.objects, most);
  EXPECT_TRUE(first.more);
  int64_t objects = first.objects;
  for (bool more = true; more;) {
    const BulkOutcome next = Retry({});
    objects += next.objects;
    more = next.more;
  }
  EXPECT_EQ(objects, all - most);
  tables_.Do([&](Transaction& txn) {
    EXPECT_EQ(object_work_table::Dead(txn, rule_).count, 0);
  });
}

TEST_F(ObjectLaneTest, LastSyncTimeWaitsForDeadLetters) {
  tables_.Do([&](Transaction& txn) {
    ASSERT_OK(AttachPublisher(
        txn,
        {.id = "gw", .scope = {PublisherScope::Kind::kBucket, "photos"}},
        test::Epoch()));
  });
  const auto synced = [&] {
    return tables_.Do([&](Transaction& txn) {
      const Rule rule = *rule_table::Get(txn, rule_);
      const Watermarks said{
          {{"gw", {PublisherScope::Kind::kBucket, "photos"}},
           test::Epoch() + absl::Hours(1)}};
      EXPECT_EQ(SyncTimeOf(txn, rule, said).time,
                ProgressOf(txn, rule, said, test::Epoch())
                    .live.last_sync_time);
      return SyncTimeOf(txn, rule, said).time;
    });
  };
  EXPECT_EQ(synced(), test::Epoch() + absl::Hours(1));
  Settle({"a", "b"}, {"a"});
  EXPECT_EQ(synced(), test::Epoch());
  MakeDeadLetter("a", "FORBIDDEN");
  EXPECT_EQ(synced(), test::Epoch());
  Skip({});
  EXPECT_EQ(synced(), test::Epoch() + absl::Hours(1));
}

TEST_F(ObjectLaneTest, TooManyAreNotTaken) {
  tables_.Do([&](Transaction& txn) {
    for (int64_t i = 0; i < limits::kFailedObjectsMax; ++i) {
      object_work_table::Put(txn, {.rule_uid = rule_,
                                   .key = absl::StrCat("k", i),
                                   .reason = "X",
                                   .first_failure = test::Epoch(),
                                   .last_failure = test::Epoch()});
    }
  });
  tables_.Publish("photos", {"a", "b"});
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kChanges);
  const LeaseSpec lease = Grant(unit);
  Checkpoint report = Applied(unit.id, lease.token, 0, 2);
  report.applied = 1;
  report.failed = {{.key = "b", .reason = "X", .changes = 1}};
  EXPECT_EQ(tables_.Apply(report)->result, Result::kObjectsFull);
  EXPECT_EQ(Sums().pending, 2);
  const auto conditions = tables_.Do([&](Transaction& txn) {
    return ConditionsOf(txn, *rule_table::Get(txn, rule_));
  });
  ASSERT_FALSE(conditions.empty());
  EXPECT_EQ(conditions.back().type, "TOO_MANY_FAILED_OBJECTS");
  Skip({.keys = {"k1"}});
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);
}

TEST_F(ObjectLaneTest, AClosedRuleLeavesNothing) {
  Settle({"a", "a", "b", "c"}, {"a", "b"});
  MakeDeadLetter("b", "FORBIDDEN");
  tables_.Do([&](Transaction& txn) {
    ASSERT_OK(DeleteRule(txn, *rule_table::Get(txn, rule_), test::Epoch()));
    WorkEvents events;
    EXPECT_TRUE(
        PurgeObjects(txn, *rule_table::Get(txn, rule_), 100, events));
    EXPECT_EQ(events.removed.size(), 1u);
  });
  EXPECT_EQ(tables_.Filtered(rule_)["RULE_CLOSED"], 3);
  EXPECT_TRUE(Sums().balances()) << ToText(Sums());
  for (bool gone = false; !gone;) {
    const auto step = tables_.Try(
        [&](Transaction& txn) { return CloseStep(txn, rule_); });
    ASSERT_OK(step);
    gone = step->gone;
  }
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM object_work"), 0);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM work_units"), 0);
}

// ------------------------------------------------- lanes that lose their copiers

TEST_F(ObjectLaneTest, ALaneThatLosesItsCopiersIsWorkedOnSerially) {
  tables_.Publish("photos", {"a", "b"});
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kChanges);
  for (int64_t i = 0; i < limits::kLaneLossesMax; ++i) {
    const LeaseSpec lease = Grant(unit);
    EXPECT_FALSE(lease.serial);
    End(lease, kLost);
    // Neither order nor trouble with stores counts.
    const LeaseSpec other = Grant(unit);
    End(other, {.kind = Kind::kProblem, .reason = "STORE_UNREACHABLE"});
    End(Grant(unit), {});
  }
  LeaseSpec lease = Grant(unit);
  EXPECT_TRUE(lease.serial);
  EXPECT_FALSE(lease.isolate_first);
  End(lease, kLost);
  lease = Grant(unit);
  EXPECT_TRUE(lease.isolate_first);
  Checkpoint report = Applied(unit.id, lease.token, 0, 1);
  report.applied = 0;
  report.failed = {{.key = "a", .reason = "COPIER_LOST", .changes = 1}};
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);
  End(lease, {});
  lease = Grant(unit);
  EXPECT_FALSE(lease.serial);
  EXPECT_EQ(Row("a")->reason, "COPIER_LOST");
}

// --------------------------------------------------------- checkpoints that lie

TEST_F(ObjectLaneTest, SenselessFailuresAreRefused) {
  tables_.Publish("photos", {"a", "b"});
  const Unit unit = tables_.TheUnit(rule_, UnitKind::kChanges);
  const LeaseSpec lease = Grant(unit);
  const ObjectFailure good{.key = "a", .reason = "X", .changes = 1};
  const auto refused = [&](std::vector<ObjectFailure> failed,
                           int64_t applied = 1) {
    Checkpoint report = Applied(unit.id, lease.token, 0, 2);
    report.applied = applied;
    report.failed = std::move(failed);
    EXPECT_THAT(tables_.Apply(report),
                HasCode(absl::StatusCode::kInvalidArgument));
  };
  const auto with = [&](auto change) {
    ObjectFailure bad = good;
    change(bad);
    refused({bad});
  };
  with([](ObjectFailure& f) { f.key = ""; });
  with([](ObjectFailure& f) { f.key = std::string(1025, 'k'); });
  with([](ObjectFailure& f) { f.reason = ""; });
  with([](ObjectFailure& f) { f.reason = "lower"; });
  with([](ObjectFailure& f) {
    f.reason = std::string(limits::kReasonBytesMax + 1, 'R');
  });
  with([](ObjectFailure& f) { f.message = std::string(1025, 'm'); });
  with([](ObjectFailure& f) { f.changes = -1; });
  with([](ObjectFailure& f) { f.size_bytes = -1; });
  refused({good, good}, 0);
  refused({{.key = "a", .reason = "X", .changes = 0}}, 2);
  std::vector<ObjectFailure> many;
  for (int i = 0; i <= limits::kFailuresPerCheckpointMax; ++i) {
    many.push_back({.key = absl::StrCat(i), .reason = "X", .changes = 1});
  }
  refused(many, 0);
  Checkpoint report = Applied(unit.id, lease.token, 0, 2);
  report.applied = 1;
  report.failed = {good};
  EXPECT_EQ(tables_.Apply(report)->result, Result::kRecorded);
  // An OBJECT settles itself, once.
  const LeaseSpec object = Grant(UnitOf("a"));
  Checkpoint twice{.unit_id = object.unit_id,
                   .token = object.token,
                   .complete = true,
                   .applied = 2};
  EXPECT_THAT(tables_.Apply(twice),
              HasCode(absl::StatusCode::kInvalidArgument));
  twice.applied = 1;
  twice.failed = {good};
  EXPECT_THAT(tables_.Apply(twice),
              HasCode(absl::StatusCode::kInvalidArgument));
  twice.failed.clear();
  twice.upload = {std::string(limits::kUploadIdBytesMax + 1, 'u'), "e"};
  EXPECT_THAT(tables_.Apply(twice),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace crr
