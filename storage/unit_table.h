#ifndef CRR_STORAGE_UNIT_TABLE_H_
#define CRR_STORAGE_UNIT_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

enum class UnitKind {
  kProbe = 1,
  kInventory = 2,
  kBackfill = 3,
  kChanges = 4,
  kObject = 5,
  kVerify = 6
};

// How far a unit has come: the sequence for CHANGES and OBJECT (parts), the key
// for the others.
struct Cursor {
  int64_t sequence = 0;
  std::string key;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

// A piece of work that one lease covers.
struct Unit {
  int64_t id = 0;  // Never reused.
  int64_t rule_uid = 0;
  UnitKind kind = UnitKind::kProbe;
  int64_t partition = 0;
  Cursor cursor;
  std::string range_start;
  std::string range_end;
  int64_t listed = 0;    // Objects that INVENTORY listed in the range.
  int64_t visited = 0;   // Objects that BACKFILL met so far.
  int64_t token = 0;     // Of the last grant.
  // Grants since the last progress, but for those that were given back.
  int64_t attempts = 0;
};

struct LeaseRecord {
  int64_t unit_id = 0;
  int64_t session_number = 0;
  int64_t token = 0;
};

// A lease as people see it.
struct LeaseOverview {
  LeaseRecord lease;
  std::string copier;
  int64_t rule_uid = 0;
  UnitKind kind = UnitKind::kProbe;
  int64_t attempts = 0;
  absl::Time grant_time;
};

namespace unit_table {

void Insert(Transaction& txn, const Unit& unit);
std::optional<Unit> Get(ReadTransaction& txn, int64_t unit_id);
// Also ends its lease.
void Delete(Transaction& txn, int64_t unit_id);
std::vector<Unit> All(ReadTransaction& txn);
// The first by id; -1 for all.
std::vector<Unit> OfRule(ReadTransaction& txn, int64_t rule_uid,
                         int limit = -1);
std::vector<Unit> OfKind(ReadTransaction& txn, int64_t rule_uid, UnitKind kind,
                         int limit = -1);
std::optional<Unit> FindSingle(ReadTransaction& txn, int64_t rule_uid,
                               UnitKind kind, int64_t partition);
// Whether INVENTORY (of history) or BACKFILL units of the rule stand.
bool HasHistoricalWork(ReadTransaction& txn, int64_t rule_uid);
// Whether units of the kind stand.
bool HasKind(ReadTransaction& txn, int64_t rule_uid, UnitKind kind);
// Moves the cursor and takes the attempts back to 0.
void Progress(Transaction& txn, int64_t unit_id, const Cursor& cursor,
              int64_t visited);

// The same without progress: attempts stay.
void MoveCursor(Transaction& txn, int64_t unit_id, const Cursor& cursor);
// The last grant does not count as an attempt.
void TakeBackAttempt(Transaction& txn, int64_t unit_id);

// Gives the unit to a session under a new token; attempts rise by one.
void Grant(Transaction& txn, const LeaseRecord& lease, absl::Time now);
std::optional<LeaseRecord> GetLease(ReadTransaction& txn, int64_t unit_id);
void EndLease(Transaction& txn, int64_t unit_id);
std::vector<LeaseRecord> AllLeases(ReadTransaction& txn);
// Leases of units above `after`, by unit; only of `copier`, unless it is empty,
// and only of the rule, unless it is 0.
std::vector<LeaseOverview> ListLeases(ReadTransaction& txn, int64_t after,
                                      absl::string_view copier,
                                      int64_t rule_uid, int limit);
bool RuleHasLease(ReadTransaction& txn, int64_t rule_uid);

}  // namespace unit_table
}  // namespace crr

#endif  // CRR_STORAGE_UNIT_TABLE_H_
