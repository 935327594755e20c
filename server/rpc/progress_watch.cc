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
    std::vector<std::pair<int64_t, Watcher>> due;
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      const Ticks now = env_.clock.Now();
      absl::Duration wait = absl::Hours(1);
      for (auto& [id, watcher] : watchers_) {
        if (watcher.looking) continue;
        if (watcher.due <= now) {
          watcher.looking = true;
          due.emplace_back(id, watcher);
        } else {
          wait = std::min(wait, watcher.due - now);
        }
      }
      if (due.empty()) {
        changed_.WaitFor(mu_, wait);
        continue;
      }
    }
    for (const auto& [id, watcher] : due) LookNow(id, watcher);
  }
}

void ProgressWatch::LookNow(int64_t id, const Watcher& watcher) {
  // Before the snapshot is taken: see ProgressOf.
  const Watermarks watermarks = env_.publishers.watermarks();
  env_.database.Read<v1::RuleProgress>(
      [source = watcher.source, rule_id = watcher.rule_id, watermarks,
       now = env_.clock.WallNow()](
          ReadTransaction& txn) -> absl::StatusOr<v1::RuleProgress> {
        CRR_ASSIGN_OR_RETURN(const Rule rule, FindRule(txn, source, rule_id));
        return ToProto(ProgressOf(txn, rule, watermarks, now), now);
      },
      [this, id, look = watcher.look](
          const absl::StatusOr<v1::RuleProgress>& progress) {
        const bool again = look(progress) && progress.ok();
        Looked(id, again);
      });
}

void ProgressWatch::Looked(int64_t id, bool again) {
  MutexLock lock(mu_);
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  if (again) {
    found->second.looking = false;
    found->second.due = env_.clock.Now() + found->second.interval;
  } else {
    watchers_.erase(found);
  }
  changed_.NotifyAll();
}

}  // namespace crr
