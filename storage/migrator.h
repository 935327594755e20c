#ifndef CRR_STORAGE_MIGRATOR_H_
#define CRR_STORAGE_MIGRATOR_H_

#include "absl/status/status.h"
#include "storage/sqlite/connection.h"

namespace crr {

// FAILED_PRECONDITION when the file is of a newer crr or of another program.
// Changes nothing: to be asked before anything that does.
absl::Status CheckOurs(sqlite::Connection& connection);

// Brings the schema to the newest version, one transaction a step: one that
// fails is gone once the connection is closed. Requires: CheckOurs said OK.
absl::Status Migrate(sqlite::Connection& connection);

// The version that Migrate arrives at.
int SchemaVersion();

}  // namespace crr

#endif  // CRR_STORAGE_MIGRATOR_H_
