#ifndef CRR_CLIENT_STORE_BLOB_FILES_H_
#define CRR_CLIENT_STORE_BLOB_FILES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/store/file_lock.h"
#include "client/store/files.h"

namespace crr {

class NewBlob;

// The bytes of objects that are too large for the index, and of uploads in
// parts: one file for each, in `blobs/`, under a random name that the index
// refers to.
//
// A blob that the index does not refer to yet has a name in `writing/` too,
// from before its first byte until the index's transaction has ended, and its
// writer holds a lock (flock) on the file for as long. So a name there that
// nobody holds is of a process that was killed, whichever others live; and a
// sweep need not look through `blobs/`. Older programs put that name into
// `tmp/`, and lock nothing. Thread-safe.
class BlobFiles {
 public:
  explicit BlobFiles(absl::string_view root);

  // Makes the folders of a new store.
  absl::Status MakeFolders() const;

  absl::StatusOr<NewBlob> Create() const;
  // nullopt when the file is not there.
  absl::StatusOr<std::optional<FileDescriptor>> Open(
      const std::string& name) const;
  // For writing too, which only an upload in parts may do.
  absl::StatusOr<std::optional<FileDescriptor>> OpenUpload(
      const std::string& name) const;
  absl::Status Remove(const std::string& name) const;

  // A blob whose writer is gone; the index may refer to it or not.
  struct Leftover {
    std::string blob;
    std::string path;  // Of its other name, which goes once that is settled.
  };
  // What killed writers left in `blobs/`; what they had not got that far with
  // is removed at once. With `alone`, which says that no other process has the
  // store open, also that of older programs.
  absl::StatusOr<std::vector<Leftover>> Leftovers(bool alone) const;

 private:
  friend class NewBlob;
  absl::StatusOr<std::optional<FileDescriptor>> OpenAs(const std::string& name,
                                                       int flags) const;
  std::string FolderOf(const std::string& name) const;
  std::string PathOf(const std::string& name) const;
  std::string WritingPathOf(const std::string& name) const;
  absl::Status AddLeftovers(const std::string& folder,
                            std::vector<Leftover>& leftovers) const;

  const std::string blobs_;
  const std::string writing_;
  const std::string older_;
};

// A blob that is being written. Its files go with it unless it is kept.
// `files` must outlive it. Thread-compatible.
class NewBlob {
 public:
  ~NewBlob();
  NewBlob(NewBlob&& other) noexcept;
  NewBlob& operator=(NewBlob&&) = delete;

  const std::string& name() const { return name_; }
  absl::Status Append(absl::string_view bytes) {
    return WriteAll(file_.file(), bytes);
  }
  // Makes bytes and name durable: the index may refer to it after this.
  absl::Status Publish();
  // The index refers to it.
  void Keep();
  // Nobody knows whether the index refers to it: the next sweep finds out.
  void LeaveToSweep() { files_ = nullptr; }

 private:
  friend class BlobFiles;
  NewBlob(const BlobFiles& files, std::string name, FileLock file)
      : files_(&files), name_(std::move(name)), file_(std::move(file)) {}

  const BlobFiles* files_;  // nullptr: nothing is left to clean up.
  std::string name_;
  FileLock file_;  // Held.
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_BLOB_FILES_H_
