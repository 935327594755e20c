#ifndef CRR_STORAGE_SEGMENT_TABLE_H_
#define CRR_STORAGE_SEGMENT_TABLE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

// Logged changes first_sequence .. last_sequence of one partition.
struct Segment {
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  absl::Time oldest_event;
  // Of the changes of small objects in it.
  std::optional<absl::Time> oldest_small_event;
  std::string changes;  // Opaque here: passed on without being decoded.
};

// What stands in a log and is not settled.
struct LogSummary {
  int64_t pending = 0;  // Changes, counted from the segments.
  std::optional<absl::Time> oldest_event;
};

namespace segment_table {

// Adds changes to the log. They join the last segment when that is of this
// commit and stays within `bytes_max`.
void Append(Transaction& txn, int64_t rule_uid, int64_t partition,
            const Segment& changes, int64_t bytes_max);
// Segments that end above `after`, in order, of at most `bytes_max` bytes
// together, and no more than `segments_max`.
std::vector<Segment> Read(ReadTransaction& txn, int64_t rule_uid,
                          int64_t partition, int64_t after, int64_t bytes_max,
                          int64_t segments_max =
                              std::numeric_limits<int64_t>::max());
// The first segment that ends above `after`.
std::optional<Segment> First(ReadTransaction& txn, int64_t rule_uid,
                             int64_t partition, int64_t after);
// Deletes the segments that end at or below `cursor`; returns their bytes.
int64_t DeleteThrough(Transaction& txn, int64_t rule_uid, int64_t partition,
                      int64_t cursor);
struct PurgeResult {
  int64_t changes = 0;  // That were deleted and not settled.
  int64_t bytes = 0;    // Of the segments.
  bool log_empty = false;
};
// Deletes up to `limit` segments of the rule.
PurgeResult Purge(Transaction& txn, int64_t rule_uid, int limit);
// The lowest of the rule's partitions that has something logged.
std::optional<int64_t> LowestPartition(ReadTransaction& txn, int64_t rule_uid);
// Last sequence number in the partition's log; nullopt when it is empty.
std::optional<int64_t> LastSequence(ReadTransaction& txn, int64_t rule_uid,
                                    int64_t partition);
std::optional<int64_t> FirstSequence(ReadTransaction& txn, int64_t rule_uid,
                                     int64_t partition);
// The oldest event of the segments that overlap (from, to].
std::optional<absl::Time> OldestEventIn(ReadTransaction& txn, int64_t rule_uid,
                                        int64_t partition, int64_t from,
                                        int64_t to);
// The oldest event in the rule's log.
std::optional<absl::Time> OldestEvent(ReadTransaction& txn, int64_t rule_uid);

// The following look at the rules that have a log, and at a row or two of each:
// what they cost does not grow with the length of the logs.

// What is logged for rules of one state.
struct StateTotal {
  int64_t rule_state = 0;
  int64_t rules = 0;
  int64_t changes = 0;
  int64_t bytes = 0;
};
std::vector<StateTotal> Totals(ReadTransaction& txn);
struct OldestUnfinished {
  int64_t rule_uid = 0;
  absl::Time oldest_event;
};
// Of rules that nobody has stopped (STARTING and ACTIVE), those with the oldest
// unfinished events after `after`, oldest first: in their log, of an object
// apart from its lane, dead letters included, or dropped and not compared yet.
std::vector<OldestUnfinished> OldestOfRules(ReadTransaction& txn,
                                            absl::Time after, int limit);
// Of the same rules, the oldest such event of a small object, which has at most
// `bytes_max`. What was dropped may have been of one.
std::optional<absl::Time> OldestSmallEvent(ReadTransaction& txn,
                                           absl::Time after,
                                           int64_t bytes_max);
struct FullLog {
  int64_t rule_uid = 0;
  int64_t bytes = 0;
};
// The rules with the most bytes in their log, most first.
std::vector<FullLog> FullestLogs(ReadTransaction& txn, int limit);

// Of the whole rule, above the cursors of its CHANGES units.
LogSummary Summarize(ReadTransaction& txn, int64_t rule_uid);

}  // namespace segment_table
}  // namespace crr

#endif  // CRR_STORAGE_SEGMENT_TABLE_H_
