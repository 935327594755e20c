#ifndef CRR_CLIENT_CRRCTL_FAILED_H_
#define CRR_CLIENT_CRRCTL_FAILED_H_

#include <string>

#include "absl/status/status.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"

namespace crr {

// What `crrctl failed` does with the objects of a rule that left their lane.
// Each returns the first call's refusal.

// A table of those that are selected; of all when nothing is.
absl::Status ListFailed(Control& control, const std::string& rule,
                        const v1::FailedObjectSelection& selection,
                        const Console& console);
// Tries them again, or gives dead letters up, however many calls it takes, and
// says how many there were; also when a later call is refused.
absl::Status RetryFailed(Control& control, const std::string& rule,
                         const v1::FailedObjectSelection& selection,
                         const Console& console);
absl::Status SkipFailed(Control& control, const std::string& rule,
                        const v1::FailedObjectSelection& selection,
                        const Console& console);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_FAILED_H_
