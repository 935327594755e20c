#ifndef CRR_SERVER_CORE_CHECKPOINT_SENSE_H_
#define CRR_SERVER_CORE_CHECKPOINT_SENSE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/core/checkpoint.h"
#include "storage/unit_table.h"

namespace crr {

// INVALID_ARGUMENT for `why`: no copier that works sends it.
absl::Status Senseless(absl::string_view why);

// Whether the checkpoint makes sense for a unit of this kind and range,
// whatever the state: counts add up, keys are in order, nothing is of another
// kind.
absl::Status CheckSense(const Unit& unit, const Checkpoint& checkpoint);

// Over all reasons.
int64_t Sum(const std::map<std::string, int64_t>& counts);

}  // namespace crr

#endif  // CRR_SERVER_CORE_CHECKPOINT_SENSE_H_
