#ifndef CRR_TESTS_CORE_LEASE_WORLD_H_
#define CRR_TESTS_CORE_LEASE_WORLD_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/core/lease_core.h"
#include "server/core/lease_restore.h"
#include "tests/core/manual_store.h"
#include "tests/core/recording_output.h"
#include "tests/core/test_tables.h"
#include "tests/support/fake_clock.h"

namespace crr::test {

// A LeaseCore over real tables, with everything around it in the test's hand.
// Helpers below settle whatever the core asks of its store, unless they say
// otherwise; a test that stands between a commit and its answer calls `core`
// and `store` itself.
struct LeaseWorld {
  LeaseOptions options = LeaseOptions::FromTtl(absl::Seconds(10));
  FakeClock clock;
  TestTables tables;
  ManualStore store{tables, clock};
  RecordingOutput output;
  std::unique_ptr<LeaseCore> core;
  StreamId last_stream = 0;
  int64_t last_heartbeat = 0;

  LeaseWorld() {
    // Leases stay where they are, but for what a test does to them.
    options.rebalance_interval = absl::Hours(1000);
    Start();
  }

  // ttl + grace.
  absl::Duration term() const { return options.ttl + options.grace; }

  // A new process on what the tables hold.
  void Start() {
    core = std::make_unique<LeaseCore>(options, clock, store, output);
    core->Restore(
        tables.Do([](Transaction& txn) { return ReadRestored(txn); }));
  }
  void Restart() {
    store.Crash();
    Start();
    store.Settle();
  }

  // Time in which the server ticks as it should, the last time at the end.
  void Pass(absl::Duration time) {
    while (time > absl::ZeroDuration()) {
      const absl::Duration step = std::min(time, core->tick_interval());
      clock.Advance(step);
      time -= step;
      core->Tick();
      store.Settle();
    }
  }
  // The same, while these streams' copiers send heartbeats.
  void PassAlive(absl::Duration time, const std::vector<StreamId>& alive) {
    while (time > absl::ZeroDuration()) {
      const absl::Duration step = std::min(time, absl::Seconds(3));
      Pass(step);
      time -= step;
      for (const StreamId stream : alive) Heartbeat(stream);
    }
  }

  static HelloMessage HelloOf(const std::string& copier, int64_t credit = 10) {
    return {.copier = copier,
            .session_number = std::nullopt,
            .region = "",
            .lease_credit = credit,
            .segment_credit_bytes = 1 << 20,
            .held = {}};
  }
  // Opens a stream; nothing is settled.
  StreamId Say(const HelloMessage& hello) {
    core->OnHello(++last_stream, hello);
    return last_stream;
  }
  StreamId Open(const HelloMessage& hello) {
    const StreamId stream = Say(hello);
    store.Settle();
    return stream;
  }
  StreamId Open(const std::string& copier, int64_t credit = 10) {
    return Open(HelloOf(copier, credit));
  }
  // Comes back after a broken stream.
  StreamId Reopen(const std::string& copier, int64_t number,
                  const std::vector<LeaseRef>& held, int64_t credit = 10) {
    HelloMessage hello = HelloOf(copier, credit);
    hello.session_number = number;
    hello.held = held;
    return Open(hello);
  }
  int64_t NumberOf(StreamId stream) {
    return output.Last<WelcomeMessage>(stream).session_number;
  }
  HeartbeatAckMessage Heartbeat(StreamId stream) {
    core->OnHeartbeat(stream, ++last_heartbeat);
    return output.Last<HeartbeatAckMessage>(stream);
  }
  CheckpointAckMessage Report(StreamId stream, const Checkpoint& checkpoint) {
    core->OnCheckpoint(stream, checkpoint);
    store.Settle();
    return output.Last<CheckpointAckMessage>(stream);
  }
  void Release(StreamId stream, const LeaseSpec& lease,
               const std::string& reason = "STOPPING") {
    core->OnRelease(stream, ReleaseOf(lease, reason));
    store.Settle();
  }
  static LeaseRef RefOf(const LeaseSpec& lease, int64_t received = 0) {
    return {lease.unit_id, lease.token, received};
  }
  static ReleaseMessage ReleaseOf(const LeaseSpec& lease,
                                  const std::string& reason = "",
                                  const std::string& message = "") {
    return {.lease = RefOf(lease), .reason = reason, .message = message};
  }
  std::vector<LeaseSpec> Grants(StreamId stream) {
    return output.Of<LeaseSpec>(stream);
  }
  LeaseSpec LastGrant(StreamId stream) {
    return output.Last<LeaseSpec>(stream);
  }

