#ifndef CRR_CLIENT_COPIER_COPIER_ID_H_
#define CRR_CLIENT_COPIER_COPIER_ID_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace crr {

// A valid copier id for one process on one host, whatever the host is called:
// two copiers with one id would take the session from each other.
std::string DefaultCopierId(absl::string_view host, int64_t process);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_COPIER_ID_H_
