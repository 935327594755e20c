#include "storage/audit_table.h"

#include <limits>

namespace crr::audit_table {

using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

void Insert(Transaction& txn, const AuditEvent& event) {
  txn.Execute(
      "INSERT INTO audit_events (time_us, caller, method, subject, before, "
      "after, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {Int(absl::ToUnixMicros(event.time)), Text(event.caller),
       Text(event.method), Text(event.subject), Text(event.before),
       Text(event.after), Text(event.request_id)});
}

std::vector<AuditEvent> List(ReadTransaction& txn, absl::string_view subject,
                             int64_t before_number, int limit) {
  const int64_t below = before_number == 0
                            ? std::numeric_limits<int64_t>::max()
                            : before_number;
  const sqlite::Rows rows =
      subject.empty()
          ? txn.Query(
                "SELECT number, time_us, caller, method, subject, before, "
                "after, request_id FROM audit_events WHERE number < $1 "
                "ORDER BY number DESC LIMIT $2",
                {Int(below), Int(limit)})
          : txn.Query(
                "SELECT number, time_us, caller, method, subject, before, "
                "after, request_id FROM audit_events "
                "WHERE number < $1 AND subject = $3 "
                "ORDER BY number DESC LIMIT $2",
                {Int(below), Int(limit), Text(subject)});
  std::vector<AuditEvent> events;
  for (const Row& row : rows) {
    events.push_back({.number = row.Int(0),
                      .time = absl::FromUnixMicros(row.Int(1)),
                      .caller = row.Text(2),
                      .method = row.Text(3),
                      .subject = row.Text(4),
                      .before = row.Text(5),
                      .after = row.Text(6),
                      .request_id = row.Text(7)});
  }
  return events;
}

}  // namespace crr::audit_table
