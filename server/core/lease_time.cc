// What time does to sessions and leases.

#include "server/core/lease_core.h"

#include <algorithm>

namespace crr {
namespace {

// Lost leases that are named again and again to a copier that never gives them
// back; no copier holds more at once.
constexpr size_t kLostMax = 1024;

}  // namespace

absl::Duration LeaseCore::tick_interval() const {
  return std::clamp(options_.ttl / 20, absl::Milliseconds(50),
                    absl::Milliseconds(500));
}

void LeaseCore::Tick() {
  const Ticks now = clock_.Now();
  // While this process stood still it could not hear heartbeats: nobody's time
  // ran (etcd revoked live leases after its own stalls).
  const absl::Duration stall = now - last_tick_ - 2 * tick_interval();
  last_tick_ = now;
  if (stall > absl::ZeroDuration()) {
    for (auto& [number, session] : sessions_) {
      session.deadline = session.deadline + stall;
      UpdateRoom(session);
    }
    for (const int64_t unit_id : leased_) {
      UnitState& unit = units_.at(unit_id);
      unit.moved = unit.moved + stall;
      unit.granted = unit.granted + stall;
      if (unit.expiry) unit.expiry = *unit.expiry + stall;
      if (unit.revoke_deadline) {
        unit.revoke_deadline = *unit.revoke_deadline + stall;
      }
    }
  }
  ExpireSessions(now);
  CheckLeases(now);
  for (const int64_t unit_id : std::exchange(retry_end_, {})) {
    UnitState& unit = units_.at(unit_id);
    EndLease(unit, LeaseEnd(unit.end));
  }
  std::vector<int64_t> closing;
  for (const auto& [rule_uid, state] : closing_) closing.push_back(rule_uid);
  for (const int64_t rule_uid : closing) MaybeCloseRule(rule_uid);
  std::vector<int64_t> resyncing;
  for (const auto& [rule_uid, state] : resyncing_) {
    resyncing.push_back(rule_uid);
  }
  for (const int64_t rule_uid : resyncing) MaybeResyncRule(rule_uid);
  MaybeEndQuiet(now);
  Rebalance(now);
  TakeTurns(now);
  Schedule();
}

void LeaseCore::MaybeEndQuiet(Ticks now) {
  if (!quiet_until_ || now < *quiet_until_ || quiet_is_ending_) return;
  quiet_is_ending_ = true;
  store_.EndQuiet([this](const absl::StatusOr<bool>& stored) {
    quiet_is_ending_ = false;
    if (!stored.ok()) return;  // Tick tries again.
    quiet_until_.reset();
    Schedule();
  });
}

void LeaseCore::NoteLost(Session& session, const UnitState& unit) {
  if (session.stream == 0) return;  // Told at its next hello.
  if (session.lost.size() >= kLostMax) session.lost.erase(session.lost.begin());
  session.lost.push_back({unit.info.unit_id, unit.token, 0});
}

void LeaseCore::ExpireSessions(Ticks now) {
  std::vector<int64_t> over;
  for (const auto& [number, session] : sessions_) {
    if (session.deadline <= now) over.push_back(number);
  }
  for (const int64_t number : over) {
    Session& session = sessions_.at(number);
    UpdateRoom(session);
    // One whose process stood still reads on, and is told what it lost.
    if (session.stream != 0) output_.CloseIfStalled(session.stream);
    const std::set<int64_t> held = session.units;
    for (const int64_t unit_id : held) {
      UnitState& unit = units_.at(unit_id);
      if (unit.phase != Phase::kLeased) continue;
      NoteLost(session, unit);
      ++counts_.expiries;
      EndLease(unit, {.kind = LeaseEnd::Kind::kLost});
    }
    MaybeForget(number);
  }
}

void LeaseCore::CheckLeases(Ticks now) {
  const std::set<int64_t> leased = leased_;
  for (const int64_t unit_id : leased) {
    UnitState& unit = units_.at(unit_id);
    if (unit.expiry && *unit.expiry <= now) {
      const auto session = sessions_.find(unit.session);
      if (session != sessions_.end()) NoteLost(session->second, unit);
      ++counts_.expiries;
      EndLease(unit, {.kind = LeaseEnd::Kind::kLost});
      continue;
    }
    if (unit.revoke_deadline && *unit.revoke_deadline <= now && !unit.expiry) {
      // The next answer to a heartbeat names it; what was answered before
      // still counts for the copier.
      unit.expiry = FullTerm();
    }
    CheckProgress(unit, now);
  }
}

void LeaseCore::CheckProgress(UnitState& unit, Ticks now) {
  if (HasWork(unit)) {
    unit.empty_since.reset();
    PumpSegments(unit);  // In case a read failed.
    if (now - unit.moved >= unit.patience) Revoke(unit, kNoProgress);
    return;
  }
  unit.moved = now;
  if (!unit.empty_since) unit.empty_since = now;
  if (now - *unit.empty_since >= options_.linger) Revoke(unit, "LOG_EMPTY");
}

}  // namespace crr
