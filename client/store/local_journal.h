#ifndef CRR_CLIENT_STORE_LOCAL_JOURNAL_H_
#define CRR_CLIENT_STORE_LOCAL_JOURNAL_H_

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/store/change_journal.h"
#include "client/store/files.h"
#include "client/store/index_connection.h"
#include "client/store/write_lock.h"

namespace crr {

// The journal of a local store, whichever processes write to it. Waits by
// inotify on the file that each commit touches *after* it is visible; the log
// of the index changes before, when there is nothing to read yet.
class LocalJournal final : public ChangeJournal {
 public:
  // `clock` must outlive the journal.
  static absl::StatusOr<std::unique_ptr<LocalJournal>> Open(
      const std::string& index_path, const std::string& changed_path,
      WriteLock lock, const Clock& clock);

  int64_t epoch() const override { return epoch_; }
  absl::StatusOr<std::vector<JournalEntry>> Read(int64_t position,
                                                 int limit) override;
  absl::StatusOr<Sample> TakeSample() override;
  void Wait(absl::Duration timeout) override;
  void Wake() override;

 private:
  LocalJournal(std::unique_ptr<IndexConnection> db, int64_t epoch,
               FileDescriptor changes, FileDescriptor wakes, WriteLock lock,
               const Clock& clock);

  const std::unique_ptr<IndexConnection> db_;
  const int64_t epoch_;
  const FileDescriptor changes_;  // inotify
  const FileDescriptor wakes_;    // eventfd
  WriteLock lock_;
  const Clock& clock_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_LOCAL_JOURNAL_H_
