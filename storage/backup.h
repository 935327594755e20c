#ifndef CRR_STORAGE_BACKUP_H_
#define CRR_STORAGE_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace crr {

// Copies of the control plane's database. Both functions make their file under
// the name `{file}.incomplete` and give it its own name, durably, once it is
// whole and checked; neither replaces a file that is there. What a killed run
// leaves under that name, the next one for the same file takes away.
//
// Statuses of both: ALREADY_EXISTS what was to be made is there;
// FAILED_PRECONDITION the file that was to be copied is not a database of crr,
// or of a newer one; NOT_FOUND it is not there; RESOURCE_EXHAUSTED the disk is
// full; DATA_LOSS it is damaged; ABORTED another process makes the same file.

struct BackupReport {
  int64_t bytes = 0;
  int schema_version = 0;
};

// Makes `file` from the database at `path`, as that is at one instant of the
// call. A server may be at work on it and is not held up, but its log cannot be
// cut meanwhile; the database is only read, and never checkpointed.
absl::StatusOr<BackupReport> Backup(const std::string& path,
                                    const std::string& file);

struct RestoreReport {
  int64_t rules = 0;
  int64_t incarnation = 0;
};

// Makes the database `path` from the backup `file`, brought up to this schema
// and marked as restored in one transaction (storage/server_table.h):
// no number that may have been given since the backup is given again, and every
// rule is to be compared. Also FAILED_PRECONDITION: a server is at work there.
absl::StatusOr<RestoreReport> Restore(const std::string& file,
                                      const std::string& path, absl::Time now);

}  // namespace crr

#endif  // CRR_STORAGE_BACKUP_H_
