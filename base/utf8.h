#ifndef CRR_BASE_UTF8_H_
#define CRR_BASE_UTF8_H_

#include "absl/strings/string_view.h"

namespace crr {

// Whether `text` is valid UTF-8 (RFC 3629: no overlong forms, no surrogates,
// nothing above U+10FFFF) without NUL. The empty text is.
bool IsTextWithoutNul(absl::string_view text);

}  // namespace crr

#endif  // CRR_BASE_UTF8_H_
