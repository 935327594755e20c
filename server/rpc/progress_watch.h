#ifndef CRR_SERVER_RPC_PROGRESS_WATCH_H_
#define CRR_SERVER_RPC_PROGRESS_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "crr/v1/replication_service.pb.h"
#include "server/core/progress.h"
#include "server/rpc/env.h"

namespace crr {

// Looks at the progress of rules again and again for those who wait: one thread,
// and one query for all who wait for one rule, as long as somebody does; no
// watcher, no work. Thread-safe.
class ProgressWatch {
 public:
  // Gets the progress, or why there is none (RULE_NOT_FOUND, DRAINING), on a
  // database thread; true to look again. A false, or an error, is the last.
  using Look = std::function<bool(const absl::StatusOr<v1::RuleProgress>&)>;
  // Whether a look is worth its cost, which grows with the rule's log.
  using Wants = std::function<bool(const SyncTime&)>;

  explicit ProgressWatch(const Env& env);
  ~ProgressWatch();

  // Looks at once, then every `interval` or a little later, more rarely when
  // there are thousands; `wants` is asked before each look. Once the rule that
  // was seen first is gone, a rule of the same name is not that rule. Answers
  // OVERLOADED when limits::kWatchersMax look already.
  void Add(const std::string& source, const std::string& rule_id,
           absl::Duration interval, Wants wants, Look look);
  // Ends all looks with DRAINING, and later ones at once. Returns when no look
  // is under way.
  void Drain();

 private:
  struct Watcher {
    std::string source;
    std::string rule_id;
    absl::Duration interval;
    Wants wants;
    Look look;
    Ticks due;
    bool looking = false;
    int64_t rule_uid = 0;  // Of the rule seen first; 0 before.
  };
  using Group = std::vector<std::pair<int64_t, Watcher>>;  // Of one rule.

  void Run();
  void LookNow(Group group);
  // `rule_uid` 0: nothing was seen.
  void Looked(int64_t id, bool again, int64_t rule_uid);

  const Env& env_;
  Mutex mu_;
  CondVar changed_;
  std::map<int64_t, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
  int64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  Ticks wake_ ABSL_GUARDED_BY(mu_);  // When Run looks at the watchers again.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_PROGRESS_WATCH_H_
