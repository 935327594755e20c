#ifndef CRR_SERVER_CORE_LEDGER_H_
#define CRR_SERVER_CORE_LEDGER_H_

#include <cstdint>
#include <string>

#include "storage/transaction.h"

namespace crr {

// Where the changes of a rule are (I4). Each term is counted where it happens,
// in that transaction; `pending` from what stands in the log and in object_work
// and never by subtraction, so that the sum is a proof.
struct Ledger {
  int64_t published = 0;
  int64_t applied = 0;
  int64_t collapsed = 0;
  int64_t filtered = 0;
  int64_t resync = 0;
  int64_t pending = 0;
  int64_t failed = 0;
  // Terms counted another way. The two parts of `pending`, each as it came and
  // went and in what stands: `logged` in segments, `apart` in the rows of
  // objects that are tried. And `failed` in the dead letters that stand.
  int64_t logged = 0;
  int64_t in_segments = 0;
  int64_t apart = 0;
  int64_t retrying = 0;
  int64_t dead = 0;

  bool balances() const {
    return published == applied + collapsed + filtered + resync + pending +
                            failed &&
           logged == in_segments && apart == retrying && failed == dead;
  }
};

Ledger LedgerOf(ReadTransaction& txn, int64_t rule_uid);

// For people: every term with its name.
std::string ToText(const Ledger& ledger);

}  // namespace crr

#endif  // CRR_SERVER_CORE_LEDGER_H_
