#include "storage/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/helpers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using sqlite::Bytes;
using sqlite::Int;
using sqlite::Null;
using sqlite::Text;
using test::Count;
using test::HasCode;
using test::Nothing;
using test::Read;
using test::Write;
using test::WriterBlock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override { Open({}); }

  void Open(Database::Options options) {
    database_.reset();
    options.path = dir_ / "crr.db";
    auto database = Database::Open(options);
    ASSERT_OK(database);
    database_ = *std::move(database);
    ASSERT_OK(Write(*database_, [](Transaction& txn) {
      txn.Execute(
          "CREATE TABLE IF NOT EXISTS scratch (id INTEGER NOT NULL "
          "PRIMARY KEY, text TEXT UNIQUE CHECK (text <> 'bad'), "
          "parent INTEGER REFERENCES scratch (id)) STRICT");
    }));
  }

  static void Insert(Transaction& txn, int64_t id) {
    txn.Execute("INSERT INTO scratch (id) VALUES ($1)", {Int(id)});
  }

  // Submits a body that inserts `id` and answers `answer`; what becomes of it
  // goes to outcomes_ and order_.
  void Submit(int64_t id, absl::Status answer = absl::OkStatus(),
              std::function<bool()> cancelled = nullptr) {
    database_->Write<int64_t>(
        {.cancelled = std::move(cancelled)},
        [id, answer](Transaction& txn) -> absl::StatusOr<int64_t> {
          Insert(txn, id);
          if (!answer.ok()) return answer;
          return txn.group();
        },
        [this, id](absl::StatusOr<int64_t> group) {
          order_.push_back(id);
          if (group.ok()) groups_.insert(*group);
          outcomes_[id].push_back(group.status());
        });
  }

  // Everything that was submitted before is done.
  void Flush() { ASSERT_OK(Write(*database_, [](Transaction&) {})); }

  std::vector<int64_t> Ids() {
    return Read(*database_,
                [](ReadTransaction& txn) {
                  std::vector<int64_t> ids;
                  for (const auto& row :
                       txn.Query("SELECT id FROM scratch ORDER BY id")) {
                    ids.push_back(row.Int(0));
                  }
                  return ids;
                })
        .value();
  }

  test::TempDir dir_;
  // Written by `done` on the writer's thread, read after Flush.
  std::vector<int64_t> order_;
  std::set<int64_t> groups_;
  std::map<int64_t, std::vector<absl::Status>> outcomes_;
  std::unique_ptr<Database> database_;  // Goes first.
};

TEST_F(DatabaseTest, AnswersInTheOrderOfCommits) {
  ASSERT_OK(Write(*database_, [](Transaction& txn) {
    txn.Execute("CREATE TABLE counter (n INTEGER NOT NULL) STRICT");
    txn.Execute("INSERT INTO counter VALUES (0)");
  }));
  constexpr int kThreads = 8;
  constexpr int kWrites = 100;
  std::vector<int64_t> answered;  // On the writer's thread only.
  std::latch all(kThreads * kWrites);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kWrites; ++j) {
        database_->Write<int64_t>(
            {},
            [j](Transaction& txn) -> absl::StatusOr<int64_t> {
              const int64_t n =
                  txn.QueryOne("UPDATE counter SET n = n + 1 RETURNING n")
                      ->Int(0);
              if (j % 7 == 3) return absl::NotFoundError(absl::StrCat(n));
              return n;
            },
            [&](absl::StatusOr<int64_t> n) {
              if (n.ok()) answered.push_back(*n);
              all.count_down();
            });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  all.wait();
  // Refused bodies counted nothing, so the numbers have no gap.
  ASSERT_EQ(answered.size(), kThreads * (kWrites - kWrites / 7));
  for (size_t i = 0; i < answered.size(); ++i) {
    ASSERT_EQ(answered[i], static_cast<int64_t>(i) + 1);
  }
}

