#include "server/metrics.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "server/core/limits.h"
#include "server/core/log_status.h"

namespace crr {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using Phase = LeaseCore::Phase;

// Collects families of one scrape.
class Page {
 public:
  void Counter(const std::string& name, const std::string& help) {
    families_.push_back({name, help, MetricType::Counter, {}});
  }
  void Gauge(const std::string& name, const std::string& help) {
    families_.push_back({name, help, MetricType::Gauge, {}});
  }
  // A value of the family that was begun last.
  void Value(double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

const char* NameOf(UnitKind kind) {
  switch (kind) {
    case UnitKind::kProbe: return "PROBE";
    case UnitKind::kInventory: return "INVENTORY";
    case UnitKind::kBackfill: return "BACKFILL";
    case UnitKind::kChanges: return "CHANGES";
  }
  return "";
}

const char* NameOf(RuleState state) {
  switch (state) {
    case RuleState::kStarting: return "STARTING";
    case RuleState::kActive: return "ACTIVE";
    case RuleState::kPaused: return "PAUSED";
    case RuleState::kClosing: return "CLOSING";
  }
  return "";
}

const char* NameOf(Phase phase) {
  switch (phase) {
    case Phase::kOffered: return "waiting";
    case Phase::kGranting: return "granting";
    case Phase::kLeased: return "leased";
    case Phase::kEnding: return "ending";
  }
  return "";
}

constexpr Phase kPhases[] = {Phase::kOffered, Phase::kGranting, Phase::kLeased,
                             Phase::kEnding};
constexpr UnitKind kKinds[] = {UnitKind::kProbe, UnitKind::kInventory,
                               UnitKind::kBackfill, UnitKind::kChanges};
constexpr RuleState kStates[] = {RuleState::kStarting, RuleState::kActive,
                                 RuleState::kPaused, RuleState::kClosing};

// Copiers that would hold all the work there is, each at its present credit:
// what an autoscaler should aim at.
int64_t DesiredCopiers(const LeaseCore::Counts& counts) {
  int64_t units = 0;
  for (const auto& [key, n] : counts.units) units += n;
  constexpr int64_t kUsualCredit = 16;  // Before any copier has said its own.
  const int64_t credit =
      counts.sessions == 0
          ? kUsualCredit
          : std::max<int64_t>(1, counts.lease_credit / counts.sessions);
  return (units + credit - 1) / credit;
}

void AddRpcs(const RpcStats& rpcs, Page& page) {
  const auto counts = rpcs.counts();
  page.Counter("crr_rpcs_total", "Calls that ended, by method and code.");
  for (const auto& [key, count] : counts) {
    page.Value(static_cast<double>(count.calls),
               {{"method", key.first}, {"code", key.second}});
  }
  page.Counter("crr_rpc_seconds_total", "Time of those calls.");
  for (const auto& [key, count] : counts) {
    page.Value(absl::ToDoubleSeconds(count.time),
               {{"method", key.first}, {"code", key.second}});
  }
}

void AddDatabase(const Database::Stats& stats, Page& page) {
  page.Counter("crr_commits_total", "Commits of the database.");
  page.Value(static_cast<double>(stats.commits));
  page.Counter("crr_commit_bodies_total",
               "Bodies in them; divided by the commits, the group size.");
  page.Value(static_cast<double>(stats.bodies));
  page.Gauge("crr_writer_queue", "Bodies that wait for the writer.");
  page.Value(static_cast<double>(stats.waiting));
}

void AddLeases(const LeaseLoop::Snapshot& snapshot, Page& page) {
  const LeaseCore::Counts& counts = snapshot.counts;
  page.Gauge("crr_work_units", "Units of work by kind and state.");
  for (const UnitKind kind : kKinds) {
    for (const Phase phase : kPhases) {
      const auto found = counts.units.find({kind, phase});
      page.Value(found == counts.units.end()
                     ? 0.0
                     : static_cast<double>(found->second),
                 {{"kind", NameOf(kind)}, {"state", NameOf(phase)}});
    }
  }
  page.Gauge("crr_leases", "Leases that live.");
  page.Value(static_cast<double>(counts.leases));
  page.Counter("crr_grants_total", "Leases granted.");
  page.Value(static_cast<double>(counts.grants));
  page.Counter("crr_lease_expiries_total", "Leases that ran out.");
  page.Value(static_cast<double>(counts.expiries));
  page.Counter("crr_fenced_checkpoints_total",
               "Checkpoints refused for an old token.");
  page.Value(static_cast<double>(counts.fenced));
  page.Gauge("crr_copiers", "Copiers with an open session.");
  page.Value(static_cast<double>(counts.sessions));
  page.Gauge("crr_desired_copiers", "Copiers that all the work would fill.");
  page.Value(static_cast<double>(DesiredCopiers(counts)));
  page.Gauge("crr_loop_lag_seconds",
             "Longest delay of the lease loop in the last minute or two.");
  page.Value(absl::ToDoubleSeconds(snapshot.lag));
}

void AddLogs(const LogStatus& status, absl::Time now, Page& page) {
  const auto each_state = [&](auto value) {
    for (const RuleState state : kStates) {
      const auto found = status.by_state.find(state);
      page.Value(found == status.by_state.end()
                     ? 0.0
                     : static_cast<double>(value(found->second)),
                 {{"rule_state", NameOf(state)}});
    }
  };
  page.Gauge("crr_log_rules", "Rules with something in their log, by state.");
  each_state([](const LogStatus::Total& total) { return total.rules; });
  page.Gauge("crr_log_changes", "Changes logged and not yet settled.");
  each_state([](const LogStatus::Total& total) { return total.changes; });
  page.Gauge("crr_log_bytes", "Bytes of the logs.");
  each_state([](const LogStatus::Total& total) { return total.bytes; });

  const auto age = [&](absl::Time time) {
    return std::max(0.0, absl::ToDoubleSeconds(now - time));
  };
  page.Gauge("crr_rule_oldest_unfinished_seconds",
             "Age of the oldest unfinished change, for the rules that are "
             "furthest behind.");
  for (const LogStatus::RuleLog& log : status.oldest) {
    page.Value(age(log.oldest_event), {{"rule", log.name}});
  }
  page.Gauge("crr_rule_lag_seconds",
             "Now minus last_sync_time, for the same rules, where it is known.");
  for (const LogStatus::RuleLog& log : status.oldest) {
    if (log.last_sync_time) {
      page.Value(age(*log.last_sync_time), {{"rule", log.name}});
    }
  }
  page.Gauge("crr_small_object_oldest_seconds",
             "Age of the oldest unfinished change of an object of at most "
             "2 MiB; 0 when there is none.");
  page.Value(status.oldest_small_event ? age(*status.oldest_small_event) : 0);
}

}  // namespace

std::vector<MetricFamily> Metrics::Collect() const {
  Page page;
  AddRpcs(rpcs_, page);
  AddDatabase(env_.database.stats(), page);
  AddLeases(env_.loop.TakeSnapshot(), page);
  const absl::Time now = env_.clock.WallNow();
  const auto status = env_.database.ReadAndWait<LogStatus>(
      [watermarks = env_.publishers.watermarks(),
       now](ReadTransaction& txn) -> absl::StatusOr<LogStatus> {
        return LogStatusOf(txn, watermarks, limits::kRuleSeriesMax, now);
      });
  if (status.ok()) {
    AddLogs(*status, now, page);
  } else {
    LogError("metrics_failed", {{"error", status.status().ToString()}});
  }
  return page.Take();
}

}  // namespace crr
