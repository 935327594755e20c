#ifndef CRR_TESTS_NOTIFIER_FAKE_JOURNAL_H_
#define CRR_TESTS_NOTIFIER_FAKE_JOURNAL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "client/store/change_journal.h"

namespace crr::test {

// A journal in memory whose entries the test appends. Positions have gaps, as
// the numbers of a real store do. Thread-safe.
class FakeJournal final : public ChangeJournal {
 public:
  explicit FakeJournal(const Clock& clock) : clock_(clock) {}

  // Appends a PUT of `key` now and returns its position.
  int64_t Put(std::string key) {
    JournalEntry entry;
    entry.bucket = "photos";
    entry.key = std::move(key);
    return Append(std::move(entry));
  }
  int64_t Append(JournalEntry entry) {
    MutexLock lock(mu_);
    entry.position = LastPosition() + 3;
    entry.time = clock_.WallNow();
    entries_.push_back(std::move(entry));
    grown_ = true;
    changed_.NotifyAll();
    return LastPosition();
  }

  int64_t epoch() const override { return 7; }
  absl::StatusOr<std::vector<JournalEntry>> Read(int64_t position,
                                                 int limit) override {
    MutexLock lock(mu_);
    std::vector<JournalEntry> found;
    for (const JournalEntry& entry : entries_) {
      if (entry.position <= position) continue;
      if (found.size() == static_cast<size_t>(limit)) break;
      found.push_back(entry);
    }
    return found;
  }
  absl::StatusOr<Sample> TakeSample() override {
    MutexLock lock(mu_);
    ++samples_;
    return Sample{.position = LastPosition(), .time = clock_.WallNow()};
  }
  void Wait(absl::Duration timeout) override {
    MutexLock lock(mu_);
    if (!grown_ && !woken_) changed_.WaitFor(mu_, timeout);
    grown_ = woken_ = false;
  }
  void Wake() override {
    MutexLock lock(mu_);
    woken_ = true;
    changed_.NotifyAll();
  }

  int samples() const {
    MutexLock lock(mu_);
    return samples_;
  }

 private:
  int64_t LastPosition() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return entries_.empty() ? 0 : entries_.back().position;
  }

  const Clock& clock_;
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<JournalEntry> entries_ ABSL_GUARDED_BY(mu_);
  bool grown_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  int samples_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace crr::test

#endif  // CRR_TESTS_NOTIFIER_FAKE_JOURNAL_H_
