#ifndef CRR_TESTS_CORE_SIMULATION_H_
#define CRR_TESTS_CORE_SIMULATION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/core/lease_core.h"
#include "tests/core/manual_store.h"
#include "tests/core/model_fleet.h"
#include "tests/core/test_tables.h"
#include "tests/support/fake_clock.h"

namespace crr::test {

// What is done wrong on purpose, to see that it is noticed.
struct Weakness {
  bool token_is_ignored = false;      // By the transaction of a checkpoint.
  bool failures_are_dropped = false;  // By the same.
  bool grace_is_left_out = false;     // By the core.
  bool restart_forgets_leases = false;  // As if their holders were gone.
};

// Some minutes of a server, its copiers, a publisher and users, in virtual time
// and on one thread: everything happens in an order that `seed` draws, and
// everything that can break does. Then the faults end, and all that was
// published must arrive.
class Simulation {
 public:
  Simulation(uint64_t seed, Weakness weakness);

  // The first violation; empty when there was none.
  std::string Run();

  // How often what makes it hard has happened.
  const std::map<std::string, int64_t>& reached() const { return reached_; }

 private:
  // Records what a checkpoint changed under which token.
  class WatchedStore final : public ManualStore {
   public:
    WatchedStore(Simulation& simulation)
        : ManualStore(simulation.tables_, simulation.clock_),
          simulation_(simulation) {}

   protected:
    absl::StatusOr<CheckpointOutcome> ApplyBody(
        Transaction& txn, const Checkpoint& checkpoint) override;

   private:
    Simulation& simulation_;
  };

  struct Pair {
    std::string source;
    std::string destination;
  };
  // What the tables showed of a unit last.
  struct Seen {
    int64_t token = 0;
    Cursor cursor;
  };

  size_t Pick(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }
  bool OneIn(size_t n) { return Pick(n) == 0; }
  void Fail(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  void StartServer();
  void RestartServer();
  void CountServer();
  void AddCopier(const std::string& id);
  void Advance(absl::Duration time);
  void Step();
  void Disturb();
  void WriteSomething();
  std::string SomeKey();
  void CreateRule();
  void DeleteRule();
  void PauseOrResumeRule();
  void SetLimits();
  void SendBatch();
  bool RunStep();
  ModelCopier& SomeCopier() { return *copiers_[Pick(copiers_.size())]; }
  bool IsFrozen(const ModelCopier& copier) {
    return frozen_until_[copier.id()] > clock_.Now();
  }

  // Puts what a user does to the rule of a pair in line. `told`: the core has
  // heard of it.
  using RuleChange =
      std::function<absl::StatusOr<RuleOutcome>(Transaction&, const Rule&)>;
  void ChangeRule(const Pair& pair, RuleChange change,
                  std::function<void()> told = [] {});
  int64_t LeasesOf(ReadTransaction& txn, int64_t rule_uid);

  void CheckTables();
  void CheckBounds(ReadTransaction& txn);
  void CheckLedger(ReadTransaction& txn);
  void CheckPartitions(ReadTransaction& txn);
  void CheckSyncTime(ReadTransaction& txn, const Rule& rule);
  void KillCopier(ModelCopier& copier);
  void LetWork(ModelCopier& copier);
  void RetryByHand();
  void CheckWriters();
  bool Done();
  void Finish();
  void CheckBuckets();

  const Weakness weakness_;
  std::mt19937_64 random_;
  // Of some runs: what a log may hold, and records that fill it.
  int64_t log_bytes_max_ = int64_t{1} << 40;
  bool is_hot_ = false;
  std::string violation_;
  std::map<std::string, int64_t> reached_;

  FakeClock clock_;
  TestTables tables_;
  WatchedStore store_{*this};
  ModelWire wire_;
  ModelStores stores_;
  LeaseOptions terms_ = LeaseOptions::FromTtl(absl::Seconds(10));
  std::unique_ptr<LeaseCore> core_;
  Ticks next_tick_;
  std::vector<std::unique_ptr<ModelCopier>> copiers_;
  // Processes that were killed, for what they may still write.
  std::vector<std::unique_ptr<ModelCopier>> ghosts_;
  std::map<std::string, Ticks> frozen_until_;
  // Streams of which nothing goes up until then.
  std::map<StreamId, Ticks> held_until_;

  std::vector<Pair> pairs_;
  // Written, and not acknowledged by the server yet.
  std::deque<Batch> outbox_;
  std::vector<PublishedChange> unsent_;
  bool batch_is_under_way_ = false;
  int64_t attachment_ = 0;
  int64_t next_batch_ = 1;
  // Keys that the log of a rule took, or its resync.
  std::map<int64_t, std::set<std::string>> logged_;
  // The states that these had, until they are at the destination.
  struct Write {
    std::string key;
    int64_t revision = 0;
    absl::Time time;
  };
  std::map<int64_t, std::vector<Write>> on_the_way_;

  std::map<int64_t, Seen> units_seen_;
  // Rules with more leases than their bound, since that was lowered: they may
  // keep as many, and those that are being granted, but get no more.
  struct Excess {
    int64_t leases_max = 0;
    int untold = 0;  // Changes that the core has not heard of yet.
  };
  std::map<int64_t, Excess> excess_;
  std::map<int64_t, int64_t> paused_leases_;  // By rule that is PAUSED.
};

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_SIMULATION_H_
