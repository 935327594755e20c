#ifndef CRR_SERVER_CORE_OBJECT_LANE_H_
#define CRR_SERVER_CORE_OBJECT_LANE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/core/work_events.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"
#include "storage/unit_table.h"

namespace crr {

// Objects that left their lane (design §5): each has an OBJECT unit until it is
// done, or had its last attempt and is a dead letter. The ledger goes along:
// changes of objects that are tried count as pending, those of dead letters as
// failed.

// Why a grant ended of which nothing was heard any more.
inline constexpr char kCopierLost[] = "COPIER_LOST";

// What a copier says of an object that is to leave its lane.
struct ObjectFailure {
  std::string key;
  std::string reason;
  std::string message;
  int64_t changes = 0;  // Logged changes that it stands for.
  bool deletion = false;
  int64_t size_bytes = 0;  // 0 where it is not known.
};

// Why an object comes here.
struct ObjectOrigin {
  bool historical = false;
  bool repair = false;
  // Not after any of its changes; absent without changes.
  std::optional<absl::Time> oldest_event;
};

// Takes an object over, or folds it into what stands under its key; a dead
// letter is tried again then.
WorkEvents FoldObject(Transaction& txn, const Rule& rule,
                      const ObjectFailure& failure, const ObjectOrigin& origin,
                      absl::Time now);

// The object's state is at the destination, or stays away for `filter_reason`
// unless that is empty. Counts what the row stood for. False, and the row stays
// to be worked on again, when something was folded in since the grant.
bool FinishObject(Transaction& txn, const Unit& unit,
                  const std::string& filter_reason, WorkEvents& events);

// A grant of the object ended without progress, for `reason`. After the last
// attempt the row is a dead letter and its unit gone. Two may have more: an
// outage, for STORE_UNREACHABLE becomes a dead letter only limits::kOutageMax
// after the first that failed in a row; and an object that changed since the
// grant, unless its copier was lost.
WorkEvents FailObject(Transaction& txn, const Unit& unit,
                      const std::string& reason, const std::string& message,
                      absl::Time now);

// A grant ended for a `reason` that lies elsewhere, which is no attempt. Noted
// where it lies in a store; what is wrong with a copier says nothing here.
void DeferObject(Transaction& txn, const Unit& unit, const std::string& reason,
                 const std::string& message, absl::Time now);

// What one call did. Objects that a copier holds just now are left to it.
struct BulkOutcome {
  int64_t objects = 0;
  bool more = false;  // As many as a call may take, and others are left.
  WorkEvents events;
};

// Tries the objects again, at once and with all their attempts.
BulkOutcome RetryObjects(Transaction& txn, const Rule& rule,
                         const ObjectWorkFilter& filter);

// The object has changed, which may have mended it: a dead letter is tried
// again with all its attempts, and one whose last attempt is under way once
// more.
WorkEvents NoteChange(Transaction& txn, const Rule& rule,
                      absl::string_view key);

// Gives objects up: their changes count as filtered, with the reason SKIPPED.
// Dead letters; where the filter names keys, those still tried as well.
BulkOutcome SkipObjects(Transaction& txn, const Rule& rule,
                        const ObjectWorkFilter& filter);

// Takes up to `limit` rows of a closing rule away, counting their changes as
// filtered with the reason RULE_CLOSED; false while some are left.
bool PurgeObjects(Transaction& txn, const Rule& rule, int limit,
                  WorkEvents& events);

}  // namespace crr

#endif  // CRR_SERVER_CORE_OBJECT_LANE_H_
