#ifndef CRR_SERVER_CORE_PROGRESS_H_
#define CRR_SERVER_CORE_PROGRESS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/conditions.h"
#include "storage/publisher_table.h"
#include "storage/rule_table.h"
#include "storage/segment_table.h"
#include "storage/transaction.h"
#include "storage/verification_table.h"

namespace crr {

// Who speaks of completeness. What was said for one scope or in one epoch says
// nothing of another.
struct Speaker {
  std::string publisher;
  PublisherScope scope;
  int64_t epoch = 0;
  friend auto operator<=>(const Speaker&, const Speaker&) = default;
};
Speaker SpeakerOf(const Publisher& publisher);

// What publishers say of completeness: "everything written before this time
// has been published". Known only since they attached to this process.
using Watermarks = std::map<Speaker, absl::Time>;

struct HistoricalProgress {
  bool inventory_complete = false;
  int64_t total = 0;
  int64_t done = 0;
  int64_t skipped = 0;
  int64_t failed = 0;  // Objects that left their lane and are not done.
  int64_t bytes = 0;
  double fraction = 0;
  std::optional<absl::Duration> eta;
};

struct LiveProgress {
  std::optional<absl::Time> last_sync_time;
  std::string unknown_reason;  // When that is absent.
  int64_t pending = 0;
  // The oldest segment and the cursor in it: the oldest pending key is in it.
  std::optional<Segment> oldest_segment;
  int64_t cursor = 0;
  // The oldest change apart from its lane, when it is older than that segment.
  std::optional<std::string> oldest_key_apart;
  RuleCounters counters;
  std::map<std::string, int64_t> filtered;
};

struct RuleProgress {
  Rule rule;
  std::optional<HistoricalProgress> historical;
  LiveProgress live;
  std::vector<ShownCondition> conditions;
  std::optional<Verification> verification;  // The latest.
};

// How far a rule has come. `watermarks` must have been taken before the
// transaction began: then every change that they vouch for is in the log that
// it sees, or settled (I7).
RuleProgress ProgressOf(ReadTransaction& txn, const Rule& rule,
                        const Watermarks& watermarks, absl::Time now);

// T of design §4.
struct SyncTime {
  std::optional<absl::Time> time;
  std::string unknown_reason;  // When that is absent.
};
// The same T alone, at a cost that does not grow with the rule's log.
SyncTime SyncTimeOf(ReadTransaction& txn, const Rule& rule,
                    const Watermarks& watermarks);

}  // namespace crr

#endif  // CRR_SERVER_CORE_PROGRESS_H_
