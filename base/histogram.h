#ifndef CRR_BASE_HISTOGRAM_H_
#define CRR_BASE_HISTOGRAM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace crr {

// How many values fell between which bounds. Thread-compatible.
class Histogram {
 public:
  // `bounds` rise; each is the last value of its bucket, and one more bucket
  // takes what is above them all.
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

  void Add(double value) {
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    ++counts_[static_cast<size_t>(bound - bounds_.begin())];
    sum_ += value;
  }

  const std::vector<double>& bounds() const { return bounds_; }
  // One more than there are bounds.
  const std::vector<int64_t>& counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;
  double sum_ = 0;
};

}  // namespace crr

#endif  // CRR_BASE_HISTOGRAM_H_
