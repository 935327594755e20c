#include "client/notifier/pump.h"

#include <google/protobuf/util/time_util.h>

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/notifier/fake_journal.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::FakeClock;
using test::FakeJournal;
using test::HasCode;

constexpr Pump::Limits kLimits;

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixNanos(
      google::protobuf::util::TimeUtil::TimestampToNanoseconds(timestamp));
}

class PumpTest : public ::testing::Test {
 protected:
  Pump MakePump(int64_t last_number = 0, Pump::Limits limits = kLimits) {
    return Pump(journal_, clock_, limits, last_number);
  }
  // The next message, which must be a batch.
  static v1::PublishChangesRequest::Batch NextBatch(Pump& pump) {
    const auto message = pump.Next().value();
    EXPECT_TRUE(message.has_value() && message->has_batch());
    return message.has_value() ? message->batch()
                               : v1::PublishChangesRequest::Batch();
  }
  // The time in the next message; nullopt when it is no `complete_through`.
  static std::optional<absl::Time> NextCompleteThrough(Pump& pump) {
    const auto message = pump.Next().value();
    if (!message.has_value() || !message->has_complete_through()) {
      return std::nullopt;
    }
    return TimeOf(message->complete_through().time());
  }
  static bool HasNothingToSay(Pump& pump) {
    return !pump.Next().value().has_value();
  }

  FakeClock clock_;
  FakeJournal journal_{clock_};
};

TEST_F(PumpTest, ABatchHasThePositionOfItsLastEntryAsNumber) {
  journal_.Put("a");
  const int64_t last = journal_.Put("b");
  Pump pump = MakePump();
  const auto batch = NextBatch(pump);
  EXPECT_EQ(batch.number(), last);
  ASSERT_EQ(batch.changes_size(), 2);
  EXPECT_EQ(batch.changes(0).key(), "a");
  EXPECT_EQ(batch.changes(1).key(), "b");
}

TEST_F(PumpTest, EntriesUpToTheServersNumberAreNotSentAgain) {
  const int64_t taken = journal_.Put("a");
  journal_.Put("b");
  Pump pump = MakePump(taken);
  const auto batch = NextBatch(pump);
  ASSERT_EQ(batch.changes_size(), 1);
  EXPECT_EQ(batch.changes(0).key(), "b");
}

TEST_F(PumpTest, AChangeSaysAllThatTheJournalKnows) {
  JournalEntry entry;
  entry.bucket = "photos";
  entry.key = "a/ü";
  entry.version_id = "v1";
  entry.kind = JournalEntry::Kind::kDelete;
  entry.size = 5;
  entry.etag = "e";
  entry.replica = true;
  journal_.Append(entry);
  Pump pump = MakePump();
  const auto batch = NextBatch(pump);
  ASSERT_EQ(batch.changes_size(), 1);
  const v1::Change& change = batch.changes(0);
  EXPECT_EQ(change.bucket(), "buckets/photos");
  EXPECT_EQ(change.key(), "a/ü");
  EXPECT_EQ(change.version_id(), "v1");
  EXPECT_EQ(change.kind(), v1::Change::DELETE);
  EXPECT_EQ(TimeOf(change.event_time()), clock_.WallNow());
  EXPECT_EQ(change.size_bytes(), 5);
  EXPECT_EQ(change.etag(), "e");
  EXPECT_TRUE(change.replica());
}

TEST_F(PumpTest, EveryKindHasItsName) {
  const std::map<JournalEntry::Kind, v1::Change::Kind> kinds = {
      {JournalEntry::Kind::kPut, v1::Change::PUT},
      {JournalEntry::Kind::kAcl, v1::Change::ACL},
      {JournalEntry::Kind::kTagging, v1::Change::TAGGING},
      {JournalEntry::Kind::kMetadata, v1::Change::METADATA},
      {JournalEntry::Kind::kDelete, v1::Change::DELETE}};
  std::vector<v1::Change::Kind> expected;
  for (const auto& [kind, name] : kinds) {
    JournalEntry entry;
    entry.bucket = "photos";
    entry.key = "k";
    entry.kind = kind;
    journal_.Append(entry);
    expected.push_back(name);
  }
  Pump pump = MakePump();
  std::vector<v1::Change::Kind> found;
  const auto batch = NextBatch(pump);
  for (const auto& change : batch.changes()) {
    found.push_back(change.kind());
  }
  EXPECT_EQ(found, expected);
}