TEST_F(DatabaseTest, BodiesThatWaitTogetherShareACommit) {
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= 20; ++id) Submit(id);
    block.Release();
  }
  Flush();
  EXPECT_EQ(order_.size(), 20u);
  EXPECT_EQ(groups_.size(), 1u);
  // And the next commit has another name.
  Submit(21);
  Flush();
  EXPECT_EQ(groups_.size(), 2u);
}

TEST_F(DatabaseTest, ACommitIsBoundedAndNothingIsLost) {
  constexpr int64_t kBodies = 1300;
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= kBodies; ++id) Submit(id);
    block.Release();
  }
  Flush();
  EXPECT_EQ(Count(*database_, "scratch"), kBodies);
  EXPECT_GE(groups_.size(), 2u);
  EXPECT_LT(groups_.size(), 10u);
  for (size_t i = 0; i < order_.size(); ++i) {
    ASSERT_EQ(order_[i], static_cast<int64_t>(i) + 1);
  }
}

TEST_F(DatabaseTest, GroupsOfAnotherRunHaveOtherNames) {
  for (int64_t id = 1; id <= 5; ++id) {
    Submit(id);
    Flush();
  }
  Open({});
  for (int64_t id = 6; id <= 10; ++id) {
    Submit(id);
    Flush();
  }
  EXPECT_EQ(groups_.size(), 10u);
}

