#include "client/store/local_journal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "base/status_macros.h"
#include "client/store/index_schema.h"
#include "client/store/index_tables.h"

namespace crr {
namespace {

// For poll(2): whole milliseconds, rounded up so that the last one is not spent
// spinning.
int PollTimeout(absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return -1;
  const int64_t ms = absl::ToInt64Milliseconds(
      absl::Ceil(std::max(timeout, absl::ZeroDuration()),
                 absl::Milliseconds(1)));
  return static_cast<int>(std::min<int64_t>(ms, INT_MAX));
}

// Takes everything that is queued in `file`; false when that is nothing.
bool Drain(const FileDescriptor& file) {
  alignas(inotify_event) char events[4096];
  bool any = false;
  while (read(file.get(), events, sizeof(events)) > 0) any = true;
  return any;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalJournal>> LocalJournal::Open(
    const std::string& index_path, const std::string& changed_path,
    WriteLock lock, const Clock& clock) {
  CRR_ASSIGN_OR_RETURN(std::unique_ptr<IndexConnection> db,
                       OpenIndexReader(index_path));
  CRR_ASSIGN_OR_RETURN(const int64_t epoch, ReadEpoch(*db));
  FileDescriptor changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!changes.valid() ||
      inotify_add_watch(changes.get(), changed_path.c_str(), IN_ATTRIB) < 0) {
    return ErrnoStatus(errno, "watch", changed_path);
  }
  FileDescriptor wakes(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakes.valid()) return ErrnoStatus(errno, "eventfd for", changed_path);
  return std::unique_ptr<LocalJournal>(
      new LocalJournal(std::move(db), epoch, std::move(changes),
                       std::move(wakes), std::move(lock), clock));
}

LocalJournal::LocalJournal(std::unique_ptr<IndexConnection> db,
                           int64_t epoch, FileDescriptor changes,
                           FileDescriptor wakes, WriteLock lock,
                           const Clock& clock)
    : db_(std::move(db)),
      epoch_(epoch),
      changes_(std::move(changes)),
      wakes_(std::move(wakes)),
      lock_(std::move(lock)),
      clock_(clock) {}

absl::StatusOr<std::vector<JournalEntry>> LocalJournal::Read(int64_t position,
                                                             int limit) {
  return ReadJournal(*db_, position, limit);
}

absl::StatusOr<ChangeJournal::Sample> LocalJournal::TakeSample() {
  CRR_ASSIGN_OR_RETURN(const WriteLock::Hold hold, lock_.Acquire());
  CRR_ASSIGN_OR_RETURN(const JournalEnd end, ReadJournalEnd(*db_));
  CRR_ASSIGN_OR_RETURN(const absl::Time time, lock_.Sample(clock_, end.time));
  return Sample{.position = end.position, .time = time};
}

void LocalJournal::Wait(absl::Duration timeout) {
  // A Wake that the last Wait returned for counts for this one too.
  if (Drain(wakes_)) return;
  pollfd files[] = {{.fd = changes_.get(), .events = POLLIN, .revents = 0},
                    {.fd = wakes_.get(), .events = POLLIN, .revents = 0}};
  poll(files, 2, PollTimeout(timeout));
  Drain(changes_);
}

void LocalJournal::Wake() {
  const uint64_t one = 1;
  // Full, it cannot take one more, and is readable all the same.
  [[maybe_unused]] const ssize_t written =
      write(wakes_.get(), &one, sizeof(one));
}

}  // namespace crr
