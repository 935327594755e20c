#ifndef CRR_BASE_BACKOFF_H_
#define CRR_BASE_BACKOFF_H_

#include <random>

#include "absl/time/time.h"

namespace crr {

// Delays between attempts: doubling up to a cap, each drawn evenly from
// [base/2, ceiling], so that many clients that failed together do not come
// back together. Thread-compatible.
class Backoff {
 public:
  Backoff(absl::Duration base, absl::Duration cap);

  absl::Duration Next();
  // To be called after a success.
  void Reset() { ceiling_ = base_; }

 private:
  absl::Duration base_;
  absl::Duration cap_;
  absl::Duration ceiling_;
  std::mt19937_64 random_;
};

}  // namespace crr

#endif  // CRR_BASE_BACKOFF_H_
