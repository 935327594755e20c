#ifndef CRR_TESTS_STORE_WORKER_PLAN_H_
#define CRR_TESTS_STORE_WORKER_PLAN_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace crr::test {

// What a store_worker and an upload_worker do, so that a test can tell what must
// be there.

struct PlannedOperation {
  std::string key;
  int generation = 0;  // Of the bytes that are put; 0 deletes.
};

// Of each four operations: put a key, overwrite it, put another, delete that.
inline PlannedOperation WorkAt(const std::string& name, int i) {
  const int generations[] = {1, 2, 1, 0};
  return {.key = absl::StrCat(name, "/", i / 2),
          .generation = generations[i % 4]};
}

// Every third key is large, with a size that changes by generation.
inline std::string PlannedBytes(const std::string& key, int generation) {
  std::string bytes = absl::StrCat(key, "#", generation, "#");
  size_t sum = 0;
  for (const char c : key) sum += static_cast<unsigned char>(c);
  bytes.resize(sum % 3 == 0 ? 40'000 + sum * static_cast<size_t>(generation)
                            : 100 + sum,
               'x');
  return bytes;
}

// Of the object that a store_worker leaves half written.
inline constexpr size_t kHalfBytes = 50'000;

inline constexpr int64_t kPlannedPartBytes = 20'000;

// Part `number` of the `generation`-th upload, which has `parts`; the last is
// shorter.
inline std::string PlannedPart(int generation, int parts, int number) {
  std::string bytes = absl::StrCat(generation, "#", number, "#");
  bytes.resize(number + 1 < parts ? kPlannedPartBytes : 123, 'x');
  return bytes;
}

inline std::string PlannedUpload(int generation, int parts) {
  std::string bytes;
  for (int number = 0; number < parts; ++number) {
    bytes += PlannedPart(generation, parts, number);
  }
  return bytes;
}

}  // namespace crr::test

#endif  // CRR_TESTS_STORE_WORKER_PLAN_H_
