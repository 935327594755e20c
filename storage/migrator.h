#ifndef CRR_STORAGE_MIGRATOR_H_
#define CRR_STORAGE_MIGRATOR_H_

#include "absl/status/status.h"
#include "storage/sqlite/connection.h"

namespace crr {

// Brings the schema to the newest version, one transaction a step.
// FAILED_PRECONDITION when the file is of a newer crr or of another program.
absl::Status Migrate(sqlite::Connection& connection);

// The version that Migrate arrives at.
int SchemaVersion();

}  // namespace crr

#endif  // CRR_STORAGE_MIGRATOR_H_
