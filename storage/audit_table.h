#ifndef CRR_STORAGE_AUDIT_TABLE_H_
#define CRR_STORAGE_AUDIT_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

// One change that a caller made. `before` and `after` are opaque here.
struct AuditEvent {
  int64_t number = 0;
  absl::Time time;
  std::string caller;
  std::string method;
  std::string subject;
  std::string before;
  std::string after;
  std::string request_id;
};

namespace audit_table {

// How much is kept.
struct Bounds {
  absl::Duration age;
  int64_t events = 0;
};

// `number` is given here; numbers only rise. Also drops a few of the oldest
// events that are beyond either bound.
void Insert(Transaction& txn, const AuditEvent& event, const Bounds& bounds);
// Events below `before_number` (0 for no bound), newest first, of one subject
// unless that is empty.
std::vector<AuditEvent> List(ReadTransaction& txn, absl::string_view subject,
                             int64_t before_number, int limit);

}  // namespace audit_table
}  // namespace crr

#endif  // CRR_STORAGE_AUDIT_TABLE_H_
