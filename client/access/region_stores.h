#ifndef CRR_CLIENT_ACCESS_REGION_STORES_H_
#define CRR_CLIENT_ACCESS_REGION_STORES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/store/local_store.h"
#include "crr/v1/region.pb.h"

namespace crr {

// The stores that this process may open. An address comes from the server, so
// it is trusted only as far as this process's own `--local_roots` go: a root is
// opened only when it, with symbolic links resolved, lies below one of them.
// Thread-safe.
class RegionStores {
 public:
  // `local_roots`: absolute folders; empty allows nothing.
  explicit RegionStores(std::vector<std::string> local_roots);

  // The store at `address`, opened once and shared. With `create`, a local root
  // that is missing is made. Waits for as long as another process keeps that
  // store locked, which holds up no other store. Statuses:
  //   FAILED_PRECONDITION the region has no store
  //   PERMISSION_DENIED   the root lies outside of `local_roots`
  //   others              as LocalStore::Open
  absl::StatusOr<std::shared_ptr<LocalStore>> Open(const v1::Store& address,
                                                   bool create);

 private:
  struct Root {
    Mutex mu;  // Held while the store is opened.
    std::shared_ptr<LocalStore> store ABSL_GUARDED_BY(mu);
  };
  // Makes it on first use; it stays.
  Root& RootAt(const std::string& path);

  const std::vector<std::string> local_roots_;
  Mutex mu_;  // Never held while a store is opened.
  std::map<std::string, Root> roots_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_ACCESS_REGION_STORES_H_
