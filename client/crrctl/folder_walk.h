#ifndef CRR_CLIENT_CRRCTL_FOLDER_WALK_H_
#define CRR_CLIENT_CRRCTL_FOLDER_WALK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace crr {

// What of a folder is no object, and why: all counted, the first 20 named.
// Thread-safe.
class SkipList {
 public:
  void Add(absl::string_view name, absl::string_view why);
  int64_t count() const;
  // A line for each that is named, and one for how many are not; empty when
  // nothing was skipped.
  std::string Report() const;

 private:
  mutable Mutex mu_;
  int64_t count_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

// The regular files below a folder as objects: their keys are their paths
// relative to it, and come in rising byte order, as a store lists them. What
// cannot be an object (symbolic links, devices, names that are no key, folders
// that cannot be read) goes into a SkipList. Memory is bounded by the largest
// folders on one path. Thread-compatible.
class FolderWalk {
 public:
  // `skipped` must outlive this object.
  FolderWalk(std::string root, SkipList& skipped);

  // OK when the root is a folder that can be listed; NOT_FOUND or
  // PERMISSION_DENIED otherwise. Call once, first.
  absl::Status Open();

  struct File {
    std::string key;
    int64_t size = 0;
  };
  // The next file; nullopt at the end.
  std::optional<File> Next();

  std::string PathOf(absl::string_view key) const;

 private:
  struct Entry {
    // With a slash at the end of a folder's name: in this order the files of
    // the whole tree come in the order of their keys ("a-b", "a/c", "a0").
    std::string name;
    int64_t size = 0;
  };
  struct Level {
    std::string prefix;          // Of its keys.
    std::vector<Entry> entries;  // The last one is next.
  };

  absl::Status Enter(std::string prefix);

  const std::string root_;
  SkipList& skipped_;
  std::vector<Level> levels_;
};

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_FOLDER_WALK_H_
