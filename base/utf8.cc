#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace crr {

bool IsTextWithoutNul(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead == 0) return false;
    size_t extra = 0;
    uint32_t point = lead;
    uint32_t smallest = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xc0 && lead < 0xe0) {
      extra = 1;
      point = lead & 0x1f;
      smallest = 0x80;
    } else if (lead >= 0xe0 && lead < 0xf0) {
      extra = 2;
      point = lead & 0x0f;
      smallest = 0x800;
    } else if (lead >= 0xf0 && lead < 0xf8) {
      extra = 3;
      point = lead & 0x07;
      smallest = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= extra) return false;
    for (size_t j = 1; j <= extra; ++j) {
      const auto next = static_cast<uint8_t>(text[i + j]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    if (point < smallest || point > 0x10ffff ||
        (point >= 0xd800 && point < 0xe000)) {
      return false;
    }
    i += extra + 1;
  }
  return true;
}

}  // namespace crr
