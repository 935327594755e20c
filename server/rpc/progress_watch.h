#ifndef CRR_SERVER_RPC_PROGRESS_WATCH_H_
#define CRR_SERVER_RPC_PROGRESS_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "crr/v1/replication_service.pb.h"
#include "server/rpc/env.h"

namespace crr {

// Looks at the progress of rules again and again for those who wait: one thread
// and one query a look, as long as somebody looks; no watcher, no work.
// Thread-safe.
class ProgressWatch {
 public:
  // Gets the progress, or why there is none (RULE_NOT_FOUND, DRAINING), on a
  // database thread; true to look again. A false, or an error, is the last.
  using Look = std::function<bool(const absl::StatusOr<v1::RuleProgress>&)>;

  explicit ProgressWatch(const Env& env);
  ~ProgressWatch();

  // Looks at once, then every `interval`.
  void Add(const std::string& source, const std::string& rule_id,
           absl::Duration interval, Look look);
  // Ends all looks with DRAINING, and later ones at once. Returns when no look
  // is under way.
  void Drain();

 private:
  struct Watcher {
    std::string source;
    std::string rule_id;
    absl::Duration interval;
    Look look;
    Ticks due;
    bool looking = false;
  };

  void Run();
  void LookNow(int64_t id, const Watcher& watcher);
  void Looked(int64_t id, bool again);

  const Env& env_;
  Mutex mu_;
  CondVar changed_;
  std::map<int64_t, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
  int64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_PROGRESS_WATCH_H_
