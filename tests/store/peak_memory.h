#ifndef CRR_TESTS_STORE_PEAK_MEMORY_H_
#define CRR_TESTS_STORE_PEAK_MEMORY_H_

#include <sys/resource.h>

#include <cstdint>

// GCC says it by macros, Clang by features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CRR_TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CRR_TESTS_SANITIZED 1
#endif
#endif

namespace crr::test {

// The most memory that this process has had; 0 under a sanitizer, which keeps
// what is freed.
inline int64_t PeakKib() {
#ifdef CRR_TESTS_SANITIZED
  return 0;
#else
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
#endif
}

}  // namespace crr::test

#endif  // CRR_TESTS_STORE_PEAK_MEMORY_H_
