// LeaseStore over the real Database: what the tests beside this one play by
// hand is what is really done.

#include "server/durable_leases.h"

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <optional>

#include "server/core/change_log.h"
#include "server/core/limits.h"
#include "server/core/registry.h"
#include "server/core/rule_manager.h"
#include "storage/session_table.h"
#include "tests/core/test_tables.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using test::HasCode;
using test::IsOk;
using test::TestTables;

class DurableLeasesTest : public ::testing::Test {
 protected:
  DurableLeasesTest() {
    auto opened = Database::Open({.path = dir_ / "crr.db"});
    CRR_CHECK(opened.ok());
    database_ = *std::move(opened);
    ledgers_.emplace(*database_, clock_);
    leases_.emplace(*database_, publishers_, *ledgers_, clock_,
                    [](std::function<void()> answer) { answer(); });
    Must<int64_t>([](Transaction& txn) -> absl::StatusOr<int64_t> {
      SeedRegistry(txn, test::Epoch());
      for (const char* id : {test::kHangzhou, test::kBeijing}) {
        Region region = *region_table::Get(txn, id);
        region.store_root = absl::StrCat("/", id);
        region_table::Update(txn, region);
      }
      for (const auto& [id, region] :
           {std::pair("photos", test::kHangzhou),
            std::pair("photos-dr", test::kBeijing)}) {
        bucket_table::Insert(txn, {.id = id,
                                   .region = region,
                                   .owner = "acme",
                                   .create_time = test::Epoch(),
                                   .update_time = test::Epoch()});
      }
      auto outcome =
          CreateRule(txn, TestTables::RequestFor({}), {}, test::Epoch());
      if (!outcome.ok()) return outcome.status();
      return outcome->view.rule.uid;
    });
  }

