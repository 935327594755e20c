#include "server/core/change_log.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "storage/publisher_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;
using test::IsOk;
using test::TestTables;
using Kind = PublishedChange::Kind;
using Counts = std::map<std::string, int64_t>;

constexpr int64_t kNoBound = int64_t{1} << 40;

PublishedChange Change(const std::string& key, Kind kind = Kind::kPut,
                       bool replica = false) {
  return {.bucket = "photos",
          .key = key,
          .kind = kind,
          .replica = replica,
          .event_time = test::Epoch(),
          .encoded = absl::StrCat(key, "\n")};
}

// A change whose record has so many bytes.
PublishedChange ChangeOf(int64_t bytes) {
  PublishedChange change = Change("k");
  change.encoded = std::string(static_cast<size_t>(bytes), 'x');
  return change;
}

class ChangeLogTest : public ::testing::Test {
 protected:
  // Of a publisher of the whole region, so that one batch can name many
  // buckets.
  static Batch BatchOf(std::vector<PublishedChange> changes) {
    return {.publisher = std::nullopt,
            .scope = {PublisherScope::Kind::kRegion, test::kHangzhou},
            .epoch = 0,
            .number = 1,
            .changes = std::move(changes)};
  }
  absl::StatusOr<BatchOutcome> Append(const Batch& batch,
                                      int64_t log_bytes_max = kNoBound) {
    return tables_.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, log_bytes_max, test::Epoch());
    });
  }
  BatchOutcome Must(const Batch& batch) {
    auto outcome = Append(batch);
    CRR_CHECK(outcome.ok());
    return *std::move(outcome);
  }
  // The number to go on after.
  absl::StatusOr<int64_t> Attach(const std::string& id, int64_t epoch) {
    CRR_ASSIGN_OR_RETURN(
        const Publisher attached, tables_.Try([&](Transaction& txn) {
          return AttachPublisher(
              txn,
              {.id = id,
               .scope = {PublisherScope::Kind::kRegion, test::kHangzhou},
               .epoch = epoch},
              test::Epoch());
        }));
    attachments_[id] = attached.attachment;
    return attached.last_number;
  }
  // Of the publisher's latest stream.
  Batch Named(const std::string& publisher, int64_t epoch, int64_t number,
              int changes = 1) {
    Batch batch = BatchOf({});
    for (int i = 0; i < changes; ++i) {
      batch.changes.push_back(Change(absl::StrCat("k", i)));
    }
    batch.publisher = publisher;
    batch.epoch = epoch;
    batch.attachment = attachments_[publisher];
    batch.number = number;
    return batch;
  }
  void SetState(int64_t rule_uid, RuleState state) {
    tables_.Do([&](Transaction& txn) {
      rule_table::SetState(txn, rule_uid, state, test::Epoch());
    });
  }

  TestTables tables_;
  std::map<std::string, int64_t> attachments_;
};

// -------------------------------------------------------------------- filters

TEST_F(ChangeLogTest, FiltersStandInOrder) {
  const int64_t rule = tables_.AddActiveRule(
      {.prefixes = {"a/", "b"}, .operations = Operations::kAddChange});
  const BatchOutcome outcome = Must(BatchOf({
      Change("c", Kind::kDelete, true),         // PREFIX, before all else.
      Change("a", Kind::kPut),                  // PREFIX: not below a/.
      Change("a/1", Kind::kDelete, true),       // OPERATIONS, before REPLICA.
      Change("a/1", Kind::kDeleteVersion),      // OPERATIONS.
      Change("a/1", Kind::kPut, true),          // REPLICA.
      Change("a/1", Kind::kDeleteMarker),       // Kept: seed 2.
      Change("a/1", Kind::kPut),
      Change("b", Kind::kAcl),                  // Plain starts-with.
      Change("bb", Kind::kTagging),
      Change("a/", Kind::kMetadata),
  }));
  EXPECT_EQ(outcome.accepted, 5);
  const Counts filtered = {{"PREFIX", 2}, {"OPERATIONS", 2}, {"REPLICA", 1}};
  EXPECT_EQ(outcome.filtered, filtered);
  EXPECT_EQ(tables_.Filtered(rule), filtered);
  EXPECT_EQ(tables_.Counters(rule).published, 10);
  EXPECT_EQ(tables_.Pending(rule), 5);
  ASSERT_EQ(tables_.Log(rule).size(), 1u);
  EXPECT_EQ(tables_.Log(rule)[0].changes, "a/1\na/1\nb\nbb\na/\n");
}

