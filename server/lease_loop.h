#ifndef CRR_SERVER_LEASE_LOOP_H_
#define CRR_SERVER_LEASE_LOOP_H_

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/core/lease_core.h"
#include "server/durable_leases.h"
#include "server/ledger_watch.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// The thread that drives LeaseCore: calls and answers are queued to it, and
// time comes between them. Heartbeats are taken before everything else, so that
// they never wait behind work that a commit has released. It also gives the
// check of the ledgers its time. Thread-safe.
class LeaseLoop {
 public:
  LeaseLoop(LeaseOptions options, const Clock& clock, Database& database,
            PublisherHub& publishers, LeaseOutput& output);
  // Requires: stopped, or never started; and the database is closed.
  ~LeaseLoop();

  // Loads what the database holds and starts the thread. Call once.
  absl::Status Start();

  // Queues a call of the core.
  void Post(std::function<void(LeaseCore&)> call);
  // The same, ahead of what is not urgent: for heartbeats. However many there
  // are, the others and time go on.
  void PostUrgent(std::function<void(LeaseCore&)> call);
  // What a committed transaction changed; to be called from its `done`, so that
  // the core hears of commits in their order.
  void PostWork(WorkEvents events);

  struct Snapshot {
    LeaseCore::Counts counts;
    // Longest time that a tick came late, in the last one to two minutes.
    absl::Duration lag;
  };
  // Waits for the loop. Not once it is stopped.
  Snapshot TakeSnapshot();

  // Is to hear of rules whose ledger a transaction moved, unless a call of the
  // core did.
  LedgerWatch& ledgers() { return ledgers_; }

  // No new grants; streams are told to move. Returns when that is queued out.
  void Drain();
  // Ends the thread and the checks, and drops what is queued, then and later:
  // answers may still come until the database is closed.
  void Stop();

 private:
  void Run();

  const Clock& clock_;
  Database& database_;
  LedgerWatch ledgers_;
  DurableLeases store_;
  LeaseCore core_;  // Only on thread_, once that runs.
  Mutex mu_;
  CondVar changed_;
  std::deque<std::function<void(LeaseCore&)>> urgent_ ABSL_GUARDED_BY(mu_);
  std::deque<std::function<void(LeaseCore&)>> calls_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Longest delay of a tick in this minute and in the one before. Only on
  // thread_.
  absl::Duration lag_;
  absl::Duration lag_before_;
  Ticks lag_since_;
  std::thread thread_;
};

}  // namespace crr

#endif  // CRR_SERVER_LEASE_LOOP_H_
