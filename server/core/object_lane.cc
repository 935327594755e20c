#include "server/core/object_lane.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "server/core/limits.h"
#include "server/core/units.h"

namespace crr {
namespace {

// As copiers report it.
constexpr char kStoreUnreachable[] = "STORE_UNREACHABLE";

// Makes the unit that works on the row, and stores the row with it. Its changes
// count as pending from here.
WorkEvents Offer(Transaction& txn, ObjectWork& work) {
  WorkEvents events =
      AddUnit(txn, {.rule_uid = work.rule_uid, .kind = UnitKind::kObject});
  work.unit_id = events.added.back().unit_id;
  object_work_table::Put(txn, work);
  rule_table::AddCounters(txn, work.rule_uid, {.apart = work.changes});
  return events;
}

// The row goes, with its unit. Its changes leave the ledger's classes pending
// and failed here; the caller counts where they go.
WorkEvents Remove(Transaction& txn, const ObjectWork& work) {
  object_work_table::Delete(txn, work.rule_uid, work.key);
  if (!work.unit_id) {
    rule_table::AddCounters(txn, work.rule_uid, {.failed = -work.changes});
    return {};
  }
  rule_table::AddCounters(txn, work.rule_uid, {.apart = -work.changes});
  const auto unit = unit_table::Get(txn, *work.unit_id);
  return unit ? RemoveUnit(txn, *unit) : WorkEvents{};
}

// Offers the row anew, with all its attempts.
WorkEvents TryAgain(Transaction& txn, ObjectWork work) {
  WorkEvents events = Remove(txn, work);
  work.attempts = 0;
  work.failing_since.reset();
  events.Add(Offer(txn, work));
  return events;
}

void NoteFailure(ObjectWork& work, const std::string& reason,
                 const std::string& message, absl::Time now) {
  // An outage begins with itself, whatever failed before.
  if (!work.failing_since ||
      (reason == kStoreUnreachable && work.reason != kStoreUnreachable)) {
    work.failing_since = now;
  }
  work.reason = reason;
  work.message = message;
  work.last_failure = now;
}

// What a row that is over adds to the rule's counters.
void CountDone(Transaction& txn, const ObjectWork& work,
               const std::string& filter_reason) {
  const bool filtered = !filter_reason.empty();
  RuleCounters delta;
  if (work.changes > 0) {
    // One look stood for all of them.
    delta.applied = filtered ? 0 : 1;
    delta.collapsed = work.changes - 1;
    if (filtered) {
      rule_table::AddFiltered(txn, work.rule_uid, {{filter_reason, 1}});
    }
  }
  if (work.historical) {
    delta.historical_done = 1;
    delta.historical_skipped = filtered ? 1 : 0;
  }
  rule_table::AddCounters(txn, work.rule_uid, delta);
}

// Does `change` to rows that fit and that no copier holds: as many as one call
// may take.
BulkOutcome ForEachFree(
    Transaction& txn, const Rule& rule, const ObjectWorkFilter& filter,
    absl::FunctionRef<WorkEvents(const ObjectWork&)> change) {
  BulkOutcome outcome;
  std::string after;
  while (true) {
    const std::vector<ObjectWork> page = object_work_table::List(
        txn, rule.uid, filter, after, limits::kFailedObjectsPerCallMax);
    for (const ObjectWork& work : page) {
      if (work.unit_id && unit_table::GetLease(txn, *work.unit_id)) continue;
      if (outcome.objects == limits::kFailedObjectsPerCallMax) {
        outcome.more = true;
        return outcome;
      }
      outcome.events.Add(change(work));
      ++outcome.objects;
    }
    if (page.size() < limits::kFailedObjectsPerCallMax) return outcome;
    after = page.back().key;
  }
}

}  // namespace

WorkEvents FoldObject(Transaction& txn, const Rule& rule,
                      const ObjectFailure& failure, const ObjectOrigin& origin,
                      absl::Time now) {
  auto stored = object_work_table::Get(txn, rule.uid, failure.key);
  if (!stored) {
    ObjectWork work{.rule_uid = rule.uid,
                    .key = failure.key,
                    .changes = failure.changes,
                    .historical = origin.historical,
                    .repair = origin.repair,
                    .deletion = failure.deletion,
                    .oldest_event = origin.oldest_event,
                    .size_bytes = failure.size_bytes,
                    .reason = failure.reason,
                    .message = failure.message,
                    .first_failure = now,
                    .last_failure = now};
    return Offer(txn, work);
  }
  ObjectWork work = *std::move(stored);
  const int64_t before = work.changes;
  ++work.generation;
  work.changes += failure.changes;
  work.historical |= origin.historical;
  work.repair |= origin.repair;
  work.deletion |= failure.deletion;
  if (origin.oldest_event) {
    work.oldest_event =
        std::min(work.oldest_event.value_or(*origin.oldest_event),
                 *origin.oldest_event);
  }
  if (failure.size_bytes > 0) work.size_bytes = failure.size_bytes;
  // What its own attempts met says more than why it left its lane, and since
  // when a store has been away depends on it.
  if (!work.unit_id || !work.failing_since) {
    work.reason = failure.reason;
    work.message = failure.message;
    work.last_failure = now;
  }
  if (work.unit_id) {
    object_work_table::Put(txn, work);
    rule_table::AddCounters(txn, rule.uid, {.apart = failure.changes});
    return {};
  }
  // What is new about it deserves all attempts.
  rule_table::AddCounters(txn, rule.uid, {.failed = -before});
  work.attempts = 0;
  work.failing_since.reset();
  return Offer(txn, work);
}

bool FinishObject(Transaction& txn, const Unit& unit,
                  const std::string& filter_reason, WorkEvents& events) {
  const auto work = object_work_table::OfUnit(txn, unit.id);
  if (!work || work->generation != work->granted) return false;
  CountDone(txn, *work, filter_reason);
  events.Add(Remove(txn, *work));
  return true;
}

WorkEvents FailObject(Transaction& txn, const Unit& unit,
                      const std::string& reason, const std::string& message,
                      absl::Time now) {
  auto work = object_work_table::OfUnit(txn, unit.id);
  if (!work) return {};
  NoteFailure(*work, reason, message, now);
  work->attempts = unit.attempts;
  const bool may_heal = reason == kStoreUnreachable &&
                        now - *work->failing_since < limits::kOutageMax;
  // Its newest state was never tried. Copiers are not risked for that: one that
  // kills them may change all the time.
  const bool has_news =
      work->generation != work->granted && reason != kCopierLost;
  if (work->attempts < limits::kObjectAttemptsMax || may_heal || has_news) {
    object_work_table::Put(txn, *work);
    return {};
  }
  work->unit_id.reset();
  object_work_table::Put(txn, *work);
  rule_table::AddCounters(
      txn, work->rule_uid,
      {.apart = -work->changes, .failed = work->changes});
  return RemoveUnit(txn, unit);
}

void DeferObject(Transaction& txn, const Unit& unit, const std::string& reason,
                 const std::string& message, absl::Time now) {
  if (!absl::StartsWith(reason, "STORE_") &&
      !absl::StartsWith(reason, "BUCKET_")) {
    return;
  }
  auto work = object_work_table::OfUnit(txn, unit.id);
  if (!work) return;
  NoteFailure(*work, reason, message, now);
  object_work_table::Put(txn, *work);
}

BulkOutcome RetryObjects(Transaction& txn, const Rule& rule,
                         const ObjectWorkFilter& filter) {
  // What was retried is not failing any more: the next call goes on behind it.
  ObjectWorkFilter failing = filter;
  failing.failing = true;
  return ForEachFree(txn, rule, failing, [&](const ObjectWork& work) {
    return TryAgain(txn, work);
  });
}

WorkEvents NoteChange(Transaction& txn, const Rule& rule,
                      absl::string_view key) {
  auto work = object_work_table::Get(txn, rule.uid, key);
  if (!work) return {};
  if (!work->unit_id) return TryAgain(txn, *std::move(work));
  // Any but the last attempt has another behind it that finds the change. Nor
  // has one that succeeds anything to do with it: the change is in the log.
  const auto unit = unit_table::Get(txn, *work->unit_id);
  if (unit && unit->attempts >= limits::kObjectAttemptsMax &&
      unit_table::GetLease(txn, unit->id)) {
    ++work->generation;
    object_work_table::Put(txn, *work);
  }
  return {};
}

BulkOutcome SkipObjects(Transaction& txn, const Rule& rule,
                        const ObjectWorkFilter& filter) {
  ObjectWorkFilter given_up = filter;
  if (filter.keys.empty()) given_up.dead = true;
  return ForEachFree(txn, rule, given_up, [&](const ObjectWork& work) {
    rule_table::AddFiltered(txn, rule.uid, {{"SKIPPED", work.changes}});
    if (work.historical) {
      rule_table::AddCounters(
          txn, rule.uid, {.historical_done = 1, .historical_skipped = 1});
    }
    return Remove(txn, work);
  });
}

bool PurgeObjects(Transaction& txn, const Rule& rule, int limit,
                  WorkEvents& events) {
  const std::vector<ObjectWork> list =
      object_work_table::List(txn, rule.uid, {}, "", limit);
  for (const ObjectWork& work : list) {
    events.Add(Remove(txn, work));
    rule_table::AddFiltered(txn, rule.uid, {{"RULE_CLOSED", work.changes}});
  }
  return static_cast<int>(list.size()) < limit;
}

}  // namespace crr
