#ifndef CRR_CLIENT_STORE_WRITE_LOCK_H_
#define CRR_CLIENT_STORE_WRITE_LOCK_H_

#include <cstdint>
#include <string>
#include <utility>

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
// With it goes the store's time: the wall clock's, but never before what a
// sample of the journal has told, even when the wall clock steps back. The two
// clocks of a machine keep their distance until the wall clock is stepped; so
// the lock's file holds that distance, is written only when it has changed, and
// a sample in between costs no write: it tells the horizon, boot-time clock
// plus distance, which every process computes alike.
//
// A boot begins anew: after a reboot nothing keeps a wall clock that has come up
// behind the last sample from stamping writes before it. Their publisher says
// so as soon as it is back, for its samples are the new clock's.
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

  // The time of what happens now: the wall clock's, but neither before `last`,
  // the time of the journal's last entry, nor before a sample.
  // Requires: a Hold.
  absl::StatusOr<absl::Time> Now(const Clock& clock, absl::Time last) const;

  // A time for a sample to tell: at most 10 ms before Now, and no later Now is
  // before it. Requires: a Hold.
  absl::StatusOr<absl::Time> Sample(const Clock& clock, absl::Time last);

 private:
  // What the file holds.
  struct Record {
    int64_t boot = 0;         // Which boot `distance_us` is of.
    int64_t distance_us = 0;  // Wall clock minus boot-time clock, or less.
    int64_t floor_us = 0;     // Told before the wall clock was stepped back.
  };

  WriteLock(FileLock lock, int64_t boot)
      : lock_(std::move(lock)), boot_(boot) {}
  absl::StatusOr<Record> Read() const;
  absl::Status Write(const Record& record);
  // The latest time that a sample of this boot may have told, floor apart.
  int64_t HorizonUs(const Record& record, Ticks now) const;

  FileLock lock_;
  int64_t boot_;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_WRITE_LOCK_H_
