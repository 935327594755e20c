#include "server/rpc/progress_converters.h"

#include <algorithm>
#include <string>

#include "crr/v1/change.pb.h"
#include "server/core/names.h"
#include "server/rpc/converters.h"

namespace crr {
namespace {

// Key of the oldest change that is not settled.
std::string OldestPendingKey(const LiveProgress& live) {
  if (live.oldest_key_apart) return *live.oldest_key_apart;
  if (!live.oldest_segment) return "";
  v1::ChangeBatch batch;
  if (!batch.ParseFromString(live.oldest_segment->changes)) return "";
  const int64_t index = std::max<int64_t>(
      0, live.cursor + 1 - live.oldest_segment->first_sequence);
  return index < batch.changes_size()
             ? batch.changes(static_cast<int>(index)).key()
             : "";
}

}  // namespace

v1::Rule::Condition ToProto(const ShownCondition& condition) {
  v1::Rule::Condition message;
  message.set_type(condition.type);
  message.set_message(condition.message);
  message.set_remedy(condition.remedy);
  *message.mutable_since() = ToProto(condition.since);
  return message;
}

v1::Verification ToProto(const Verification& verification) {
  v1::Verification message;
  message.set_number(verification.number);
  message.set_cause(static_cast<v1::Verification::Cause>(verification.cause));
  message.set_read_bytes(verification.read_bytes);
  *message.mutable_start_time() = ToProto(verification.start_time);
  if (verification.end_time) {
    *message.mutable_end_time() = ToProto(*verification.end_time);
  }
  message.set_compared(verification.compared);
  message.set_equal(verification.equal);
  message.mutable_differences()->insert(verification.differences.begin(),
                                        verification.differences.end());
  if (verification.compared > 0) {
    message.set_score(static_cast<double>(verification.equal) /
                      static_cast<double>(verification.compared));
  }
  for (const auto& [key, reason] : verification.samples) {
    v1::Verification::Difference& sample = *message.add_samples();
    sample.set_key(key);
    sample.set_reason(reason);
  }
  return message;
}

v1::RuleProgress ToProto(const RuleProgress& progress, absl::Time now) {
  v1::RuleProgress message;
  message.set_name(NameOfRule(progress.rule));
  message.set_state(static_cast<v1::Rule::State>(progress.rule.state));
  if (progress.historical) {
    const HistoricalProgress& from = *progress.historical;
    auto& to = *message.mutable_historical();
    to.set_inventory_complete(from.inventory_complete);
    to.set_total_objects(from.total);
    to.set_done_objects(from.done);
    to.set_skipped(from.skipped);
    to.set_failed(from.failed);
    to.set_bytes(from.bytes);
    to.set_fraction(from.fraction);
    if (from.eta) *to.mutable_eta() = ToProto(*from.eta);
  }
  const LiveProgress& from = progress.live;
  auto& to = *message.mutable_live();
  if (from.last_sync_time) {
    *to.mutable_last_sync_time() = ToProto(*from.last_sync_time);
    *to.mutable_lag() =
        ToProto(std::max(absl::ZeroDuration(), now - *from.last_sync_time));
  } else {
    to.set_last_sync_unknown_reason(from.unknown_reason);
  }
  to.set_published(from.counters.published);
  to.set_pending(from.pending);
  to.set_oldest_pending_key(OldestPendingKey(from));
  to.set_applied(from.counters.applied);
  to.set_collapsed(from.counters.collapsed);
  to.mutable_filtered()->insert(from.filtered.begin(), from.filtered.end());
  to.set_resync(from.counters.resync);
  to.set_failed(from.counters.failed);
  for (const ShownCondition& condition : progress.conditions) {
    *message.add_conditions() = ToProto(condition);
  }
  if (progress.verification) {
    *message.mutable_verification() = ToProto(*progress.verification);
  }
  return message;
}

}  // namespace crr
