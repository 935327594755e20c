#ifndef CRR_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define CRR_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <gmock/gmock.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crr::test {

inline const absl::Status& StatusOf(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& s) {
  return s.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P(HasCode, code, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

}  // namespace crr::test

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::crr::test::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::crr::test::IsOk())

#endif  // CRR_TESTS_SUPPORT_STATUS_MATCHERS_H_
