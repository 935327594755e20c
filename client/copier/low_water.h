#ifndef CRR_CLIENT_COPIER_LOW_WATER_H_
#define CRR_CLIENT_COPIER_LOW_WATER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace crr {

// Why a key leaves its lane.
struct Failure {
  std::string reason;
  std::string message;
  int64_t entries = 1;     // That it stands for.
  bool deletion = false;   // Whether one of them is a deletion.
  int64_t size_bytes = 0;  // At the source; 0 where it is not known.

  friend bool operator==(const Failure&, const Failure&) = default;
};

// What became of a number of entries.
struct Counts {
  int64_t applied = 0;
  int64_t collapsed = 0;
  std::map<std::string, int64_t> filtered;  // By reason.
  int64_t bytes = 0;
  std::map<std::string, Failure> failed;  // By key.

  void Add(const Counts& other);
  int64_t entries() const;
  friend bool operator==(const Counts&, const Counts&) = default;
};

// Keys that may fail in one interval: what one checkpoint takes.
inline constexpr size_t kFailuresPerInterval = 1'000;

// The place up to which everything is settled, when entries that were begun in
// order end in any order. Position is int64_t (sequence numbers) or std::string
// (keys). The mark waits for the next Take when more keys have failed than one
// interval may tell of. Thread-compatible.
template <typename Position>
class LowWater {
 public:
  // Everything up to and with `start` is settled and reported.
  explicit LowWater(Position start);

  // Requires: above every position begun so far.
  void Begin(const Position& position);
  // `counts` of this one entry. Requires: begun, and not settled.
  void Settle(const Position& position, const Counts& counts);

  // Entries begun that are not below the low-water mark.
  size_t open() const { return open_.size(); }
  // Entries that the next Take tells of.
  int64_t ready() const { return counts_.entries(); }

  // The entries in (from, to] and no others.
  struct Interval {
    Position from;
    Position to;
    Counts counts;
  };
  // From where the last one ended up to the low-water mark.
  Interval Take();

 private:
  void Advance();

  Position from_;
  Position mark_;
  Counts counts_;  // Of (from_, mark_].
  std::map<Position, std::optional<Counts>> open_;  // Above mark_.
};

extern template class LowWater<int64_t>;
extern template class LowWater<std::string>;

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_LOW_WATER_H_
