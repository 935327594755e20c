#include "client/store/write_lock.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/status_macros.h"

namespace crr {

absl::StatusOr<WriteLock> WriteLock::Open(const std::string& path,
                                          bool create) {
  CRR_ASSIGN_OR_RETURN(FileLock lock, FileLock::Open(path, create));
  return WriteLock(std::move(lock));
}

absl::StatusOr<WriteLock::Hold> WriteLock::Acquire() {
  CRR_RETURN_IF_ERROR(lock_.LockExclusive());
  return Hold(*this);
}

absl::StatusOr<absl::Time> WriteLock::Now(const Clock& clock,
                                          absl::Time last) const {
  int64_t sampled_us = 0;  // What a file without a sample says.
  if (pread(lock_.file().get(), &sampled_us, sizeof(sampled_us), 0) < 0) {
    return ErrnoStatus(errno, "pread", "the write lock");
  }
  // Whole microseconds, like everything that is stored.
  const int64_t now_us = absl::ToUnixMicros(clock.WallNow());
  return std::max(last, absl::FromUnixMicros(std::max(now_us, sampled_us)));
}

absl::Status WriteLock::RecordSample(absl::Time time) {
  const int64_t sampled_us = absl::ToUnixMicros(time);
  if (pwrite(lock_.file().get(), &sampled_us, sizeof(sampled_us), 0) !=
      static_cast<ssize_t>(sizeof(sampled_us))) {
    return ErrnoStatus(errno, "pwrite", "the write lock");
  }
  return absl::OkStatus();
}

absl::Status WriteLock::SyncSample() { return SyncFile(lock_.file()); }

}  // namespace crr
