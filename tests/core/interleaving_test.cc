// Whatever ends or moves a lease, at every point between a durable step's
// request, its commit and its answer. After each: at most one copier believes
// that it may write, and with a copier alive everything is done in the end.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/lease_restore.h"
#include "tests/core/manual_store.h"
#include "tests/core/model_fleet.h"
#include "tests/core/test_tables.h"
#include "tests/support/fake_clock.h"

namespace crr {
namespace {

using test::FakeClock;
using test::ManualStore;
using test::ModelCopier;
using test::ModelStores;
using test::ModelWire;
using test::TestTables;

// What happens.
enum class Event {
  kExpiry,
  kTakeover,
  kBrokenStream,
  kDeletion,
  kDrain,
  kKill
};
// The durable step that it meets.
enum class Step { kGrant, kCheckpoint, kCompletion, kRelease };
// Where it meets it.
enum class Point { kBeforeCommit, kBeforeAnswer };

constexpr absl::Duration kTick = absl::Milliseconds(250);

class InterleavingTest
    : public ::testing::TestWithParam<
          std::tuple<Event, Step, Point, UnitKind>> {
 protected:
  InterleavingTest() {
    for (const char* key : {"k1", "k2", "k3"}) {
      stores_.Write("photos", key, true);
    }
    StartServer();
    a_ = AddCopier("a");
    Settle();
    // The core is told of its work when the test says so.
    rule_ = tables_.AddActiveRule(
        {.historical = kind() == UnitKind::kBackfill});
    if (kind() == UnitKind::kBackfill) {
      work_ = tables_.CutRanges(rule_, {{"k3", 3}});
      work_.removed.clear();
    }
  }

  Event event() const { return std::get<0>(GetParam()); }
  Step step() const { return std::get<1>(GetParam()); }
  Point point() const { return std::get<2>(GetParam()); }
  UnitKind kind() const { return std::get<3>(GetParam()); }
  // Whether the event is a transaction that stands in line with the others.
  bool EventIsDurable() const {
    return event() == Event::kTakeover || event() == Event::kDeletion;
  }

  void StartServer() {
    core_ = std::make_unique<LeaseCore>(terms_, clock_, store_, wire_);
    core_->Restore(
        tables_.Do([](Transaction& txn) { return ReadRestored(txn); }));
  }
  ModelCopier* AddCopier(const std::string& id) {
    copiers_.push_back(std::make_unique<ModelCopier>(
        ModelCopier::Options{.id = id, .terms = terms_}, clock_, wire_, stores_,
        [](size_t) { return size_t{0}; }));
    copiers_.back()->Beat();
    return copiers_.back().get();
  }
  bool DeliverUp() {
    return wire_.DeliverUp(*core_, [](size_t) { return size_t{0}; });
  }
  bool IsFrozen(const ModelCopier& copier) const {
    return &copier == a_ && clock_.Now() < a_thaws_;
  }

  // Everything that waits, work left out.
  void Settle() {
    for (bool busy = true; busy;) {
      busy = store_.RunStep() || store_.Deliver() || store_.RunRead() ||
             DeliverUp();
      for (const auto& copier : copiers_) {
        busy = (!IsFrozen(*copier) && copier->Receive()) || busy;
      }
      Check();
    }
  }
  void Check() {
    std::map<int64_t, const ModelCopier*> writers;
    for (const auto& copier : copiers_) {
      for (const int64_t unit : copier->MayWrite(clock_.Now())) {
        const auto [it, is_new] = writers.emplace(unit, copier.get());
        EXPECT_TRUE(is_new) << "both " << it->second->id() << " and "
                            << copier->id() << " may write";
      }
      EXPECT_EQ(copier->complaint(), "");
    }
    tables_.Do([&](Transaction& txn) {
      for (const Unit& unit : unit_table::All(txn)) {
        EXPECT_GE(unit.token, tokens_[unit.id]);
        tokens_[unit.id] = unit.token;
      }
    });
  }

  void BringWork() {
    if (kind() == UnitKind::kChanges) {
      const std::vector<std::string> keys = {"k1", "k2", "k3"};
      work_ = tables_.Publish("photos", keys).events;
    }
    core_->OnWork(work_);
  }
  // Up to where the step is asked for next.
  void Prepare() {
    if (step() == Step::kGrant) return;
    BringWork();
    Settle();
    if (step() == Step::kCheckpoint) {
      ASSERT_TRUE(a_->Work());
    }
    if (step() == Step::kCompletion) {
      for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(a_->Work());
        Settle();
      }
      ASSERT_TRUE(a_->Work());
    }
    if (step() == Step::kRelease) a_->GiveUp("STOPPING");
  }
  void Ask() {
    if (step() == Step::kGrant) {
      BringWork();
    } else {
      ASSERT_TRUE(DeliverUp());
    }
    ASSERT_EQ(store_.waiting(KindOfStep()), 1);
  }
  ManualStore::Kind KindOfStep() const {
    switch (step()) {
      case Step::kGrant: return ManualStore::Kind::kGrant;
      case Step::kRelease: return ManualStore::Kind::kEnd;
      default: return ManualStore::Kind::kApply;
    }
  }
  void Happen() {
    switch (event()) {
      case Event::kExpiry:
        // A stands still for long enough that its leases are others' when it
        // comes back.
        a_thaws_ = clock_.Now() + 2 * (terms_.ttl + terms_.grace);
        for (absl::Duration t; t < terms_.ttl + terms_.grace; t += kTick) {
          clock_.Advance(kTick);
          core_->Tick();
          Check();
        }
        break;
      case Event::kTakeover:
        // Its hello alone; what the other one said is still on its way.
        AddCopier("a");
        wire_.DeliverUp(*core_, [](size_t bound) { return bound - 1; });
        break;
      case Event::kBrokenStream:
        wire_.Break(a_->stream(), [](size_t) { return size_t{0}; });
        while (DeliverUp()) {
        }
        break;
      case Event::kKill:
        a_->Kill();
        while (DeliverUp()) {
        }
        break;
      case Event::kDeletion:
        store_.Submit(
            [rule_uid = rule_](Transaction& txn) -> absl::StatusOr<WorkEvents> {
              const auto rule = rule_table::Get(txn, rule_uid);
              if (!rule) return WorkEvents{};
              auto outcome = DeleteRule(txn, *rule, test::Epoch());
              if (!outcome.ok()) return outcome.status();
              return outcome->events;
            },
            [this](const WorkEvents& events) { core_->OnWork(events); });
        break;
      case Event::kDrain:
        core_->Drain();
        break;
    }
    Check();
  }
  bool Done() {
    if (event() == Event::kDeletion) {
      return !tables_.FindRule(rule_).has_value();
    }
    const std::vector<Unit> units = tables_.UnitsOf(rule_);
    return tables_.Log(rule_).empty() &&
           std::none_of(units.begin(), units.end(), [](const Unit& unit) {
             return unit.kind == UnitKind::kBackfill;
           });
  }
  // Time and work go on until everything is done.
  void GoOn() {
    const Ticks begin = clock_.Now();
    while (!Done()) {
      ASSERT_LT(clock_.Now() - begin, absl::Minutes(2)) << "it is stuck";
      clock_.Advance(kTick);
      if (event() == Event::kDrain && !restarted_ &&
          clock_.Now() - begin > absl::Seconds(1)) {
        restarted_ = true;
        store_.Crash();
        wire_.BreakAll([](size_t) { return size_t{0}; });
        StartServer();
      }
      for (const auto& copier : copiers_) {
        if (!IsFrozen(*copier)) copier->Beat();
      }
      // What was heard comes before time.
      Settle();
      core_->Tick();
      Settle();
      for (const auto& copier : copiers_) {
        if (!IsFrozen(*copier)) copier->Work();
      }
      Settle();
    }
  }

