#ifndef CRR_SERVER_RPC_RPC_STATS_H_
#define CRR_SERVER_RPC_RPC_STATS_H_

#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace crr {

// What became of the calls to this server. Thread-safe.
class RpcStats {
 public:
  struct Count {
    int64_t calls = 0;
    absl::Duration time;
  };
  // Method such as "crr.v1.BucketService/GetBucket", and code such as
  // "NOT_FOUND".
  using Key = std::pair<std::string, std::string>;

  void Record(const Key& key, absl::Duration time);
  std::map<Key, Count> counts() const;

 private:
  mutable Mutex mu_;
  std::map<Key, Count> counts_ ABSL_GUARDED_BY(mu_);
};

// Makes an interceptor that, at the end of each call, writes one log line and
// counts it: method, code, time, peer, and nothing of what was said. Health
// checks, which come all the time, are counted only.
std::vector<
    std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
CallRecorders(RpcStats& stats, const Clock& clock);

}  // namespace crr

#endif  // CRR_SERVER_RPC_RPC_STATS_H_
