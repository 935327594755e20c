#ifndef CRR_STORAGE_DATABASE_LOCK_H_
#define CRR_STORAGE_DATABASE_LOCK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crr {

// The right to be the one process that writes a database: a lock on the file
// `{path}.lock`, which the kernel takes back however the process ends. The file
// stays and remembers whether there was a database, so that one which is gone
// or was cut to nothing is missed, not begun anew. Movable; thread-compatible.
class DatabaseLock {
 public:
  // FAILED_PRECONDITION: another process has it, or the file cannot be made.
  static absl::StatusOr<DatabaseLock> Take(absl::string_view path);
  DatabaseLock(DatabaseLock&& other) noexcept;
  DatabaseLock& operator=(DatabaseLock&&) = delete;
  ~DatabaseLock();

  // Of the database, links resolved.
  const std::string& path() const { return path_; }

  // Whether NoteMade was called, by any process since the file was made.
  bool made() const;
  absl::Status NoteMade() const;

 private:
  DatabaseLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
};

}  // namespace crr

#endif  // CRR_STORAGE_DATABASE_LOCK_H_
