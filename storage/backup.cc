#include "storage/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/database_lock.h"
#include "storage/migrator.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"
#include "storage/server_table.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"

namespace crr {
namespace {

using sqlite::Connection;

// 2020. Tokens counted from here in milliseconds have 34 years in 40 bits.
const absl::Time kTokenEpoch = absl::FromUnixSeconds(1'577'836'800);

absl::Status SystemError(absl::string_view doing, absl::string_view path) {
  const std::string text =
      absl::StrCat("cannot ", doing, " ", path, ": ", strerror(errno));
  switch (errno) {
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EIO:
      return absl::DataLossError(text);
    default:
      return absl::FailedPreconditionError(text);
  }
}

bool Exists(const std::string& path) {
  struct stat ignored {};
  return lstat(path.c_str(), &ignored) == 0;
}

// A file in the making, gone with this object unless it was finished.
class NewFile {
 public:
  static absl::StatusOr<std::unique_ptr<NewFile>> Begin(std::string path) {
    std::unique_ptr<NewFile> file(new NewFile(std::move(path)));
    const std::string& incomplete = file->incomplete_;
    const int fd = open(incomplete.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return SystemError("make", incomplete);
    struct stat opened {};
    struct stat named {};
    // Whoever had it before may have finished or removed it in between.
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &opened) != 0 ||
        stat(incomplete.c_str(), &named) != 0 ||
        opened.st_ino != named.st_ino) {
      close(fd);
      return absl::AbortedError(
          absl::StrCat("another process is making ", incomplete));
    }
    file->fd_ = fd;
    if (Exists(file->path_)) {
      return absl::AlreadyExistsError(
          absl::StrCat(file->path_, " is there already"));
    }
    file->RemoveJournal();
    if (ftruncate(fd, 0) != 0) return SystemError("empty", incomplete);
    return file;
  }
  ~NewFile() {
    if (fd_ < 0) return;
    if (!finished_) {
      RemoveJournal();
      unlink(incomplete_.c_str());
    }
    close(fd_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // What it is called until it is finished.
  const std::string& incomplete() const { return incomplete_; }

  // Requires: no connection is open on it; closing ours would take its locks.
  absl::StatusOr<int64_t> Finish() {
    struct stat written {};
    if (fsync(fd_) != 0 || fstat(fd_, &written) != 0) {
      return SystemError("fsync", incomplete_);
    }
    if (renameat2(AT_FDCWD, incomplete_.c_str(), AT_FDCWD, path_.c_str(),
                  RENAME_NOREPLACE) != 0) {
      return SystemError("rename to", path_);
    }
    finished_ = true;
    const std::string folder =
        std::filesystem::absolute(path_).parent_path().string();
    const int folder_fd =
        open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder_fd >= 0 && fsync(folder_fd) == 0;
    const absl::Status failed =
        synced ? absl::OkStatus() : SystemError("fsync", folder);
    if (folder_fd >= 0) close(folder_fd);
    CRR_RETURN_IF_ERROR(failed);
    return written.st_size;
  }

 private:
  explicit NewFile(std::string path)
      : path_(std::move(path)), incomplete_(path_ + ".incomplete") {}

  // A killed run's would be rolled back into the new file.
  void RemoveJournal() { unlink((incomplete_ + "-journal").c_str()); }

  const std::string path_;
  const std::string incomplete_;
  int fd_ = -1;
  bool finished_ = false;
};

// Opens what is to be read, if it is ours and holds something.
absl::StatusOr<std::unique_ptr<Connection>> OpenSource(
    const std::string& path) {
  if (!Exists(path)) {
    return absl::NotFoundError(absl::StrCat("there is no ", path));
  }
  CRR_ASSIGN_OR_RETURN(auto source,
                       Connection::Open(path, {.read_only = true}));
  CRR_RETURN_IF_ERROR(CheckOurs(*source));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows version,
                       source->Query("PRAGMA user_version"));
  if (version.at(0).Int(0) == 0) {
    return absl::FailedPreconditionError("the database is empty");
  }
  return source;
}

absl::Status CheckWhole(Connection& connection) {
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows found,
                       connection.Query("PRAGMA integrity_check(1)"));
  if (found.size() != 1 || found[0].Text(0) != "ok") {
    return absl::DataLossError(absl::StrCat(
        "damaged: ", found.empty() ? "no answer" : found[0].Text(0)));
  }
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows dangling,
                       connection.Query("PRAGMA foreign_key_check"));
  if (!dangling.empty()) {
    return absl::DataLossError(absl::StrCat(
        "damaged: rows of ", dangling[0].Text(0), " refer to what is gone"));
  }
  return absl::OkStatus();
}

// `VACUUM INTO` reads in one transaction and writes the log of neither file
// back, unlike the last connection that closes a database of its own.
absl::Status Copy(Connection& source, const std::string& to) {
  return source.Execute("VACUUM INTO $1", {sqlite::Text(to)}).status();
}

absl::Status NameIt(absl::string_view doing, absl::string_view path,
                    const absl::Status& status) {
  return {status.code(),
          absl::StrCat(doing, " ", path, ": ", status.message())};
}

absl::StatusOr<int> CheckCopy(const std::string& path) {
  CRR_ASSIGN_OR_RETURN(const auto copy, OpenSource(path));
  CRR_RETURN_IF_ERROR(CheckWhole(*copy));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows version,
                       copy->Query("PRAGMA user_version"));
  return static_cast<int>(version.at(0).Int(0));
}

