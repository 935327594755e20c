#include "server/core/change_log.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/refusal.h"
#include "server/core/rule_log.h"
#include "storage/bucket_table.h"
#include "storage/region_table.h"
#include "storage/rule_table.h"
#include "storage/server_table.h"

namespace crr {
namespace {

absl::Status Superseded(absl::string_view publisher) {
  return Refuse({.reason = "SESSION_SUPERSEDED",
                 .description = absl::StrCat(
                     "publisher ", publisher,
                     " went on to a later epoch, or with another stream")});
}

bool InPrefixes(const Rule& rule, const std::string& key) {
  return rule.prefixes.empty() ||
         std::any_of(rule.prefixes.begin(), rule.prefixes.end(),
                     [&](const std::string& prefix) {
                       return absl::StartsWith(key, prefix);
                     });
}

// Why the rule does not want the change; empty when it does.
// Add/Change keeps delete markers and drops deletions (seed 2).
std::string FilterReason(const Rule& rule, const PublishedChange& change) {
  if (!InPrefixes(rule, change.key)) return "PREFIX";
  if (rule.operations == Operations::kAddChange &&
      (change.kind == PublishedChange::Kind::kDelete ||
       change.kind == PublishedChange::Kind::kDeleteVersion)) {
    return "OPERATIONS";
  }
  if (change.replica) return "REPLICA";
  // A journal that is told again from its beginning is history, too.
  if (!rule.historical && change.is_timed &&
      change.event_time < rule.create_time - limits::kClockSkewMax) {
    return "BEFORE_RULE";
  }
  return "";
}

bool InScope(Transaction& txn, const PublisherScope& scope,
             const std::string& bucket) {
  if (scope.kind == PublisherScope::Kind::kBucket) return scope.id == bucket;
  const auto found = bucket_table::Get(txn, bucket);
  return found && found->region == scope.id;
}

// What one rule gets of a batch.
struct Share {
  std::optional<Rule> rule;  // None: nobody wants the bucket's changes.
  std::string refusal;       // Why, then.
  std::vector<const PublishedChange*> accepted;
  std::map<std::string, int64_t> filtered;
};

std::map<std::string, Share> Distribute(Transaction& txn, const Batch& batch) {
  std::map<std::string, Share> shares;
  for (const PublishedChange& change : batch.changes) {
    auto [found, is_new] = shares.try_emplace(change.bucket);
    Share& share = found->second;
    if (is_new) {
      share.rule = rule_table::GetBySource(txn, change.bucket);
      if (!share.rule || share.rule->state == RuleState::kClosing) {
        share.refusal = "NO_RULE";
      } else if (!InScope(txn, batch.scope, change.bucket)) {
        // Its `complete_through` says nothing of this bucket.
        share.refusal = "OUT_OF_SCOPE";
      }
      if (!share.refusal.empty()) share.rule.reset();
    }
    const std::string reason =
        share.rule ? FilterReason(*share.rule, change) : share.refusal;
    if (reason.empty()) {
      share.accepted.push_back(&change);
    } else {
      ++share.filtered[reason];
    }
  }
  return shares;
}

}  // namespace

absl::StatusOr<Publisher> AttachPublisher(Transaction& txn,
                                          const Publisher& publisher,
                                          absl::Time now) {
  if (publisher.scope.kind == PublisherScope::Kind::kRegion &&
      !region_table::Get(txn, publisher.scope.id)) {
    const std::string name = NameOfRegion(publisher.scope.id);
    return Refuse({.reason = "REGION_NOT_FOUND",
                   .field = "hello.scope",
                   .subject = name,
                   .description = absl::StrCat(name, " is not registered")});
  }
  if (publisher.scope.kind == PublisherScope::Kind::kBucket &&
      !bucket_table::Get(txn, publisher.scope.id)) {
    const std::string name = NameOfBucket(publisher.scope.id);
    return Refuse({.reason = "BUCKET_NOT_FOUND",
                   .field = "hello.scope",
                   .subject = name,
                   .description = absl::StrCat(name, " is not registered")});
  }
  if (publisher.id.empty()) return publisher;
  Publisher next = publisher;
  if (const auto stored = publisher_table::Get(txn, publisher.id)) {
    if (stored->epoch > publisher.epoch) return Superseded(publisher.id);
    if (stored->epoch == publisher.epoch) {
      next.last_number = stored->last_number;
    }
  }
  next.attachment = TakeSessionNumber(txn);
  publisher_table::Put(txn, next, now);
  return next;
}

absl::StatusOr<BatchOutcome> AppendBatch(Transaction& txn, const Batch& batch,
                                         int64_t rule_log_bytes_max,
                                         absl::Time now) {
  BatchOutcome outcome;
  if (batch.publisher) {
    auto publisher = publisher_table::Get(txn, *batch.publisher);
    if (!publisher || publisher->epoch != batch.epoch ||
        publisher->attachment != batch.attachment) {
      return Superseded(*batch.publisher);
    }
    if (batch.number <= publisher->last_number) return outcome;
    publisher->last_number = batch.number;
    publisher_table::Put(txn, *publisher, now);
  }
  for (auto& [bucket, share] : Distribute(txn, batch)) {
    int64_t filtered_count = 0;
    for (const auto& [reason, count] : share.filtered) {
      outcome.filtered[reason] += count;
      filtered_count += count;
    }
    if (!share.rule) continue;
    const Rule& rule = *share.rule;
    rule_table::AddFiltered(txn, rule.uid, share.filtered);
    RuleCounters delta{
        .published =
            static_cast<int64_t>(share.accepted.size()) + filtered_count};
    if (!share.accepted.empty()) {
      outcome.accepted += static_cast<int64_t>(share.accepted.size());
      LogChanges(txn, rule, share.accepted, rule_log_bytes_max, now, delta,
                 outcome.events);
    }
    rule_table::AddCounters(txn, rule.uid, delta);
    outcome.rules.push_back(rule.uid);
  }
  return outcome;
}

}  // namespace crr
