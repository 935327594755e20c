#include "client/crrctl/import.h"

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/crrctl/bytes.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

constexpr int kWriters = 16;

// One import: the writers take turns at the walk. Thread-safe.
class Import {
 public:
  Import(FolderWalk& walk, ObjectStore& store, absl::string_view bucket,
         SkipList& skipped)
      : walk_(walk), store_(store), bucket_(bucket), skipped_(skipped) {}

  // Writes objects until there are no more files or one of them failed.
  void Work() {
    while (const std::optional<FolderWalk::File> file = NextFile()) {
      absl::StatusOr<ByteSource> source =
          FromRegularFile(walk_.PathOf(file->key));
      if (IsNoObject(source.status())) {
        skipped_.Add(file->key, source.status().message());
        continue;
      }
      Note(*file, source.ok()
                      ? WriteObject(store_, bucket_, file->key,
                                    *std::move(source), ObjectFacts())
                      : absl::StatusOr<int64_t>(source.status()));
    }
  }

  absl::StatusOr<ImportTotals> Result() {
    MutexLock lock(mu_);
    if (!failure_.ok()) return failure_;
    return totals_;
  }

 private:
  // The file changed since the walk saw it, or its owner keeps it private.
  static bool IsNoObject(const absl::Status& status) {
    return absl::IsNotFound(status) || absl::IsFailedPrecondition(status) ||
           absl::IsPermissionDenied(status);
  }

  std::optional<FolderWalk::File> NextFile() {
    MutexLock lock(mu_);
    return failure_.ok() ? walk_.Next() : std::nullopt;
  }

  void Note(const FolderWalk::File& file, const absl::StatusOr<int64_t>& size) {
    MutexLock lock(mu_);
    if (size.ok()) {
      ++totals_.objects;
      totals_.bytes += *size;
    } else if (failure_.ok()) {
      failure_ = absl::Status(
          size.status().code(),
          absl::StrCat(Printable(file.key), ": ", size.status().message()));
    }
  }

  // Only Next() changes it, under mu_; PathOf() is constant.
  FolderWalk& walk_;
  ObjectStore& store_;
  const absl::string_view bucket_;
  SkipList& skipped_;

  Mutex mu_;
  ImportTotals totals_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<ImportTotals> ImportFolder(const std::string& folder,
                                          ObjectStore& store,
                                          absl::string_view bucket,
                                          SkipList& skipped) {
  FolderWalk walk(folder, skipped);
  CRR_RETURN_IF_ERROR(walk.Open());
  Import import(walk, store, bucket, skipped);
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([&import] { import.Work(); });
    }
  }
  return import.Result();
}

}  // namespace crr
