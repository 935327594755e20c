#include "server/metrics.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "base/log.h"
#include "base/program.h"
#include "server/core/limits.h"
#include "server/core/log_status.h"
#include "server/metric_page.h"
#include "server/process_metrics.h"
#include "storage/ledger_table.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"

namespace crr {
namespace {

using Phase = LeaseCore::Phase;

// What a label of a closed set can say; all of it is shown, zeroes included, so
// that a rate is right from the first event on.
const std::map<UnitKind, std::string>& Kinds() {
  static const auto* const kinds =
      new std::map<UnitKind, std::string>{{UnitKind::kProbe, "PROBE"},
                                          {UnitKind::kInventory, "INVENTORY"},
                                          {UnitKind::kBackfill, "BACKFILL"},
                                          {UnitKind::kChanges, "CHANGES"},
                                          {UnitKind::kObject, "OBJECT"},
                                          {UnitKind::kVerify, "VERIFY"}};
  return *kinds;
}

const std::map<Phase, std::string>& LeaseStates() {
  static const auto* const states =
      new std::map<Phase, std::string>{{Phase::kGranting, "granting"},
                                       {Phase::kLeased, "held"},
                                       {Phase::kEnding, "ending"}};
  return *states;
}

const std::map<RuleState, std::string>& RuleStates() {
  static const auto* const states =
      new std::map<RuleState, std::string>{{RuleState::kStarting, "STARTING"},
                                           {RuleState::kActive, "ACTIVE"},
                                           {RuleState::kPaused, "PAUSED"},
                                           {RuleState::kClosing, "CLOSING"}};
  return *states;
}

// 0 for a key that is not there.
template <typename Key>
int64_t At(const std::map<Key, int64_t>& counts, const Key& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

// Copiers that would hold all the work there is, each at the present credit of
// the average one: what an autoscaler should aim at.
int64_t DesiredCopiers(const LeaseCore::Counts& counts) {
  // That of crr-copier, before any has said its own.
  constexpr int64_t kUsualCredit = 32;
  const int64_t credit =
      counts.sessions == 0
          ? kUsualCredit
          : std::max<int64_t>(1, counts.lease_credit / counts.sessions);
  return (counts.wanted + credit - 1) / credit;
}

void AddRpcs(const RpcStats::Counts& counts, MetricPage& page) {
  page.BeginCounter("crr_rpcs_total", "Calls that ended, by method and code.");
  for (const auto& [key, count] : counts.calls) {
    page.Value(count, {{"method", key.first}, {"code", key.second}});
  }
  page.BeginHistogram("crr_rpc_duration_seconds",
                      "How long calls took, of methods without streams.");
  for (const auto& [method, seconds] : counts.seconds) {
    page.Value(seconds, {{"method", method}});
  }
}

void AddChanges(const ChangeService::Counts& counts, MetricPage& page) {
  page.BeginCounter("crr_published_changes_total",
                    "Changes that publishers sent and the server "
                    "acknowledged, by what became of them at the door.");
  page.Value(counts.logged, {{"result", "logged"}});
  page.Value(counts.filtered, {{"result", "filtered"}});
}

void AddDatabase(const Database& database, MetricPage& page) {
  const Database::Stats stats = database.stats();
  page.BeginHistogram("crr_commit_group_size",
                      "Transaction bodies in each commit of the database; its "
                      "count is the count of commits.");
  page.Value(stats.groups);
  page.BeginGauge("crr_writer_queue_length",
                  "Transaction bodies that wait for the writer.");
  page.Value(stats.waiting);
  page.BeginGauge("crr_writer_queue_limit",
                  "As many may wait; beyond it calls end with UNAVAILABLE.");
  page.Value(stats.waiting_max);

  std::error_code error;
  const auto size_of = [&](const std::string& path) {
    const auto size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
  };
  page.BeginGauge("crr_database_bytes",
                  "Size of the database file and of its write-ahead log.");
  page.Value(size_of(database.path()), {{"file", "database"}});
  page.Value(size_of(database.path() + "-wal"), {{"file", "wal"}});
  const auto disk = std::filesystem::space(database.path(), error);
  if (error) return;
  page.BeginGauge("crr_database_disk_available_bytes",
                  "Room on the disk of the database.");
  page.Value(disk.available);
  page.BeginGauge("crr_database_disk_size_bytes",
                  "Size of the disk of the database.");
  page.Value(disk.capacity);
}

void AddLeases(const LeaseLoop::Snapshot& snapshot, MetricPage& page) {
  const LeaseCore::Counts& counts = snapshot.counts;
  page.BeginGauge("crr_waiting_units",
                  "Units of work that wait for a lease, by kind.");
  for (const auto& [kind, name] : Kinds()) {
    page.Value(At(counts.waiting, kind), {{"kind", name}});
  }
  page.BeginGauge("crr_leases",
                  "Leases by kind of work and state: the grant is being "
                  "stored, held, or the end is being stored.");
  for (const auto& [kind, kind_name] : Kinds()) {
    for (const auto& [phase, name] : LeaseStates()) {
      page.Value(At(counts.held, {kind, phase}),
                 {{"kind", kind_name}, {"state", name}});
    }
  }
  page.BeginCounter("crr_lease_grants_total", "Leases granted.");
  page.Value(counts.grants);
  page.BeginCounter("crr_lease_expiries_total",
                    "Leases that ran out: their copier was silent, or did not "
                    "give them back when asked.");
  page.Value(counts.expiries);
  page.BeginCounter("crr_fenced_checkpoints_total",
                    "Checkpoints refused because their lease was over.");
  page.Value(counts.fenced);
  page.BeginCounter("crr_settled_total",
                    "Objects (BACKFILL, OBJECT) and changes (CHANGES) that "
                    "copiers have settled, and objects that they have "
                    "compared (VERIFY).");
  for (const UnitKind kind : {UnitKind::kBackfill, UnitKind::kChanges,
                              UnitKind::kObject, UnitKind::kVerify}) {
    page.Value(At(counts.settled, kind), {{"kind", Kinds().at(kind)}});
  }
  page.BeginCounter("crr_copied_bytes_total",
                    "Bytes that copiers wrote to destinations for these.");
  for (const UnitKind kind :
       {UnitKind::kBackfill, UnitKind::kChanges, UnitKind::kObject}) {
    page.Value(At(counts.bytes, kind), {{"kind", Kinds().at(kind)}});
  }
  page.BeginGauge("crr_copiers", "Copiers with an open session.");
  page.Value(counts.sessions);
  page.BeginGauge("crr_desired_copiers",
                  "Copiers that would hold all the work there is: the signal "
                  "to scale them by.");
  page.Value(DesiredCopiers(counts));
  page.BeginGauge("crr_loop_lag_seconds",
                  "Longest delay of the lease loop in the last minute or two.");
  page.Value(absl::ToDoubleSeconds(snapshot.lag));
}

// What operators must repair, or wait for.
struct Trouble {
  object_work_table::ObjectWorkCounts objects;
  int64_t resyncs = 0;
};

Trouble TroubleOf(ReadTransaction& txn) {
  Trouble trouble{.objects = object_work_table::CountAll(txn)};
  for (const Resync resync : {Resync::kNeeded, Resync::kVerifying}) {
    trouble.resyncs += static_cast<int64_t>(
        rule_table::UidsInResync(txn, resync).size());
  }
  return trouble;
}

void AddTrouble(const Trouble& trouble, MetricPage& page) {
  page.BeginGauge("crr_failed_objects",
                  "Objects apart from their lane: being tried again (or large), "
                  "and dead letters.");
  page.Value(trouble.objects.retrying, {{"state", "RETRYING"}});
  page.Value(trouble.objects.dead, {{"state", "DEAD"}});
  page.BeginGauge("crr_rules_resync",
                  "Rules whose log was dropped, or lost by a restore, and whose "
                  "buckets are not compared yet.");
  page.Value(trouble.resyncs);
}

// Terms whose changes may come back, by the state of their objects.
const std::map<std::string, std::string>& OpenTerms() {
  static const auto& terms = *new std::map<std::string, std::string>{
      {"apart", "RETRYING"}, {"failed", "DEAD"}};
  return terms;
}

void AddLedgerTotals(const std::vector<LedgerTotal>& totals, MetricPage& page) {
  page.BeginCounter("crr_ledger_changes_total",
                    "Changes of all rules, deleted ones included, by the term "
                    "of the ledger that they were counted in. Published is the "
                    "sum of the others, of crr_log_changes and of "
                    "crr_failed_object_changes.");
  for (const LedgerTotal& total : totals) {
    if (OpenTerms().contains(total.term)) continue;
    page.Value(total.changes,
               {{"term", total.term}, {"reason", total.reason}});
  }
  page.BeginGauge("crr_failed_object_changes",
                  "Changes that the objects of crr_failed_objects stand for.");
  for (const LedgerTotal& total : totals) {
    const auto open = OpenTerms().find(total.term);
    if (open == OpenTerms().end()) continue;
    page.Value(total.changes, {{"state", open->second}});
  }
}

void AddLedgers(const LedgerWatch::Counts& counts, MetricPage& page) {
  page.BeginCounter("crr_ledger_checked_total",
                    "Checks that every change of a rule is accounted for.");
  page.Value(counts.checked);
  page.BeginGauge("crr_ledger_imbalanced",
                  "Rules whose last check found changes unaccounted for.");
  page.Value(counts.imbalanced);
}

void AddLogs(const LogStatus& status, absl::Time now, MetricPage& page) {
  const auto each_state = [&](int64_t LogStatus::Total::*value) {
    for (const auto& [state, name] : RuleStates()) {
      const auto found = status.by_state.find(state);
      page.Value(found == status.by_state.end() ? 0 : found->second.*value,
                 {{"rule_state", name}});
    }
  };
  page.BeginGauge("crr_log_rules",
                  "Rules with something in their log, by state.");
  each_state(&LogStatus::Total::rules);
  page.BeginGauge("crr_log_changes",
                  "Changes logged and not yet settled, by state of the rule.");
  each_state(&LogStatus::Total::changes);
  page.BeginGauge("crr_log_bytes", "Bytes of the logs, by state of the rule.");
  each_state(&LogStatus::Total::bytes);

  const auto age = [now](absl::Time time) {
    return std::max(0.0, absl::ToDoubleSeconds(now - time));
  };
  page.BeginGauge("crr_rule_oldest_unfinished_seconds",
                  "Age of the oldest unfinished change, for the rules that are "
                  "furthest behind; PAUSED and CLOSING ones are left out.");
  for (const LogStatus::OldLog& log : status.oldest) {
    page.Value(age(log.oldest_event), {{"rule", log.rule}});
  }
  page.BeginGauge("crr_rule_lag_seconds",
                  "Now minus last_sync_time, for the same rules, where it is "
                  "known.");
  for (const LogStatus::OldLog& log : status.oldest) {
    if (log.last_sync_time) {
      page.Value(age(*log.last_sync_time), {{"rule", log.rule}});
    }
  }
  page.BeginGauge("crr_small_object_oldest_seconds",
                  "Age of the oldest unfinished change of an object of at most "
                  "2 MiB; 0 when there is none. PAUSED and CLOSING rules are "
                  "left out.");
  page.Value(status.oldest_small_event ? age(*status.oldest_small_event) : 0);
  page.BeginGauge("crr_rule_log_bytes",
                  "Bytes of a rule's log, for the rules with the longest.");
  for (const LogStatus::FullLog& log : status.fullest) {
    page.Value(log.bytes, {{"rule", log.rule}});
  }
}

void AddPublishers(int64_t registered, int64_t attached,
                   const Watermarks& watermarks, absl::Time now,
                   MetricPage& page) {
  page.BeginGauge("crr_publishers",
                  "Registered publishers with and without an open stream.");
  page.Value(attached, {{"state", "attached"}});
  page.Value(std::max<int64_t>(0, registered - attached),
             {{"state", "detached"}});
  absl::Time oldest = now;
  for (const auto& [speaker, complete_through] : watermarks) {
    if (complete_through != absl::InfinitePast()) {
      oldest = std::min(oldest, complete_through);
    }
  }
  page.BeginGauge("crr_complete_through_lag_seconds",
                  "Now minus the oldest complete_through that a publisher gave "
                  "last: no rule of its scope is in sync beyond it.");
  page.Value(absl::ToDoubleSeconds(now - oldest));
}

}  // namespace

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  MetricPage page;
  page.BeginGauge("crr_build_info", "1, with the version of this build.");
  page.Value(1, {{"version", std::string(Version())}});
  AddProcess(start_, page);
  AddRpcs(rpcs_.counts(), page);
  AddChanges(changes_.counts(), page);
  AddDatabase(env_.database, page);
  AddLeases(env_.loop.TakeSnapshot(), page);
  AddLedgers(env_.loop.ledgers().counts(), page);
  page.BeginGauge("crr_rule_log_limit_bytes",
                  "Bytes that a rule's log may have; beyond it the log is "
                  "dropped and the buckets are compared whole.");
  page.Value(rule_log_bytes_max_);

  // Before the transaction: see ProgressOf.
  const Watermarks watermarks = env_.publishers.watermarks();
  const auto attached = static_cast<int64_t>(env_.publishers.attached().size());
  struct Seen {
    LogStatus logs;
    Trouble trouble;
    std::vector<LedgerTotal> ledger;
  };
  const auto seen = env_.database.ReadAndWait<Seen>(
      [watermarks](ReadTransaction& txn) -> absl::StatusOr<Seen> {
        return Seen{LogStatusOf(txn, watermarks, limits::kRuleSeriesMax),
                    TroubleOf(txn), ledger_table::Totals(txn)};
      });
  if (!seen.ok()) {
    LogError("metrics_failed", {{"error", seen.status().ToString()}});
    return page.Take();
  }
  const absl::Time now = env_.clock.WallNow();
  AddLogs(seen->logs, now, page);
  AddTrouble(seen->trouble, page);
  AddLedgerTotals(seen->ledger, page);
  AddPublishers(seen->logs.publishers, attached, watermarks, now, page);
  return page.Take();
}

}  // namespace crr
