#ifndef CRR_CLIENT_COPIER_FAILURE_REASON_H_
#define CRR_CLIENT_COPIER_FAILURE_REASON_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace crr {

// `status` with the reason that the control plane is to be told.
absl::Status WithReason(absl::Status status, absl::string_view reason);

// Why something failed, in upper snake case: the reason that `status` carries,
// otherwise the one that its code has in the stores' statuses.
std::string ReasonOf(const absl::Status& status);

// `status` with the size of the object that it is about.
absl::Status WithSize(absl::Status status, int64_t size_bytes);
// That size; 0 when the status carries none.
int64_t SizeOf(const absl::Status& status);

// What it is that failed, when a key could not be copied.
enum class FailureScope {
  kLease,   // The lease ends, or its buckets are not those of the rule.
  kStore,   // A store is away or full, or has no such bucket: so it may be for
            // every key.
  kObject,  // This object.
  kLarge,   // Nothing: the object is to be copied by itself.
};
FailureScope ScopeOf(const absl::Status& status);

// Reasons that ScopeOf knows.
inline constexpr char kBucketIdentityChanged[] = "BUCKET_IDENTITY_CHANGED";
inline constexpr char kLargeObject[] = "LARGE";
inline constexpr char kObjectMoving[] = "OBJECT_MOVING";

// The status as text for people, in at most 1,024 bytes of valid UTF-8.
std::string MessageOf(const absl::Status& status);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_FAILURE_REASON_H_
