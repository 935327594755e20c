#ifndef CRR_CLIENT_CRRCTL_OPERATE_H_
#define CRR_CLIENT_CRRCTL_OPERATE_H_

#include <string>

#include "absl/status/status.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"

namespace crr {

// Who copies and what they hold. Copiers and leases are named in full or by
// their bare ids.

absl::Status ListCopiers(Control& control, const Console& console);
absl::Status DrainCopier(Control& control, const std::string& copier,
                         const Console& console);
absl::Status ListLeases(Control& control, const Console& console);
absl::Status RevokeLease(Control& control, const std::string& lease,
                         const Console& console);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_OPERATE_H_
