#include "storage/segment_table.h"
#include "storage/unit_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using test::Nothing;
using test::Write;
using test::WriterBlock;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kBytesMax = 10;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

Segment Changes(int64_t first, int64_t last, const std::string& bytes,
                int64_t event_seconds = 100) {
  return {.first_sequence = first,
          .last_sequence = last,
          .oldest_event = At(event_seconds),
          .changes = bytes};
}

// A segment as text: first-last@oldest:bytes.
std::string Show(const Segment& segment) {
  return absl::StrCat(segment.first_sequence, "-", segment.last_sequence, "@",
                      absl::ToUnixSeconds(segment.oldest_event), ":",
                      segment.changes);
}

class SegmentTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = dir_ / "crr.db"});
    ASSERT_OK(database);
    database_ = *std::move(database);
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      rule_ = test::AddRule(txn, "aaa", "bbb");
      other_rule_ = test::AddRule(txn, "ccc", "ddd");
    }));
  }

  // Appends in one commit.
  void Append(const std::vector<Segment>& segments, int64_t partition = 0) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      for (const Segment& segment : segments) {
        segment_table::Append(txn, rule_, partition, segment, kBytesMax);
      }
    }));
  }

  // The unit that works on a partition's log.
  void AddLogUnit(int64_t partition, int64_t cursor) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      unit_table::Insert(txn, {.id = 100 + partition,
                               .rule_uid = rule_,
                               .kind = UnitKind::kChanges,
                               .partition = partition,
                               .cursor = {.sequence = cursor, .key = ""}});
    }));
  }
  void MoveCursor(int64_t partition, int64_t cursor) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      unit_table::Progress(txn, 100 + partition,
                           {.sequence = cursor, .key = ""}, 0);
    }));
  }

  // One commit a segment.
  void AppendEach(const std::vector<Segment>& segments) {
    for (const Segment& segment : segments) Append({segment});
  }

  template <typename Body>
  auto Ask(Body body) {
    return test::Read(*database_, body).value();
  }

  std::vector<std::string> Shown(int64_t after = 0,
                                 int64_t bytes_max = 1 << 20,
                                 int64_t partition = 0) {
    return Ask([&](ReadTransaction& txn) {
      std::vector<std::string> shown;
      for (const Segment& segment :
           segment_table::Read(txn, rule_, partition, after, bytes_max)) {
        shown.push_back(Show(segment));
      }
      return shown;
    });
  }

  test::TempDir dir_;
  std::unique_ptr<Database> database_;
  int64_t rule_ = 0;
  int64_t other_rule_ = 0;
};

TEST_F(SegmentTableTest, ChangesOfOneCommitJoin) {
  Append({Changes(1, 2, "ab", 50), Changes(3, 3, "c", 40),
          Changes(4, 6, "def", 60)});
  EXPECT_THAT(Shown(), ElementsAre("1-6@40:abcdef"));
}

TEST_F(SegmentTableTest, ChangesOfNeighbouringBodiesOfACommitJoin) {
  {
    std::latch written(3);
    WriterBlock block(*database_);
    for (int64_t i = 1; i <= 3; ++i) {
      database_->Write<Nothing>(
          {},
          [i, rule = rule_](Transaction& txn) -> absl::StatusOr<Nothing> {
            segment_table::Append(txn, rule, 0, Changes(i, i, "x"), kBytesMax);
            return Nothing();
          },
          [&](const absl::StatusOr<Nothing>& answer) {
            EXPECT_OK(answer);
            written.count_down();
          });
    }
    block.Release();
    written.wait();
  }
  Append({Changes(4, 4, "y")});
  EXPECT_THAT(Shown(), ElementsAre("1-3@100:xxx", "4-4@100:y"));
}

TEST_F(SegmentTableTest, ASegmentDoesNotChangeOnceItsCommitIsOver) {
  AppendEach({Changes(1, 1, "a"), Changes(2, 2, "b")});
  EXPECT_THAT(Shown(), ElementsAre("1-1@100:a", "2-2@100:b"));
}

