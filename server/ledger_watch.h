#ifndef CRR_SERVER_LEDGER_WATCH_H_
#define CRR_SERVER_LEDGER_WATCH_H_

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "storage/database.h"

namespace crr {

// Proves again and again that every change is where its rule's ledger says
// (I4): a rule that is touched is checked within some ten seconds, on a
// snapshot of its own; nothing touched, no work. A ledger that does not balance
// is a fault of the server, logged once and counted until the rule's next check
// is good. Remembers 8 bytes and some for each rule that was touched since.
//
// Thread-safe; Load and Tick are for one thread.
class LedgerWatch {
 public:
  // Rules whose checks share a transaction.
  static constexpr size_t kRulesPerRead = 200;
  // After which no other joins them: while a snapshot is held, the database's
  // write-ahead log only grows. One rule's log may take longer.
  static constexpr absl::Duration kReadTime = absl::Milliseconds(100);
  static constexpr absl::Duration kInterval = absl::Seconds(10);

  // Both must outlive this object, or be there until Stop returns.
  LedgerWatch(Database& database, const Clock& clock)
      : database_(database), clock_(clock) {}

  // Touches the rules that have something pending, or dead letters, or did not
  // balance: those whose ledger another process may have left wrong. Waits for
  // the database.
  absl::Status Load();
  // What a committed transaction did may have moved the rule's ledger. A rule
  // that is gone balances.
  void Touch(int64_t rule_uid);
  // Begins what is due; to be called every second or more often.
  void Tick();
  // Waits for what is under way; nothing begins any more.
  void Stop();

  struct Counts {
    int64_t checked = 0;     // Checks of a rule, ever.
    int64_t imbalanced = 0;  // Rules whose last check was not good.
  };
  Counts counts() const;

 private:
  // What was found out about one rule.
  struct Finding {
    int64_t rule_uid = 0;
    std::string rule;    // Its name.
    std::string ledger;  // As text; empty when it balances.
    bool was_imbalanced = false;  // By the check before.
  };

  void Read(std::vector<int64_t> rules);
  // Stores what the alarm is about, for the process that comes next.
  void Remember(int64_t rule_uid, bool imbalanced);
  void Take(const std::vector<int64_t>& rules,
            const absl::StatusOr<std::vector<Finding>>& findings);

  Database& database_;
  const Clock& clock_;
  mutable Mutex mu_;
  CondVar idle_;
  std::unordered_set<int64_t> touched_ ABSL_GUARDED_BY(mu_);
  // Of the round that is under way.
  std::vector<int64_t> due_ ABSL_GUARDED_BY(mu_);
  Ticks next_round_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  int64_t checked_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_set<int64_t> imbalanced_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_SERVER_LEDGER_WATCH_H_
