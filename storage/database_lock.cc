#include "storage/database_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

namespace crr {

absl::StatusOr<DatabaseLock> DatabaseLock::Take(absl::string_view path) {
  // By its one real name, so that a link to the file is no second file.
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(std::string(path), error);
  std::string name = error ? std::string(path) : real.string();
  const std::string lock_path = name + ".lock";
  const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot open ", lock_path, ": ", strerror(errno)));
  }
  DatabaseLock lock(std::move(name), fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(lock.path_, " is in use by another process"));
  }
  return lock;
}

DatabaseLock::DatabaseLock(DatabaseLock&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

DatabaseLock::~DatabaseLock() {
  if (fd_ >= 0) close(fd_);
}

bool DatabaseLock::made() const {
  struct stat file {};
  return fstat(fd_, &file) == 0 && file.st_size > 0;
}

absl::Status DatabaseLock::NoteMade() const {
  if (made()) return absl::OkStatus();
  if (pwrite(fd_, "made\n", 5, 0) != 5 || fsync(fd_) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", path_, ".lock: ", strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace crr
