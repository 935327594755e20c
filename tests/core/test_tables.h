#ifndef CRR_TESTS_CORE_TEST_TABLES_H_
#define CRR_TESTS_CORE_TEST_TABLES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "server/core/change_log.h"
#include "server/core/checkpoint.h"
#include "server/core/ledger.h"
#include "server/core/rule_manager.h"
#include "server/core/work.h"
#include "storage/segment_table.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"

namespace crr::test {

inline constexpr char kHangzhou[] = "oss-cn-hangzhou";
inline constexpr char kBeijing[] = "oss-cn-beijing";

// The time of whatever these tests store, unless they say otherwise.
inline absl::Time Epoch() { return absl::FromUnixSeconds(1'800'000'000); }

// The control plane's tables, with the catalogue of regions and stores for
// Hangzhou and Beijing. In memory and on the caller's thread: it does what
// Database does, one commit at a time, when the test says so.
class TestTables {
 public:
  TestTables();

  // Runs a body that may refuse, in a commit of its own or in that of
  // InOneCommit. A refusal leaves nothing behind.
  template <typename Body>
  auto Try(Body body) -> std::invoke_result_t<Body, Transaction&> {
    const bool alone = !group_is_open_;
    if (alone) Begin();
    Script("SAVEPOINT body");
    Transaction txn(*connection_, group_);
    auto result = body(txn);
    if (!txn.status().ok()) result = txn.status();
    if (!result.ok()) Script("ROLLBACK TO body");
    Script("RELEASE body");
    if (alone) Commit();
    return result;
  }

  // The same for a body that cannot refuse.
  template <typename Body>
  auto Do(Body body) -> std::invoke_result_t<Body, Transaction&> {
    using Result = std::invoke_result_t<Body, Transaction&>;
    if constexpr (std::is_void_v<Result>) {
      CRR_CHECK(Try([&](Transaction& txn) -> absl::StatusOr<bool> {
                  body(txn);
                  return true;
                }).ok());
    } else {
      auto result = Try([&](Transaction& txn) -> absl::StatusOr<Result> {
        return body(txn);
      });
      CRR_CHECK(result.ok());
      return *std::move(result);
    }
  }

  // What `bodies` run is committed together.
  void InOneCommit(const std::function<void()>& bodies);

  // Of one number: `SELECT ...`.
  int64_t Number(absl::string_view sql);

  // --- What most tests begin with. ---

  void AddBucket(const std::string& id, const std::string& region,
                 Versioning versioning = Versioning::kUnversioned);
  // Registers both buckets, photos in Hangzhou and photos-dr in Beijing unless
  // named otherwise, where they are not yet, and creates the rule.
  struct RuleSetup {
    std::string source = "photos";
    std::string destination = "photos-dr";
    std::vector<std::string> prefixes = {};
    Operations operations = Operations::kAddDeleteChange;
    bool historical = false;
    int64_t max_leases = 0;
    int64_t max_bytes_per_second = 0;
  };
  static NewRule RequestFor(const RuleSetup& setup);
  int64_t AddRule(const RuleSetup& setup);
  int64_t AddRule() { return AddRule(RuleSetup{}); }
  // Takes a STARTING rule to ACTIVE: its PROBE finds nothing wrong. Returns
  // what the whole of it changed.
  WorkEvents Activate(int64_t rule_uid);
  int64_t AddActiveRule(const RuleSetup& setup);
  int64_t AddActiveRule() { return AddActiveRule(RuleSetup{}); }
  // Lets the rule's INVENTORY cut these ranges and end.
  WorkEvents CutRanges(int64_t rule_uid,
                       const std::vector<Checkpoint::Range>& ranges);

  int64_t AddSession(const std::string& copier = "c1");
  absl::StatusOr<LeaseSpec> Grant(int64_t unit_id, int64_t session_number);
  absl::StatusOr<CheckpointOutcome> Apply(
      const Checkpoint& checkpoint,
      const std::set<std::string>& attached = {});

  std::optional<Unit> FindUnit(int64_t unit_id);
  // The only unit of that kind; ends the test's process when there is none.
  Unit TheUnit(int64_t rule_uid, UnitKind kind);
  std::vector<Unit> UnitsOf(int64_t rule_uid);
  std::optional<Rule> FindRule(int64_t rule_uid);
  RuleCounters Counters(int64_t rule_uid);
  std::map<std::string, int64_t> Filtered(int64_t rule_uid);
  std::vector<Condition> Conditions(int64_t rule_uid);
  std::vector<Segment> Log(int64_t rule_uid);
  int64_t Pending(int64_t rule_uid);
  Ledger LedgerOfRule(int64_t rule_uid);

  // What an unnamed publisher says of `bucket`.
  static Batch BatchOf(const std::string& bucket,
                       const std::vector<std::string>& keys);
  BatchOutcome Publish(const std::string& bucket,
                       const std::vector<std::string>& keys);
  // `count` changes of different keys.
  BatchOutcome Publish(const std::string& bucket, int count);

 private:
  void Script(absl::string_view sql);
  void Begin();
  void Commit();

  std::unique_ptr<sqlite::Connection> connection_;
  bool group_is_open_ = false;
  int64_t group_ = 1;
};

// A PROBE's report in which nothing is wrong.
Checkpoint ProbeFinds(int64_t unit_id, int64_t token);
// A report of CHANGES: everything in (from, to] was applied.
Checkpoint Applied(int64_t unit_id, int64_t token, int64_t from, int64_t to);
// A report of BACKFILL or INVENTORY over keys (from, to].
Checkpoint Walked(int64_t unit_id, int64_t token, const std::string& from,
                  const std::string& to, int64_t applied = 0);

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_TEST_TABLES_H_
