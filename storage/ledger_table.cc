#include "storage/ledger_table.h"

namespace crr::ledger_table {

using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

void Add(Transaction& txn, absl::string_view term, absl::string_view reason,
         int64_t changes) {
  if (changes == 0) return;
  txn.Execute(
      "INSERT INTO ledger_totals (term, reason, changes) VALUES ($1, $2, $3) "
      "ON CONFLICT (term, reason) "
      "DO UPDATE SET changes = ledger_totals.changes + excluded.changes",
      {Text(term), Text(reason), Int(changes)});
}

std::vector<LedgerTotal> Totals(ReadTransaction& txn) {
  std::vector<LedgerTotal> totals;
  for (const Row& row : txn.Query("SELECT term, reason, changes "
                                  "FROM ledger_totals ORDER BY term, reason")) {
    totals.push_back({.term = row.Text(0),
                      .reason = row.Text(1),
                      .changes = row.Int(2)});
  }
  return totals;
}

}  // namespace crr::ledger_table
