#ifndef CRR_CLIENT_CRRCTL_IMPORT_H_
#define CRR_CLIENT_CRRCTL_IMPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/crrctl/folder_walk.h"
#include "client/store/object_store.h"

namespace crr {

struct ImportTotals {
  int64_t objects = 0;
  int64_t bytes = 0;
};

// Writes every regular file below `folder` as an object of `bucket`; its key
// is its path relative to the folder. What cannot be an object, or cannot be
// read, goes into `skipped`. Several objects are written at once, since the
// store commits such writes together. Ends at the first error of the store.
absl::StatusOr<ImportTotals> ImportFolder(const std::string& folder,
                                          ObjectStore& store,
                                          absl::string_view bucket,
                                          SkipList& skipped);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_IMPORT_H_
