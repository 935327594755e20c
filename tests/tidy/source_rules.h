#ifndef CRR_TESTS_TIDY_SOURCE_RULES_H_
#define CRR_TESTS_TIDY_SOURCE_RULES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace crr::test {

// What is wrong with one file of the tree, a sentence each: includes that go
// against the layering, words that crr does without, include guards that do not
// match the path. `path` is relative to the root of the tree.
std::vector<std::string> SourceFindings(absl::string_view path,
                                        absl::string_view text);

}  // namespace crr::test

#endif  // CRR_TESTS_TIDY_SOURCE_RULES_H_