TEST_F(SegmentTableTest, ARefusedNeighbourLeavesNothingToJoin) {
  {
    WriterBlock block(*database_);
    const auto submit = [&](const std::string& bytes, absl::Status answer) {
      database_->Write<Nothing>(
          {},
          [=, rule = rule_](Transaction& txn) -> absl::StatusOr<Nothing> {
            segment_table::Append(txn, rule, 0, Changes(1, 1, bytes),
                                  kBytesMax);
            if (!answer.ok()) return answer;
            return Nothing();
          },
          [](const absl::StatusOr<Nothing>&) {});
    };
    submit("refused", absl::ResourceExhaustedError("log full"));
    submit("kept", absl::OkStatus());
    block.Release();
  }
  Append({});  // Comes after them.
  EXPECT_THAT(Shown(), ElementsAre("1-1@100:kept"));
}

TEST_F(SegmentTableTest, ASegmentGrowsToItsBoundAndNotBeyond) {
  Append({Changes(1, 1, "12345"), Changes(2, 2, "67890"), Changes(3, 3, "x")});
  EXPECT_THAT(Shown(), ElementsAre("1-2@100:1234567890", "3-3@100:x"));
}

TEST_F(SegmentTableTest, ChangesThatAloneExceedTheBoundAreKeptWhole) {
  Append({Changes(1, 4, "more than ten bytes"), Changes(5, 5, "x")});
  EXPECT_THAT(Shown(),
              ElementsAre("1-4@100:more than ten bytes", "5-5@100:x"));
}

TEST_F(SegmentTableTest, OnlyAnUnbrokenSequenceJoins) {
  Append({Changes(1, 1, "a"), Changes(3, 3, "c")});
  EXPECT_THAT(Shown(), ElementsAre("1-1@100:a", "3-3@100:c"));
}

TEST_F(SegmentTableTest, PartitionsAndRulesKeepToThemselves) {
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    segment_table::Append(txn, rule_, 0, Changes(1, 1, "a"), kBytesMax);
    segment_table::Append(txn, rule_, 1, Changes(2, 2, "b"), kBytesMax);
    segment_table::Append(txn, other_rule_, 0, Changes(2, 2, "c"), kBytesMax);
    segment_table::Append(txn, rule_, 0, Changes(2, 2, "d"), kBytesMax);
    EXPECT_EQ(segment_table::DeleteThrough(txn, rule_, 1, 100), 1);
  }));
  EXPECT_THAT(Shown(), ElementsAre("1-2@100:ad"));
  EXPECT_THAT(Shown(0, 100, 1), IsEmpty());
  EXPECT_EQ(Ask([&](ReadTransaction& txn) {
              return segment_table::LastSequence(txn, other_rule_, 0);
            }),
            2);
}

TEST_F(SegmentTableTest, BytesWithNulsAreKept) {
  const std::string bytes("\0a\0", 3);
  Append({Changes(1, 1, bytes), Changes(2, 2, bytes)});
  const auto read = Ask([&](ReadTransaction& txn) {
    return segment_table::Read(txn, rule_, 0, 0, 100);
  });
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].changes, bytes + bytes);
}

TEST_F(SegmentTableTest, ReadsFromAnyCursor) {
  AppendEach(
      {Changes(1, 3, "abc"), Changes(4, 4, "d"), Changes(5, 9, "efghi")});
  const std::string first = "1-3@100:abc";
  const std::string second = "4-4@100:d";
  const std::string third = "5-9@100:efghi";
  EXPECT_THAT(Shown(0), ElementsAre(first, second, third));
  // In the midst of a segment the whole of it comes.
  EXPECT_THAT(Shown(1), ElementsAre(first, second, third));
  EXPECT_THAT(Shown(2), ElementsAre(first, second, third));
  EXPECT_THAT(Shown(3), ElementsAre(second, third));
  EXPECT_THAT(Shown(4), ElementsAre(third));
  EXPECT_THAT(Shown(8), ElementsAre(third));
  EXPECT_THAT(Shown(9), IsEmpty());
  EXPECT_THAT(Shown(1000), IsEmpty());
}

TEST_F(SegmentTableTest, ReadingStaysWithinItsBytes) {
  AppendEach(
      {Changes(1, 3, "abc"), Changes(4, 4, "d"), Changes(5, 9, "efghi")});
  const size_t expected[] = {0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3};
  for (int64_t bytes_max = 0; bytes_max <= 10; ++bytes_max) {
    EXPECT_EQ(Shown(0, bytes_max).size(), expected[bytes_max]) << bytes_max;
  }
  // None is left out for a smaller one behind it.
  EXPECT_THAT(Shown(0, 2), IsEmpty());
}

