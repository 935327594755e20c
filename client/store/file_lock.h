#ifndef CRR_CLIENT_STORE_FILE_LOCK_H_
#define CRR_CLIENT_STORE_FILE_LOCK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/files.h"

namespace crr {

// A lock between processes, and between two of these objects in one process:
// flock(2) on a file. The kernel lets go of it when its process
// dies. Not a lock between the threads that share one object.
// Thread-compatible.
class FileLock {
 public:
  // UNAVAILABLE when the file is missing and not to be made.
  static absl::StatusOr<FileLock> Open(const std::string& path, bool create);

  absl::Status LockExclusive();
  absl::Status LockShared();
  // Whether the exclusive lock could be had at once.
  absl::StatusOr<bool> TryLockExclusive();
  void Unlock();

  // The file; its content belongs to the holder of the lock.
  const FileDescriptor& file() const { return file_; }

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_FILE_LOCK_H_
