#include "server/core/rule_log.h"

#include <algorithm>
#include <map>

#include "base/hash.h"
#include "server/core/limits.h"
#include "server/core/object_lane.h"
#include "server/core/units.h"
#include "storage/object_work_table.h"
#include "storage/segment_table.h"
#include "storage/unit_table.h"

namespace crr {
namespace {

// Which of the rule's logs takes changes of the key.
int64_t PartitionOf(const Rule& rule, const std::string& key) {
  return rule.first_partition +
         static_cast<int64_t>(Hash64(key) %
                              static_cast<uint64_t>(rule.partitions));
}

struct Logged {
  int64_t bytes = 0;
  int64_t log_end = 0;
};

// Cuts changes of one partition into segments of bounded size and logs them.
Logged LogTo(Transaction& txn, const Rule& rule, int64_t partition,
             const std::vector<const PublishedChange*>& changes) {
  int64_t sequence = rule_table::TakeSequences(
      txn, rule.uid, partition, static_cast<int64_t>(changes.size()));
  Logged logged;
  Segment segment;
  const auto flush = [&] {
    if (segment.changes.empty()) return;
    segment_table::Append(txn, rule.uid, partition, segment,
                          limits::kSegmentBytesMax);
    logged.bytes += static_cast<int64_t>(segment.changes.size());
    segment = {};
  };
  for (const PublishedChange* change : changes) {
    if (static_cast<int64_t>(segment.changes.size() + change->encoded.size()) >
        limits::kSegmentBytesMax) {
      flush();
    }
    if (segment.changes.empty()) {
      segment.first_sequence = sequence;
      segment.oldest_event = change->event_time;
    }
    segment.last_sequence = sequence++;
    segment.oldest_event = std::min(segment.oldest_event, change->event_time);
    if (change->small) {
      segment.oldest_small_event = std::min(
          segment.oldest_small_event.value_or(change->event_time),
          change->event_time);
    }
    segment.changes += change->encoded;
  }
  flush();
  logged.log_end = sequence - 1;
  return logged;
}

// Logs the changes, each in the partition of its key, and tells of it; returns
// the bytes logged.
int64_t Log(Transaction& txn, const Rule& rule,
            const std::vector<const PublishedChange*>& changes,
            WorkEvents& events) {
  std::map<int64_t, std::vector<const PublishedChange*>> by_partition;
  for (const PublishedChange* change : changes) {
    by_partition[PartitionOf(rule, change->key)].push_back(change);
  }
  const bool active = rule.state == RuleState::kActive;
  int64_t bytes = 0;
  bool has_units = true;
  for (const auto& [partition, share] : by_partition) {
    const Logged logged = LogTo(txn, rule, partition, share);
    bytes += logged.bytes;
    if (!active) continue;  // Told when the rule goes on.
    const auto unit = unit_table::FindSingle(txn, rule.uid, UnitKind::kChanges,
                                             partition);
    if (unit) events.grown.push_back({unit->id, logged.log_end});
    has_units &= unit.has_value();
  }
  if (!has_units) events.Add(AddChangesUnits(txn, rule));
  return bytes;
}

// More logs for a rule that is hot, once those of before it last grew are
// empty: keys move, and the order of each must hold.
void MaybeGrow(Transaction& txn, const Rule& rule, int64_t log_bytes) {
  if (rule.partitions * 2 > limits::kPartitionsMax ||
      log_bytes < rule.partitions * limits::kHotPartitionBytes) {
    return;
  }
  const auto lowest = segment_table::LowestPartition(txn, rule.uid);
  if (lowest && *lowest < rule.first_partition) return;
  rule_table::SetPartitions(txn, rule.uid,
                            rule.first_partition + rule.partitions,
                            rule.partitions * 2);
}

absl::Time OldestOf(const std::vector<const PublishedChange*>& changes) {
  absl::Time oldest = absl::InfiniteFuture();
  for (const PublishedChange* change : changes) {
    oldest = std::min(oldest, change->event_time);
  }
  return oldest;
}

}  // namespace

void LogChanges(Transaction& txn, const Rule& rule,
                const std::vector<const PublishedChange*>& changes,
                int64_t log_bytes_max, absl::Time now, RuleCounters& counters,
                WorkEvents& events) {
  const auto count = static_cast<int64_t>(changes.size());
  if (rule.resync == Resync::kNeeded) {
    counters.resync = count;
    // A late event takes last_sync_time back, here as everywhere.
    if (const absl::Time oldest = OldestOf(changes);
        oldest < rule.resync_floor) {
      rule_table::NeedResync(txn, rule.uid, oldest, now);
    }
    return;
  }
  int64_t bytes = 0;
  for (const PublishedChange* change : changes) {
    bytes += static_cast<int64_t>(change->encoded.size());
  }
  const int64_t log_bytes =
      rule_table::GetCounters(txn, rule.uid).log_bytes + bytes;
  if (log_bytes > log_bytes_max) {
    absl::Time floor = OldestOf(changes);
    if (const auto oldest = segment_table::OldestEvent(txn, rule.uid)) {
      floor = std::min(floor, *oldest);
    }
    rule_table::NeedResync(txn, rule.uid, floor, now);
    counters.resync = count;
    events.resync.push_back(rule.uid);
    return;
  }
  counters.logged = count;
  counters.log_bytes = Log(txn, rule, changes, events);
  if (object_work_table::HasAny(txn, rule.uid)) {
    for (const PublishedChange* change : changes) {
      events.Add(NoteChange(txn, rule, change->key));
    }
  }
  MaybeGrow(txn, rule, log_bytes);
}

}  // namespace crr
