#include "server/core/progress.h"

#include <algorithm>
#include <utility>

#include "server/core/change_log.h"
#include "storage/bucket_table.h"
#include "storage/object_work_table.h"
#include "storage/publisher_table.h"
#include "storage/unit_table.h"

namespace crr {
namespace {

HistoricalProgress HistoricalOf(const Rule& rule,
                                const RuleCounters& counters, int64_t failed,
                                bool open, absl::Time now) {
  HistoricalProgress progress{
      .inventory_complete = counters.inventory_complete,
      .total = counters.historical_total,
      .done = counters.historical_done,
      .skipped = counters.historical_skipped,
      .failed = failed,
      .bytes = counters.historical_bytes,
      .fraction = 0,
      .eta = std::nullopt};
  if (counters.inventory_complete && !open) {
    progress.fraction = 1;
    return progress;
  }
  if (progress.total == 0) return progress;
  // While a range is open its estimate may lie below what was visited.
  progress.fraction =
      std::min(0.999, static_cast<double>(progress.done) /
                          static_cast<double>(progress.total));
  if (progress.done > 0 && counters.inventory_complete) {
    const absl::Duration spent = now - rule.active_time;
    progress.eta = std::max(
        absl::ZeroDuration(),
        spent * ((1 - progress.fraction) / std::max(progress.fraction, 1e-9)));
  }
  return progress;
}

SyncTime LastSyncTime(
    ReadTransaction& txn, const Rule& rule, bool historical_open,
    const std::optional<absl::Time>& oldest_event,
    const Watermarks& watermarks) {
  const auto source = bucket_table::Get(txn, rule.source);
  if (!source) return {std::nullopt, "NO_PUBLISHER"};
  const std::vector<Publisher> publishers =
      publisher_table::Covering(txn, source->id, source->region);
  // First, for it does not pass by itself: WaitForSync refuses to wait then.
  if (publishers.empty()) return {std::nullopt, "NO_PUBLISHER"};
  if (rule.state != RuleState::kActive) return {std::nullopt, "NOT_ACTIVE"};
  if (historical_open) return {std::nullopt, "HISTORICAL_OPEN"};
  absl::Time t = absl::InfiniteFuture();
  if (rule.resync != Resync::kNone) {
    if (rule.resync_floor <= UnknownEventTime()) {
      return {std::nullopt, "RESYNC_NEEDED"};
    }
    t = rule.resync_floor;
  }
  if (object_work_table::HasRepair(txn, rule.uid)) {
    return {std::nullopt, "REPAIR_OPEN"};
  }
  for (const Publisher& publisher : publishers) {
    const auto said = watermarks.find(SpeakerOf(publisher));
    if (said == watermarks.end()) return {std::nullopt, "PUBLISHER_DETACHED"};
    if (said->second == absl::InfinitePast()) {
      return {std::nullopt, "NO_COMPLETE_THROUGH"};
    }
    t = std::min(t, said->second);
  }
  if (oldest_event && *oldest_event <= UnknownEventTime()) {
    return {std::nullopt, "EVENT_TIME_UNKNOWN"};
  }
  if (oldest_event) t = std::min(t, *oldest_event);
  return {t, ""};
}

bool HistoricalOpen(ReadTransaction& txn, const Rule& rule,
                    const RuleCounters& counters) {
  return rule.historical && (!counters.inventory_complete ||
                             unit_table::HasHistoricalWork(txn, rule.uid) ||
                             object_work_table::HasHistorical(txn, rule.uid));
}

// Of everything that is logged and not settled, dead letters included.
std::optional<absl::Time> OldestOf(std::optional<absl::Time> logged,
                                   std::optional<absl::Time> apart) {
  if (!logged || !apart) return logged ? logged : apart;
  return std::min(*logged, *apart);
}

// Heads of the logs, and objects apart: the oldest of them.
void FindOldestPending(ReadTransaction& txn, const Rule& rule,
                       LiveProgress& live) {
  const auto lowest = segment_table::LowestPartition(txn, rule.uid);
  const int64_t end = rule.first_partition + rule.partitions;
  for (int64_t partition = lowest.value_or(end); partition < end;
       ++partition) {
    const auto unit = unit_table::FindSingle(txn, rule.uid, UnitKind::kChanges,
                                             partition);
    const int64_t cursor = unit ? unit->cursor.sequence : 0;
    auto head = segment_table::First(txn, rule.uid, partition, cursor);
    if (!head || (live.oldest_segment && live.oldest_segment->oldest_event <=
                                             head->oldest_event)) {
      continue;
    }
    live.oldest_segment = std::move(head);
    live.cursor = cursor;
  }
  const auto apart = object_work_table::OldestPending(txn, rule.uid);
  if (apart && (!live.oldest_segment ||
                *apart->oldest_event < live.oldest_segment->oldest_event)) {
    live.oldest_key_apart = apart->key;
  }
}

}  // namespace

Speaker SpeakerOf(const Publisher& publisher) {
  return {publisher.id, publisher.scope, publisher.epoch};
}

SyncTime SyncTimeOf(ReadTransaction& txn, const Rule& rule,
                    const Watermarks& watermarks) {
  const bool historical_open =
      HistoricalOpen(txn, rule, rule_table::GetCounters(txn, rule.uid));
  return LastSyncTime(
      txn, rule, historical_open,
      OldestOf(segment_table::OldestEvent(txn, rule.uid),
               object_work_table::OldestEvent(txn, rule.uid)),
      watermarks);
}

RuleProgress ProgressOf(ReadTransaction& txn, const Rule& rule,
                        const Watermarks& watermarks, absl::Time now) {
  RuleProgress progress;
  const RuleCounters counters = rule_table::GetCounters(txn, rule.uid);
  const bool historical_open = HistoricalOpen(txn, rule, counters);
  const ObjectWorkTotals apart = object_work_table::Totals(txn, rule.uid);
  if (rule.historical) {
    progress.historical =
        HistoricalOf(rule, counters, apart.historical, historical_open, now);
  }
  LiveProgress& live = progress.live;
  const LogSummary log = segment_table::Summarize(txn, rule.uid);
  live.pending = log.pending + apart.pending;
  FindOldestPending(txn, rule, live);
  const SyncTime sync = LastSyncTime(
      txn, rule, historical_open,
      OldestOf(log.oldest_event,
               object_work_table::OldestEvent(txn, rule.uid)),
      watermarks);
  live.last_sync_time = sync.time;
  live.unknown_reason = sync.unknown_reason;
  live.counters = counters;
  live.filtered = rule_table::GetFiltered(txn, rule.uid);
  progress.conditions = ConditionsOf(txn, rule);
  progress.verification = verification_table::Get(txn, rule.uid);
  progress.rule = rule;
  return progress;
}

}  // namespace crr
