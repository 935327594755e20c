#ifndef CRR_CLIENT_CRRCTL_VERIFY_H_
#define CRR_CLIENT_CRRCTL_VERIFY_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"

namespace crr {

struct VerifyOptions {
  std::string rule;  // buckets/{bucket}/rules/{rule}
  bool read_bytes = false;
  bool wait = false;  // Until all is compared.
  // Waits between two looks; false ends the wait.
  std::function<bool()> pause;
};

// Begins to compare the buckets of a rule, or joins a compare that is under
// way. Says so or, with `wait`, what came of it: the score, the differences by
// kind, and some of them. Returns whether all was equal, as far as is known.
absl::StatusOr<bool> VerifyRule(Control& control, const VerifyOptions& options,
                                const Console& console);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_VERIFY_H_
