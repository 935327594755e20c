#include "client/copier/low_water.h"

#include <utility>

#include "base/check.h"

namespace crr {

void Counts::Add(const Counts& other) {
  applied += other.applied;
  collapsed += other.collapsed;
  for (const auto& [reason, n] : other.filtered) filtered[reason] += n;
  bytes += other.bytes;
  for (const auto& [key, failure] : other.failed) {
    const auto [found, first] = failed.try_emplace(key, failure);
    if (first) continue;
    Failure latest = failure;
    latest.entries += found->second.entries;
    latest.deletion |= found->second.deletion;
    found->second = std::move(latest);
  }
}

int64_t Counts::entries() const {
  int64_t n = applied + collapsed;
  for (const auto& [reason, filtered_n] : filtered) n += filtered_n;
  for (const auto& [key, failure] : failed) n += failure.entries;
  return n;
}

template <typename Position>
LowWater<Position>::LowWater(Position start)
    : from_(start), mark_(std::move(start)) {}

template <typename Position>
void LowWater<Position>::Begin(const Position& position) {
  CRR_CHECK(open_.empty() ? mark_ < position
                          : open_.rbegin()->first < position);
  open_.emplace_hint(open_.end(), position, std::nullopt);
}

template <typename Position>
void LowWater<Position>::Settle(const Position& position,
                                const Counts& counts) {
  const auto entry = open_.find(position);
  CRR_CHECK(entry != open_.end() && !entry->second.has_value());
  entry->second = counts;
  Advance();
}

template <typename Position>
void LowWater<Position>::Advance() {
  for (auto first = open_.begin();
       first != open_.end() && first->second.has_value() &&
       (first->second->failed.empty() ||
        counts_.failed.size() < kFailuresPerInterval);
       first = open_.erase(first)) {
    counts_.Add(*first->second);
    mark_ = first->first;
  }
}

template <typename Position>
typename LowWater<Position>::Interval LowWater<Position>::Take() {
  Interval interval{from_, mark_, std::move(counts_)};
  from_ = mark_;
  counts_ = Counts();
  Advance();
  return interval;
}

template class LowWater<int64_t>;
template class LowWater<std::string>;

}  // namespace crr
