#ifndef CRR_CLIENT_COPIER_RUN_END_H_
#define CRR_CLIENT_COPIER_RUN_END_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/copier/failure_reason.h"

namespace crr {

// How the runner of a lease ended.
struct RunEnd {
  // Whether the lease is to be given back. Otherwise there is nothing to give:
  // the unit is finished, or the lease is lost.
  bool release = false;
  std::string reason;   // Of the release, in upper snake case.
  std::string message;  // More of it, for people.
  // Whether the object of an OBJECT lease failed, and not what is around it.
  bool object_failed = false;

  static RunEnd Over() { return {}; }
  static RunEnd Release(absl::string_view reason) {
    return {.release = true, .reason = std::string(reason)};
  }
  static RunEnd Failed(const absl::Status& status) {
    return {.release = true,
            .reason = ReasonOf(status),
            .message = MessageOf(status)};
  }
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_RUN_END_H_
