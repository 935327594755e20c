#ifndef CRR_CLIENT_CRRCTL_TEXT_H_
#define CRR_CLIENT_CRRCTL_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace crr {

// Values as people read them.

// `name` itself, or escaped when it could move a cursor, break a line or is no
// UTF-8: names come from users of the stores.
std::string Printable(absl::string_view name);

// Such as "0 B", "1.5 KiB", "12.3 GiB".
std::string HumanBytes(int64_t bytes);

// Such as "0s", "42s", "3m5s", "2h0m5s".
std::string HumanDuration(absl::Duration duration);

// UTC, such as "2026-11-21T12:00:00.250Z".
std::string HumanTime(absl::Time time);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_TEXT_H_
