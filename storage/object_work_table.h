#ifndef CRR_STORAGE_OBJECT_WORK_TABLE_H_
#define CRR_STORAGE_OBJECT_WORK_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

// An object that left its lane, because it fails or is large: one row a key.
struct ObjectWork {
  int64_t rule_uid = 0;
  std::string key;
  // The OBJECT unit that works on it; absent for a dead letter.
  std::optional<int64_t> unit_id;
  // Rises with everything that is folded in.
  int64_t generation = 1;
  int64_t granted = 0;  // The generation that its last grant began with.
  int64_t changes = 0;  // Logged changes that it stands for.
  bool historical = false;
  bool repair = false;    // A verification found it.
  bool deletion = false;  // Whether a deletion is among the changes.
  // Not after any of the changes; absent without changes.
  std::optional<absl::Time> oldest_event;
  int64_t size_bytes = 0;
  int64_t attempts = 0;  // Without progress.
  std::string reason;
  std::string message;
  absl::Time first_failure;
  absl::Time last_failure;
  // Since when every grant of it ended without progress; absent when none has
  // since it came, was tried anew, or moved.
  std::optional<absl::Time> failing_since;
  // A begun upload at the destination; empty for none.
  std::string upload_id;
  std::string upload_etag;
  int64_t parts_most = 0;  // That any of its uploads had.
};

// Which rows of a rule; everything that is set must fit.
struct ObjectWorkFilter {
  std::vector<std::string> keys;  // Empty for all.
  std::string prefix;
  std::string reason;
  std::optional<absl::Time> first_failure_until;
  std::optional<bool> dead;
  std::optional<bool> failing;  // Whether `failing_since` is set.
};

// What stands in the rows of one rule.
struct ObjectWorkTotals {
  int64_t retrying = 0;  // Rows with a unit.
  int64_t dead = 0;      // Rows without.
  int64_t pending = 0;   // Changes of the former.
  int64_t failed = 0;    // Changes of the latter.
  int64_t historical = 0;
  int64_t repair = 0;
};

namespace object_work_table {

std::optional<ObjectWork> Get(ReadTransaction& txn, int64_t rule_uid,
                              absl::string_view key);
std::optional<ObjectWork> OfUnit(ReadTransaction& txn, int64_t unit_id);
// Stores the row as it is, replacing what stands under its key.
void Put(Transaction& txn, const ObjectWork& work);
void Delete(Transaction& txn, int64_t rule_uid, absl::string_view key);
// Rows whose key is above `after`, by key.
std::vector<ObjectWork> List(ReadTransaction& txn, int64_t rule_uid,
                             const ObjectWorkFilter& filter,
                             absl::string_view after, int limit);

ObjectWorkTotals Totals(ReadTransaction& txn, int64_t rule_uid);
// Takes the flag `deletion` from all rows: after a restore nobody knows what
// came after it.
void ForgetDeletions(Transaction& txn);
// The row with the oldest event among those that are being tried.
std::optional<ObjectWork> OldestPending(ReadTransaction& txn,
                                        int64_t rule_uid);
// The oldest event of any of the rule's rows, dead letters included.
std::optional<absl::Time> OldestEvent(ReadTransaction& txn, int64_t rule_uid);
bool HasHistorical(ReadTransaction& txn, int64_t rule_uid);
bool HasRepair(ReadTransaction& txn, int64_t rule_uid);
bool HasAny(ReadTransaction& txn, int64_t rule_uid);
// Dead letters of the rule, and since when there are any.
struct DeadLetters {
  int64_t count = 0;
  absl::Time since;
};
DeadLetters Dead(ReadTransaction& txn, int64_t rule_uid);
// Rows of the rule.
int64_t Count(ReadTransaction& txn, int64_t rule_uid);
// When the newest of them came.
absl::Time Newest(ReadTransaction& txn, int64_t rule_uid);

// Rules that have rows.
std::vector<int64_t> Rules(ReadTransaction& txn);
// Rows of all rules, at a cost that grows with them and not with the rules.
struct ObjectWorkCounts {
  int64_t retrying = 0;
  int64_t dead = 0;
};
ObjectWorkCounts CountAll(ReadTransaction& txn);

}  // namespace object_work_table
}  // namespace crr

#endif  // CRR_STORAGE_OBJECT_WORK_TABLE_H_