// A journal that is told again from its beginning is history, too.
TEST_F(ChangeLogTest, WithoutHistoryWhatIsOlderThanTheRuleIsFiltered) {
  const int64_t rule = tables_.AddActiveRule({.historical = false});
  const auto at = [](absl::Time time, Kind kind) {
    PublishedChange change = Change("k", kind);
    change.event_time = time;
    return change;
  };
  const absl::Time bound =
      tables_.FindRule(rule)->create_time - limits::kClockSkewMax;
  for (const Kind kind : {Kind::kPut, Kind::kDelete}) {
    EXPECT_EQ(Must(BatchOf({at(bound, kind)})).accepted, 1);
    const BatchOutcome before =
        Must(BatchOf({at(bound - absl::Microseconds(1), kind)}));
    EXPECT_EQ(before.accepted, 0);
    EXPECT_EQ(before.filtered, (Counts{{"BEFORE_RULE", 1}}));
    // Its time is no more than a bound.
    PublishedChange untimed = at(UnknownEventTime(), kind);
    untimed.is_timed = false;
    EXPECT_EQ(Must(BatchOf({untimed})).accepted, 1);
  }
  EXPECT_EQ(tables_.Filtered(rule), (Counts{{"BEFORE_RULE", 2}}));
  EXPECT_EQ(tables_.Counters(rule).published, 6);
  EXPECT_EQ(tables_.Pending(rule), 4);
}

TEST_F(ChangeLogTest, WithHistoryAChangeMayBeOfAnyAge) {
  tables_.AddActiveRule({.historical = true});
  PublishedChange change = Change("k");
  change.event_time = absl::UnixEpoch();
  EXPECT_EQ(Must(BatchOf({change})).accepted, 1);
}

TEST_F(ChangeLogTest, DeletionsPassWhereTheRuleDeletes) {
  tables_.AddActiveRule({.operations = Operations::kAddDeleteChange});
  const BatchOutcome outcome =
      Must(BatchOf({Change("a", Kind::kDelete),
                    Change("b", Kind::kDeleteMarker),
                    Change("c", Kind::kDeleteVersion)}));
  EXPECT_EQ(outcome.accepted, 3);
  EXPECT_TRUE(outcome.filtered.empty());
}

TEST_F(ChangeLogTest, WhatNoRuleWantsIsCounted) {
  tables_.AddActiveRule();
  PublishedChange elsewhere = Change("a");
  elsewhere.bucket = "nobodys";
  PublishedChange of_destination = Change("a");
  of_destination.bucket = "photos-dr";
  const BatchOutcome outcome =
      Must(BatchOf({Change("a"), elsewhere, of_destination}));
  EXPECT_EQ(outcome.accepted, 1);
  EXPECT_EQ(outcome.filtered, (Counts{{"NO_RULE", 2}}));
}

// What a publisher says of completeness covers its scope alone.
TEST_F(ChangeLogTest, ChangesOutsideOfTheScopeAreFiltered) {
  const int64_t rule = tables_.AddActiveRule();
  for (const auto& [scope, accepted] :
       {std::pair<PublisherScope, int64_t>{
            {PublisherScope::Kind::kBucket, "photos"}, 1},
        {{PublisherScope::Kind::kBucket, "photos-dr"}, 0},
        {{PublisherScope::Kind::kRegion, test::kHangzhou}, 1},
        {{PublisherScope::Kind::kRegion, test::kBeijing}, 0}}) {
    Batch batch = BatchOf({Change("a")});
    batch.scope = scope;
    const BatchOutcome outcome = Must(batch);
    EXPECT_EQ(outcome.accepted, accepted) << scope.id;
    const Counts out_of_scope = {{"OUT_OF_SCOPE", 1}};
    EXPECT_EQ(outcome.filtered, accepted == 1 ? Counts{} : out_of_scope);
  }
  // They are no part of the rule's ledger.
  EXPECT_EQ(tables_.Counters(rule).published, 2);
  EXPECT_TRUE(tables_.Filtered(rule).empty());
}

// --------------------------------------------------------------------- states

TEST_F(ChangeLogTest, AStartingRuleLogsAndHasNoUnit) {
  const int64_t rule = tables_.AddRule();
  const BatchOutcome outcome = Must(BatchOf({Change("a"), Change("b")}));
  EXPECT_EQ(outcome.accepted, 2);
  EXPECT_TRUE(outcome.events.added.empty());
  EXPECT_TRUE(outcome.events.grown.empty());
  EXPECT_EQ(tables_.Pending(rule), 2);
  EXPECT_EQ(tables_.UnitsOf(rule).size(), 1u);  // The PROBE.
  // The unit comes with the start, from the very first change on.
  const WorkEvents events = tables_.Activate(rule);
  ASSERT_EQ(events.added.size(), 1u);
  EXPECT_EQ(events.added[0].cursor_sequence, 0);
  EXPECT_EQ(events.added[0].log_end, 2);
}