  template <typename T>
  T Must(Database::WriteBody<T> body) {
    auto result = database_->WriteAndWait<T>(std::move(body));
    CRR_CHECK(result.ok());
    return *std::move(result);
  }
  // Waits for the answer to `ask`.
  template <typename T>
  absl::StatusOr<T> Answer(
      const std::function<void(LeaseStore::Answer<T>)>& ask) {
    std::optional<absl::StatusOr<T>> answer;
    std::latch latch(1);
    ask([&](absl::StatusOr<T> result) {
      answer = std::move(result);
      latch.count_down();
    });
    latch.wait();
    return *std::move(answer);
  }
  absl::StatusOr<int64_t> Start(const std::string& copier,
                                std::optional<int64_t> known = {}) {
    return Answer<int64_t>([&](LeaseStore::Answer<int64_t> answer) {
      leases_->StartSession(copier, "", known, std::move(answer));
    });
  }
  absl::StatusOr<LeaseSpec> Grant(int64_t session) {
    const int64_t unit = Must<int64_t>([](Transaction& txn) {
      return absl::StatusOr<int64_t>(unit_table::All(txn).at(0).id);
    });
    return Answer<LeaseSpec>([&](LeaseStore::Answer<LeaseSpec> answer) {
      leases_->Grant(unit, session, std::move(answer));
    });
  }
  int64_t Sessions() {
    return Must<int64_t>([](Transaction& txn) {
      return absl::StatusOr<int64_t>(
          static_cast<int64_t>(session_table::All(txn).size()));
    });
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  PublisherHub publishers_;
  std::unique_ptr<Database> database_;
  std::optional<LedgerWatch> ledgers_;
  std::optional<DurableLeases> leases_;
};

TEST_F(DurableLeasesTest, SessionNumbersRise) {
  const auto first = Start("c1");
  ASSERT_OK(first);
  const auto second = Start("c2");
  ASSERT_OK(second);
  EXPECT_GT(*second, *first);
  const auto third = Start("c1", *first);
  ASSERT_OK(third);
  EXPECT_GT(*third, *second);
  // Its welcome was lost: it asks again.
  EXPECT_OK(Start("c1", *first));
  // Another process took over.
  EXPECT_OK(Start("c1"));
  EXPECT_THAT(Start("c1", *first), HasCode(absl::StatusCode::kAborted));
}

TEST_F(DurableLeasesTest, SupersededSessionsStayAsLongAsTheyHoldSomething) {
  const auto first = Start("c1");
  const auto lease = Grant(*first);
  ASSERT_OK(lease);
  ASSERT_OK(Start("c1"));
  ASSERT_OK(Start("c1"));
  EXPECT_EQ(Sessions(), 2);  // The holder and the newest.
  leases_->ForgetSession(*first);
  EXPECT_EQ(Sessions(), 2);
  ASSERT_OK(Answer<WorkEvents>([&](LeaseStore::Answer<WorkEvents> answer) {
    leases_->End(lease->unit_id, lease->token, LeaseEnd{}, std::move(answer));
  }));
  leases_->ForgetSession(*first);
  EXPECT_EQ(Sessions(), 1);
}

// However long it had nothing to do, and whatever the wall clock does.
TEST_F(DurableLeasesTest, AnIdleSessionStaysGrantable) {
  const auto idle = Start("idle");
  clock_.StepWall(absl::Hours(24 * 400));
  ASSERT_OK(Start("visitor"));
  EXPECT_OK(Grant(*idle));
}

TEST_F(DurableLeasesTest, ACheckpointSeesWhoIsAttached) {
  const auto session = Start("c1");
  Must<Publisher>([](Transaction& txn) {
    return AttachPublisher(
        txn,
        {.id = "gw",
         .scope = {PublisherScope::Kind::kBucket, "photos"},
         .epoch = 1},
        test::Epoch());
  });
  const auto state_after_probe = [&] {
    const auto lease = Grant(*session);
    CRR_CHECK(lease.ok());
    const auto outcome = Answer<CheckpointOutcome>(
        [&](LeaseStore::Answer<CheckpointOutcome> answer) {
          leases_->Apply(test::ProbeFinds(lease->unit_id, lease->token),
                         std::move(answer));
        });
    CRR_CHECK(outcome.ok());
    return Must<RuleState>([](Transaction& txn) {
      return absl::StatusOr<RuleState>(
          rule_table::GetBySource(txn, "photos")->state);
    });
  };
  EXPECT_EQ(state_after_probe(), RuleState::kStarting);
  publishers_.Attach({.id = "gw"}, [](PublisherHub::End) {});
  EXPECT_EQ(state_after_probe(), RuleState::kActive);
}

TEST_F(DurableLeasesTest, SoManyReportsWaitToBeStored) {
  std::latch entered(1);
  std::latch released(1);
  database_->Write<int64_t>(
      {},
      [&](Transaction&) -> absl::StatusOr<int64_t> {
        entered.count_down();
        released.wait();
        return 0;
      },
      [](const absl::StatusOr<int64_t>&) {});
  entered.wait();
  for (int i = 0; i <= limits::kNotesInHandMax; ++i) leases_->Note(1, 1, "x");
  EXPECT_EQ(database_->stats().waiting,
            static_cast<size_t>(limits::kNotesInHandMax));
  released.count_down();
  // And there is room again.
  Must<int64_t>([](Transaction&) { return absl::StatusOr<int64_t>(0); });
  leases_->Note(1, 1, "x");
  Must<int64_t>([](Transaction&) { return absl::StatusOr<int64_t>(0); });
}

TEST_F(DurableLeasesTest, ALogOfSmallSegmentsIsReadInPieces) {
  constexpr int64_t kSegments = limits::kSegmentsPerReadMax + 3;
  for (int64_t i = 0; i < kSegments; ++i) {
    Must<BatchOutcome>([](Transaction& txn) {
      return AppendBatch(txn, TestTables::BatchOf("photos", {"k"}),
                         int64_t{1} << 20, test::Epoch());
    });
  }
  const auto read = [&](int64_t after) {
    return Answer<std::vector<Segment>>(
        [&](LeaseStore::Answer<std::vector<Segment>> answer) {
          leases_->ReadSegments(1, 0, after, 1 << 20, std::move(answer));
        });
  };
  const auto first = read(0);
  ASSERT_OK(first);
  EXPECT_EQ(first->size(), static_cast<size_t>(limits::kSegmentsPerReadMax));
  const auto rest = read(first->back().last_sequence);
  ASSERT_OK(rest);
  EXPECT_EQ(rest->size(), 3u);
}

}  // namespace
}  // namespace crr
