#ifndef CRR_STORAGE_RULE_TABLE_H_
#define CRR_STORAGE_RULE_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

enum class Operations { kAddDeleteChange = 1, kAddChange = 2 };
enum class Transfer { kStandard = 1, kAccelerated = 2 };
// What became of a log that was dropped, or is being dropped (kNeeded: changes
// are counted and not logged). kVerifying: they are logged again, and a
// verification is under way or begins when history is complete.
enum class Resync { kNone = 0, kNeeded = 1, kVerifying = 2 };
enum class RuleState { kStarting = 1, kActive = 2, kPaused = 3, kClosing = 4 };

// What users set, and what the server adds. Prefixes are in rising byte order.
struct Rule {
  int64_t uid = 0;  // Never reused.
  std::string source;
  std::string destination;
  std::string id;
  std::vector<std::string> prefixes;
  Operations operations = Operations::kAddDeleteChange;
  bool historical = false;
  Transfer transfer = Transfer::kStandard;
  bool kms_replicate = false;
  std::string kms_key;
  int64_t max_leases = 0;            // 0: no bound of its own.
  int64_t max_bytes_per_second = 0;  // 0: no bound of its own.
  std::map<std::string, std::string> labels;
  RuleState state = RuleState::kStarting;
  // As PROBE noted them; empty before.
  std::string source_identity;
  std::string destination_identity;
  absl::Time create_time;
  absl::Time update_time;
  absl::Time active_time;  // UnixEpoch before the rule became ACTIVE.
  Resync resync = Resync::kNone;
  bool restored = false;  // What the resync is for; otherwise a full log.
  // Unless kNone: last_sync_time may not pass this.
  absl::Time resync_floor;
  absl::Time resync_since;
  // Its keys are spread over this many logs, from `first_partition` on.
  int64_t first_partition = 0;
  int64_t partitions = 1;
};

// Something a copier reported as wrong.
struct Condition {
  std::string type;
  int64_t unit_id = 0;  // 0: the whole rule.
  std::string message;
  absl::Time since;
};

struct RuleCounters {
  int64_t published = 0;
  int64_t applied = 0;
  int64_t collapsed = 0;
  int64_t resync = 0;
  int64_t apart = 0;   // Changes of objects apart that are tried.
  int64_t failed = 0;  // Changes of dead letters.
  int64_t logged = 0;  // Changes in the log, not settled.
  int64_t log_bytes = 0;
  bool inventory_complete = false;
  int64_t historical_total = 0;
  int64_t historical_done = 0;
  int64_t historical_skipped = 0;
  int64_t historical_bytes = 0;
};

struct RuleFilter {
  std::optional<RuleState> state;
  std::optional<std::string> source;
  std::optional<std::string> destination;
};

namespace rule_table {

void Insert(Transaction& txn, const Rule& rule);
// Removes the rule and all that hangs on it, but not segments and units.
void Delete(Transaction& txn, int64_t uid);
std::optional<Rule> Get(ReadTransaction& txn, int64_t uid);
// The one rule that has this bucket as its source.
std::optional<Rule> GetBySource(ReadTransaction& txn, absl::string_view source);
// Rules whose `{source}/` is above `after`, in that order.
std::vector<Rule> List(ReadTransaction& txn, const RuleFilter& filter,
                       absl::string_view after, int limit);
// Rules in a state other than ACTIVE, which most are in, with their source or
// destination in `region` when given.
std::vector<int64_t> UidsInState(ReadTransaction& txn, RuleState state,
                                 const std::optional<std::string>& region);
void SetState(Transaction& txn, int64_t uid, RuleState state, absl::Time now);
// Sets limits and labels, and the update time.
void Update(Transaction& txn, const Rule& rule);
void SetActive(Transaction& txn, int64_t uid,
               absl::string_view source_identity,
               absl::string_view destination_identity, absl::Time now);

// Begins a resync, or begins it again. The lowest floor stands, and the first
// time.
void NeedResync(Transaction& txn, int64_t uid, absl::Time floor,
                absl::Time now);
// The same for every rule, after a restore: nothing is known of what arrived.
// Returns how many there are.
int64_t MarkAllForResync(Transaction& txn, absl::Time now);
// The log was dropped and is written again: what it cannot tell of is, or will
// be, verified.
void SetVerifying(Transaction& txn, int64_t uid);
void ClearResync(Transaction& txn, int64_t uid);
std::vector<int64_t> UidsInResync(ReadTransaction& txn, Resync resync);
// Rules with something in their log.
std::vector<int64_t> UidsWithLog(ReadTransaction& txn);

// The rule's keys go to these partitions from now on, and to none below again.
void SetPartitions(Transaction& txn, int64_t uid, int64_t first, int64_t count);
// The first of `count` sequence numbers of a partition, all of them above any
// before.
int64_t TakeSequences(Transaction& txn, int64_t uid, int64_t partition,
                      int64_t count);
// A counter above any before: the low bits of a fencing token.
int64_t TakeToken(Transaction& txn, int64_t uid);
// Raises that counter to `at_least` in every rule, see crr::SkipNumbers.
void SkipTokens(Transaction& txn, int64_t at_least);

// `since` of a condition that stands already is kept.
void SetCondition(Transaction& txn, int64_t uid, const Condition& condition);
void ClearConditions(Transaction& txn, int64_t uid, int64_t unit_id);
// At most 20: what a person can read.
std::vector<Condition> GetConditions(ReadTransaction& txn, int64_t uid);

RuleCounters GetCounters(ReadTransaction& txn, int64_t uid);
// Adds; `inventory_complete` is set when it is true in `delta`.
void AddCounters(Transaction& txn, int64_t uid, const RuleCounters& delta);
// What the last check of the rule's ledger found; and the rules of which that
// was not good.
void SetImbalanced(Transaction& txn, int64_t uid, bool imbalanced);
bool IsImbalanced(ReadTransaction& txn, int64_t uid);
std::vector<int64_t> UidsImbalanced(ReadTransaction& txn);
void AddFiltered(Transaction& txn, int64_t uid,
                 const std::map<std::string, int64_t>& delta);
std::map<std::string, int64_t> GetFiltered(ReadTransaction& txn, int64_t uid);

}  // namespace rule_table
}  // namespace crr

#endif  // CRR_STORAGE_RULE_TABLE_H_
