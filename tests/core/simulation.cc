#include "tests/core/simulation.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/ledger.h"
#include "server/core/lease_restore.h"
#include "server/core/object_lane.h"
#include "server/core/progress.h"
#include "server/core/units.h"
#include "storage/rule_table.h"

namespace crr::test {
namespace {

constexpr int kSteps = 4000;
constexpr int kPairs = 3;
constexpr int kKeys = 12;
constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr char kPublisher[] = "gw";
constexpr PublisherScope::Kind kRegionScope = PublisherScope::Kind::kRegion;

// Whether the key is at the destination as it is at the source. A comparison
// leaves no tombstone for what is missing at both.
bool IsInStep(const ModelStores::State& state, const ModelStores::Bucket& there,
              const std::string& key) {
  const auto found = there.find(key);
  return found == there.end() || !found->second.exists
             ? !state.exists
             : found->second == state;
}

}  // namespace

absl::StatusOr<CheckpointOutcome> Simulation::WatchedStore::ApplyBody(
    Transaction& txn, const Checkpoint& checkpoint) {
  const auto before = unit_table::Get(txn, checkpoint.unit_id);
  Checkpoint seen = checkpoint;
  if (simulation_.weakness_.token_is_ignored && before) {
    seen.token = before->token;
  }
  if (simulation_.weakness_.failures_are_dropped) {
    for (const ObjectFailure& failure : std::exchange(seen.failed, {})) {
      seen.collapsed += failure.changes;
    }
  }
  auto outcome = ManualStore::ApplyBody(txn, seen);
  if (!outcome.ok() || !before ||
      outcome->result != CheckpointOutcome::Result::kRecorded) {
    return outcome;
  }
  const auto after = unit_table::Get(txn, checkpoint.unit_id);
  const bool changed = !after || after->cursor != before->cursor;
  if (changed && checkpoint.token != before->token) {
    simulation_.Fail(absl::StrCat("unit ", checkpoint.unit_id,
                                  " was changed under an old token"));
  }
  if (!changed) ++simulation_.reached_["a checkpoint again"];
  if (changed && !seen.failed.empty()) {
    ++simulation_.reached_[before->kind == UnitKind::kVerify
                               ? "a difference to repair"
                               : "an object that left its lane"];
  }
  if (!after && before->kind == UnitKind::kObject) {
    ++simulation_.reached_["an object done by itself"];
  }
  return outcome;
}

Simulation::Simulation(uint64_t seed, Weakness weakness)
    : weakness_(weakness), random_(seed) {
  for (int i = 0; i < kPairs; ++i) {
    pairs_.push_back({absl::StrCat("source-", i), absl::StrCat("dest-", i)});
    tables_.AddBucket(pairs_.back().source, kHangzhou);
    tables_.AddBucket(pairs_.back().destination, kBeijing);
  }
  attachment_ = tables_.Do([](Transaction& txn) {
    return AttachPublisher(txn,
                           {.id = kPublisher,
                            .scope = {kRegionScope, kHangzhou},
                            .epoch = 1},
                           Epoch())
        ->attachment;
  });
  store_.attached = {kPublisher};
  // As late as a write may end.
  terms_.commit_bound = terms_.margin + terms_.grace - 0.005 * terms_.ttl;
  terms_.object_retry_base = absl::Milliseconds(50);
  terms_.object_retry_max = absl::Seconds(1);
  if (OneIn(3)) log_bytes_max_ = 90;
  is_hot_ = log_bytes_max_ > 90 && OneIn(10);
  for (const Pair& pair : pairs_) {
    for (int i = 0; i < 2; ++i) {
      stores_.SetFate(pair.source, SomeKey(), ModelStores::Fate::kFails);
    }
    if (OneIn(6)) {
      stores_.SetFate(pair.source, SomeKey(), ModelStores::Fate::kKills);
    }
  }
  for (int i = 0; i < 3 * kKeys; ++i) WriteSomething();
  StartServer();
  const size_t copiers = 1 + Pick(3);
  for (size_t i = 1; i <= copiers; ++i) AddCopier(absl::StrCat("c", i));
}

void Simulation::StartServer() {
  LeaseOptions options = terms_;
  if (weakness_.grace_is_left_out) {
    options.grace = absl::ZeroDuration();
    options.commit_bound = absl::ZeroDuration();
  }
  if (weakness_.restart_forgets_leases) {
    tables_.Do([](Transaction& txn) { txn.Execute("DELETE FROM leases"); });
  }
  core_ = std::make_unique<LeaseCore>(options, clock_, store_, wire_);
  core_->Restore(
      tables_.Do([](Transaction& txn) { return ReadRestored(txn); }));
  next_tick_ = clock_.Now() + core_->tick_interval();
}

void Simulation::CountServer() {
  const LeaseCore::Counts counts = core_->counts();
  reached_["a grant"] += counts.grants;
  reached_["an expiry"] += counts.expiries;
  reached_["a fenced checkpoint"] += counts.fenced;
}

void Simulation::RestartServer() {
  CountServer();
  ++reached_["a restart"];
  store_.Crash();
  batch_is_under_way_ = false;
  for (auto& [rule_uid, excess] : excess_) excess.untold = 0;
  wire_.BreakAll([this](size_t bound) { return Pick(bound); });
  StartServer();
}

void Simulation::AddCopier(const std::string& id) {
  copiers_.push_back(std::make_unique<ModelCopier>(
      ModelCopier::Options{
          .id = id,
          .lease_credit = 1 + static_cast<int64_t>(Pick(4)),
          .terms = terms_,
          // Both ends of what the protocol allows.
          .clock_rate = OneIn(2) ? 0.995 : 1.005},
      clock_, wire_, stores_, [this](size_t bound) { return Pick(bound); }));
}

void Simulation::Advance(absl::Duration time) {
  while (time > absl::ZeroDuration()) {
    const absl::Duration step = std::min(time, absl::Milliseconds(250));
    clock_.Advance(step);
    time -= step;
    for (const auto& copier : copiers_) {
      if (!IsFrozen(*copier)) copier->Beat();
    }
    std::erase_if(held_until_, [&](const auto& held) {
      if (held.second > clock_.Now()) return false;
      wire_.LetGo(held.first);
      return true;
    });
    if (clock_.Now() >= next_tick_) {
      core_->Tick();
      next_tick_ = clock_.Now() + core_->tick_interval();
    }
    CheckWriters();
  }
}

bool Simulation::RunStep() {
  if (!store_.RunStep()) return false;
  CheckTables();
  return true;
}

void Simulation::Step() {
  const auto pick = [this](size_t bound) { return Pick(bound); };
  const size_t dice = Pick(100);
  if (dice < 15) {
    Advance(absl::Milliseconds(static_cast<int64_t>(Pick(200))));
  } else if (dice < 18) {
    Advance(absl::Milliseconds(static_cast<int64_t>(Pick(3000))));
  } else if (dice < 33) {
    RunStep();
  } else if (dice < 48) {
    store_.Deliver();
  } else if (dice < 53) {
    store_.RunRead();
  } else if (dice < 67) {
    wire_.DeliverUp(*core_, pick);
  } else if (dice < 80) {
    ModelCopier& copier = SomeCopier();
    if (!IsFrozen(copier)) copier.Receive();
  } else if (dice < 90) {
    ModelCopier& copier = SomeCopier();
    if (!IsFrozen(copier)) LetWork(copier);
  } else if (dice < 93) {
    WriteSomething();
  } else if (dice < 96) {
    SendBatch();
  } else if (dice < 97) {
    CreateRule();
  } else {
    Disturb();
  }
  CheckWriters();
}

void Simulation::KillCopier(ModelCopier& copier) {
  const std::string id = copier.id();
  reached_["a lease lost by its holder"] += copier.lost();
  copier.Kill();
  const auto it =
      std::find_if(copiers_.begin(), copiers_.end(),
                   [&](const auto& one) { return one.get() == &copier; });
  ghosts_.push_back(std::move(*it));
  copiers_.erase(it);
  frozen_until_.erase(id);
  AddCopier(id);
}

void Simulation::LetWork(ModelCopier& copier) {
  copier.Work();
  if (!copier.crashed()) return;
  ++reached_["a crash on an object"];
  KillCopier(copier);
}

void Simulation::Disturb() {
  const auto pick = [this](size_t bound) { return Pick(bound); };
  ModelCopier& copier = SomeCopier();
  switch (Pick(19)) {
    case 0:  // A process dies, and another comes under its name.
    case 1:
      if (!copier.MayWrite(clock_.Now()).empty()) ++reached_["a kill at work"];
      KillCopier(copier);
      break;
    case 2:  // It stands still, shorter or longer than its leases last.
    case 3:
      frozen_until_[copier.id()] =
          clock_.Now() + absl::Milliseconds(static_cast<int64_t>(Pick(25'000)));
      break;
    case 4:
    case 5:
      wire_.Break(copier.stream(), pick);
      break;
    case 6:
      wire_.Hold(copier.stream());
      held_until_[copier.stream()] =
          clock_.Now() + absl::Milliseconds(static_cast<int64_t>(Pick(25'000)));
      break;
    case 7:
      if (!OneIn(3)) break;
      RestartServer();
      break;
    case 8:  // The server stands still.
      if (OneIn(2)) {
        clock_.Advance(
            absl::Milliseconds(static_cast<int64_t>(Pick(40'000))));
      }
      break;
    case 9:
      copier.Repeat();
      break;
    case 10:
      copier.GiveUp(OneIn(2) ? "STOPPING" : "STORE_UNREACHABLE");
      break;
    case 11: {
      using Kind = ManualStore::Kind;
      constexpr Kind kinds[] = {Kind::kStartSession, Kind::kGrant, Kind::kApply,
                                Kind::kEnd, Kind::kClose, Kind::kResync};
      store_.Refuse(kinds[Pick(6)],
                    absl::ResourceExhaustedError("the disk is full"),
                    1 + static_cast<int>(Pick(3)));
      break;
    }
    case 12:
      if (OneIn(4)) {
        DeleteRule();
      } else if (store_.attached.empty()) {
        store_.attached = {kPublisher};
      } else if (OneIn(4)) {
        store_.attached.clear();
      }
      break;
    case 13:
    case 14:
      PauseOrResumeRule();
      break;
    case 15:
    case 16:
      SetLimits();
      break;
    case 17: {
      const auto view = core_->FindCopier(copier.id());
      if (view && OneIn(4)) core_->DrainSession(view->session_number);
      break;
    }
    case 18:
      if (OneIn(3)) RetryByHand();
      break;
  }
}

void Simulation::WriteSomething() {
  const Pair& pair = pairs_[Pick(pairs_.size())];
  const std::string key = SomeKey();
  const bool exists = !OneIn(4);
  stores_.Write(pair.source, key, exists);
  unsent_.push_back({.bucket = pair.source,
                     .key = key,
                     .kind = exists ? PublishedChange::Kind::kPut
                                    : PublishedChange::Kind::kDelete,
                     .event_time = clock_.WallNow(),
                     .encoded = absl::StrCat(
                         key, "|", stores_.of(pair.source).at(key).revision,
                         "|", is_hot_ ? std::string(250'000, 'x') : "", "\n")});
}

// Half of the keys are outside of a prefix that some rules have.
std::string Simulation::SomeKey() {
  return absl::StrCat(OneIn(2) ? "a/" : "b/", 100 + Pick(kKeys));
}

void Simulation::SendBatch() {
  if (batch_is_under_way_) return;
  if (outbox_.empty()) {
    if (unsent_.empty()) return;
    outbox_.push_back({.publisher = kPublisher,
                       .scope = {kRegionScope, kHangzhou},
                       .epoch = 1,
                       .attachment = attachment_,
                       .number = next_batch_++,
                       .changes = std::exchange(unsent_, {})});
  }
  batch_is_under_way_ = true;
  store_.Submit(
      [this, batch = outbox_.front()](
          Transaction& txn) -> absl::StatusOr<WorkEvents> {
        const auto stored = publisher_table::Get(txn, kPublisher);
        const bool repeated = stored && stored->last_number >= batch.number;
        auto outcome =
            AppendBatch(txn, batch, log_bytes_max_, clock_.WallNow());
        if (!outcome.ok()) return outcome.status();
        if (repeated) ++reached_["a batch again"];
        if (!outcome->events.resync.empty()) ++reached_["a log overflowed"];
        for (const PublishedChange& change : batch.changes) {
          const auto rule = rule_table::GetBySource(txn, change.bucket);
          if (repeated || !rule || rule->state == RuleState::kClosing) continue;
          logged_[rule->uid].insert(change.key);
          Write write{.key = change.key, .time = change.event_time};
          CRR_CHECK(absl::SimpleAtoi(
              std::vector<std::string>(absl::StrSplit(change.encoded, '|'))[1],
              &write.revision));
          on_the_way_[rule->uid].push_back(std::move(write));
        }
        return outcome->events;
      },
      [this, number = outbox_.front().number](const WorkEvents& events) {
        core_->OnWork(events);
        batch_is_under_way_ = false;
        if (!outbox_.empty() && outbox_.front().number == number) {
          outbox_.pop_front();
        }
      });
}

void Simulation::RetryByHand() {
  store_.Submit(
      [this](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        WorkEvents events;
        for (const Pair& pair : pairs_) {
          const auto rule = rule_table::GetBySource(txn, pair.source);
          if (!rule) continue;
          BulkOutcome outcome = RetryObjects(txn, *rule, {});
          if (outcome.objects > 0) ++reached_["an object retried by hand"];
          events.Add(std::move(outcome.events));
        }
        return events;
      },
      [this](const WorkEvents& events) { core_->OnWork(events); });
}

void Simulation::CreateRule() {
  const Pair& pair = pairs_[Pick(pairs_.size())];
  NewRule rule = TestTables::RequestFor(
      {.source = pair.source,
       .destination = pair.destination,
       .prefixes = OneIn(3) ? std::vector<std::string>{"a/"}
                            : std::vector<std::string>{},
       .historical = OneIn(2),
       .max_leases = static_cast<int64_t>(Pick(3))});
  store_.Submit(
      [this, rule, now = clock_.WallNow()](
          Transaction& txn) -> absl::StatusOr<WorkEvents> {
        auto outcome = crr::CreateRule(txn, rule, {}, now);
        if (!outcome.ok()) return outcome.status();
        ++reached_["a rule"];
        return outcome->events;
      },
      [this](const WorkEvents& events) { core_->OnWork(events); });
}

void Simulation::ChangeRule(const Pair& pair, RuleChange change,
                            std::function<void()> told) {
  store_.Submit(
      [source = pair.source, change = std::move(change)](
          Transaction& txn) -> absl::StatusOr<WorkEvents> {
        const auto rule = rule_table::GetBySource(txn, source);
        if (!rule) return WorkEvents{};
        auto outcome = change(txn, *rule);
        if (!outcome.ok()) return outcome.status();
        return outcome->events;
      },
      [this, told = std::move(told)](const WorkEvents& events) {
        core_->OnWork(events);
        told();
      });
}

void Simulation::DeleteRule() {
  ChangeRule(pairs_[Pick(pairs_.size())],
             [this, now = clock_.WallNow()](Transaction& txn,
                                            const Rule& rule) {
               if (unit_table::RuleHasLease(txn, rule.uid)) {
                 ++reached_["a rule closed under a lease"];
               }
               if (rule.state == RuleState::kPaused) {
                 ++reached_["a paused rule closed"];
               }
               return crr::DeleteRule(txn, rule, now);
             });
}

void Simulation::PauseOrResumeRule() {
  ChangeRule(pairs_[Pick(pairs_.size())],
             [this, now = clock_.WallNow()](Transaction& txn,
                                            const Rule& rule) {
               if (rule.state == RuleState::kPaused) {
                 ++reached_["a resume"];
                 return crr::ResumeRule(txn, rule, now);
               }
               if (rule.state == RuleState::kActive &&
                   unit_table::RuleHasLease(txn, rule.uid)) {
                 ++reached_["a pause under a lease"];
               }
               return crr::PauseRule(txn, rule, now);
             });
}

void Simulation::SetLimits() {
  // The rule that it met, for the time between its commit and its answer.
  const auto changed = std::make_shared<int64_t>(0);
  ChangeRule(
      pairs_[Pick(pairs_.size())],
      [this, changed, max_leases = static_cast<int64_t>(Pick(4)),
       rate = static_cast<int64_t>(Pick(2)) * 1000,
       now = clock_.WallNow()](Transaction& txn, const Rule& rule) {
        Rule next = rule;
        next.max_leases = max_leases;
        next.max_bytes_per_second = rate;
        auto outcome = UpdateRule(txn, rule, next, {}, now);
        if (outcome.ok()) {
          *changed = rule.uid;
          Excess& excess = excess_[rule.uid];
          const int64_t old = LeaseBoundOf(rule);
          excess.leases_max =
              std::max(excess.leases_max,
                       old == 0 ? std::numeric_limits<int64_t>::max() : old);
          ++excess.untold;
          const int64_t bound = LeaseBoundOf(next);
          if (bound > 0 && LeasesOf(txn, rule.uid) > bound) {
            ++reached_["a bound below the leases that live"];
          }
        }
        return outcome;
      },
      [this, changed] {
        const auto excess = excess_.find(*changed);
        if (excess == excess_.end() || excess->second.untold == 0) return;
        --excess->second.untold;
      });
}

// --------------------------------------------------------------------- checks

int64_t Simulation::LeasesOf(ReadTransaction& txn, int64_t rule_uid) {
  int64_t leases = 0;
  for (const Unit& unit : unit_table::OfRule(txn, rule_uid)) {
    leases += unit_table::GetLease(txn, unit.id).has_value();
  }
  return leases;
}

// No rule has more leases than it may, and a rule that is PAUSED gets none.
void Simulation::CheckBounds(ReadTransaction& txn) {
  std::map<int64_t, int64_t> paused;
  for (const auto& row : txn.Query("SELECT rule_uid FROM rules")) {
    const Rule rule = *rule_table::Get(txn, row.Int(0));
    const int64_t leases = LeasesOf(txn, rule.uid);
    const int64_t bound = LeaseBoundOf(rule);
    int64_t leases_max =
        bound == 0 ? std::numeric_limits<int64_t>::max() : bound;
    if (const auto found = excess_.find(rule.uid); found != excess_.end()) {
      Excess& excess = found->second;
      leases_max = std::max(leases_max, excess.leases_max);
      if (excess.untold == 0) {
        excess.leases_max =
            std::min(excess.leases_max,
                     leases + store_.waiting(ManualStore::Kind::kGrant));
      }
    }
    if (leases > leases_max) {
      Fail(absl::StrCat("rule ", rule.uid, " has ", leases,
                        " leases; its bound is ", bound));
    }
    if (rule.state != RuleState::kPaused) continue;
    const auto before = paused_leases_.find(rule.uid);
    if (before != paused_leases_.end() && leases > before->second) {
      Fail(absl::StrCat("rule ", rule.uid, " is paused and was given a lease"));
    }
    paused[rule.uid] = leases;
  }
  paused_leases_ = std::move(paused);
}

void Simulation::CheckLedger(ReadTransaction& txn) {
  for (const auto& row : txn.Query("SELECT rule_uid FROM rules")) {
    const Ledger ledger = LedgerOf(txn, row.Int(0));
    if (!ledger.balances()) {
      Fail(absl::StrCat("rule ", row.Int(0), ": ", ToText(ledger)));
    }
    CheckSyncTime(txn, *rule_table::Get(txn, row.Int(0)));
  }
}

// While a partition of before the rule grew has changes, nobody holds a later
// one: the same key may be in both.
void Simulation::CheckPartitions(ReadTransaction& txn) {
  for (const auto& row : txn.Query(
           "SELECT u.rule_uid, u.partition, "
           "(SELECT min(s.partition) FROM change_segments s "
           " WHERE s.rule_uid = u.rule_uid) FROM leases l "
           "JOIN work_units u ON u.unit_id = l.unit_id WHERE u.kind = 4")) {
    const Rule rule = *rule_table::Get(txn, row.Int(0));
    if (rule.partitions > 1) ++reached_["a lease of a rule that grew"];
    if (row.Int(1) >= rule.first_partition && !row.IsNull(2) &&
        row.Int(2) < rule.first_partition) {
      Fail(absl::StrCat("rule ", rule.uid, ": partition ", row.Int(1),
                        " is leased, and ", row.Int(2), " is not empty"));
    }
  }
}

// What was written before last_sync_time is at the destination.
void Simulation::CheckSyncTime(ReadTransaction& txn, const Rule& rule) {
  const ModelStores::Bucket& here = stores_.of(rule.source);
  const ModelStores::Bucket& there = stores_.of(rule.destination);
  std::vector<Write>& writes = on_the_way_[rule.uid];
  std::erase_if(writes, [&](const Write& write) {
    const bool outside =
        !rule.prefixes.empty() && write.key.rfind("a/", 0) != 0;
    const auto found = there.find(write.key);
    return outside ||
           (found != there.end() && found->second.revision >= write.revision) ||
           IsInStep(here.at(write.key), there, write.key);
  });
  absl::Time published = clock_.WallNow();
  for (const PublishedChange& change : unsent_) {
    published = std::min(published, change.event_time);
  }
  for (const Batch& batch : outbox_) {
    for (const PublishedChange& change : batch.changes) {
      published = std::min(published, change.event_time);
    }
  }
  const auto sync = SyncTimeOf(
      txn, rule,
      {{{kPublisher, {kRegionScope, kHangzhou}, /*epoch=*/1}, published}});
  if (!sync.time) return;
  ++reached_["a last_sync_time"];
  for (const Write& write : writes) {
    if (write.time < *sync.time) {
      Fail(absl::StrCat("last_sync_time of rule ", rule.uid, " is ahead of ",
                        write.key));
    }
  }
}

void Simulation::CheckTables() {
  tables_.Do([&](Transaction& txn) {
    for (const auto& row : txn.Query(
             "SELECT unit_id, token, cursor_sequence, cursor_key, kind "
             "FROM work_units")) {
      Seen& seen = units_seen_[row.Int(0)];
      const Cursor cursor{row.Int(2), row.Bytes(3)};
      if (row.Int(1) < seen.token) {
        Fail(absl::StrCat("the token of unit ", row.Int(0), " fell"));
      }
      // An object begins anew when it changed.
      const bool is_object =
          row.Int(4) == static_cast<int64_t>(UnitKind::kObject);
      if ((cursor.sequence < seen.cursor.sequence && !is_object) ||
          cursor.key < seen.cursor.key) {
        Fail(absl::StrCat("the cursor of unit ", row.Int(0), " ran back"));
      }
      seen = {row.Int(1), cursor};
    }
    CheckBounds(txn);
    CheckLedger(txn);
    CheckPartitions(txn);
  });
}

void Simulation::CheckWriters() {
  const Ticks now = clock_.Now();
  std::map<int64_t, const ModelCopier*> writers;
  const auto check = [&](const ModelCopier& copier) {
    for (const int64_t unit : copier.MayWrite(now)) {
      const auto [it, is_new] = writers.emplace(unit, &copier);
      if (!is_new && it->second != &copier) {
        Fail(absl::StrCat("both ", it->second->id(), " and ", copier.id(),
                          " may write for unit ", unit));
      }
    }
    if (!copier.complaint().empty()) Fail(copier.complaint());
  };
  const auto check_alive = [&](const ModelCopier& copier) {
    check(copier);
    // Of two processes under one name the first is dead here.
    if (copier.superseded()) {
      Fail(absl::StrCat(copier.id(), " was sent away, and nobody came"));
    }
  };
  for (const auto& copier : copiers_) check_alive(*copier);
  for (const auto& ghost : ghosts_) check(*ghost);
  std::erase_if(ghosts_, [&](const auto& ghost) {
    return ghost->MayWrite(now).empty();
  });
}

bool Simulation::Done() {
  return unsent_.empty() && outbox_.empty() &&
         tables_.Number("SELECT count(*) FROM change_segments") == 0 &&
         tables_.Number("SELECT count(*) FROM work_units WHERE kind <> 4") ==
             0 &&
         tables_.Number("SELECT count(*) FROM object_work") == 0 &&
         tables_.Number("SELECT count(*) FROM rules WHERE resync <> 0") == 0 &&
         tables_.Number("SELECT count(*) FROM rules WHERE state <> 2") == 0;
}

// The faults are over: all copiers are well, and so is the disk.
void Simulation::Finish() {
  const auto pick = [this](size_t bound) { return Pick(bound); };
  frozen_until_.clear();
  for (const auto& [stream, until] : held_until_) wire_.LetGo(stream);
  store_.attached = {kPublisher};
  store_.ClearRefusals();
  stores_.CureAll();
  // Processes that were drained come back as new ones.
  std::vector<ModelCopier*> before;
  for (const auto& copier : copiers_) before.push_back(copier.get());
  for (ModelCopier* const copier : before) KillCopier(*copier);
  const Ticks end = clock_.Now() + kPatience;
  while (violation_.empty() && !Done()) {
    if (clock_.Now() >= end) {
      return Fail(absl::StrCat(
          "not done after ", absl::FormatDuration(kPatience), ": ",
          tables_.Number("SELECT count(*) FROM change_segments"), " segments, ",
          tables_.Number("SELECT count(*) FROM work_units"), " units, ",
          tables_.Number("SELECT count(*) FROM leases"), " leases, ",
          tables_.Number("SELECT count(*) FROM rules WHERE state <> 2"),
          " rules that are not ACTIVE"));
    }
    Advance(absl::Milliseconds(250));
    SendBatch();
    RetryByHand();
    for (const Pair& pair : pairs_) {
      ChangeRule(pair, [now = clock_.WallNow()](Transaction& txn,
                                                const Rule& rule) {
        return crr::ResumeRule(txn, rule, now);
      });
    }
    for (bool busy = true; busy;) {
      busy = RunStep() || store_.Deliver() || store_.RunRead() ||
             wire_.DeliverUp(*core_, pick);
      for (const auto& copier : copiers_) {
        busy = copier->Receive() || busy;
        busy = copier->Work() || busy;
      }
      CheckWriters();
    }
  }
}

void Simulation::CheckBuckets() {
  for (const Pair& pair : pairs_) {
    const auto rule = tables_.Do([&](Transaction& txn) {
      return rule_table::GetBySource(txn, pair.source);
    });
    if (!rule) continue;
    const ModelStores::Bucket& there = stores_.of(pair.destination);
    for (const auto& [key, state] : stores_.of(pair.source)) {
      if (!rule->prefixes.empty() && key.rfind("a/", 0) != 0) continue;
      const bool must_be_there = logged_[rule->uid].contains(key) ||
                                 (rule->historical && state.exists);
      if (!must_be_there) continue;
      if (!IsInStep(state, there, key)) {
        Fail(absl::StrCat(pair.destination, "/", key, " is not that of ",
                          pair.source));
      }
    }
    const auto progress = tables_.Do([&](Transaction& txn) {
      return ProgressOf(txn, *rule, {}, clock_.WallNow());
    });
    if (progress.historical && progress.historical->fraction != 1) {
      Fail(absl::StrCat("all ranges of ", pair.source, " are done, and ",
                        progress.historical->fraction, " is shown"));
    }
  }
}

std::string Simulation::Run() {
  for (int step = 0; step < kSteps && violation_.empty(); ++step) Step();
  if (violation_.empty()) Finish();
  if (violation_.empty()) CheckBuckets();
  CountServer();
  for (const auto& copier : copiers_) {
    reached_["a lease lost by its holder"] += copier->lost();
  }
  return violation_;
}

}  // namespace crr::test