TEST_F(DatabaseTest, ARefusedBodyLeavesNoTraceAndItsNeighboursStand) {
  {
    WriterBlock block(*database_);
    Submit(1);
    Submit(2, absl::NotFoundError("refused"));
    Submit(3);
    // It may use what the refused one wanted.
    Submit(2);
    Submit(4, absl::AbortedError("refused"));
    block.Release();
  }
  Flush();
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 3));
  EXPECT_THAT(order_, ElementsAre(1, 2, 3, 2, 4));
  ASSERT_EQ(outcomes_[2].size(), 2u);
  EXPECT_THAT(outcomes_[2][0], HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(outcomes_[2][1]);
  EXPECT_THAT(outcomes_[4][0], HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(groups_.size(), 1u);
}

TEST_F(DatabaseTest, AFailedStatementFailsTheBodyWhateverItAnswers) {
  Submit(1);
  bool second_ran = false;
  bool third_changed = true;
  const absl::Status status = Write(*database_, [&](Transaction& txn) {
    Insert(txn, 2);
    Insert(txn, 1);  // There already.
    // From here on nothing happens and nothing is answered.
    second_ran = txn.QueryOne("SELECT 1").has_value();
    third_changed = txn.Execute("INSERT INTO scratch (id) VALUES (3)") != 0;
    EXPECT_THAT(txn.status(), HasCode(absl::StatusCode::kAlreadyExists));
  });
  EXPECT_THAT(status, HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_FALSE(second_ran);
  EXPECT_FALSE(third_changed);
  EXPECT_THAT(Ids(), ElementsAre(1));
}

TEST_F(DatabaseTest, AFailedStatementOutranksTheBodysOwnRefusal) {
  auto result = database_->WriteAndWait<Nothing>(
      [](Transaction& txn) -> absl::StatusOr<Nothing> {
        txn.Execute("INSERT INTO scratch (id, text) VALUES (1, 'bad')");
        return absl::NotFoundError("decided on an answer that was none");
      });
  EXPECT_THAT(result, HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DatabaseTest, AFailedStatementSparesTheNeighbours) {
  Submit(1);
  {
    WriterBlock block(*database_);
    Submit(2);
    Submit(1);
    Submit(3);
    block.Release();
  }
  Flush();
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 3));
  EXPECT_THAT(outcomes_[1][1], HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(outcomes_[2][0]);
  EXPECT_OK(outcomes_[3][0]);
}

TEST_F(DatabaseTest, EachConstraintHasItsCode) {
  ASSERT_OK(Write(*database_, [](Transaction& txn) {
    txn.Execute("INSERT INTO scratch (id, text) VALUES (1, 'one')");
  }));
  struct Case {
    const char* sql;
    absl::StatusCode code;
  };
  using enum absl::StatusCode;
  for (const Case& c : {
           Case{"INSERT INTO scratch (id) VALUES (1)", kAlreadyExists},
           Case{"INSERT INTO scratch (id, text) VALUES (2, 'one')",
                kAlreadyExists},
           Case{"UPDATE scratch SET text = 'bad'", kFailedPrecondition},
           Case{"INSERT INTO scratch (id, parent) VALUES (2, 99)",
                kFailedPrecondition},
           Case{"INSERT INTO server (id, incarnation, next_rule_uid, next_unit_id, "
       "next_session_number) VALUES (2, 1, 1, 1, 1)",
                kFailedPrecondition},
           Case{"UPDATE server SET next_unit_id = NULL", kFailedPrecondition},
           Case{"UPDATE server SET next_unit_id = 'x'", kFailedPrecondition},
           Case{"INSERT INTO nowhere VALUES (1)", kInternal},
           Case{"this is not SQL", kInternal},
       }) {
    EXPECT_THAT(
        Write(*database_, [&](Transaction& txn) { txn.Execute(c.sql); }),
        HasCode(c.code))
        << c.sql;
  }
  EXPECT_EQ(Count(*database_, "scratch"), 1);
}

TEST_F(DatabaseTest, NothingReachesDoneBeforeItsCommit) {
  auto other = sqlite::Connection::Open(dir_ / "crr.db", {.read_only = true});
  ASSERT_OK(other);
  std::vector<bool> seen;
  std::latch all(2 * 10);
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= 10; ++id) {
      const auto look = [&, id] {
        auto rows = (*other)->Query("SELECT 1 FROM scratch WHERE id = $1",
                                    {Int(id)});
        seen.push_back(rows.ok() && rows->size() == 1);
        all.count_down();
      };
      database_->Write<Nothing>(
          {},
          [id](Transaction& txn) -> absl::StatusOr<Nothing> {
            Insert(txn, id);
            return Nothing();
          },
          [look](const absl::StatusOr<Nothing>&) { look(); });
      // A refusal that rests on the neighbour's row waits for it too.
      database_->Write<Nothing>(
          {},
          [id](Transaction& txn) -> absl::StatusOr<Nothing> {
            if (txn.QueryOne("SELECT 1 FROM scratch WHERE id = $1",
                             {Int(id)})) {
              return absl::AlreadyExistsError("the neighbour's");
            }
            return Nothing();
          },
          [look](const absl::StatusOr<Nothing>& answer) {
            EXPECT_THAT(answer, HasCode(absl::StatusCode::kAlreadyExists));
            look();
          });
    }
    block.Release();
  }
  all.wait();
  EXPECT_THAT(seen, ::testing::Each(true));
}

TEST_F(DatabaseTest, ACancelledBodyIsNotRun) {
  int asked = 0;
  std::atomic<bool> caller_left = false;
  {
    WriterBlock block(*database_);
    Submit(1);
    Submit(2, absl::OkStatus(), [&] {
      ++asked;
      return caller_left.load();
    });
    Submit(3, absl::OkStatus(), [] { return false; });
    caller_left = true;
    block.Release();
  }
  Flush();
  EXPECT_EQ(asked, 1);
  EXPECT_THAT(outcomes_[2][0], HasCode(absl::StatusCode::kCancelled));
  EXPECT_THAT(order_, ElementsAre(1, 2, 3));
  EXPECT_THAT(Ids(), ElementsAre(1, 3));
}

TEST_F(DatabaseTest, TheQueueTakesItsBoundAndRefusesTheNext) {
  constexpr int64_t kBound = 3;
  Open({.queue_max = kBound});
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= kBound; ++id) Submit(id);
    EXPECT_THAT(order_, IsEmpty());
    // Answered at once, here, for the writer is busy.
    Submit(kBound + 1);
    ASSERT_EQ(order_.size(), 1u);
    EXPECT_THAT(outcomes_[kBound + 1][0],
                HasCode(absl::StatusCode::kUnavailable));
    block.Release();
  }
  // There is room once the writer has taken them.
  while (database_->stats().waiting > 0) std::this_thread::yield();
  Flush();
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 3));
  Submit(5);
  Flush();
  EXPECT_OK(outcomes_[5][0]);
}

