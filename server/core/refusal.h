#ifndef CRR_SERVER_CORE_REFUSAL_H_
#define CRR_SERVER_CORE_REFUSAL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace crr {

// One thing that stands against a request. Code, remedy and OSS's own error
// code follow from the reason (see refusal.cc, the catalogue).
struct Violation {
  std::string reason;       // Of design §10.
  std::string field;        // Path of the request field at fault, or empty.
  std::string subject;      // Resource whose state is in the way, or empty.
  std::string description;  // For people.
  // For ErrorInfo: the rule and the partner in the way, when there are such.
  std::string rule;
  std::string partner;
  // Where it differs from the catalogue's.
  std::string oss_code;
};

// What the catalogue says of a reason.
struct ReasonInfo {
  absl::string_view reason;
  absl::StatusCode code;
  absl::string_view oss_code;
  absl::string_view remedy;
};

// Of a reason in the catalogue; ends the process for another, which is a bug.
const ReasonInfo& InfoOf(absl::string_view reason);

// One status for all of them. Its code is that of the first class found, in
// the order INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION,
// and the violations of that class come first; of more than
// limits::kViolationsMax the rest is counted only. Requires: not empty.
absl::Status RefuseAll(std::vector<Violation> violations);
absl::Status Refuse(Violation violation);

// UNAVAILABLE DRAINING.
absl::Status Draining();

// OK when there are none.
absl::Status RefuseIfAny(std::vector<Violation> violations);

// What a refusal put into a status; empty for a status of another origin.
std::vector<Violation> ViolationsOf(const absl::Status& status);

// One status for what was found before and for what `status` says beside it. A
// status of another origin is told alone.
absl::Status RefuseWith(std::vector<Violation> found,
                        const absl::Status& status);

}  // namespace crr

#endif  // CRR_SERVER_CORE_REFUSAL_H_
