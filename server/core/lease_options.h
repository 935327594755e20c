#ifndef CRR_SERVER_CORE_LEASE_OPTIONS_H_
#define CRR_SERVER_CORE_LEASE_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace crr {

// The durations of the lease protocol (design §6). All follow `ttl`.
struct LeaseOptions {
  absl::Duration ttl;
  absl::Duration heartbeat_interval;  // A third of the ttl, ± 10 % by copiers.
  absl::Duration margin;              // A copier stops so long before the end.
  absl::Duration grace;               // The server waits so long after it.
  absl::Duration commit_bound;        // The last step of one write.
  absl::Duration rebalance_interval;  // Between two looks at who has how much.
  // A lease on an empty log stays this long, for the next change.
  absl::Duration linger = absl::Seconds(10);
  // A lease under which nothing moves for so long is asked back.
  absl::Duration no_progress = absl::Minutes(5);
  // How long a lease may go on while other work waits for its place.
  absl::Duration turn = absl::Seconds(30);
  // Before the second attempt at a failing object; doubles from there, up to
  // `object_retry_max`, each time give or take a half.
  absl::Duration object_retry_base = absl::Seconds(1);
  absl::Duration object_retry_max = absl::Minutes(5);

  static LeaseOptions FromTtl(absl::Duration ttl) {
    return {.ttl = ttl,
            .heartbeat_interval = ttl / 3,
            .margin = ttl / 5,
            .grace = ttl / 2,
            .commit_bound = ttl / 4,
            .rebalance_interval = ttl};
  }

  // INVALID_ARGUMENT unless two heartbeats fit into what a copier may use of a
  // ttl, its clock running 0.5 % fast, and unless a write that began in time
  // ends before the unit is given to another.
  absl::Status Validate() const {
    if (ttl < absl::Seconds(1)) {
      return absl::InvalidArgumentError("the lease ttl must be at least 1 s");
    }
    if (0.995 * ttl - margin <= 2.2 * ttl / 3) {
      return absl::InvalidArgumentError(
          absl::StrCat("0.995 ttl - margin must exceed 2.2 ttl / 3; ttl is ",
                       absl::FormatDuration(ttl), ", margin ",
                       absl::FormatDuration(margin)));
    }
    if (object_retry_base < absl::ZeroDuration() ||
        object_retry_base > object_retry_max) {
      return absl::InvalidArgumentError(
          absl::StrCat("the first pause of a failing object must be 0 to ",
                       absl::FormatDuration(object_retry_max)));
    }
    if (commit_bound > margin + grace - 0.005 * ttl) {
      return absl::InvalidArgumentError(
          "the commit bound must not exceed margin + grace - 0.005 ttl");
    }
    return absl::OkStatus();
  }
};

}  // namespace crr

#endif  // CRR_SERVER_CORE_LEASE_OPTIONS_H_
