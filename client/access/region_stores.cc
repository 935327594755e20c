#include "client/access/region_stores.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

absl::Status Denied(absl::string_view root, absl::string_view why) {
  return absl::PermissionDeniedError(
      absl::StrCat("the store at \"", root, "\" is not opened: ", why));
}

// `path` with the symbolic links of its existing part resolved and without a
// slash at the end.
absl::StatusOr<fs::path> Resolve(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(path, error);
  if (error) return Denied(path.native(), error.message());
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  return resolved;
}

// By whole names: /data/hz2 is not within /data/hz.
bool IsWithin(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end())
             .first == folder.end();
}

}  // namespace

RegionStores::RegionStores(std::vector<std::string> local_roots)
    : local_roots_(std::move(local_roots)) {}

absl::StatusOr<std::shared_ptr<LocalStore>> RegionStores::Open(
    const v1::Store& address, bool create) {
  if (!address.has_local()) {
    return absl::FailedPreconditionError("the region has no store");
  }
  const fs::path root = address.local().root();
  if (!root.is_absolute() ||
      std::any_of(root.begin(), root.end(), [](const fs::path& part) {
        return part == "." || part == "..";
      })) {
    return Denied(root.native(),
                  "it must be an absolute path without . and .. parts");
  }
  CRR_ASSIGN_OR_RETURN(const fs::path resolved, Resolve(root));
  bool allowed = false;
  for (const std::string& local_root : local_roots_) {
    if (!fs::path(local_root).is_absolute()) continue;
    CRR_ASSIGN_OR_RETURN(const fs::path folder, Resolve(local_root));
    allowed = allowed || IsWithin(resolved, folder);
  }
  if (!allowed) {
    return Denied(root.native(),
                  "it lies outside of this process's --local_roots");
  }

  Root& opened = RootAt(resolved.native());
  MutexLock lock(opened.mu);
  if (opened.store == nullptr) {
    // The resolved path, so that what is opened is what was checked.
    CRR_ASSIGN_OR_RETURN(
        opened.store, LocalStore::Open(resolved.native(), {.create = create}));
  }
  return opened.store;
}

RegionStores::Root& RegionStores::RootAt(const std::string& path) {
  MutexLock lock(mu_);
  return roots_[path];
}

}  // namespace crr
