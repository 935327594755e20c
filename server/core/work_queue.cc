#include "server/core/work_queue.h"

#include <algorithm>

#include "base/check.h"

namespace crr {
namespace {

int PriorityOf(UnitKind kind) {
  switch (kind) {
    case UnitKind::kProbe: return 0;
    case UnitKind::kChanges: return 1;
    case UnitKind::kObject: return 2;
    case UnitKind::kInventory: return 3;
    case UnitKind::kBackfill: return 4;
    case UnitKind::kVerify: return 5;
  }
  return 3;
}

}  // namespace

void WorkQueue::Offer(int64_t unit_id, int64_t rule_uid, UnitKind kind,
                      int64_t max_leases, Ticks not_before, Ticks now) {
  CRR_CHECK(!offered_.contains(unit_id));
  const auto [rule, is_new] = rules_.try_emplace(rule_uid);
  rule->second.max_leases = max_leases;
  // Whoever comes, or comes back, stands behind those that wait.
  if (is_new) rule->second.last_served = ++served_;
  ++rule->second.offers;
  ++waiting_[kind];
  Offered offered{rule_uid, kind, std::nullopt};
  if (not_before > now) {
    offered.not_before = not_before;
    delayed_.emplace(not_before, unit_id);
    offered_.emplace(unit_id, offered);
    Reorder(rule_uid);
    return;
  }
  offered_.emplace(unit_id, offered);
  Enqueue(unit_id, offered);
}

void WorkQueue::SetMaxLeases(int64_t rule_uid, int64_t max_leases) {
  const auto found = rules_.find(rule_uid);
  if (found == rules_.end()) return;
  found->second.max_leases = max_leases;
  Reorder(rule_uid);
}

void WorkQueue::Withdraw(int64_t unit_id) {
  const auto found = offered_.find(unit_id);
  if (found == offered_.end()) return;
  const Offered offered = found->second;
  offered_.erase(found);
  --rules_.at(offered.rule_uid).offers;
  --waiting_[offered.kind];
  if (offered.not_before) {
    delayed_.erase({*offered.not_before, unit_id});
  } else {
    rules_[offered.rule_uid].ready.erase(
        {PriorityOf(offered.kind), unit_id});
  }
  Reorder(offered.rule_uid);
}

void WorkQueue::CountLease(int64_t rule_uid, int delta) {
  RuleQueue& rule = rules_[rule_uid];
  rule.leases += delta;
  CRR_CHECK(rule.leases >= 0);
  // Until now, if that was an end.
  rule.last_served = ++served_;
  Reorder(rule_uid);
}

int64_t WorkQueue::LeasesOf(int64_t rule_uid) const {
  const auto found = rules_.find(rule_uid);
  return found == rules_.end() ? 0 : found->second.leases;
}

bool WorkQueue::IsAtItsBound(int64_t rule_uid) const {
  const auto found = rules_.find(rule_uid);
  return found != rules_.end() && found->second.max_leases != 0 &&
         found->second.leases >= found->second.max_leases;
}

bool WorkQueue::AnotherKindIsReady(int64_t rule_uid, UnitKind kind) const {
  const auto found = rules_.find(rule_uid);
  if (found == rules_.end() || found->second.ready.empty()) return false;
  const auto& ready = found->second.ready;
  const int priority = PriorityOf(kind);
  return ready.begin()->first != priority || ready.rbegin()->first != priority;
}

std::optional<int64_t> WorkQueue::Next(Ticks now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const int64_t unit_id = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    Offered& offered = offered_.at(unit_id);
    offered.not_before.reset();
    Enqueue(unit_id, offered);
  }
  if (order_.empty()) return std::nullopt;
  const int64_t rule_uid = std::get<4>(*order_.begin());
  return rules_.at(rule_uid).ready.begin()->second;
}

void WorkQueue::Enqueue(int64_t unit_id, const Offered& offered) {
  rules_[offered.rule_uid].ready.emplace(PriorityOf(offered.kind), unit_id);
  Reorder(offered.rule_uid);
}

void WorkQueue::Reorder(int64_t rule_uid) {
  const auto found = rules_.find(rule_uid);
  if (found == rules_.end()) return;
  RuleQueue& rule = found->second;
  if (rule.key) order_.erase(*rule.key);
  rule.key.reset();
  const int64_t units = rule.offers + rule.leases;
  const int64_t wanted =
      rule.max_leases == 0
          ? units
          : std::min(units, std::max(rule.leases, rule.max_leases));
  wanted_ += wanted - std::exchange(rule.wanted, wanted);
  const bool has_room = rule.max_leases == 0 || rule.leases < rule.max_leases;
  if (!rule.ready.empty() && has_room) {
    rule.key = RuleKey(rule.leases > 0, rule.ready.begin()->first, rule.leases,
                       rule.last_served, rule_uid);
    order_.insert(*rule.key);
  } else if (rule.offers == 0 && rule.leases == 0) {
    rules_.erase(found);
  }
}

}  // namespace crr
