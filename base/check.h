#ifndef CRR_BASE_CHECK_H_
#define CRR_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// Stops the process when `condition` does not hold: for what cannot happen,
// never for input. Active in every build.
#define CRR_CHECK(condition)                                          \
  do {                                                                \
    if (!(condition)) {                                               \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__,     \
                   __LINE__, #condition);                             \
      std::abort();                                                   \
    }                                                                 \
  } while (false)

#endif  // CRR_BASE_CHECK_H_
