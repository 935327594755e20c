#ifndef CRR_STORAGE_SESSION_TABLE_H_
#define CRR_STORAGE_SESSION_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

struct SessionRecord {
  int64_t number = 0;
  std::string copier;
  std::string region;
  // The session that the copier named and that was over; 0 for none.
  int64_t successor_of = 0;
  bool draining = false;  // It is asked for all its leases.
};

namespace session_table {

void Insert(Transaction& txn, const SessionRecord& session, absl::Time now);
// The newest session of a copier.
std::optional<SessionRecord> Newest(ReadTransaction& txn,
                                    absl::string_view copier);
std::vector<SessionRecord> All(ReadTransaction& txn);
// An operator asked for all its leases.
void SetDraining(Transaction& txn, int64_t number);
// Forgets the sessions of a copier that hold nothing and are not its newest.
void DeleteSuperseded(Transaction& txn, absl::string_view copier);
// Forgets a session, unless it holds a lease.
void DeleteIdle(Transaction& txn, int64_t number);

}  // namespace session_table
}  // namespace crr

#endif  // CRR_STORAGE_SESSION_TABLE_H_
