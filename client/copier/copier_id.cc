#include "client/copier/copier_id.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace crr {
namespace {

// Leaves room in 63 bytes for a process number.
constexpr size_t kHostBytesMax = 40;

}  // namespace

std::string DefaultCopierId(absl::string_view host, int64_t process) {
  std::string id = "copier";
  bool dash = true;
  for (const char c : host.substr(0, kHostBytesMax)) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      dash = true;
      continue;
    }
    if (dash) id.push_back('-');
    dash = false;
    id.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return absl::StrCat(id, "-", process);
}

}  // namespace crr
