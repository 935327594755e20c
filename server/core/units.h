#ifndef CRR_SERVER_CORE_UNITS_H_
#define CRR_SERVER_CORE_UNITS_H_

#include "server/core/work_events.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"
#include "storage/unit_table.h"

namespace crr {

// How units of work come and go within a transaction; each returns what
// LeaseCore must hear of it.

// What the scheduler needs to know of a unit, as it stands.
UnitInfo DescribeUnit(ReadTransaction& txn, const Unit& unit);

// Stores the unit under a new id, which is told in `added`.
WorkEvents AddUnit(Transaction& txn, Unit unit);

// Removes the unit with its lease and what was reported of it.
WorkEvents RemoveUnit(Transaction& txn, const Unit& unit);

// The CHANGES units that the rule's log needs and that are not there.
// Partitions of before the rule grew are emptied first: until then the later
// ones have none, for the same key may be in both.
WorkEvents AddChangesUnits(Transaction& txn, const Rule& rule);

// Leases that a rule may hold at once; 0 for no bound.
int64_t LeaseBoundOf(const Rule& rule);

}  // namespace crr

#endif  // CRR_SERVER_CORE_UNITS_H_
