#ifndef CRR_STORAGE_REQUEST_TABLE_H_
#define CRR_STORAGE_REQUEST_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "storage/transaction.h"

namespace crr {

// A request that was answered with success and may be repeated.
struct RequestKey {
  std::string caller;
  std::string method;
  std::string request_id;
};

struct StoredRequest {
  int64_t hash = 0;      // Of the request's content.
  std::string response;  // Opaque here.
};

namespace request_table {

std::optional<StoredRequest> Get(ReadTransaction& txn, const RequestKey& key,
                                 absl::Time now);
// Also drops some of those that expired.
void Put(Transaction& txn, const RequestKey& key, const StoredRequest& request,
         absl::Time now, absl::Time expire_time);

}  // namespace request_table
}  // namespace crr

#endif  // CRR_STORAGE_REQUEST_TABLE_H_
