#include "client/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/status_macros.h"

namespace crr {
namespace {

absl::Status Flock(const FileDescriptor& file, int operation) {
  while (flock(file.get(), operation) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "flock", "a lock file");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Open(const std::string& path, bool create) {
  CRR_ASSIGN_OR_RETURN(FileDescriptor file,
                       OpenFile(path, O_RDWR | (create ? O_CREAT : 0)));
  return FileLock(std::move(file));
}

absl::Status FileLock::LockExclusive() { return Flock(file_, LOCK_EX); }

absl::Status FileLock::LockShared() { return Flock(file_, LOCK_SH); }

absl::StatusOr<bool> FileLock::TryLockExclusive() {
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  return ErrnoStatus(errno, "flock", "a lock file");
}

void FileLock::Unlock() { flock(file_.get(), LOCK_UN); }

}  // namespace crr
