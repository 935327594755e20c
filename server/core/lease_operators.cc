// What operators see of LeaseCore, and ask of it.

#include <algorithm>
#include <utility>

#include "server/core/lease_core.h"

namespace crr {

LeaseCore::CopierView LeaseCore::ViewOf(const Session& session) {
  return {.copier = session.copier,
          .region = session.region,
          .session_number = session.number,
          .connected = session.stream != 0,
          .lease_credit = session.lease_credit,
          .leases = static_cast<int64_t>(session.units.size()),
          .draining = session.draining};
}

std::vector<LeaseCore::CopierView> LeaseCore::Copiers(
    const std::string& after, size_t count_max) const {
  std::vector<const std::string*> names;
  for (const auto& [copier, number] : by_copier_) {
    if (copier > after && sessions_.contains(number)) names.push_back(&copier);
  }
  const size_t count = std::min(count_max, names.size());
  const auto by_name = [](const std::string* a, const std::string* b) {
    return *a < *b;
  };
  std::partial_sort(names.begin(),
                    names.begin() + static_cast<ptrdiff_t>(count), names.end(),
                    by_name);
  names.resize(count);
  std::vector<CopierView> views;
  for (const std::string* name : names) {
    views.push_back(ViewOf(sessions_.at(by_copier_.at(*name))));
  }
  return views;
}

std::optional<LeaseCore::CopierView> LeaseCore::FindCopier(
    const std::string& copier) const {
  const auto number = by_copier_.find(copier);
  if (number == by_copier_.end()) return std::nullopt;
  const auto session = sessions_.find(number->second);
  if (session == sessions_.end()) return std::nullopt;
  return ViewOf(session->second);
}

void LeaseCore::DrainSession(int64_t session_number) {
  const auto found = sessions_.find(session_number);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  session.draining = true;
  UpdateRoom(session);
  for (const int64_t unit_id : session.units) {
    UnitState& unit = units_.at(unit_id);
    if (unit.phase == Phase::kLeased) Revoke(unit, "DRAINING");
  }
}

LeaseCore::RevokeReasons LeaseCore::revoke_reasons() const {
  RevokeReasons reasons;
  for (const int64_t unit_id : leased_) {
    const UnitState& unit = units_.at(unit_id);
    if (!unit.revoke_deadline) continue;
    reasons.emplace(std::pair(unit_id, unit.token), unit.revoke_reason);
  }
  return reasons;
}

void LeaseCore::RevokeLease(int64_t unit_id, int64_t token) {
  const auto found = units_.find(unit_id);
  if (found != units_.end() && found->second.phase == Phase::kLeased &&
      found->second.token == token) {
    Revoke(found->second, "REVOKED");
  }
}

}  // namespace crr