TEST_F(PumpTest, ABatchHoldsAThousandChangesAndTheNextOneTheRest) {
  for (int i = 0; i < 1'001; ++i) journal_.Put(absl::StrCat("k", i));
  Pump pump = MakePump();
  EXPECT_EQ(NextBatch(pump).changes_size(), 1'000);
  const auto rest = NextBatch(pump);
  ASSERT_EQ(rest.changes_size(), 1);
  EXPECT_EQ(rest.changes(0).key(), "k1000");
}

TEST_F(PumpTest, LongKeysMakeABatchShorter) {
  for (int i = 0; i < 900; ++i) {
    journal_.Put(absl::StrCat(std::string(1'020, 'k'), 1'000 + i));
  }
  Pump pump = MakePump();
  const auto first = NextBatch(pump);
  EXPECT_LT(first.changes_size(), 900);
  EXPECT_GE(first.ByteSizeLong(), kLimits.batch_bytes);
  EXPECT_LT(first.ByteSizeLong(), kLimits.batch_bytes + (8 << 10));
  const auto second = NextBatch(pump);
  EXPECT_EQ(first.changes_size() + second.changes_size(), 900);
}

TEST_F(PumpTest, AFullWindowWaitsForAnAcknowledgement) {
  for (int i = 0; i < 3; ++i) journal_.Put(absl::StrCat("k", i));
  Pump pump = MakePump(0, {.batch_changes = 1, .batches_in_flight = 2});
  const int64_t first = NextBatch(pump).number();
  NextBatch(pump);
  EXPECT_TRUE(HasNothingToSay(pump));
  ASSERT_OK(pump.Acknowledge(first));
  EXPECT_EQ(NextBatch(pump).changes(0).key(), "k2");
}

TEST_F(PumpTest, AnAcknowledgementOutOfTurnIsAnError) {
  journal_.Put("a");
  journal_.Put("b");
  Pump pump = MakePump(0, {.batch_changes = 1});
  EXPECT_THAT(pump.Acknowledge(3), HasCode(absl::StatusCode::kInternal));
  NextBatch(pump);
  const int64_t second = NextBatch(pump).number();
  EXPECT_THAT(pump.Acknowledge(second), HasCode(absl::StatusCode::kInternal));
}

TEST_F(PumpTest, AnEmptyJournalIsCompleteAtOnce) {
  Pump pump = MakePump();
  EXPECT_EQ(NextCompleteThrough(pump), clock_.WallNow());
  EXPECT_TRUE(HasNothingToSay(pump));
}

TEST_F(PumpTest, CompleteThroughWaitsForTheLastAcknowledgement) {
  journal_.Put("a");
  journal_.Put("b");
  const absl::Time sampled = clock_.WallNow();
  Pump pump = MakePump(0, {.batch_changes = 1});
  const int64_t first = NextBatch(pump).number();
  const int64_t second = NextBatch(pump).number();
  EXPECT_TRUE(HasNothingToSay(pump));
  clock_.Advance(absl::Seconds(5));
  ASSERT_OK(pump.Acknowledge(first));
  EXPECT_TRUE(HasNothingToSay(pump));
  ASSERT_OK(pump.Acknowledge(second));
  EXPECT_EQ(NextCompleteThrough(pump), sampled);
  // What happened since that old sample is told without delay.
  EXPECT_EQ(NextCompleteThrough(pump), clock_.WallNow());
  EXPECT_TRUE(HasNothingToSay(pump));
}

TEST_F(PumpTest, AWriteAfterTheSampleDoesNotMoveItsTime) {
  const int64_t first = journal_.Put("a");
  const absl::Time sampled = clock_.WallNow();
  Pump pump = MakePump(0, {.batch_changes = 1});
  NextBatch(pump);
  clock_.Advance(absl::Milliseconds(10));
  journal_.Put("b");
  ASSERT_OK(pump.Acknowledge(first));
  EXPECT_EQ(NextCompleteThrough(pump), sampled);
  EXPECT_EQ(NextBatch(pump).changes(0).key(), "b");
}

TEST_F(PumpTest, AnIdleJournalIsSampledOnceASecond) {
  Pump pump = MakePump();
  ASSERT_TRUE(NextCompleteThrough(pump).has_value());
  EXPECT_EQ(pump.IdleTime(), absl::Seconds(1));
  clock_.Advance(absl::Seconds(1) - absl::Nanoseconds(1));
  EXPECT_TRUE(HasNothingToSay(pump));
  EXPECT_EQ(pump.IdleTime(), absl::Nanoseconds(1));
  EXPECT_EQ(journal_.samples(), 1);
  clock_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(NextCompleteThrough(pump), clock_.WallNow());
  EXPECT_EQ(journal_.samples(), 2);
}

TEST_F(PumpTest, CatchingUpIsToldBeforeTheSecondIsOver) {
  Pump pump = MakePump();
  ASSERT_TRUE(NextCompleteThrough(pump).has_value());
  journal_.Put("a");
  const int64_t number = NextBatch(pump).number();
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_TRUE(HasNothingToSay(pump));
  ASSERT_OK(pump.Acknowledge(number));
  EXPECT_EQ(NextCompleteThrough(pump), clock_.WallNow());
}

TEST_F(PumpTest, CatchingUpIsSampledAtMostEveryTenthOfASecond) {
  Pump pump = MakePump();
  ASSERT_TRUE(NextCompleteThrough(pump).has_value());
  journal_.Put("a");
  ASSERT_OK(pump.Acknowledge(NextBatch(pump).number()));
  clock_.Advance(absl::Milliseconds(99));
  EXPECT_TRUE(HasNothingToSay(pump));
  EXPECT_EQ(pump.IdleTime(), absl::Milliseconds(1));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(NextCompleteThrough(pump), clock_.WallNow());
}

// A journal that never falls silent must not keep the watermark from moving.
TEST_F(PumpTest, AJournalThatNeverRestsIsCompletedEverySecondTheLatest) {
  Pump pump = MakePump();
  int64_t acknowledged = 0;
  std::deque<int64_t> in_flight;
  absl::Time last_told = clock_.WallNow();
  for (int step = 0; step < 1'000; ++step) {
    clock_.Advance(absl::Milliseconds(50));
    journal_.Put(absl::StrCat("k", step));
    const auto message = pump.Next().value();
    if (message.has_value() && message->has_batch()) {
      in_flight.push_back(message->batch().number());
    } else if (message.has_value()) {
      last_told = TimeOf(message->complete_through().time());
    }
    // Acknowledgements lag behind by two batches: nothing is ever idle.
    if (in_flight.size() > 2) {
      acknowledged = in_flight.front();
      ASSERT_OK(pump.Acknowledge(acknowledged));
      in_flight.pop_front();
    }
    ASSERT_LT(clock_.WallNow() - last_told, absl::Seconds(2));
  }
}

TEST_F(PumpTest, AJournalThatEndsBeforeTheServersNumberIsDataLoss) {
  const int64_t last = journal_.Put("a");
  Pump pump = MakePump(last + 1);
  EXPECT_THAT(pump.Next(), HasCode(absl::StatusCode::kDataLoss));
}

// A server that takes batches, loses answers, pushes back and breaks off, and
// a writer that goes on meanwhile: every change is taken once and in order, and
// no `complete_through` is ahead of what was taken.
TEST_F(PumpTest, NothingIsLostOrRepeatedOverBrokenStreams) {
  for (int seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto one_in = [&random](int n) { return random() % n == 0; };
    FakeJournal journal(clock_);
    std::vector<std::pair<std::string, absl::Time>> written;
    std::vector<std::string> taken;
    int64_t last_number = 0;
    const auto write = [&] {
      written.emplace_back(absl::StrCat("k", written.size()),
                           clock_.WallNow());
      journal.Put(written.back().first);
    };

    for (bool writing = true; writing || taken.size() < written.size();) {
      Pump pump(journal, clock_, {.batch_changes = 3, .batches_in_flight = 3},
                last_number);
      std::deque<v1::PublishChangesRequest::Batch> in_flight;
      for (bool open = true; open;) {
        clock_.Advance(absl::Milliseconds(random() % 300));
        if (writing && one_in(2)) write();
        if (written.size() == 200) writing = false;

        const auto message = pump.Next().value();
        if (!message.has_value()) {
          if (!writing && in_flight.empty()) break;
        } else if (message->has_batch()) {
          in_flight.push_back(message->batch());
        } else {
          const absl::Time told = TimeOf(message->complete_through().time());
          for (size_t i = taken.size(); i < written.size(); ++i) {
            ASSERT_GE(written[i].second, told) << written[i].first;
          }
        }
        if (!in_flight.empty() && one_in(2)) {
          if (one_in(10)) break;  // STORAGE_FULL: refused whole.
          ASSERT_GT(in_flight.front().number(), last_number);
          last_number = in_flight.front().number();
          for (const auto& change : in_flight.front().changes()) {
            taken.push_back(change.key());
          }
          if (one_in(10)) break;  // Taken, and the answer is lost.
          ASSERT_OK(pump.Acknowledge(last_number));
          in_flight.pop_front();
        }
        open = !one_in(30);
      }
    }
    ASSERT_EQ(taken.size(), written.size());
    for (size_t i = 0; i < taken.size(); ++i) {
      ASSERT_EQ(taken[i], written[i].first);
    }
  }
}

}  // namespace
}  // namespace crr
