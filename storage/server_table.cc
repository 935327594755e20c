#include "storage/server_table.h"

namespace crr {
namespace {

int64_t FirstInt(const sqlite::Rows& rows) {
  return rows.empty() ? 0 : rows.front().Int(0);
}

}  // namespace

int64_t TakeRuleUid(Transaction& txn) {
  return FirstInt(
      txn.Query("UPDATE server SET next_rule_uid = next_rule_uid + 1 "
                "WHERE id = 1 RETURNING next_rule_uid - 1"));
}

int64_t TakeUnitId(Transaction& txn) {
  return FirstInt(
      txn.Query("UPDATE server SET next_unit_id = next_unit_id + 1 "
                "WHERE id = 1 RETURNING next_unit_id - 1"));
}

int64_t TakeSessionNumber(Transaction& txn) {
  return FirstInt(
      txn.Query("UPDATE server SET next_session_number = "
                "next_session_number + 1 WHERE id = 1 "
                "RETURNING next_session_number - 1"));
}

int64_t GetIncarnation(ReadTransaction& txn) {
  return FirstInt(txn.Query("SELECT incarnation FROM server WHERE id = 1"));
}

void MarkRestored(Transaction& txn) {
  txn.Execute(
      "UPDATE server SET incarnation = incarnation + 1, restored = 1 "
      "WHERE id = 1");
}

void SkipNumbers(Transaction& txn, int64_t at_least) {
  txn.Execute(
      "UPDATE server SET next_rule_uid = max(next_rule_uid, $1), "
      "next_unit_id = max(next_unit_id, $1), "
      "next_session_number = max(next_session_number, $1) WHERE id = 1",
      {sqlite::Int(at_least)});
}

bool IsRestored(ReadTransaction& txn) {
  return FirstInt(txn.Query("SELECT restored FROM server WHERE id = 1")) != 0;
}

void ClearRestored(Transaction& txn) {
  txn.Execute("UPDATE server SET restored = 0 WHERE id = 1");
}

}  // namespace crr
