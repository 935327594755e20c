#ifndef CRR_CLIENT_COPIER_FAILURE_REASON_H_
#define CRR_CLIENT_COPIER_FAILURE_REASON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace crr {

// `status` with the reason that the control plane is to be told.
absl::Status WithReason(absl::Status status, absl::string_view reason);

// Why something failed, in upper snake case: the reason that `status` carries,
// otherwise the one that its code has in the stores' statuses.
std::string ReasonOf(const absl::Status& status);

// The status as text for people, in at most 1,024 bytes of valid UTF-8.
std::string MessageOf(const absl::Status& status);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_FAILURE_REASON_H_
