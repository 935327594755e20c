#ifndef CRR_TESTS_OVERLOAD_MEASURE_H_
#define CRR_TESTS_OVERLOAD_MEASURE_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace crr::test {

// Whether the large figures are wanted.
inline bool AllFigures() { return std::getenv("CRR_OVERLOAD_ALL") != nullptr; }

inline double MiB(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// Seconds that `act` takes.
template <typename Act>
double SecondsOf(Act act) {
  const auto begun = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun)
      .count();
}

// The longest that a call took.
class Slowest {
 public:
  template <typename Act>
  void Time(Act act) {
    seconds_ = std::max(seconds_, SecondsOf(std::move(act)));
    ++calls_;
  }
  double seconds() const { return seconds_; }
  int calls() const { return calls_; }

 private:
  double seconds_ = 0;
  int calls_ = 0;
};

}  // namespace crr::test

#endif  // CRR_TESTS_OVERLOAD_MEASURE_H_
