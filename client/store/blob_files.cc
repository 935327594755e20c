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
      temporary_(absl::StrCat(root, "/tmp")) {}

// 256 folders keep each small enough for tools that list one.
std::string BlobFiles::FolderOf(const std::string& name) const {
  return absl::StrCat(blobs_, "/", name.substr(0, 2));
}

std::string BlobFiles::PathOf(const std::string& name) const {
  return absl::StrCat(FolderOf(name), "/", name);
}

std::string BlobFiles::TemporaryPathOf(const std::string& name) const {
  return absl::StrCat(temporary_, "/", name);
}

absl::Status BlobFiles::MakeFolders() const {
  CRR_RETURN_IF_ERROR(MakeFolder(temporary_));
  CRR_RETURN_IF_ERROR(MakeFolder(blobs_));
  for (int i = 0; i < 256; ++i) {
    CRR_RETURN_IF_ERROR(MakeFolder(absl::StrFormat("%s/%02x", blobs_, i)));
  }
  return SyncFolder(blobs_);
}

absl::StatusOr<NewBlob> BlobFiles::Create() const {
  std::string name = RandomName();
  CRR_ASSIGN_OR_RETURN(
      FileDescriptor file,
      OpenFile(TemporaryPathOf(name), O_WRONLY | O_CREAT | O_EXCL));
  return NewBlob(*this, std::move(name), std::move(file));
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

absl::StatusOr<std::vector<std::string>> BlobFiles::Unfinished() const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator i(temporary_, error), end;
       !error && i != end; i.increment(error)) {
    names.push_back(i->path().filename().native());
  }
  if (error) return ErrnoStatus(error.value(), "list", temporary_);
  return names;
}

absl::Status BlobFiles::Finish(const std::string& name) const {
  return RemoveFile(TemporaryPathOf(name));
}

NewBlob::NewBlob(NewBlob&& other) noexcept
    : files_(std::exchange(other.files_, nullptr)),
      name_(std::move(other.name_)),
      file_(std::move(other.file_)) {}

NewBlob::~NewBlob() {
  if (files_ == nullptr) return;
  // The name in tmp/ goes last: it is what a sweep finds the other by. One that
  // cannot be removed is left to the sweep.
  if (files_->Remove(name_).ok()) files_->Finish(name_).IgnoreError();
}

absl::Status NewBlob::Publish() {
  CRR_RETURN_IF_ERROR(SyncFile(file_));
  if (link(files_->TemporaryPathOf(name_).c_str(),
           files_->PathOf(name_).c_str()) != 0) {
    return ErrnoStatus(errno, "link", files_->PathOf(name_));
  }
  return SyncFolder(files_->FolderOf(name_));
}

void NewBlob::Keep() {
  // If it stays, the next sweep finds that the index refers to the blob.
  files_->Finish(name_).IgnoreError();
  files_ = nullptr;
}

}  // namespace crr
