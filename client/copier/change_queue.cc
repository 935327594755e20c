#include "client/copier/change_queue.h"

#include <utility>

#include "base/check.h"
#include "client/copier/failure_reason.h"

namespace crr {

void ChangeQueue::Add(int64_t sequence, const std::string& key,
                      CopyReason reason) {
  low_water_.Begin(sequence);
  Key& state = keys_[key];
  if (state.waiting.empty() && state.in_work.empty()) turns_.push_back(key);
  state.waiting.push_back({sequence, reason});
}

std::optional<ChangeQueue::Work> ChangeQueue::Next() {
  if (turns_.empty()) return std::nullopt;
  std::string key = std::move(turns_.front());
  turns_.pop_front();
  Key& state = keys_.at(key);
  state.in_work = std::exchange(state.waiting, {});
  return Work{std::move(key), state.in_work.back().reason};
}

void ChangeQueue::Settle(const std::string& key,
                         const absl::StatusOr<CopyResult>& result) {
  const auto found = keys_.find(key);
  CRR_CHECK(found != keys_.end() && !found->second.in_work.empty());
  Key& state = found->second;
  if (!result.ok()) {
    Counts counts = CountsOf(key, result);
    for (const auto* changes : {&state.in_work, &state.waiting}) {
      for (const Change& change : *changes) {
        counts.failed.at(key).deletion = change.reason == CopyReason::kDelete;
        low_water_.Settle(change.sequence, counts);
      }
    }
    keys_.erase(found);
    return;
  }
  const int64_t last = state.in_work.back().sequence;
  state.in_work.pop_back();
  for (const Change& earlier : state.in_work) {
    low_water_.Settle(earlier.sequence, {.collapsed = 1});
  }
  low_water_.Settle(last, CountsOf(key, result));
  state.in_work.clear();
  if (state.waiting.empty()) {
    keys_.erase(found);
  } else {
    turns_.push_back(key);
  }
}

Counts CountsOf(const std::string& key,
                const absl::StatusOr<CopyResult>& result) {
  Counts counts;
  if (!result.ok()) {
    counts.failed[key] = {.reason = ReasonOf(result.status()),
                          .message = MessageOf(result.status()),
                          .size_bytes = SizeOf(result.status())};
    return counts;
  }
  counts.bytes = result->bytes;
  if (result->outcome == CopyResult::Outcome::kFiltered) {
    counts.filtered[result->filter_reason] = 1;
  } else {
    counts.applied = 1;
  }
  return counts;
}

}  // namespace crr