TEST_F(SegmentTableTest, FindsTheFirstAboveACursor) {
  AppendEach({Changes(1, 3, "abc"), Changes(4, 4, "d")});
  const auto first = [&](int64_t after) {
    return Ask([&](ReadTransaction& txn) {
      const auto segment = segment_table::First(txn, rule_, 0, after);
      return segment ? Show(*segment) : "";
    });
  };
  EXPECT_EQ(first(0), "1-3@100:abc");
  EXPECT_EQ(first(2), "1-3@100:abc");
  EXPECT_EQ(first(3), "4-4@100:d");
  EXPECT_EQ(first(4), "");
}

TEST_F(SegmentTableTest, DeletesOnlyWhatTheCursorHasPassedWhole) {
  AppendEach(
      {Changes(1, 3, "abc"), Changes(4, 4, "d"), Changes(5, 9, "efghi")});
  const auto delete_through = [&](int64_t cursor) {
    return Write(*database_, [&](Transaction& txn) {
             return segment_table::DeleteThrough(txn, rule_, 0, cursor);
           })
        .value();
  };
  EXPECT_EQ(delete_through(2), 0);
  EXPECT_EQ(delete_through(4), 4);
  EXPECT_THAT(Shown(), ElementsAre("5-9@100:efghi"));
  EXPECT_EQ(delete_through(8), 0);
  EXPECT_EQ(delete_through(9), 5);
  EXPECT_EQ(delete_through(9), 0);
  EXPECT_THAT(Shown(), IsEmpty());
}

TEST_F(SegmentTableTest, KnowsTheEndsOfTheLog) {
  const auto ends = [&] {
    return Ask([&](ReadTransaction& txn) {
      return std::pair(segment_table::FirstSequence(txn, rule_, 0),
                       segment_table::LastSequence(txn, rule_, 0));
    });
  };
  EXPECT_EQ(ends(), std::pair(std::optional<int64_t>(),
                              std::optional<int64_t>()));
  AppendEach({Changes(7, 8, "ab"), Changes(9, 12, "cdef")});
  EXPECT_EQ(ends(), std::pair(std::optional<int64_t>(7),
                              std::optional<int64_t>(12)));
}

TEST_F(SegmentTableTest, SummarizesFromTheMidstOfASegment) {
  AddLogUnit(0, 0);
  const auto pending = [&](int64_t cursor) {
    MoveCursor(0, cursor);
    return Ask([&](ReadTransaction& txn) {
      return segment_table::Summarize(txn, rule_);
    });
  };
  EXPECT_EQ(pending(0).pending, 0);
  EXPECT_EQ(pending(0).oldest_event, std::nullopt);
  AppendEach({Changes(1, 3, "abc", 30), Changes(4, 4, "d", 20),
              Changes(5, 9, "efghi", 40)});
  const int64_t expected[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  for (int64_t cursor = 0; cursor <= 9; ++cursor) {
    EXPECT_EQ(pending(cursor).pending, expected[cursor]) << cursor;
  }
  EXPECT_EQ(pending(0).oldest_event, At(20));
  EXPECT_EQ(pending(3).oldest_event, At(20));
  EXPECT_EQ(pending(4).oldest_event, At(40));
  EXPECT_EQ(pending(8).oldest_event, At(40));
  EXPECT_EQ(pending(9).oldest_event, std::nullopt);
}

TEST_F(SegmentTableTest, SummarizesAllPartitionsOfTheRuleAndNoOther) {
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    segment_table::Append(txn, rule_, 0, Changes(1, 2, "ab", 30), kBytesMax);
    segment_table::Append(txn, rule_, 1, Changes(3, 5, "cde", 20), kBytesMax);
    segment_table::Append(txn, other_rule_, 0, Changes(1, 9, "x", 10),
                          kBytesMax);
  }));
  const auto summary = [&] {
    return Ask([&](ReadTransaction& txn) {
      return segment_table::Summarize(txn, rule_);
    });
  };
  EXPECT_EQ(summary().pending, 5);
  EXPECT_EQ(summary().oldest_event, At(20));
  // Each by the cursor of its own unit.
  AddLogUnit(1, 4);
  EXPECT_EQ(summary().pending, 3);
  AddLogUnit(0, 1);
  EXPECT_EQ(summary().pending, 2);
  MoveCursor(1, 5);
  EXPECT_EQ(summary().pending, 1);
  EXPECT_EQ(summary().oldest_event, At(30));
}

