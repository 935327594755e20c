#ifndef CRR_CLIENT_COPIER_TOKEN_BUCKET_H_
#define CRR_CLIENT_COPIER_TOKEN_BUCKET_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace crr {

// Holds a rate of bytes per second, with one second's worth saved up at most.
// Thread-safe.
class TokenBucket {
 public:
  // 0 bytes per second: no bound.
  TokenBucket(int64_t bytes_per_second, const Clock& clock);

  // Takes `bytes`, on credit if need be, and says how long to wait before
  // moving them.
  absl::Duration Take(int64_t bytes);
  // How long until nothing is owed.
  absl::Duration Debt() const;
  bool bounded() const { return bytes_per_second_ > 0; }

 private:
  const int64_t bytes_per_second_;
  const Clock& clock_;
  mutable Mutex mu_;
  // When the bytes taken so far are paid for.
  Ticks paid_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_TOKEN_BUCKET_H_
