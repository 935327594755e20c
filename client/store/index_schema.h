#ifndef CRR_CLIENT_STORE_INDEX_SCHEMA_H_
#define CRR_CLIENT_STORE_INDEX_SCHEMA_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/store/index_connection.h"

namespace crr {

// The most bytes of an object that live in the index itself.
inline constexpr size_t kInlineBytesMax = 32 << 10;

// Opens a store's index for writing, in WAL mode with every commit synced; with
// `create`, makes it first where it is missing, `now` being the time of its
// making. Requires: the write lock. Statuses: UNAVAILABLE there is no index;
// FAILED_PRECONDITION a newer program made it.
absl::StatusOr<std::unique_ptr<IndexConnection>> OpenIndex(
    const std::string& path, bool create, absl::Time now);

// Opens the index, which is there, for reading.
absl::StatusOr<std::unique_ptr<IndexConnection>> OpenIndexReader(
    const std::string& path);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_INDEX_SCHEMA_H_
