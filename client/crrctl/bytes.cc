#include "client/crrctl/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "base/status_macros.h"

namespace crr {
namespace {

absl::Status CannotOpen(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return absl::NotFoundError("it is not there");
    // O_NOFOLLOW met a symbolic link; a socket, or a device without a driver.
    case ELOOP:
    case ENXIO: return absl::FailedPreconditionError("not a regular file");
    case EACCES:
    case EPERM: return absl::PermissionDeniedError("it cannot be read");
    default: return ErrnoStatus(error, "open", path);
  }
}

}  // namespace

ByteSource FromFile(FileDescriptor file) {
  return [shared = std::make_shared<FileDescriptor>(std::move(file))](
             size_t limit) { return ReadSome(*shared, limit); };
}

ByteSource FromObject(std::unique_ptr<ObjectReader> reader) {
  return [shared = std::shared_ptr<ObjectReader>(std::move(reader))](
             size_t limit) { return shared->Read(limit); };
}

absl::StatusOr<ByteSource> FromRegularFile(const std::string& path) {
  FileDescriptor file(::open(path.c_str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat facts;
  if (!file.valid() || ::fstat(file.get(), &facts) != 0) {
    return CannotOpen(path, errno);
  }
  if (!S_ISREG(facts.st_mode)) {
    return absl::FailedPreconditionError("not a regular file");
  }
  return FromFile(std::move(file));
}

absl::StatusOr<int64_t> WriteObject(ObjectStore& store,
                                    absl::string_view bucket,
                                    absl::string_view key, ByteSource source,
                                    const ObjectFacts& facts) {
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer,
                       store.Write(bucket, key));
  int64_t size = 0;
  for (;;) {
    CRR_ASSIGN_OR_RETURN(const std::string chunk, source(kChunkBytes));
    if (chunk.empty()) break;
    CRR_RETURN_IF_ERROR(writer->Append(chunk));
    size += static_cast<int64_t>(chunk.size());
  }
  // The outcomes that are no success concern copiers alone.
  CRR_RETURN_IF_ERROR(
      writer->Commit(facts, std::nullopt, std::nullopt).status());
  return size;
}

}  // namespace crr
