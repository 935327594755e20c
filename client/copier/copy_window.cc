#include "client/copier/copy_window.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "client/copier/failure_reason.h"

namespace crr {
namespace {

// Twice the slots keep them busy while the runner is away. Under a bound the
// tasks wait inside their slots, so few may take one.
size_t InSlotsMax(const SlotPool& pool, const TokenBucket& rate) {
  const auto slots = static_cast<size_t>(pool.slots());
  return rate.bounded() ? std::max<size_t>(1, slots / 4) : 2 * slots;
}

}  // namespace

CopyWindow::CopyWindow(const CopyRule& rule, LeaseLink& link, SlotPool& pool,
                       const Clock& clock, const RunnerTiming& timing,
                       TroubleReporter& troubles)
    : rule_(rule),
      link_(link),
      clock_(clock),
      timing_(timing),
      troubles_(troubles),
      rate_(link.lease().bytes_per_second(), clock),
      in_slots_max_(InSlotsMax(pool, rate_)),
      lane_(pool.OpenLane()) {}

bool CopyWindow::CanStart() const {
  const bool in_work = in_slots_ > 0 || !failing_.empty();
  return CanSubmit() && !(link_.lease().serial() && in_work);
}

bool CopyWindow::CanSubmit() const {
  return in_slots_ < in_slots_max_ && link_.guard().StartAllowed() &&
         !link_.draining().has_value() &&
         rate_.Debt() == absl::ZeroDuration();
}

void CopyWindow::Start(const std::string& key, CopyReason reason) {
  Submit(key, reason, /*unproven=*/false);
}

std::vector<CopyWindow::Done> CopyWindow::Pump() {
  std::vector<Attempt> ended;
  {
    MutexLock lock(mu_);
    ended.swap(ended_);
  }
  in_slots_ -= ended.size();
  std::vector<Done> done;
  for (Attempt& attempt : ended) {
    if (attempt.result.ok()) {
      ++settled_;
    } else if (!Failed(attempt)) {
      continue;
    }
    failing_.erase(attempt.key);
    done.push_back({std::move(attempt.key), std::move(attempt.result)});
  }
  for (auto& [key, failing] : failing_) {
    if (!failing.due.has_value() || *failing.due > clock_.Now()) continue;
    if (!CanSubmit()) break;
    failing.due.reset();
    Submit(key, failing.reason, /*unproven=*/true);
  }
  return done;
}

absl::Duration CopyWindow::NextDue() const {
  absl::Duration next = absl::InfiniteDuration();
  if (const absl::Duration debt = rate_.Debt(); debt > absl::ZeroDuration()) {
    next = debt;
  }
  const Ticks now = clock_.Now();
  for (const auto& [key, failing] : failing_) {
    // What is due already waits for a slot or for the lease, which ring.
    if (failing.due.has_value() && *failing.due > now) {
      next = std::min(next, *failing.due - now);
    }
  }
  return next;
}

void CopyWindow::Submit(const std::string& key, CopyReason reason,
                        bool unproven) {
  ++in_slots_;
  CopyTask task{
      .key = key,
      .reason = reason,
      .unproven = unproven,
      .may_commit = [this] { return link_.MayCommit(); },
      .before_part =
          [this](int64_t bytes) { return link_.Pause(rate_.Take(bytes)); },
      .large_bytes = link_.lease().large_object_bytes(),
      .large = nullptr};
  lane_->Submit([this, task = std::move(task)] {
    absl::StatusOr<CopyResult> result = Copy(task);
    {
      MutexLock lock(mu_);
      ended_.push_back({task.key, task.reason, std::move(result)});
    }
    link_.Ring();
  });
}

absl::StatusOr<CopyResult> CopyWindow::Copy(const CopyTask& task) {
  CRR_RETURN_IF_ERROR(link_.MayGoOn());
  return CopyKey(rule_, task);
}

bool CopyWindow::Failed(const Attempt& attempt) {
  const absl::Status& status = attempt.result.status();
  const FailureScope scope = ScopeOf(status);
  if (scope == FailureScope::kLarge) return true;
  Failing& failing =
      failing_
          .try_emplace(attempt.key,
                       Failing{Backoff(timing_.retry_base, timing_.retry_cap)})
          .first->second;
  failing.reason = attempt.reason;
  failing.due = clock_.Now() + failing.backoff.Next();
  // Stopped by the lease, not by the object.
  if (absl::IsAborted(status) || absl::IsCancelled(status)) return false;
  troubles_.Failed(attempt.key, ++failing.failures, status);
  if (scope == FailureScope::kObject ||
      (scope == FailureScope::kStore && settled_ > failing.settled_before)) {
    ++failing.counted;
    failing.settled_before = settled_;
  }
  return failing.counted == kLaneFailures;
}

}  // namespace crr
