#include "client/crrctl/folder_walk.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/crrctl/text.h"
#include "client/store/object_store.h"

namespace crr {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNamedMax = 20;

absl::string_view KindName(fs::file_type type) {
  switch (type) {
    case fs::file_type::symlink: return "a symbolic link";
    case fs::file_type::fifo: return "a pipe";
    case fs::file_type::socket: return "a socket";
    case fs::file_type::block:
    case fs::file_type::character: return "a device";
    default: return "not a regular file";
  }
}

}  // namespace

void SkipList::Add(absl::string_view name, absl::string_view why) {
  MutexLock lock(mu_);
  ++count_;
  if (lines_.size() < kNamedMax) {
    lines_.push_back(absl::StrCat("skipped ", Printable(name), ": ", why));
  }
}

int64_t SkipList::count() const {
  MutexLock lock(mu_);
  return count_;
}

std::string SkipList::Report() const {
  MutexLock lock(mu_);
  std::string report;
  for (const std::string& line : lines_) absl::StrAppend(&report, line, "\n");
  const int64_t rest = count_ - static_cast<int64_t>(lines_.size());
  if (rest > 0) absl::StrAppend(&report, "skipped ", rest, " more\n");
  return report;
}

FolderWalk::FolderWalk(std::string root, SkipList& skipped)
    : root_(std::move(root)), skipped_(skipped) {}

absl::Status FolderWalk::Open() {
  const absl::Status status = Enter("");
  return absl::Status(status.code(),
                      absl::StrCat(root_, ": ", status.message()));
}

std::string FolderWalk::PathOf(absl::string_view key) const {
  return absl::StrCat(root_, "/", key);
}

std::optional<FolderWalk::File> FolderWalk::Next() {
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.entries.empty()) {
      levels_.pop_back();
      continue;
    }
    const Entry entry = std::move(level.entries.back());
    level.entries.pop_back();
    std::string key = absl::StrCat(level.prefix, entry.name);
    if (absl::EndsWith(key, "/")) {
      if (absl::Status status = Enter(key); !status.ok()) {
        skipped_.Add(key, status.message());
      }
    } else if (CheckKey(key).ok()) {
      return File{.key = std::move(key), .size = entry.size};
    } else {
      skipped_.Add(key, "not a valid key: UTF-8 of at most 1,024 bytes");
    }
  }
  return std::nullopt;
}

absl::Status FolderWalk::Enter(std::string prefix) {
  std::error_code error;
  Level level{.prefix = std::move(prefix), .entries = {}};
  fs::directory_iterator entry(PathOf(level.prefix), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().native();
    // An entry that vanished meanwhile has no type and is passed over.
    std::error_code gone;
    const fs::file_status status = entry->symlink_status(gone);
    if (fs::is_directory(status)) {
      level.entries.push_back({.name = absl::StrCat(name, "/"), .size = 0});
    } else if (fs::is_regular_file(status)) {
      const auto size = static_cast<int64_t>(entry->file_size(gone));
      if (!gone) level.entries.push_back({.name = name, .size = size});
    } else if (fs::exists(status)) {
      skipped_.Add(absl::StrCat(level.prefix, name), KindName(status.type()));
    }
  }
  if (error == std::errc::no_such_file_or_directory) {
    return absl::NotFoundError("there is no such folder");
  }
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("the folder cannot be read: ", error.message()));
  }
  std::sort(level.entries.begin(), level.entries.end(),
            [](const Entry& a, const Entry& b) { return a.name > b.name; });
  levels_.push_back(std::move(level));
  return absl::OkStatus();
}

}  // namespace crr