TEST_F(DatabaseTest, TheBytesThatWaitAreBoundedToo) {
  Open({.queue_bytes_max = 10});
  std::vector<absl::Status> ends(5, absl::UnknownError("none yet"));
  const auto submit = [&](size_t i, size_t bytes) {
    database_->Write<Nothing>(
        {.cancelled = nullptr, .bytes = bytes},
        [](Transaction&) -> absl::StatusOr<Nothing> { return Nothing(); },
        [&, i](const absl::StatusOr<Nothing>& answer) {
          ends[i] = answer.status();
        });
  };
  {
    WriterBlock block(*database_);
    submit(0, 11);  // More than the bound, and alone.
    submit(1, 1);
    EXPECT_THAT(ends[1], HasCode(absl::StatusCode::kUnavailable));
    submit(2, 0);  // Takes no room.
    block.Release();
  }
  while (database_->stats().waiting > 0) std::this_thread::yield();
  {
    WriterBlock block(*database_);
    submit(1, 10);
    submit(3, 1);
    EXPECT_THAT(ends[3], HasCode(absl::StatusCode::kUnavailable));
    block.Release();
  }
  Flush();
  for (const size_t i : {0, 1, 2}) EXPECT_OK(ends[i]);
}

TEST_F(DatabaseTest, ReadsThatWaitAreBoundedToo) {
  constexpr int kBound = 3;
  Open({.readers = 1, .queue_max = kBound});
  std::latch entered(1);
  std::latch released(1);
  std::latch done(kBound + 2);
  std::vector<absl::Status> statuses(kBound + 2);
  const auto submit = [&](int i, std::function<void()> body) {
    database_->Read<Nothing>(
        [body](ReadTransaction&) -> absl::StatusOr<Nothing> {
          body();
          return Nothing();
        },
        [&, i](const absl::StatusOr<Nothing>& answer) {
          statuses[static_cast<size_t>(i)] = answer.status();
          done.count_down();
        });
  };
  submit(0, [&] {
    entered.count_down();
    released.wait();
  });
  entered.wait();
  for (int i = 1; i <= kBound + 1; ++i) submit(i, [] {});
  released.count_down();
  done.wait();
  for (int i = 0; i <= kBound; ++i) EXPECT_OK(statuses[static_cast<size_t>(i)]);
  EXPECT_THAT(statuses[kBound + 1], HasCode(absl::StatusCode::kUnavailable));
}

TEST_F(DatabaseTest, ClosingRunsWhatWaits) {
  {
    WriterBlock block(*database_);
    for (int64_t id = 1; id <= 100; ++id) Submit(id);
    block.Release();
  }
  for (int64_t id = 101; id <= 200; ++id) Submit(id);
  database_.reset();
  EXPECT_EQ(order_.size(), 200u);
  Open({});
  EXPECT_EQ(Count(*database_, "scratch"), 200);
}

TEST_F(DatabaseTest, AReadSeesOneSnapshot) {
  Submit(1);
  Flush();
  std::latch first_read(1);
  std::latch written(1);
  std::optional<absl::StatusOr<int64_t>> difference;
  std::latch done(1);
  database_->Read<int64_t>(
      [&](ReadTransaction& txn) -> absl::StatusOr<int64_t> {
        const char sql[] = "SELECT count(*) FROM scratch";
        const int64_t before = txn.QueryOne(sql)->Int(0);
        first_read.count_down();
        written.wait();
        return txn.QueryOne(sql)->Int(0) - before;
      },
      [&](absl::StatusOr<int64_t> answer) {
        difference = std::move(answer);
        done.count_down();
      });
  first_read.wait();
  Submit(2);
  Flush();
  written.count_down();
  done.wait();
  ASSERT_OK(*difference);
  EXPECT_EQ(**difference, 0);
  EXPECT_THAT(Ids(), ElementsAre(1, 2));
}

