#include "client/store/write_lock.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <limits>

#include "base/hash.h"
#include "base/status_macros.h"

namespace crr {
namespace {

// The wall clock may run ahead of the horizon by this before the record is
// written anew: far above the time between two looks at a clock.
constexpr int64_t kAheadMaxUs = 10'000;

// Tells the boots of this machine apart.
int64_t ThisBoot() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  const std::string id((std::istreambuf_iterator<char>(file)),
                       std::istreambuf_iterator<char>());
  return static_cast<int64_t>(Hash64(id));
}

int64_t ToUs(Ticks ticks) { return ticks.nanoseconds / 1000; }

}  // namespace

absl::StatusOr<WriteLock> WriteLock::Open(const std::string& path,
                                          bool create) {
  CRR_ASSIGN_OR_RETURN(FileLock lock, FileLock::Open(path, create));
  return WriteLock(std::move(lock), ThisBoot());
}

absl::StatusOr<WriteLock::Hold> WriteLock::Acquire() {
  CRR_RETURN_IF_ERROR(lock_.LockExclusive());
  return Hold(*this);
}

absl::StatusOr<absl::Time> WriteLock::Now(const Clock& clock,
                                          absl::Time last) const {
  CRR_ASSIGN_OR_RETURN(const Record record, Read());
  // The wall clock is looked at last, so that it is not before the horizon only
  // because this thread was held up in between.
  const int64_t horizon_us = HorizonUs(record, clock.Now());
  const int64_t wall_us = absl::ToUnixMicros(clock.WallNow());
  return std::max(last, absl::FromUnixMicros(std::max(
                            {wall_us, horizon_us, record.floor_us})));
}

absl::StatusOr<absl::Time> WriteLock::Sample(const Clock& clock,
                                             absl::Time last) {
  CRR_ASSIGN_OR_RETURN(Record record, Read());
  int64_t horizon_us = HorizonUs(record, clock.Now());
  const int64_t wall_us = absl::ToUnixMicros(clock.WallNow());
  if (wall_us < horizon_us || horizon_us < wall_us - kAheadMaxUs) {
    // Looked at after the wall clock: a distance that is too small only makes
    // samples tell a little less.
    record = {.boot = boot_,
              .distance_us = wall_us - ToUs(clock.Now()),
              .floor_us = std::max(record.floor_us, horizon_us)};
    CRR_RETURN_IF_ERROR(Write(record));
    horizon_us = wall_us;
  }
  return std::max(
      last, absl::FromUnixMicros(std::max(horizon_us, record.floor_us)));
}

int64_t WriteLock::HorizonUs(const Record& record, Ticks now) const {
  // The boot-time clock of another boot says nothing in this one.
  return record.boot == boot_ ? ToUs(now) + record.distance_us
                              : std::numeric_limits<int64_t>::min();
}

absl::StatusOr<WriteLock::Record> WriteLock::Read() const {
  int64_t words[3];
  const ssize_t bytes =
      pread(lock_.file().get(), words, sizeof(words), 0);
  if (bytes < 0) return ErrnoStatus(errno, "pread", "the write lock");
  if (bytes < static_cast<ssize_t>(sizeof(words))) return Record{};  // New.
  return Record{words[0], words[1], words[2]};
}

absl::Status WriteLock::Write(const Record& record) {
  const int64_t words[3] = {record.boot, record.distance_us, record.floor_us};
  if (pwrite(lock_.file().get(), words, sizeof(words), 0) !=
      static_cast<ssize_t>(sizeof(words))) {
    return ErrnoStatus(errno, "pwrite", "the write lock");
  }
  return SyncFile(lock_.file());
}

}  // namespace crr