TEST_F(SegmentTableTest, TheOldestEventOfAnInterval) {
  AppendEach({Changes(1, 3, "abc", 30), Changes(4, 4, "d", 20),
              Changes(5, 9, "efghi", 40)});
  const auto oldest = [&](int64_t from, int64_t to) {
    return Ask([&](ReadTransaction& txn) {
      return segment_table::OldestEventIn(txn, rule_, 0, from, to);
    });
  };
  EXPECT_EQ(oldest(0, 1), At(30));
  EXPECT_EQ(oldest(2, 4), At(20));
  EXPECT_EQ(oldest(3, 4), At(20));
  EXPECT_EQ(oldest(4, 6), At(40));
  EXPECT_EQ(oldest(9, 12), std::nullopt);
}

TEST_F(SegmentTableTest, TheLowestPartition) {
  const auto lowest = [&] {
    return Ask([&](ReadTransaction& txn) {
      return segment_table::LowestPartition(txn, rule_);
    });
  };
  EXPECT_EQ(lowest(), std::nullopt);
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    segment_table::Append(txn, other_rule_, 0, Changes(1, 9, "x"), kBytesMax);
    segment_table::Append(txn, rule_, 7, Changes(1, 2, "ab"), kBytesMax);
    segment_table::Append(txn, rule_, 3, Changes(1, 2, "ab"), kBytesMax);
  }));
  EXPECT_EQ(lowest(), 3);
}

TEST_F(SegmentTableTest, PurgeCountsWhatWasPending) {
  AppendEach(
      {Changes(1, 3, "abc"), Changes(4, 4, "d"), Changes(5, 9, "efghi")});
  AddLogUnit(0, 2);
  const auto result = Write(*database_, [&](Transaction& txn) {
    return segment_table::Purge(txn, rule_, /*limit=*/100);
  });
  ASSERT_OK(result);
  EXPECT_EQ(result->changes, 7);
  EXPECT_EQ(result->bytes, 9);
  EXPECT_TRUE(result->log_empty);
  EXPECT_THAT(Shown(), IsEmpty());
}

TEST_F(SegmentTableTest, PurgeGoesInStepsAndSaysWhenItIsThrough) {
  std::vector<Segment> segments;
  for (int64_t i = 1; i <= 10; ++i) segments.push_back(Changes(i, i, "x"));
  AppendEach(segments);
  int64_t changes = 0;
  int steps = 0;
  bool log_empty = false;
  while (!log_empty) {
    ASSERT_LT(steps, 10);
    const auto step = Write(*database_, [&](Transaction& txn) {
      return segment_table::Purge(txn, rule_, 4);
    });
    ASSERT_OK(step);
    changes += step->changes;
    log_empty = step->log_empty;
    ++steps;
    EXPECT_EQ(log_empty, Shown().empty());
  }
  EXPECT_EQ(changes, 10);
  EXPECT_EQ(steps, 3);
}

TEST_F(SegmentTableTest, ARuleWithALogCannotBeForgotten) {
  Append({Changes(1, 1, "a")});
  const auto forget = [&] {
    return Write(*database_,
                 [&](Transaction& txn) { rule_table::Delete(txn, rule_); });
  };
  EXPECT_THAT(forget(), test::HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    segment_table::Purge(txn, rule_, 100);
  }));
  EXPECT_OK(forget());
}

// --------------------------------------------------------------- of all rules

// Times: the oldest event and that of the oldest small object, -1 for none.
class LogsTest : public SegmentTableTest {
 protected:
  static constexpr int64_t kNone = -1;

