#include "client/store/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace crr {
namespace {

// Repeats a system call for as long as a signal interrupts it.
template <typename Call>
auto Retrying(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::Status ErrnoStatus(int error, absl::string_view doing,
                         absl::string_view path) {
  const std::string text = absl::StrCat(
      doing, " ", path, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EIO:
      return absl::DataLossError(text);
    // A missing file may be one of an unmounted disk: it is never evidence that
    // something does not exist.
    case ENOENT:
    case EACCES:
    case EPERM:
    case EROFS:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOTDIR:
    case ESTALE:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

bool FileExists(const std::string& path) {
  struct stat ignored {};
  return stat(path.c_str(), &ignored) == 0;
}

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags) {
  const int fd =
      Retrying([&] { return open(path.c_str(), flags | O_CLOEXEC, 0640); });
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  return FileDescriptor(fd);
}

absl::Status WriteAll(const FileDescriptor& file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        Retrying([&] { return write(file.get(), bytes.data(), bytes.size()); });
    if (written < 0) return ErrnoStatus(errno, "write", "a blob");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteAllAt(const FileDescriptor& file, absl::string_view bytes,
                        int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = Retrying([&] {
      return pwrite(file.get(), bytes.data(), bytes.size(), offset);
    });
    if (written < 0) return ErrnoStatus(errno, "pwrite", "a blob");
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += written;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSome(const FileDescriptor& file,
                                     size_t limit) {
  std::string bytes(limit, '\0');
  const ssize_t got =
      Retrying([&] { return read(file.get(), bytes.data(), limit); });
  if (got < 0) return ErrnoStatus(errno, "read", "a blob");
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

absl::StatusOr<std::string> ReadSomeAt(const FileDescriptor& file, size_t limit,
                                       int64_t offset) {
  std::string bytes(limit, '\0');
  const ssize_t got = Retrying(
      [&] { return pread(file.get(), bytes.data(), limit, offset); });
  if (got < 0) return ErrnoStatus(errno, "pread", "a blob");
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

absl::Status SkipBytes(const FileDescriptor& file, int64_t bytes) {
  if (lseek(file.get(), bytes, SEEK_CUR) >= 0) return absl::OkStatus();
  return ErrnoStatus(errno, "lseek", "a blob");
}

absl::Status SyncFile(const FileDescriptor& file) {
  if (Retrying([&] { return fdatasync(file.get()); }) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "fdatasync", "a file");
}

absl::Status SyncFolder(const std::string& folder) {
  CRR_ASSIGN_OR_RETURN(const FileDescriptor fd,
                       OpenFile(folder, O_RDONLY | O_DIRECTORY));
  if (Retrying([&] { return fsync(fd.get()); }) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "fsync", folder);
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0750) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "mkdir", path);
}

absl::StatusOr<int64_t> CountNames(const FileDescriptor& file) {
  struct stat found {};
  if (fstat(file.get(), &found) != 0) {
    return ErrnoStatus(errno, "fstat", "a file");
  }
  return static_cast<int64_t>(found.st_nlink);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, "unlink", path);
}

std::string RandomName() {
  char bits[16];
  CRR_CHECK(Retrying([&] { return getrandom(bits, sizeof(bits), 0); }) ==
            static_cast<ssize_t>(sizeof(bits)));
  return absl::BytesToHexString(absl::string_view(bits, sizeof(bits)));
}

bool IsRandomName(absl::string_view name) {
  return name.size() == 32 &&
         name.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

}  // namespace crr