TEST_F(DatabaseTest, AReadCannotWrite) {
  EXPECT_FALSE(Read(*database_, [](ReadTransaction& txn) {
                 txn.Query("INSERT INTO scratch (id) VALUES (1)");
                 return 0;
               }).ok());
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(DatabaseTest, AReadWhoseStatementFailedIsNotAnswered) {
  EXPECT_THAT(Read(*database_,
                   [](ReadTransaction& txn) {
                     txn.Query("SELECT * FROM nowhere");
                     return 7;
                   }),
              HasCode(absl::StatusCode::kInternal));
  // And the connection is as good as before.
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(DatabaseTest, ReadsRunWhileTheWriterIsBusy) {
  Submit(1);
  Flush();
  WriterBlock block(*database_);
  EXPECT_THAT(Ids(), ElementsAre(1));
}

TEST_F(DatabaseTest, TheWriteAheadLogIsWrittenBack) {
  ASSERT_OK(Write(*database_, [](Transaction& txn) {
    txn.Execute("CREATE TABLE chunks (bytes BLOB NOT NULL) STRICT");
    txn.Execute("INSERT INTO chunks VALUES (x'')");
  }));
  uintmax_t longest = 0;
  for (int i = 0; i < 400; ++i) {
    // Other bytes each time: SQLite does not write what is there already.
    const std::string chunk(256 << 10, i % 2 == 0 ? 'a' : 'b');
    ASSERT_OK(Write(*database_, [&](Transaction& txn) {
      txn.Execute("UPDATE chunks SET bytes = $1", {Bytes(chunk)});
    }));
    longest =
        std::max(longest, std::filesystem::file_size(dir_ / "crr.db-wal"));
  }
  // 100 MiB went through it.
  EXPECT_GT(longest, 8u << 20);
  EXPECT_LT(longest, 48u << 20);
}

TEST_F(DatabaseTest, CountsCommitsBySizeAndWhatWaits) {
  Open({.queue_max = 10});
  Database::Stats before;
  {
    WriterBlock block(*database_);
    before = database_->stats();
    EXPECT_EQ(before.waiting, 0u);
    EXPECT_EQ(before.waiting_max, 10u);
    for (int64_t id = 1; id <= 3; ++id) Submit(id);
    EXPECT_EQ(database_->stats().waiting, 3u);
    EXPECT_EQ(database_->stats().groups.counts(), before.groups.counts());
  }
  // A commit is counted once it is answered: what comes after it knows.
  Flush();
  WriterBlock block(*database_);
  const Database::Stats after = database_->stats();
  EXPECT_EQ(after.waiting, 0u);
  ASSERT_EQ(after.groups.bounds()[2], 4);
  EXPECT_EQ(after.groups.counts()[2], before.groups.counts()[2] + 1);
  // The block, the three, the flush.
  EXPECT_EQ(after.groups.sum(), before.groups.sum() + 5);
}

TEST_F(DatabaseTest, AtCommitStandsOnBothSidesOfIt) {
  std::vector<std::string> seen;  // On the writer's thread.
  Open({.at_commit = [&] {
    auto other = sqlite::Connection::Open(dir_ / "crr.db", {.read_only = true});
    const auto rows = (*other)->Query("SELECT count(*) FROM scratch");
    seen.push_back(absl::StrCat(rows->at(0).Int(0), " stored, ",
                                outcomes_.size(), " answered"));
  }});
  Flush();
  seen.clear();
  Submit(1);
  Flush();
  ASSERT_GE(seen.size(), 2u);
  EXPECT_EQ(seen[0], "0 stored, 0 answered");
  EXPECT_EQ(seen[1], "1 stored, 0 answered");
}

}  // namespace
}  // namespace crr
