#include "server/rpc/progress_watch.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/core/rule_manager.h"
#include "server/rpc/converters.h"
#include "server/rpc/progress_converters.h"

namespace crr {
namespace {

// Looks fall on multiples of this, so that all who wait for one rule, whenever
// they came, soon share a query.
constexpr absl::Duration kGrid = absl::Milliseconds(100);
// Each watcher's share of the time between two looks, when there are many: ten
// thousand look about ten thousand times a second.
constexpr absl::Duration kShare = absl::Microseconds(100);

Ticks OnGrid(Ticks time) {
  const int64_t grid = absl::ToInt64Nanoseconds(kGrid);
  return {(time.nanoseconds + grid - 1) / grid * grid};
}

struct Seen {
  int64_t rule_uid = 0;
  SyncTime sync;
  // Absent when nobody wants it.
  std::optional<v1::RuleProgress> progress;
};

}  // namespace

ProgressWatch::ProgressWatch(const Env& env)
    : env_(env), thread_([this] { Run(); }) {}

ProgressWatch::~ProgressWatch() {
  Drain();
  thread_.join();
}

void ProgressWatch::Add(const std::string& source, const std::string& rule_id,
                        absl::Duration interval, Wants wants, Look look) {
  absl::Status refused = Draining();
  {
    MutexLock lock(mu_);
    if (!stopping_ && watchers_.size() >= limits::kWatchersMax) {
      refused = Refuse({.reason = "OVERLOADED",
                        .description = "too many wait for progress"});
    } else if (!stopping_) {
      watchers_[next_++] = {.source = source,
                            .rule_id = rule_id,
                            .interval = interval,
                            .wants = std::move(wants),
                            .look = std::move(look),
                            .due = env_.clock.Now()};
      changed_.NotifyAll();
      return;
    }
  }
  look(refused);
}

void ProgressWatch::Drain() {
  std::vector<Look> looks;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
    while (std::any_of(watchers_.begin(), watchers_.end(),
                       [](const auto& entry) { return entry.second.looking; })) {
      changed_.Wait(mu_);
    }
    for (auto& [id, watcher] : watchers_) {
      looks.push_back(std::move(watcher.look));
    }
    watchers_.clear();
  }
  for (const Look& look : looks) look(Draining());
}

void ProgressWatch::Run() {
  while (true) {
    std::map<std::pair<std::string, std::string>, Group> due;
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      const Ticks now = env_.clock.Now();
      absl::Duration wait = absl::Hours(1);
      for (auto& [id, watcher] : watchers_) {
        if (watcher.looking) continue;
        if (watcher.due <= now) {
          watcher.looking = true;
          due[{watcher.source, watcher.rule_id}].emplace_back(id, watcher);
        } else {
          wait = std::min(wait, watcher.due - now);
        }
      }
      if (due.empty()) {
        wake_ = now + wait;
        changed_.WaitFor(mu_, wait);
        continue;
      }
    }
    for (auto& [rule, group] : due) LookNow(std::move(group));
  }
}

void ProgressWatch::LookNow(Group group) {
  const std::string source = group.front().second.source;
  const std::string rule_id = group.front().second.rule_id;
  // Before the snapshot is taken: see ProgressOf.
  const Watermarks watermarks = env_.publishers.watermarks();
  env_.database.Read<Seen>(
      [source, rule_id, watermarks, group,
       now = env_.clock.WallNow()](ReadTransaction& txn) -> absl::StatusOr<Seen> {
        CRR_ASSIGN_OR_RETURN(const Rule rule, FindRule(txn, source, rule_id));
        Seen seen{.rule_uid = rule.uid,
                  .sync = SyncTimeOf(txn, rule, watermarks),
                  .progress = std::nullopt};
        for (const auto& [id, watcher] : group) {
          if (!watcher.wants(seen.sync)) continue;
          seen.progress = ToProto(ProgressOf(txn, rule, watermarks, now), now);
          break;
        }
        return seen;
      },
      [this, source, rule_id, group](const absl::StatusOr<Seen>& seen) {
        // Too much to read at once says nothing of the rule.
        const bool later = absl::IsUnavailable(seen.status());
        const int64_t uid = seen.ok() ? seen->rule_uid : 0;
        for (const auto& [id, watcher] : group) {
          const bool is_another =
              seen.ok() && watcher.rule_uid != 0 && watcher.rule_uid != uid;
          bool again = later;
          if (is_another) {
            watcher.look(RuleNotFound(source, rule_id));
          } else if (seen.ok()) {
            again = !watcher.wants(seen->sync) || !seen->progress ||
                    watcher.look(*seen->progress);
          } else if (!later) {
            watcher.look(seen.status());
          }
          Looked(id, again, uid);
        }
      });
}

void ProgressWatch::Looked(int64_t id, bool again, int64_t rule_uid) {
  MutexLock lock(mu_);
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  Watcher& watcher = found->second;
  if (again) {
    watcher.looking = false;
    if (rule_uid != 0) watcher.rule_uid = rule_uid;
    const auto crowd = kShare * static_cast<int64_t>(watchers_.size());
    watcher.due = OnGrid(env_.clock.Now() + std::max(watcher.interval, crowd));
  } else {
    watchers_.erase(found);
  }
  // Drain waits for all of them, Run for the first that is due.
  if (stopping_ || (again && watcher.due < wake_)) changed_.NotifyAll();
}

}  // namespace crr
