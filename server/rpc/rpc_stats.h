#ifndef CRR_SERVER_RPC_RPC_STATS_H_
#define CRR_SERVER_RPC_RPC_STATS_H_

#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/mutex.h"

namespace crr {

// What became of the calls to this server. Thread-safe.
class RpcStats {
 public:
  // Knows the methods of these services, such as "crr.v1.BucketService", which
  // must be linked into the program.
  explicit RpcStats(const std::vector<std::string>& services);

  // The name under which a method, such as "crr.v1.BucketService/GetBucket", is
  // counted and logged: callers may ask for any method, and what they make up
  // becomes "unknown".
  std::string NameOf(absl::string_view method) const;

  void Record(const std::string& method, const std::string& code,
              absl::Duration time);

  struct Counts {
    // Calls that ended, by method and code such as "NOT_FOUND".
    std::map<std::pair<std::string, std::string>, int64_t> calls;
    // Seconds that they took, of methods without streams.
    std::map<std::string, Histogram> seconds;
  };
  Counts counts() const;

 private:
  std::set<std::string> unary_;    // Constant.
  std::set<std::string> streams_;  // Constant.
  mutable Mutex mu_;
  Counts counts_ ABSL_GUARDED_BY(mu_);
};

// Makes an interceptor that, at the end of each call, writes one log line and
// counts it: method, code, reason, time, peer, and nothing of what was said.
// Health checks, which come all the time, are counted only.
std::vector<
    std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
CallRecorders(RpcStats& stats, const Clock& clock);

}  // namespace crr

#endif  // CRR_SERVER_RPC_RPC_STATS_H_
