#include "server/ledger_watch.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/log.h"
#include "base/status_macros.h"
#include "server/core/ledger.h"
#include "server/core/names.h"
#include "storage/object_work_table.h"
#include "storage/rule_table.h"

namespace crr {

absl::Status LedgerWatch::Load() {
  using Uids = std::vector<int64_t>;
  CRR_ASSIGN_OR_RETURN(
      const Uids rules,
      database_.ReadAndWait<Uids>(
          [](ReadTransaction& txn) -> absl::StatusOr<Uids> {
            Uids found = rule_table::UidsWithLog(txn);
            for (const std::vector<int64_t>& more :
                 {object_work_table::Rules(txn),
                  rule_table::UidsImbalanced(txn)}) {
              found.insert(found.end(), more.begin(), more.end());
            }
            return found;
          }));
  for (const int64_t uid : rules) Touch(uid);
  return absl::OkStatus();
}

void LedgerWatch::Touch(int64_t rule_uid) {
  MutexLock lock(mu_);
  touched_.insert(rule_uid);
}

void LedgerWatch::Tick() {
  std::vector<int64_t> rules;
  {
    MutexLock lock(mu_);
    if (reading_ || stopped_) return;
    if (due_.empty()) {
      if (touched_.empty() || clock_.Now() < next_round_) return;
      next_round_ = clock_.Now() + kInterval;
      due_.assign(touched_.begin(), touched_.end());
      touched_.clear();
    }
    const auto first = due_.end() - static_cast<ptrdiff_t>(
                                        std::min(due_.size(), kRulesPerRead));
    rules.assign(first, due_.end());
    due_.erase(first, due_.end());
    reading_ = true;
  }
  Read(std::move(rules));
}

void LedgerWatch::Read(std::vector<int64_t> rules) {
  using Findings = std::vector<Finding>;
  database_.Read<Findings>(
      [rules, &clock = clock_](
          ReadTransaction& txn) -> absl::StatusOr<Findings> {
        Findings findings;
        const Ticks begun = clock.Now();
        for (const int64_t uid : rules) {
          if (!findings.empty() && clock.Now() - begun >= kReadTime) break;
          Finding& finding = findings.emplace_back();
          finding.rule_uid = uid;
          const auto rule = rule_table::Get(txn, uid);
          if (!rule) continue;
          finding.was_imbalanced = rule_table::IsImbalanced(txn, uid);
          const Ledger ledger = LedgerOf(txn, uid);
          if (ledger.balances()) continue;
          finding.rule = NameOfRule(*rule);
          finding.ledger = ToText(ledger);
        }
        return findings;
      },
      [this, rules](const absl::StatusOr<Findings>& findings) {
        Take(rules, findings);
      });
}

void LedgerWatch::Take(const std::vector<int64_t>& rules,
                       const absl::StatusOr<std::vector<Finding>>& findings) {
  MutexLock lock(mu_);
  reading_ = false;
  idle_.NotifyAll();
  if (!findings.ok()) {
    // Another time: too much was to be read.
    touched_.insert(rules.begin(), rules.end());
    return;
  }
  // Those that it did not come to.
  due_.insert(due_.end(),
              rules.begin() + static_cast<ptrdiff_t>(findings->size()),
              rules.end());
  for (const Finding& finding : *findings) {
    ++checked_;
    if (finding.ledger.empty()) {
      imbalanced_.erase(finding.rule_uid);
    } else if (imbalanced_.insert(finding.rule_uid).second) {
      LogError("ledger_imbalanced",
               {{"rule", finding.rule}, {"ledger", finding.ledger}});
    }
    if (finding.was_imbalanced == finding.ledger.empty()) {
      Remember(finding.rule_uid, !finding.ledger.empty());
    }
  }
}

void LedgerWatch::Remember(int64_t rule_uid, bool imbalanced) {
  database_.Write<std::monostate>(
      {},
      [rule_uid, imbalanced](Transaction& txn)
          -> absl::StatusOr<std::monostate> {
        rule_table::SetImbalanced(txn, rule_uid, imbalanced);
        return std::monostate{};
      },
      // What could not be stored is stored at the rule's next check.
      [](const absl::StatusOr<std::monostate>&) {});
}

void LedgerWatch::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  while (reading_) idle_.Wait(mu_);
}

LedgerWatch::Counts LedgerWatch::counts() const {
  MutexLock lock(mu_);
  return {checked_, static_cast<int64_t>(imbalanced_.size())};
}

}  // namespace crr