  // An ACTIVE rule with `count` BACKFILL units and nothing else, told to the
  // core and scheduled.
  int64_t AddRuleWithRanges(int count, TestTables::RuleSetup setup = {}) {
    setup.historical = true;
    const int64_t rule_uid = tables.AddActiveRule(setup);
    std::vector<Checkpoint::Range> ranges;
    for (int i = 0; i < count; ++i) {
      ranges.push_back({absl::StrCat("k", 1000 + i), 10});
    }
    WorkEvents events = tables.CutRanges(rule_uid, ranges);
    events.removed.clear();  // The core never knew that INVENTORY.
    core->OnWork(events);
    store.Settle();
    return rule_uid;
  }
  // Publishes and tells the core.
  void Publish(const std::string& bucket, int count) {
    const BatchOutcome outcome = tables.Publish(bucket, count);
    core->OnWork(outcome.events);
    store.Settle();
  }
  // An ACTIVE rule with `changes` logged, told to the core and scheduled.
  int64_t AddRuleWithChanges(int changes,
                             const TestTables::RuleSetup& setup = {}) {
    const int64_t rule_uid = tables.AddActiveRule(setup);
    Publish(setup.source, changes);
    return rule_uid;
  }
  // What a user does to a rule, in line with whatever waits; nothing is
  // settled, and nothing happens when it is refused or the rule is gone.
  using RuleChange =
      std::function<absl::StatusOr<RuleOutcome>(Transaction&, const Rule&)>;
  void Submit(int64_t rule_uid, RuleChange change) {
    store.Submit(
        [rule_uid, change = std::move(change)](
            Transaction& txn) -> absl::StatusOr<WorkEvents> {
          const auto rule = rule_table::Get(txn, rule_uid);
          if (!rule) return WorkEvents{};
          auto outcome = change(txn, *rule);
          if (!outcome.ok()) return outcome.status();
          return outcome->events;
        },
        [this](const WorkEvents& events) { core->OnWork(events); });
  }
  void SubmitDelete(int64_t rule_uid) {
    Submit(rule_uid, [now = clock.WallNow()](Transaction& txn,
                                             const Rule& rule) {
      return DeleteRule(txn, rule, now);
    });
  }
  void SubmitPause(int64_t rule_uid) {
    Submit(rule_uid, [now = clock.WallNow()](Transaction& txn,
                                             const Rule& rule) {
      return PauseRule(txn, rule, now);
    });
  }
  void SubmitResume(int64_t rule_uid) {
    Submit(rule_uid, [now = clock.WallNow()](Transaction& txn,
                                             const Rule& rule) {
      return ResumeRule(txn, rule, now);
    });
  }
  void SubmitLimits(int64_t rule_uid, int64_t max_leases,
                    int64_t max_bytes_per_second = 0) {
    Submit(rule_uid, [=, now = clock.WallNow()](Transaction& txn,
                                                const Rule& rule) {
      Rule changed = rule;
      changed.max_leases = max_leases;
      changed.max_bytes_per_second = max_bytes_per_second;
      return UpdateRule(txn, rule, changed, {}, now);
    });
  }
  void Pause(int64_t rule_uid) {
    SubmitPause(rule_uid);
    store.Settle();
  }
  void Resume(int64_t rule_uid) {
    SubmitResume(rule_uid);
    store.Settle();
  }
  void SetLimits(int64_t rule_uid, int64_t max_leases,
                 int64_t max_bytes_per_second = 0) {
    SubmitLimits(rule_uid, max_leases, max_bytes_per_second);
    store.Settle();
  }
  void Delete(int64_t rule_uid) {
    SubmitDelete(rule_uid);
    store.Settle();
  }
};

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_LEASE_WORLD_H_
