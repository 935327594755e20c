#include "client/copier/change_queue.h"

#include <utility>

#include "base/check.h"

namespace crr {

void ChangeQueue::Add(int64_t sequence, const std::string& key,
                      CopyReason reason) {
  low_water_.Begin(sequence);
  Key& state = keys_[key];
  if (state.waiting.empty() && state.in_work.empty()) turns_.push_back(key);
  state.waiting.push_back(sequence);
  state.reason = reason;
}

std::optional<ChangeQueue::Work> ChangeQueue::Next() {
  if (turns_.empty()) return std::nullopt;
  std::string key = std::move(turns_.front());
  turns_.pop_front();
  Key& state = keys_.at(key);
  state.in_work = std::exchange(state.waiting, {});
  return Work{std::move(key), state.reason};
}

void ChangeQueue::Settle(const std::string& key, const CopyResult& result) {
  const auto found = keys_.find(key);
  CRR_CHECK(found != keys_.end() && !found->second.in_work.empty());
  Key& state = found->second;
  const int64_t last = state.in_work.back();
  state.in_work.pop_back();
  for (const int64_t earlier : state.in_work) {
    low_water_.Settle(earlier, {.collapsed = 1});
  }
  low_water_.Settle(last, CountsOf(result));
  state.in_work.clear();
  if (state.waiting.empty()) {
    keys_.erase(found);
  } else {
    turns_.push_back(key);
  }
}

Counts CountsOf(const CopyResult& result) {
  Counts counts{.bytes = result.bytes};
  if (result.outcome == CopyResult::Outcome::kFiltered) {
    counts.filtered[result.filter_reason] = 1;
  } else {
    counts.applied = 1;
  }
  return counts;
}

}  // namespace crr
