#ifndef CRR_CLIENT_STORE_WRITE_LOCK_H_
#define CRR_CLIENT_STORE_WRITE_LOCK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "client/store/file_lock.h"

namespace crr {

// The lock that every write and every checkpoint of a store's index is made
// under, by whichever process: Debian 12's SQLite can lose data when one
// connection checkpoints while another commits.
//
// Its file holds the latest time that a journal's sample has told, so that no
// later entry is given an earlier one, even when the wall clock steps back.
// Thread-compatible; each user has one of its own.
class WriteLock {
 public:
  static absl::StatusOr<WriteLock> Open(const std::string& path, bool create);

  // Holds the lock for its own lifetime.
  class Hold {
   public:
    explicit Hold(WriteLock& lock) : lock_(&lock) {}
    ~Hold() {
      if (lock_ != nullptr) lock_->lock_.Unlock();
    }
    Hold(Hold&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    Hold& operator=(Hold&&) = delete;

   private:
    WriteLock* lock_;
  };
  absl::StatusOr<Hold> Acquire();

  // The time of what happens now: the clock's, but neither before `last`, the
  // time of the journal's last entry, nor before the last sample.
  // Requires: a Hold.
  absl::StatusOr<absl::Time> Now(const Clock& clock, absl::Time last) const;

  // Records that a sample tells `time`. Requires: a Hold.
  absl::Status RecordSample(absl::Time time);
  // Makes the record durable; may be called without a Hold.
  absl::Status SyncSample();

 private:
  explicit WriteLock(FileLock lock) : lock_(std::move(lock)) {}
  FileLock lock_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_WRITE_LOCK_H_