  // One more segment of three changes and five bytes in the rule's log.
  void Log(int64_t rule, int64_t event, int64_t small_event) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      const int64_t first = rule_table::TakeSequences(txn, rule, 0, 3);
      Segment segment = Changes(first, first + 2, "12345", event);
      if (small_event != kNone) segment.oldest_small_event = At(small_event);
      segment_table::Append(txn, rule, 0, segment, kBytesMax);
      rule_table::AddCounters(
          txn, rule, {.published = 3, .logged = 3, .log_bytes = 5});
    }));
  }
  // As a report settles changes.
  void Settle(int64_t rule, int64_t cursor, int64_t changes) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      const int64_t bytes = segment_table::DeleteThrough(txn, rule, 0, cursor);
      rule_table::AddCounters(txn, rule,
                              {.applied = changes,
                               .logged = -changes,
                               .log_bytes = -bytes});
    }));
  }
  void SetState(int64_t rule, RuleState state) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      rule_table::SetState(txn, rule, state, At(1));
    }));
  }
  int64_t AddRule(const std::string& source) {
    return Write(*database_,
                 [&](Transaction& txn) {
                   return test::AddRule(txn, source, source + "-to");
                 })
        .value();
  }

  // As rule:time.
  std::vector<std::string> Oldest(int limit = 100, int64_t after = 0) {
    return Ask([&](ReadTransaction& txn) {
      std::vector<std::string> shown;
      for (const auto& log :
           segment_table::OldestOfRules(txn, At(after), limit)) {
        shown.push_back(absl::StrCat(log.rule_uid, ":",
                                     absl::ToUnixSeconds(log.oldest_event)));
      }
      return shown;
    });
  }
  int64_t OldestSmall(int64_t after = 0) {
    return Ask([&](ReadTransaction& txn) {
      const auto event =
          segment_table::OldestSmallEvent(txn, At(after), /*bytes_max=*/100);
      return event ? absl::ToUnixSeconds(*event) : kNone;
    });
  }
  // As state:rules,changes,bytes.
  std::vector<std::string> Totals() {
    return Ask([&](ReadTransaction& txn) {
      std::vector<std::string> shown;
      for (const auto& total : segment_table::Totals(txn)) {
        shown.push_back(absl::StrCat(total.rule_state, ":", total.rules, ",",
                                     total.changes, ",", total.bytes));
      }
      return shown;
    });
  }
  // As rule:bytes.
  std::vector<std::string> Fullest(int limit = 100) {
    return Ask([&](ReadTransaction& txn) {
      std::vector<std::string> shown;
      for (const auto& log : segment_table::FullestLogs(txn, limit)) {
        shown.push_back(absl::StrCat(log.rule_uid, ":", log.bytes));
      }
      return shown;
    });
  }
};

TEST_F(LogsTest, RulesWithoutALogAreNowhere) {
  EXPECT_THAT(Totals(), IsEmpty());
  EXPECT_THAT(Oldest(), IsEmpty());
  EXPECT_THAT(Fullest(), IsEmpty());
  EXPECT_EQ(OldestSmall(), kNone);
  Log(rule_, 10, 10);
  Settle(rule_, 3, 3);
  EXPECT_THAT(Totals(), IsEmpty());
  EXPECT_THAT(Oldest(), IsEmpty());
  EXPECT_THAT(Fullest(), IsEmpty());
  EXPECT_EQ(OldestSmall(), kNone);
}

TEST_F(LogsTest, TotalsAreByState) {
  const int64_t third = AddRule("eee");
  SetState(third, RuleState::kPaused);
  Log(rule_, 10, 10);
  Log(rule_, 10, 10);
  Log(other_rule_, 10, 10);
  Log(third, 10, 10);
  EXPECT_THAT(Totals(), ElementsAre("1:2,9,15", "3:1,3,5"));
  // What is settled in the midst of a segment does not count, nor what was
  // filtered; the segment is there until it is settled whole.
  Settle(rule_, 1, 1);
  ASSERT_OK(Write(*database_, [&](Transaction& txn) {
    rule_table::AddCounters(txn, rule_, {.published = 4});
    rule_table::AddFiltered(txn, rule_, {{"PREFIX", 3}, {"REPLICA", 1}});
  }));
  EXPECT_THAT(Totals(), ElementsAre("1:2,8,15", "3:1,3,5"));
  Settle(rule_, 4, 3);
  EXPECT_THAT(Totals(), ElementsAre("1:2,5,10", "3:1,3,5"));
}

