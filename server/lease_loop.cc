#include "server/lease_loop.h"

#include <algorithm>
#include <latch>
#include <utility>

#include "base/status_macros.h"
#include "server/core/lease_restore.h"

namespace crr {

namespace {

// Urgent calls that go before one that is not and waits: copiers that did
// nothing but send heartbeats would keep the work of all others from going on.
constexpr int kUrgentInARow = 64;

}  // namespace

LeaseLoop::LeaseLoop(LeaseOptions options, const Clock& clock,
                     Database& database, PublisherHub& publishers,
                     LeaseOutput& output)
    : clock_(clock),
      database_(database),
      ledgers_(database, clock),
      store_(database, publishers, ledgers_, clock,
             [this](std::function<void()> answer) {
               Post([answer = std::move(answer)](LeaseCore&) { answer(); });
             }),
      core_(options, clock, store_, output) {}

LeaseLoop::~LeaseLoop() { Stop(); }

void LeaseLoop::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  ledgers_.Stop();
}

absl::Status LeaseLoop::Start() {
  using Restored = LeaseCore::Restored;
  CRR_ASSIGN_OR_RETURN(
      const Restored restored,
      database_.ReadAndWait<Restored>(
          [](ReadTransaction& txn) -> absl::StatusOr<Restored> {
            return ReadRestored(txn);
          }));
  CRR_RETURN_IF_ERROR(ledgers_.Load());
  Post([restored](LeaseCore& core) { core.Restore(restored); });
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void LeaseLoop::Post(std::function<void(LeaseCore&)> call) {
  MutexLock lock(mu_);
  if (stopping_) return;
  calls_.push_back(std::move(call));
  changed_.NotifyOne();
}

void LeaseLoop::PostUrgent(std::function<void(LeaseCore&)> call) {
  MutexLock lock(mu_);
  if (stopping_) return;
  urgent_.push_back(std::move(call));
  changed_.NotifyOne();
}

void LeaseLoop::PostWork(WorkEvents events) {
  if (events.empty()) return;
  Post([events = std::move(events)](LeaseCore& core) { core.OnWork(events); });
}

void LeaseLoop::Drain() {
  std::latch drained(1);
  Post([&drained](LeaseCore& core) {
    core.Drain();
    drained.count_down();
  });
  drained.wait();
}

LeaseLoop::Snapshot LeaseLoop::TakeSnapshot() {
  Snapshot snapshot;
  std::latch taken(1);
  Post([&](LeaseCore& core) {
    snapshot = {core.counts(), std::max(lag_, lag_before_)};
    taken.count_down();
  });
  taken.wait();
  return snapshot;
}

void LeaseLoop::Run() {
  const absl::Duration interval = core_.tick_interval();
  Ticks next_tick = clock_.Now() + interval;
  bool tick_waits = false;  // For so many heartbeats:
  size_t unheard = 0;
  int in_a_row = 0;  // Urgent calls, since one that is not.
  while (true) {
    std::function<void(LeaseCore&)> call;
    {
      MutexLock lock(mu_);
      while (!stopping_ && urgent_.empty() && calls_.empty() &&
             clock_.Now() < next_tick) {
        changed_.WaitFor(mu_, next_tick - clock_.Now());
      }
      if (stopping_) return;
      const bool tick_is_due = clock_.Now() >= next_tick;
      // Time counts only once every heartbeat that arrived until then has been
      // heard.
      if (tick_is_due && !std::exchange(tick_waits, true)) {
        unheard = urgent_.size();
      }
      const bool others_wait = !calls_.empty() && in_a_row >= kUrgentInARow;
      if (tick_is_due ? unheard > 0 : !urgent_.empty() && !others_wait) {
        call = std::move(urgent_.front());
        urgent_.pop_front();
        ++in_a_row;
        if (unheard > 0) --unheard;
      } else if (!tick_is_due) {
        call = std::move(calls_.front());
        calls_.pop_front();
        in_a_row = 0;
      }
    }
    if (call) {
      call(core_);
    } else {
      const Ticks now = clock_.Now();
      if (now - lag_since_ > absl::Minutes(1)) {
        lag_before_ = std::exchange(lag_, absl::ZeroDuration());
        lag_since_ = now;
      }
      lag_ = std::max(lag_, now - next_tick);
      core_.Tick();
      ledgers_.Tick();
      next_tick = clock_.Now() + interval;
      tick_waits = false;
    }
  }
}

}  // namespace crr
