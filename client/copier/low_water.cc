#include "client/copier/low_water.h"

#include <utility>

#include "base/check.h"

namespace crr {

void Counts::Add(const Counts& other) {
  applied += other.applied;
  collapsed += other.collapsed;
  for (const auto& [reason, n] : other.filtered) filtered[reason] += n;
  bytes += other.bytes;
}

int64_t Counts::entries() const {
  int64_t n = applied + collapsed;
  for (const auto& [reason, filtered_n] : filtered) n += filtered_n;
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
  for (auto first = open_.begin();
       first != open_.end() && first->second.has_value();
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
  return interval;
}

template class LowWater<int64_t>;
template class LowWater<std::string>;

}  // namespace crr
