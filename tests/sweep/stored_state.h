#ifndef CRR_TESTS_SWEEP_STORED_STATE_H_
#define CRR_TESTS_SWEEP_STORED_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace crr::test {

// What a database file says, a server being at work on it or not.
struct StoredState {
  // Everything in it that must not be, by the invariants of design §2.
  std::vector<std::string> violations;
  // How many changes of callers the audit log holds.
  int64_t changes = 0;
  // What callers have set, times left out: a function of those changes.
  std::string set_by_callers;
  // All that a server goes by, times and fencing tokens left out.
  std::string all;
};

StoredState ReadStoredState(const std::string& path);

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_STORED_STATE_H_
