#include "storage/audit_table.h"

#include <limits>

namespace crr::audit_table {

using sqlite::Int;
using sqlite::Row;
using sqlite::Text;

void Insert(Transaction& txn, const AuditEvent& event, const Bounds& bounds) {
  txn.Execute(
      "INSERT INTO audit_events (time_us, caller, method, subject, before, "
      "after, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {Int(absl::ToUnixMicros(event.time)), Text(event.caller),
       Text(event.method), Text(event.subject), Text(event.before),
       Text(event.after), Text(event.request_id)});
  // Two go for each that comes, so the table shrinks back by itself, at a cost
  // that does not depend on its size. The newest always stays: its number is
  // what the next one is counted from.
  txn.Execute(
      "DELETE FROM audit_events WHERE number IN (SELECT number FROM ("
      "SELECT number, time_us FROM audit_events ORDER BY number LIMIT 2"
      ") AS oldest WHERE time_us < $1 "
      "OR number <= (SELECT max(number) FROM audit_events) - $2)",
      {Int(absl::ToUnixMicros(event.time - bounds.age)), Int(bounds.events)});
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
