#include "server/core/lease_restore.h"

#include <optional>

#include "server/core/units.h"
#include "server/core/work.h"
#include "storage/rule_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"
#include "storage/unit_table.h"

namespace crr {

LeaseCore::Restored ReadRestored(ReadTransaction& txn) {
  LeaseCore::Restored found;
  for (const Unit& unit : unit_table::All(txn)) {
    found.units.push_back(DescribeUnit(txn, unit));
  }
  for (const LeaseRecord& lease : unit_table::AllLeases(txn)) {
    const auto unit = unit_table::Get(txn, lease.unit_id);
    found.leases.push_back(
        {lease, unit ? SilenceOf(txn, *unit) : absl::ZeroDuration()});
  }
  found.sessions = session_table::All(txn);
  found.closing =
      rule_table::UidsInState(txn, RuleState::kClosing, std::nullopt);
  found.paused = rule_table::UidsInState(txn, RuleState::kPaused, std::nullopt);
  found.resync = rule_table::UidsInResync(txn, Resync::kNeeded);
  found.quiet = IsRestored(txn);
  return found;
}

}  // namespace crr