TEST_F(ChangeLogTest, AnActiveRuleGetsAUnitOnceAndThenGrowth) {
  const int64_t rule = tables_.AddActiveRule();
  const WorkEvents first = Must(BatchOf({Change("a"), Change("b")})).events;
  ASSERT_EQ(first.added.size(), 1u);
  EXPECT_TRUE(first.grown.empty());
  EXPECT_EQ(first.added[0].rule_uid, rule);
  EXPECT_EQ(first.added[0].kind, UnitKind::kChanges);
  EXPECT_EQ(first.added[0].cursor_sequence, 0);
  EXPECT_EQ(first.added[0].log_end, 2);
  EXPECT_EQ(first.added[0].source_region, test::kHangzhou);
  EXPECT_EQ(first.added[0].destination_region, test::kBeijing);

  const WorkEvents second = Must(BatchOf({Change("c")})).events;
  EXPECT_TRUE(second.added.empty());
  ASSERT_EQ(second.grown.size(), 1u);
  EXPECT_EQ(second.grown[0].unit_id, first.added[0].unit_id);
  EXPECT_EQ(second.grown[0].log_end, 3);
  EXPECT_EQ(tables_.UnitsOf(rule).size(), 1u);
}

TEST_F(ChangeLogTest, APausedRuleLogsAndAClosingOneTakesNothing) {
  const int64_t rule = tables_.AddActiveRule();
  SetState(rule, RuleState::kPaused);
  BatchOutcome outcome = Must(BatchOf({Change("a")}));
  EXPECT_EQ(outcome.accepted, 1);
  EXPECT_TRUE(outcome.events.added.empty());
  EXPECT_TRUE(tables_.UnitsOf(rule).empty());

  SetState(rule, RuleState::kClosing);
  outcome = Must(BatchOf({Change("b"), Change("c")}));
  EXPECT_EQ(outcome.accepted, 0);
  EXPECT_EQ(outcome.filtered, (Counts{{"NO_RULE", 2}}));
  EXPECT_EQ(tables_.Pending(rule), 1);
  EXPECT_EQ(tables_.Counters(rule).published, 1);
}

// One rule of a batch is told later; the others hear of theirs.
TEST_F(ChangeLogTest, APausedRuleDoesNotSilenceItsNeighbours) {
  const int64_t paused = tables_.AddActiveRule();
  const int64_t films =
      tables_.AddActiveRule({.source = "films", .destination = "films-dr"});
  SetState(paused, RuleState::kPaused);
  PublishedChange film = Change("f");
  film.bucket = "films";
  Must(BatchOf({film}));
  const WorkEvents events = Must(BatchOf({film, Change("a")})).events;
  ASSERT_EQ(events.grown.size(), 1u);
  EXPECT_EQ(events.grown[0].unit_id,
            tables_.TheUnit(films, UnitKind::kChanges).id);
  EXPECT_EQ(events.grown[0].log_end, 2);
}

TEST_F(ChangeLogTest, ABatchOfNothingWantedMakesNoUnit) {
  const int64_t rule = tables_.AddActiveRule({.prefixes = {"a/"}});
  EXPECT_TRUE(Must(BatchOf({Change("b")})).events.added.empty());
  EXPECT_TRUE(Must(BatchOf({})).events.added.empty());
  EXPECT_TRUE(tables_.UnitsOf(rule).empty());
}

// ------------------------------------------------------------------- segments

TEST_F(ChangeLogTest, SequenceNumbersHaveNoGapsWithinARule) {
  const int64_t photos = tables_.AddActiveRule();
  const int64_t films =
      tables_.AddActiveRule({.source = "films", .destination = "films-dr"});
  PublishedChange film = Change("f");
  film.bucket = "films";
  Must(BatchOf({Change("a"), film, Change("b"), film}));
  Must(BatchOf({film}));
  Must(BatchOf({Change("c"), film}));
  for (const int64_t rule : {photos, films}) {
    int64_t last = 0;
    for (const Segment& segment : tables_.Log(rule)) {
      EXPECT_EQ(segment.first_sequence, last + 1);
      last = segment.last_sequence;
    }
    EXPECT_EQ(last, rule == photos ? 3 : 4);
    EXPECT_EQ(tables_.Pending(rule), last);
  }
}

