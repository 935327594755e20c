#ifndef CRR_TESTS_SWEEP_SCENARIO_H_
#define CRR_TESTS_SWEEP_SCENARIO_H_

#include <vector>

#include "tests/sweep/steps.h"

namespace crr::test {

// What callers do, one after the other. Between steps nothing is under way but
// what copiers wait for, so that each server comes to the same steps in one
// state.
struct Scenario {
  // What no server is killed in: how it comes to that is swept elsewhere.
  std::vector<Step> before;
  std::vector<Step> steps;
};

// Rules of every kind from their creation through pauses, changes of policy and
// limits to their end and back.
Scenario LifeOfRules();

// Objects that leave their lanes, of history and of the log: large ones, one
// that further changes are folded into, dead letters that are retried, given up
// and left to a rule that closes.
Scenario LifeOfObjects();

// An object whose copier is lost.
Scenario LossOfACopier();

// Verifications: one that was asked for, with what is to be repaired, and one
// that a log makes which overflows in the middle of another.
Scenario LifeOfVerifications();

// The most bytes of a rule's log, for that.
inline constexpr int kRuleLogBytesMax = 2000;

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_SCENARIO_H_
