#ifndef CRR_STORAGE_LEDGER_TABLE_H_
#define CRR_STORAGE_LEDGER_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/transaction.h"

namespace crr {

// One term of the ledgers of all rules that there ever were.
struct LedgerTotal {
  std::string term;    // As in migrations/0004_remembered.sql.
  std::string reason;  // Of the term `filtered`; empty for others.
  int64_t changes = 0;
};

namespace ledger_table {

// Counts what a transaction moved into a term. rule_table does so with every
// counter of a rule: nobody else has to.
void Add(Transaction& txn, absl::string_view term, absl::string_view reason,
         int64_t changes);

// By term and reason; those without a reason are all there.
std::vector<LedgerTotal> Totals(ReadTransaction& txn);

}  // namespace ledger_table
}  // namespace crr

#endif  // CRR_STORAGE_LEDGER_TABLE_H_