absl::StatusOr<RestoreReport> BeginAnewAt(const std::string& path,
                                          absl::Time now) {
  CRR_ASSIGN_OR_RETURN(const auto database,
                       Connection::Open(path, {.create = false}));
  CRR_RETURN_IF_ERROR(Migrate(*database));
  CRR_RETURN_IF_ERROR(database->ExecuteScript("BEGIN IMMEDIATE"));
  Transaction txn(*database, 0);
  RestoreReport report;
  MarkRestored(txn);
  // A backup may be restored twice, so the incarnation alone does not tell the
  // numbers of now from those of a life that the backup does not know of. Time
  // does: no counter is used once a microsecond, and no rule's tokens, which
  // have 40 bits, once a millisecond.
  SkipNumbers(txn, absl::ToUnixMicros(now));
  rule_table::SkipTokens(txn, (now - kTokenEpoch) / absl::Milliseconds(1));
  report.rules = rule_table::MarkAllForResync(txn, now);
  // A user may have written such a key since: absence alone proves nothing.
  object_work_table::ForgetDeletions(txn);
  report.incarnation = GetIncarnation(txn);
  CRR_RETURN_IF_ERROR(txn.status());
  CRR_RETURN_IF_ERROR(database->ExecuteScript("COMMIT"));
  return report;
}

}  // namespace

absl::StatusOr<BackupReport> Backup(const std::string& path,
                                    const std::string& file) {
  auto source = OpenSource(path);
  if (!source.ok()) return NameIt("reading", path, source.status());
  CRR_ASSIGN_OR_RETURN(const auto target, NewFile::Begin(file));
  const absl::Status copied = Copy(**source, target->incomplete());
  if (!copied.ok()) return NameIt("copying to", file, copied);
  const auto version = CheckCopy(target->incomplete());
  if (!version.ok()) return NameIt("checking", file, version.status());
  CRR_ASSIGN_OR_RETURN(const int64_t bytes, target->Finish());
  return BackupReport{.bytes = bytes, .schema_version = *version};
}

absl::StatusOr<RestoreReport> Restore(const std::string& file,
                                      const std::string& path, absl::Time now) {
  CRR_ASSIGN_OR_RETURN(const DatabaseLock lock, DatabaseLock::Take(path));
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string there = lock.path() + suffix;
    if (Exists(there)) {
      return absl::AlreadyExistsError(absl::StrCat(
          there, " is there already: move ", lock.path(),
          " and its -wal, -shm and -journal out of the way first"));
    }
  }
  auto source = OpenSource(file);
  absl::Status whole = source.ok() ? CheckWhole(**source) : source.status();
  if (!whole.ok()) return NameIt("reading", file, whole);
  CRR_ASSIGN_OR_RETURN(const auto target, NewFile::Begin(lock.path()));
  const absl::Status copied = Copy(**source, target->incomplete());
  if (!copied.ok()) return NameIt("copying to", path, copied);
  auto report = BeginAnewAt(target->incomplete(), now);
  if (!report.ok()) return NameIt("marking", path, report.status());
  CRR_RETURN_IF_ERROR(target->Finish().status());
  return report;
}

}  // namespace crr
