#ifndef CRR_SERVER_CORE_CONDITIONS_H_
#define CRR_SERVER_CORE_CONDITIONS_H_

#include <string>
#include <vector>

#include "storage/rule_table.h"
#include "storage/transaction.h"

namespace crr {

// A condition as a rule shows it.
struct ShownCondition {
  std::string type;
  std::string message;
  std::string remedy;
  absl::Time since;
};

// Why a STARTING rule cannot be probed yet; empty when it can. Computed from
// the present state, so that none is ever out of date.
std::vector<ShownCondition> WhatKeepsFromStarting(ReadTransaction& txn,
                                                  const Rule& rule);

// Everything that is wrong with the rule now: the above, what copiers
// reported, failed objects, a resync, and a policy of today that would refuse
// the rule.
std::vector<ShownCondition> ConditionsOf(ReadTransaction& txn,
                                         const Rule& rule);

}  // namespace crr

#endif  // CRR_SERVER_CORE_CONDITIONS_H_
