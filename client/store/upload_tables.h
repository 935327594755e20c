#ifndef CRR_CLIENT_STORE_UPLOAD_TABLES_H_
#define CRR_CLIENT_STORE_UPLOAD_TABLES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/store/index_connection.h"

namespace crr {

// The statements on the uploads in parts of a store's index, as those of
// client/store/index_tables.h. An upload's id is the name of the blob that its
// parts are written to.

struct UploadRow {
  std::string id;
  int64_t bucket_id = 0;
  std::string key;
  int64_t part_bytes = 0;
};

absl::Status AddUpload(IndexConnection& db, const UploadRow& upload,
                       absl::Time now);
// nullopt when the key has no such upload (any more).
absl::StatusOr<std::optional<UploadRow>> ReadUpload(IndexConnection& db,
                                                    int64_t bucket_id,
                                                    absl::string_view key,
                                                    absl::string_view id);
// With what is known of its parts. False when there is no such upload.
absl::StatusOr<bool> RemoveUpload(IndexConnection& db, absl::string_view id);
// Up to `limit` of those whose last part, or beginning, was before `time`.
absl::StatusOr<std::vector<std::string>> ReadUploadsBefore(IndexConnection& db,
                                                           absl::Time time,
                                                           int limit);

// Remembers that part `number` stands in the blob. False when there is no such
// upload.
absl::StatusOr<bool> AddPart(IndexConnection& db, absl::string_view id,
                             int64_t number, int64_t bytes, absl::Time now);

struct PartsExtent {
  int64_t bytes = 0;  // What the parts add up to.
  int64_t end = 0;  // Where the last one ends: the same unless one is missing.
};
absl::StatusOr<PartsExtent> ReadPartsExtent(IndexConnection& db,
                                            absl::string_view id);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_UPLOAD_TABLES_H_
