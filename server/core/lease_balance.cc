// How LeaseCore shares work among copiers that come and go: a loaded one is
// asked for a little, and what it gives back goes to who has less.

#include <algorithm>
#include <vector>

#include "server/core/lease_core.h"

namespace crr {
namespace {

constexpr char kRebalance[] = "REBALANCE";

// Loads this far from the mean are left alone.
constexpr double kBand = 0.1;
// Of a session's units, asked for at once; at least one.
constexpr int64_t kAskedPart = 10;

double LoadOf(int64_t units, int64_t credit) {
  return static_cast<double>(units) / static_cast<double>(credit);
}

}  // namespace

// A unit moves only where its giver, with it, is loaded more than its taker
// would be; which makes the sum over all sessions of n (n + 1) / (2 credit), n
// being its units, smaller. SessionRooms gives what is free to the same
// measure. So with nothing else going on it comes to rest, whatever the
// credits.
void LeaseCore::Rebalance(Ticks now) {
  if (draining_ || now < next_rebalance_) return;
  next_rebalance_ = now + options_.rebalance_interval;
  int64_t units = 0;
  int64_t credit = 0;
  std::vector<Session*> able;
  for (auto& [number, session] : sessions_) {
    for (const int64_t unit_id : session.units) {
      // What was asked for last has not gone yet.
      if (units_.at(unit_id).revoke_reason == kRebalance) return;
    }
    if (!IsAble(session)) continue;
    able.push_back(&session);
    units += static_cast<int64_t>(session.units.size());
    credit += session.lease_credit;
  }
  if (units == 0) return;
  const double mean = LoadOf(units, credit);
  SessionRooms plan = rooms_;
  for (Session* const session : able) Relieve(*session, mean, plan);
}

void LeaseCore::Relieve(const Session& giver, double mean,
                        SessionRooms& plan) {
  auto units = static_cast<int64_t>(giver.units.size());
  int64_t left = std::max<int64_t>(1, units / kAskedPart);
  for (const int64_t unit_id : giver.units) {
    const double load = LoadOf(units, giver.lease_credit);
    if (left == 0 || load <= (1 + kBand) * mean) return;
    UnitState& unit = units_.at(unit_id);
    if (unit.phase != Phase::kLeased || unit.revoke_deadline || !Lasts(unit)) {
      continue;
    }
    const auto taker =
        plan.Find(unit.info.source_region, unit.info.destination_region);
    if (!taker || (IsNear(giver, unit.info) && !taker->near)) continue;
    SessionRooms::Room room = taker->room;
    if (LoadOf(room.units, room.credit) >= (1 - kBand) * mean ||
        LoadOf(room.units + 1, room.credit) >= load) {
      continue;
    }
    Revoke(unit, kRebalance);
    --units;
    --left;
    if (++room.units < room.credit) {
      plan.Put(taker->session, room);
    } else {
      plan.Remove(taker->session);
    }
  }
}

// A rule whose log is never empty would keep its own history and failing
// objects from a lease where it may hold few, and other rules where copiers are
// few.
void LeaseCore::TakeTurns(Ticks now) {
  const bool copiers_are_few = !rooms_.Find("", "").has_value();
  const bool rules_wait = copiers_are_few && queue_.AnotherRuleIsReady();
  int64_t left = std::max<int64_t>(
      1, static_cast<int64_t>(leased_.size()) / kAskedPart);
  std::vector<int64_t> due;
  for (const int64_t unit_id : leased_) {
    const UnitState& unit = units_.at(unit_id);
    if (unit.revoke_reason == kTurn) --left;  // Not gone yet.
    if (unit.revoke_deadline || now - unit.granted < options_.turn ||
        !Lasts(unit)) {
      continue;
    }
    const int64_t rule_uid = unit.info.rule_uid;
    if (rules_wait ||
        ((copiers_are_few || queue_.IsAtItsBound(rule_uid)) &&
         queue_.AnotherKindIsReady(rule_uid, unit.info.kind))) {
      due.push_back(unit_id);
    }
  }
  for (const int64_t unit_id : due) {
    if (left-- <= 0) return;
    Revoke(units_.at(unit_id), kTurn);
  }
}

// A probe or one object is done sooner than it is handed over; nothing is to be
// done on an empty log.
bool LeaseCore::Lasts(const UnitState& unit) {
  return unit.info.kind != UnitKind::kProbe &&
         unit.info.kind != UnitKind::kObject && HasWork(unit);
}

}  // namespace crr
