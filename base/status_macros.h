#ifndef CRR_BASE_STATUS_MACROS_H_
#define CRR_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define CRR_CONCAT_INNER(a, b) a##b
#define CRR_CONCAT(a, b) CRR_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` is not OK.
#define CRR_RETURN_IF_ERROR(expr)                              \
  do {                                                         \
    if (absl::Status crr_status = (expr); !crr_status.ok()) {  \
      return crr_status;                                       \
    }                                                          \
  } while (false)

// Declares or assigns `lhs` from the StatusOr `expr`, or returns its status.
#define CRR_ASSIGN_OR_RETURN(lhs, expr) \
  CRR_ASSIGN_OR_RETURN_IMPL(CRR_CONCAT(crr_statusor_, __LINE__), lhs, expr)
#define CRR_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr) \
  auto statusor = (expr);                              \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)

#endif  // CRR_BASE_STATUS_MACROS_H_
