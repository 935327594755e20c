#ifndef CRR_CLIENT_STORE_FILES_H_
#define CRR_CLIENT_STORE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crr {

// The few system calls on files that the local store needs, with statuses:
// RESOURCE_EXHAUSTED the disk is full; DATA_LOSS the disk failed; UNAVAILABLE
// the file is missing or may not be used now; INTERNAL the rest.

// Owns a file descriptor. Thread-compatible.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The status for `error`, a value of errno.
absl::Status ErrnoStatus(int error, absl::string_view doing,
                         absl::string_view path);

bool FileExists(const std::string& path);

// `flags` as for open(2); close-on-exec is added.
absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags);

absl::Status WriteAll(const FileDescriptor& file, absl::string_view bytes);

// Writes `bytes` at `offset`, wherever `file` stands.
absl::Status WriteAllAt(const FileDescriptor& file, absl::string_view bytes,
                        int64_t offset);

// Up to `limit` bytes from where `file` stands; empty at its end.
absl::StatusOr<std::string> ReadSome(const FileDescriptor& file, size_t limit);

// Up to `limit` bytes from `offset`, wherever `file` stands; empty at its end.
absl::StatusOr<std::string> ReadSomeAt(const FileDescriptor& file, size_t limit,
                                       int64_t offset);

// Makes `file` stand `bytes` further on.
absl::Status SkipBytes(const FileDescriptor& file, int64_t bytes);

// Makes the content of `file` durable.
absl::Status SyncFile(const FileDescriptor& file);

// Makes the names in `folder` durable.
absl::Status SyncFolder(const std::string& folder);

// Makes `path` a folder unless it is one.
absl::Status MakeFolder(const std::string& path);

// How many names `file` has.
absl::StatusOr<int64_t> CountNames(const FileDescriptor& file);

// Removes the name `path`; one that is not there is fine.
absl::Status RemoveFile(const std::string& path);

// 128 random bits as 32 hex digits.
std::string RandomName();

// Whether `name` may be one of those.
bool IsRandomName(absl::string_view name);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_FILES_H_