// Numbers go on where they were, after the unit of the log and all segments
// are gone.
TEST_F(ChangeLogTest, SequenceNumbersOutliveTheLog) {
  const int64_t rule = tables_.AddActiveRule();
  Must(BatchOf({Change("a"), Change("b")}));
  const Unit unit = tables_.TheUnit(rule, UnitKind::kChanges);
  const auto lease = tables_.Grant(unit.id, tables_.AddSession());
  ASSERT_OK(lease);
  ASSERT_OK(tables_.Apply(test::Applied(unit.id, lease->token, 0, 2)));
  tables_.Do([&](Transaction& txn) {
    EndLease(txn, unit.id, lease->token, {}, test::Epoch());
  });
  ASSERT_TRUE(tables_.UnitsOf(rule).empty());
  const WorkEvents events = Must(BatchOf({Change("c")})).events;
  ASSERT_EQ(events.added.size(), 1u);
  EXPECT_EQ(events.added[0].cursor_sequence, 2);
  EXPECT_EQ(events.added[0].log_end, 3);
  EXPECT_EQ(tables_.Log(rule).at(0).first_sequence, 3);
}

TEST_F(ChangeLogTest, ASegmentIsCutAtItsBound) {
  const int64_t rule = tables_.AddActiveRule();
  constexpr int64_t kMax = limits::kSegmentBytesMax;
  Must(BatchOf({ChangeOf(kMax - 1), ChangeOf(1)}));
  ASSERT_EQ(tables_.Log(rule).size(), 1u);
  EXPECT_EQ(tables_.Log(rule)[0].changes.size(), size_t{kMax});
  Must(BatchOf({ChangeOf(kMax - 1), ChangeOf(2), ChangeOf(3)}));
  const std::vector<Segment> log = tables_.Log(rule);
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[1].changes.size(), size_t{kMax - 1});
  EXPECT_EQ(log[1].first_sequence, 3);
  EXPECT_EQ(log[1].last_sequence, 3);
  EXPECT_EQ(log[2].changes.size(), 5u);
  EXPECT_EQ(log[2].first_sequence, 4);
  EXPECT_EQ(log[2].last_sequence, 5);
  EXPECT_EQ(tables_.Counters(rule).log_bytes, 2 * kMax + 4);
}

TEST_F(ChangeLogTest, BatchesOfOneCommitJoin) {
  const int64_t rule = tables_.AddActiveRule();
  WorkEvents first;
  WorkEvents second;
  tables_.InOneCommit([&] {
    first = Must(BatchOf({Change("a"), Change("b")})).events;
    second = Must(BatchOf({Change("c")})).events;
  });
  ASSERT_EQ(tables_.Log(rule).size(), 1u);
  EXPECT_EQ(tables_.Log(rule)[0].first_sequence, 1);
  EXPECT_EQ(tables_.Log(rule)[0].last_sequence, 3);
  EXPECT_EQ(tables_.Log(rule)[0].changes, "a\nb\nc\n");
  ASSERT_EQ(first.added.size(), 1u);
  EXPECT_EQ(first.added[0].log_end, 2);
  ASSERT_EQ(second.grown.size(), 1u);
  EXPECT_EQ(second.grown[0].log_end, 3);

  // What was committed does not change any more.
  Must(BatchOf({Change("d")}));
  EXPECT_EQ(tables_.Log(rule).size(), 2u);
  EXPECT_EQ(tables_.Log(rule)[0].changes, "a\nb\nc\n");
}

TEST_F(ChangeLogTest, JoiningKeepsTheBoundAndTheOldestTime) {
  const int64_t rule = tables_.AddActiveRule();
  constexpr int64_t kMax = limits::kSegmentBytesMax;
  PublishedChange old_one = ChangeOf(1);
  old_one.event_time = test::Epoch() - absl::Seconds(1);
  tables_.InOneCommit([&] {
    Must(BatchOf({ChangeOf(kMax - 1)}));
    Must(BatchOf({old_one}));
    Must(BatchOf({ChangeOf(1)}));
  });
  const std::vector<Segment> log = tables_.Log(rule);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].changes.size(), size_t{kMax});
  EXPECT_EQ(log[0].last_sequence, 2);
  EXPECT_EQ(log[0].oldest_event, old_one.event_time);
  EXPECT_EQ(log[1].first_sequence, 3);
  EXPECT_EQ(log[1].oldest_event, test::Epoch());
}

