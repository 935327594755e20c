#include "server/rpc/progress_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/core/progress.h"
#include "server/core/refusal.h"
#include "server/core/rule_manager.h"
#include "server/rpc/converters.h"

namespace crr {
namespace {

// Looks fall on multiples of this, so that all who wait for one rule, whenever
// they came, soon share a query.
constexpr absl::Duration kGrid = absl::Milliseconds(100);

Ticks OnGrid(Ticks time) {
  const int64_t grid = absl::ToInt64Nanoseconds(kGrid);
  return {(time.nanoseconds + grid - 1) / grid * grid};
}

struct Seen {
  int64_t rule_uid = 0;
  v1::RuleProgress progress;
};

absl::Status Draining() {
  return Refuse(
      {.reason = "DRAINING", .description = "the server is stopping"});
}

}  // namespace

ProgressWatch::ProgressWatch(const Env& env)
    : env_(env), thread_([this] { Run(); }) {}

ProgressWatch::~ProgressWatch() {
  Drain();
  thread_.join();
}

void ProgressWatch::Add(const std::string& source, const std::string& rule_id,
                        absl::Duration interval, Look look) {
  {
    MutexLock lock(mu_);
    if (!stopping_) {
      watchers_[next_++] = {.source = source,
                            .rule_id = rule_id,
                            .interval = interval,
                            .look = std::move(look),
                            .due = env_.clock.Now()};
      changed_.NotifyAll();
      return;
    }
  }
  look(Draining());
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
      [source, rule_id, watermarks, now = env_.clock.WallNow()](
          ReadTransaction& txn) -> absl::StatusOr<Seen> {
        CRR_ASSIGN_OR_RETURN(const Rule rule, FindRule(txn, source, rule_id));
        return Seen{rule.uid,
                    ToProto(ProgressOf(txn, rule, watermarks, now), now)};
      },
      [this, source, rule_id,
       group = std::move(group)](const absl::StatusOr<Seen>& seen) {
        const absl::StatusOr<v1::RuleProgress> gone =
            RuleNotFound(source, rule_id);
        const absl::StatusOr<v1::RuleProgress> progress =
            seen.ok() ? absl::StatusOr<v1::RuleProgress>(seen->progress)
                      : seen.status();
        const int64_t uid = seen.ok() ? seen->rule_uid : 0;
        for (const auto& [id, watcher] : group) {
          const bool is_another =
              seen.ok() && watcher.rule_uid != 0 && watcher.rule_uid != uid;
          const auto& answer = is_another ? gone : progress;
          Looked(id, watcher.look(answer) && answer.ok(), uid);
        }
      });
}

void ProgressWatch::Looked(int64_t id, bool again, int64_t rule_uid) {
  MutexLock lock(mu_);
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  if (again) {
    found->second.looking = false;
    found->second.rule_uid = rule_uid;
    found->second.due = OnGrid(env_.clock.Now() + found->second.interval);
  } else {
    watchers_.erase(found);
  }
  changed_.NotifyAll();
}

}  // namespace crr
