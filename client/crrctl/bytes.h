#ifndef CRR_CLIENT_CRRCTL_BYTES_H_
#define CRR_CLIENT_CRRCTL_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/store/files.h"
#include "client/store/object_store.h"

namespace crr {

// Gives up to `limit` bytes at each call; empty at the end.
using ByteSource = std::function<absl::StatusOr<std::string>(size_t limit)>;

// How much is in memory of one object that is read or written.
inline constexpr size_t kChunkBytes = 256 << 10;

// The bytes of an open file, from where it stands.
ByteSource FromFile(FileDescriptor file);

// The bytes of an object.
ByteSource FromObject(std::unique_ptr<ObjectReader> reader);

// The bytes of the regular file at `path`. Never follows a symbolic link and
// never blocks on a device. Statuses:
//   NOT_FOUND            there is nothing
//   FAILED_PRECONDITION  it is no regular file
//   PERMISSION_DENIED    it may not be read
//   others               as client/store/files.h
absl::StatusOr<ByteSource> FromRegularFile(const std::string& path);

// Writes all of `source` as the object `bucket`/`key`, as a user does, and
// returns its size.
absl::StatusOr<int64_t> WriteObject(ObjectStore& store,
                                    absl::string_view bucket,
                                    absl::string_view key, ByteSource source,
                                    const ObjectFacts& facts);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_BYTES_H_