// ----------------------------------------------------------------- publishers

TEST_F(ChangeLogTest, ARepeatedBatchChangesNothing) {
  const int64_t rule = tables_.AddActiveRule();
  EXPECT_EQ(Attach("gw", 1).value(), 0);
  EXPECT_EQ(Must(Named("gw", 1, 1, 3)).accepted, 3);
  for (const int64_t number : {1, 0}) {
    const BatchOutcome again = Must(Named("gw", 1, number, 3));
    EXPECT_EQ(again.accepted, 0);
    EXPECT_TRUE(again.filtered.empty());
    EXPECT_TRUE(again.events.grown.empty());
  }
  // Numbers may be left out.
  EXPECT_EQ(Must(Named("gw", 1, 5, 1)).accepted, 1);
  EXPECT_EQ(Must(Named("gw", 1, 4, 1)).accepted, 0);
  EXPECT_EQ(tables_.Counters(rule).published, 4);
  EXPECT_EQ(Attach("gw", 1).value(), 5);
}

TEST_F(ChangeLogTest, AnotherEpochBeginsAnew) {
  const int64_t rule = tables_.AddActiveRule();
  ASSERT_OK(Attach("gw", 1));
  Must(Named("gw", 1, 7));
  EXPECT_EQ(Attach("gw", 2).value(), 0);
  EXPECT_THAT(Append(Named("gw", 1, 8)), HasCode(absl::StatusCode::kAborted));
  EXPECT_THAT(Attach("gw", 1), HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(Must(Named("gw", 2, 1)).accepted, 1);
  EXPECT_EQ(Attach("gw", 2).value(), 1);
  EXPECT_EQ(tables_.Counters(rule).published, 2);
}

TEST_F(ChangeLogTest, PublishersAreCountedEachByItself) {
  tables_.AddActiveRule();
  ASSERT_OK(Attach("gw-1", 1));
  ASSERT_OK(Attach("gw-2", 1));
  EXPECT_EQ(Must(Named("gw-1", 1, 3)).accepted, 1);
  EXPECT_EQ(Must(Named("gw-2", 1, 1)).accepted, 1);
  EXPECT_EQ(Must(Named("gw-2", 1, 1)).accepted, 0);
}

TEST_F(ChangeLogTest, AnUnnamedPublisherIsTakenAtItsWord) {
  const int64_t rule = tables_.AddActiveRule();
  EXPECT_EQ(Must(BatchOf({Change("a")})).accepted, 1);
  EXPECT_EQ(Must(BatchOf({Change("a")})).accepted, 1);
  EXPECT_EQ(tables_.Pending(rule), 2);
  EXPECT_EQ(Attach("", 1).value(), 0);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM publishers"), 0);
}

TEST_F(ChangeLogTest, AScopeMustBeRegistered) {
  for (const PublisherScope& scope :
       {PublisherScope{PublisherScope::Kind::kRegion, "nowhere"},
        PublisherScope{PublisherScope::Kind::kBucket, "nothing"}}) {
    EXPECT_THAT(tables_.Try([&](Transaction& txn) {
      return AttachPublisher(txn, {.id = "gw", .scope = scope, .epoch = 1},
                             test::Epoch());
    }),
                HasCode(absl::StatusCode::kNotFound));
  }
}

// It was on its way when the publisher began anew, which may cut its changes
// into other batches: under one number there would be two.
TEST_F(ChangeLogTest, ABatchOfAnEarlierStreamIsRefused) {
  tables_.AddActiveRule();
  ASSERT_OK(Attach("gw", 1));
  Must(Named("gw", 1, 5));
  const Batch late = Named("gw", 1, 6, 2);
  EXPECT_EQ(Attach("gw", 1).value(), 5);
  EXPECT_THAT(Append(late), HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(Must(Named("gw", 1, 6, 3)).accepted, 3);
  // Nor does one that was deleted meanwhile leave its number to another.
  const Batch later = Named("gw", 1, 7);
  tables_.Do([](Transaction& txn) { publisher_table::Delete(txn, "gw"); });
  ASSERT_OK(Attach("gw", 1));
  EXPECT_THAT(Append(later), HasCode(absl::StatusCode::kAborted));
}

// A batch of a publisher that never said hello here is nobody's.
TEST_F(ChangeLogTest, AnUnknownPublisherIsRefused) {
  tables_.AddActiveRule();
  EXPECT_THAT(Append(Named("gw", 1, 1)), HasCode(absl::StatusCode::kAborted));
}

}  // namespace
}  // namespace crr
