#ifndef CRR_CLIENT_CRRCTL_CONSOLE_H_
#define CRR_CLIENT_CRRCTL_CONSOLE_H_

#include <functional>

#include "absl/strings/string_view.h"

namespace crr {

// Where a command writes what people and scripts read. The functions take
// whole lines and may be called by one thread at a time.
struct Console {
  std::function<void(absl::string_view)> out;
  std::function<void(absl::string_view)> err;
};

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_CONSOLE_H_
