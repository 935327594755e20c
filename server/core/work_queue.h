#ifndef CRR_SERVER_CORE_WORK_QUEUE_H_
#define CRR_SERVER_CORE_WORK_QUEUE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "storage/unit_table.h"

namespace crr {

// Which unit of work is to be leased next, over all rules.
//
// A rule without any lease comes before one that has some (its floor); then
// PROBE, CHANGES, OBJECT, INVENTORY, BACKFILL, VERIFY; then the rule with the
// fewest leases; then the one that was served longest ago. A rule never has
// more leases than its own bound.
//
// Each call costs the logarithm of what is waiting; an idle rule is not here at
// all. Thread-compatible, and free of clocks: time comes with the calls.
class WorkQueue {
 public:
  // Offers a unit, at once or from `not_before` on. It must not be here.
  void Offer(int64_t unit_id, int64_t rule_uid, UnitKind kind,
             int64_t max_leases, Ticks not_before, Ticks now);
  // Changes a rule's bound on its leases; 0 for none.
  void SetMaxLeases(int64_t rule_uid, int64_t max_leases);
  // Takes an offer back; nothing happens when there is none.
  void Withdraw(int64_t unit_id);
  // A lease of the rule began or ended.
  void CountLease(int64_t rule_uid, int delta);
  int64_t LeasesOf(int64_t rule_uid) const;

  // Whether the rule has as many leases as it may.
  bool IsAtItsBound(int64_t rule_uid) const;
  // Whether units of the rule are ready that are of another kind.
  bool AnotherKindIsReady(int64_t rule_uid, UnitKind kind) const;
  // Whether units are ready of a rule that has no lease.
  bool AnotherRuleIsReady() const {
    return !order_.empty() && !std::get<0>(*order_.begin());
  }

  // Units that are offered, by kind.
  const std::map<UnitKind, int64_t>& waiting() const { return waiting_; }
  // Leases that copiers without number would hold: those that live and those
  // that are waited for, each rule within its bound.
  int64_t wanted() const { return wanted_; }

  // Moves what has become due, then names the unit to be leased next, which
  // stays offered until withdrawn.
  std::optional<int64_t> Next(Ticks now);

 private:
  struct Offered {
    int64_t rule_uid;
    UnitKind kind;
    std::optional<Ticks> not_before;  // While it waits for that.
  };
  // Rules in the order in which they are served.
  using RuleKey = std::tuple<bool, int, int64_t, int64_t, int64_t>;
  struct RuleQueue {
    std::set<std::pair<int, int64_t>> ready;  // By priority, then unit id.
    int64_t offers = 0;  // Ready or waiting for their time.
    int64_t leases = 0;
    int64_t max_leases = 0;
    int64_t last_served = 0;
    int64_t wanted = 0;           // Its part of wanted_.
    std::optional<RuleKey> key;  // Where it stands in order_.
  };

  void Enqueue(int64_t unit_id, const Offered& offered);
  void Reorder(int64_t rule_uid);

  std::unordered_map<int64_t, Offered> offered_;
  std::unordered_map<int64_t, RuleQueue> rules_;
  std::set<RuleKey> order_;
  std::set<std::pair<Ticks, int64_t>> delayed_;
  std::map<UnitKind, int64_t> waiting_;
  int64_t wanted_ = 0;
  int64_t served_ = 0;
};

}  // namespace crr

#endif  // CRR_SERVER_CORE_WORK_QUEUE_H_