  FakeClock clock_;
  TestTables tables_;
  ManualStore store_{tables_, clock_};
  ModelWire wire_;
  ModelStores stores_;
  LeaseOptions terms_ = LeaseOptions::FromTtl(absl::Seconds(10));
  std::unique_ptr<LeaseCore> core_;
  std::vector<std::unique_ptr<ModelCopier>> copiers_;
  ModelCopier* a_ = nullptr;
  Ticks a_thaws_;
  int64_t rule_ = 0;
  WorkEvents work_;
  bool restarted_ = false;
  std::map<int64_t, int64_t> tokens_;
};

TEST_P(InterleavingTest, OneBelieverAndNothingLost) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  if (EventIsDurable() && point() == Point::kBeforeCommit) Happen();
  ASSERT_NO_FATAL_FAILURE(Ask());
  if (!EventIsDurable() && point() == Point::kBeforeCommit) Happen();
  while (store_.unanswered(KindOfStep()) == 0) {
    ASSERT_TRUE(store_.RunStep());
  }
  if (point() == Point::kBeforeAnswer) Happen();
  AddCopier("b");
  ASSERT_NO_FATAL_FAILURE(GoOn());
  if (event() != Event::kDeletion) {
    EXPECT_EQ(stores_.of("photos"), stores_.of("photos-dr"));
  }
  // And once more, long after: whoever slept has woken.
  const Ticks end = clock_.Now() + absl::Minutes(1);
  while (clock_.Now() < end) {
    clock_.Advance(kTick);
    for (const auto& copier : copiers_) {
      copier->Beat();
      copier->Work();
    }
    Settle();
    core_->Tick();
    Settle();
  }
  EXPECT_TRUE(Done());
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM leases"), 0);
  EXPECT_EQ(tables_.Number("SELECT count(*) FROM work_units"), 0);
}

std::string NameOf(
    const ::testing::TestParamInfo<InterleavingTest::ParamType>& info) {
  constexpr const char* kEvents[] = {"Expiry",   "Takeover", "BrokenStream",
                                     "Deletion", "Drain",    "Kill"};
  constexpr const char* kSteps[] = {"Grant", "Checkpoint", "Completion",
                                    "Release"};
  return absl::StrCat(
      kEvents[static_cast<int>(std::get<0>(info.param))],
      std::get<2>(info.param) == Point::kBeforeCommit ? "BeforeCommitOf"
                                                      : "BeforeAnswerTo",
      kSteps[static_cast<int>(std::get<1>(info.param))],
      std::get<3>(info.param) == UnitKind::kChanges ? "OfALog" : "OfARange");
}

using ::testing::Combine;
using ::testing::Values;

const auto kAllEvents =
    Values(Event::kExpiry, Event::kTakeover, Event::kBrokenStream,
           Event::kDeletion, Event::kDrain, Event::kKill);
const auto kAllPoints = Values(Point::kBeforeCommit, Point::kBeforeAnswer);

INSTANTIATE_TEST_SUITE_P(Range, InterleavingTest,
                         Combine(kAllEvents,
                                 Values(Step::kGrant, Step::kCheckpoint,
                                        Step::kCompletion, Step::kRelease),
                                 kAllPoints, Values(UnitKind::kBackfill)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Log, InterleavingTest,
                         Combine(kAllEvents,
                                 Values(Step::kGrant, Step::kCheckpoint,
                                        Step::kRelease),
                                 kAllPoints, Values(UnitKind::kChanges)),
                         NameOf);

}  // namespace
}  // namespace crr