TEST_F(LogsTest, TheOldestComeFirstAndNoMoreThanWanted) {
  const int64_t third = AddRule("eee");
  Log(rule_, 30, kNone);
  Log(other_rule_, 40, kNone);
  Log(other_rule_, 20, kNone);  // Late.
  Log(third, 30, kNone);
  const std::string first = absl::StrCat(rule_, ":30");
  const std::string second = absl::StrCat(other_rule_, ":20");
  const std::string last = absl::StrCat(third, ":30");
  EXPECT_THAT(Oldest(), ElementsAre(second, first, last));
  EXPECT_THAT(Oldest(2), ElementsAre(second, first));
  EXPECT_THAT(Oldest(1), ElementsAre(second));
  EXPECT_THAT(Oldest(0), IsEmpty());
}

TEST_F(LogsTest, StoppedRulesAndUnknownTimesDoNotCount) {
  Log(rule_, 10, 11);
  Log(other_rule_, 0, 0);
  Log(other_rule_, 20, 21);
  EXPECT_THAT(Oldest(), ElementsAre(absl::StrCat(rule_, ":10"),
                                    absl::StrCat(other_rule_, ":20")));
  EXPECT_EQ(OldestSmall(), 11);
  for (const auto state : {RuleState::kPaused, RuleState::kClosing}) {
    SetState(rule_, state);
    EXPECT_THAT(Oldest(), ElementsAre(absl::StrCat(other_rule_, ":20")));
    EXPECT_EQ(OldestSmall(), 21);
    // How full it is says nothing of who waits.
    EXPECT_THAT(Fullest(), ElementsAre(absl::StrCat(other_rule_, ":10"),
                                       absl::StrCat(rule_, ":5")));
  }
  SetState(rule_, RuleState::kActive);
  EXPECT_EQ(OldestSmall(), 11);
}

TEST_F(LogsTest, TheOldestSmallEventFollowsWhatComesAndGoes) {
  Log(rule_, 10, kNone);
  EXPECT_EQ(OldestSmall(), kNone);
  Log(rule_, 20, 25);
  EXPECT_EQ(OldestSmall(), 25);
  Log(other_rule_, 5, 25);
  Settle(rule_, 6, 6);
  EXPECT_EQ(OldestSmall(), 25);  // The other's.
  Settle(other_rule_, 3, 3);
  EXPECT_EQ(OldestSmall(), kNone);
  // One value, many times over.
  for (int i = 0; i < 20; ++i) {
    Log(rule_, 30, 30);
    Log(other_rule_, 30, 30);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(OldestSmall(), 30);
    Settle(rule_, 9 + 3 * i, 3);
  }
  EXPECT_EQ(OldestSmall(), 30);
  Settle(other_rule_, 1000, 60);
  EXPECT_EQ(OldestSmall(), kNone);
}

TEST_F(LogsTest, ASegmentThatGrowsHasTheOldestOfAllItsSmallEvents) {
  const auto append = [&](const std::vector<int64_t>& small_events) {
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      for (const int64_t event : small_events) {
        Segment segment =
            Changes(rule_table::TakeSequences(txn, rule_, 0, 1), 0, "x", 5);
        segment.last_sequence = segment.first_sequence;
        if (event != kNone) segment.oldest_small_event = At(event);
        segment_table::Append(txn, rule_, 0, segment, kBytesMax);
        rule_table::AddCounters(txn, rule_, {.published = 1, .log_bytes = 1});
      }
    }));
  };
  append({kNone, kNone});
  EXPECT_EQ(OldestSmall(), kNone);
  append({kNone, 50, kNone});
  EXPECT_EQ(OldestSmall(), 50);
  append({60, 40, 45});
  EXPECT_EQ(OldestSmall(), 40);
  // In as many segments as there were commits.
  EXPECT_EQ(Shown().size(), 3u);
}

TEST_F(LogsTest, TheFullestComeFirstAndNoMoreThanWanted) {
  const int64_t third = AddRule("eee");
  Log(rule_, 10, 10);
  for (int i = 0; i < 2; ++i) Log(third, 10, 10);
  Log(other_rule_, 10, 10);
  const std::string first = absl::StrCat(third, ":10");
  const std::string second = absl::StrCat(rule_, ":5");
  const std::string last = absl::StrCat(other_rule_, ":5");
  EXPECT_THAT(Fullest(), ElementsAre(first, second, last));
  EXPECT_THAT(Fullest(2), ElementsAre(first, second));
  EXPECT_THAT(Fullest(0), IsEmpty());
}

}  // namespace
}  // namespace crr
