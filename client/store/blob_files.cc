#include "client/store/blob_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace crr {

BlobFiles::BlobFiles(absl::string_view root)
    : blobs_(absl::StrCat(root, "/blobs")),
      writing_(absl::StrCat(root, "/writing")),
      older_(absl::StrCat(root, "/tmp")) {}

// 256 folders keep each small enough for tools that list one.
std::string BlobFiles::FolderOf(const std::string& name) const {
  return absl::StrCat(blobs_, "/", name.substr(0, 2));
}

std::string BlobFiles::PathOf(const std::string& name) const {
  return absl::StrCat(FolderOf(name), "/", name);
}

std::string BlobFiles::WritingPathOf(const std::string& name) const {
  return absl::StrCat(writing_, "/", name);
}

absl::Status BlobFiles::MakeFolders() const {
  CRR_RETURN_IF_ERROR(MakeFolder(older_));  // They may come back to the store.
  CRR_RETURN_IF_ERROR(MakeFolder(blobs_));
  for (int i = 0; i < 256; ++i) {
    CRR_RETURN_IF_ERROR(MakeFolder(absl::StrFormat("%s/%02x", blobs_, i)));
  }
  return SyncFolder(blobs_);
}

absl::StatusOr<NewBlob> BlobFiles::Create() const {
  // Not there yet in the store of an older program.
  CRR_RETURN_IF_ERROR(MakeFolder(writing_));
  while (true) {
    std::string name = RandomName();
    CRR_ASSIGN_OR_RETURN(
        FileLock file, FileLock::Open(WritingPathOf(name), /*create=*/true));
    CRR_RETURN_IF_ERROR(file.LockExclusive());
    // A sweep that came between the two has taken it for a dead writer's.
    CRR_ASSIGN_OR_RETURN(const int64_t names, CountNames(file.file()));
    if (names > 0) return NewBlob(*this, std::move(name), std::move(file));
  }
}

absl::StatusOr<std::optional<FileDescriptor>> BlobFiles::Open(
    const std::string& name) const {
  return OpenAs(name, O_RDONLY);
}

absl::StatusOr<std::optional<FileDescriptor>> BlobFiles::OpenUpload(
    const std::string& name) const {
  return OpenAs(name, O_RDWR);
}

absl::StatusOr<std::optional<FileDescriptor>> BlobFiles::OpenAs(
    const std::string& name, int flags) const {
  absl::StatusOr<FileDescriptor> file = OpenFile(PathOf(name), flags);
  if (file.ok()) return std::optional<FileDescriptor>(*std::move(file));
  if (!FileExists(PathOf(name))) return std::optional<FileDescriptor>();
  return file.status();
}

absl::Status BlobFiles::Remove(const std::string& name) const {
  return RemoveFile(PathOf(name));
}

absl::StatusOr<std::vector<BlobFiles::Leftover>> BlobFiles::Leftovers(
    bool alone) const {
  std::vector<Leftover> leftovers;
  CRR_RETURN_IF_ERROR(AddLeftovers(writing_, leftovers));
  if (alone) CRR_RETURN_IF_ERROR(AddLeftovers(older_, leftovers));
  return leftovers;
}

absl::Status BlobFiles::AddLeftovers(const std::string& folder,
                                     std::vector<Leftover>& leftovers) const {
  std::error_code error;
  for (std::filesystem::directory_iterator i(folder, error), end;
       !error && i != end; i.increment(error)) {
    const std::string path = i->path().native();
    absl::StatusOr<FileLock> file = FileLock::Open(path, /*create=*/false);
    if (!file.ok()) continue;  // Finished since.
    CRR_ASSIGN_OR_RETURN(const bool is_left, file->TryLockExclusive());
    if (!is_left) continue;
    CRR_ASSIGN_OR_RETURN(const int64_t names, CountNames(file->file()));
    if (names > 1) {
      leftovers.push_back(
          {.blob = i->path().filename().native(), .path = path});
    } else {
      // While the lock is held: it may be one that was only just made.
      CRR_RETURN_IF_ERROR(RemoveFile(path));
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), "list", folder);
  }
  return absl::OkStatus();
}

NewBlob::NewBlob(NewBlob&& other) noexcept
    : files_(std::exchange(other.files_, nullptr)),
      name_(std::move(other.name_)),
      file_(std::move(other.file_)) {}

NewBlob::~NewBlob() {
  if (files_ == nullptr) return;
  // The name in writing/ goes last: it is what a sweep finds the other by. One
  // that cannot be removed is left to the sweep.
  if (!files_->Remove(name_).ok()) return;
  RemoveFile(files_->WritingPathOf(name_)).IgnoreError();
}

absl::Status NewBlob::Publish() {
  CRR_RETURN_IF_ERROR(SyncFile(file_.file()));
  if (link(files_->WritingPathOf(name_).c_str(),
           files_->PathOf(name_).c_str()) != 0) {
    return ErrnoStatus(errno, "link", files_->PathOf(name_));
  }
  return SyncFolder(files_->FolderOf(name_));
}

void NewBlob::Keep() {
  // If it stays, the next sweep finds that the index refers to the blob.
  RemoveFile(files_->WritingPathOf(name_)).IgnoreError();
  files_ = nullptr;
}

}  // namespace crr
