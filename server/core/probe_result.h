#ifndef CRR_SERVER_CORE_PROBE_RESULT_H_
#define CRR_SERVER_CORE_PROBE_RESULT_H_

#include <set>
#include <string>

#include "absl/time/time.h"
#include "server/core/checkpoint.h"
#include "storage/rule_table.h"
#include "storage/transaction.h"
#include "storage/unit_table.h"

namespace crr {

// What a PROBE found: the rule becomes ACTIVE and its work begins, or it shows
// what is wrong and is probed again later. `attached`: the publishers whose
// streams are open.
CheckpointOutcome FinishProbe(Transaction& txn, const Unit& unit,
                              const Rule& rule, const Checkpoint& checkpoint,
                              const std::set<std::string>& attached,
                              absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_PROBE_RESULT_H_
