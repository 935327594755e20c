#ifndef CRR_STORAGE_VERIFICATION_TABLE_H_
#define CRR_STORAGE_VERIFICATION_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

enum class VerificationCause { kRequested = 1, kLogOverflow = 2, kRestored = 3 };

// The latest compare of the two buckets of a rule.
struct Verification {
  int64_t number = 0;  // Rises with every verification of the rule.
  VerificationCause cause = VerificationCause::kRequested;
  bool read_bytes = false;
  absl::Time start_time;
  std::optional<absl::Time> end_time;  // Absent while it is under way.
  int64_t compared = 0;
  int64_t equal = 0;
  std::map<std::string, int64_t> differences;  // Objects, by reason.
  // (key, reason) of the first by key.
  std::vector<std::pair<std::string, std::string>> samples;
};

namespace verification_table {

// Begins a verification, in place of the last one; returns its number.
int64_t Start(Transaction& txn, int64_t rule_uid, VerificationCause cause,
              bool read_bytes, absl::Time now);
std::optional<Verification> Get(ReadTransaction& txn, int64_t rule_uid);
// Adds what was compared. Of the differences, the first `samples_max` by key
// are kept.
void Add(Transaction& txn, int64_t rule_uid, int64_t compared, int64_t equal,
         const std::map<std::string, int64_t>& differences,
         const std::vector<std::pair<std::string, std::string>>& samples,
         int samples_max);
void Finish(Transaction& txn, int64_t rule_uid, absl::Time now);

}  // namespace verification_table
}  // namespace crr

#endif  // CRR_STORAGE_VERIFICATION_TABLE_H_
