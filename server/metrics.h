#ifndef CRR_SERVER_METRICS_H_
#define CRR_SERVER_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "server/rpc/change_service.h"
#include "server/rpc/env.h"
#include "server/rpc/rpc_stats.h"

namespace crr {

// What Prometheus sees of the server. Everything is looked up when it asks:
// nothing is kept up to date meanwhile, and an idle rule has no series. A
// scrape waits for the lease loop and for one of the database's readers; it
// holds up the former for a moment, the latter for LogStatusOf. Thread-safe.
class Metrics final : public prometheus::Collectable {
 public:
  // All of them must outlive this object.
  Metrics(const Env& env, const RpcStats& rpcs, const ChangeService& changes,
          int64_t rule_log_bytes_max)
      : env_(env),
        rpcs_(rpcs),
        changes_(changes),
        rule_log_bytes_max_(rule_log_bytes_max),
        start_(env.clock.WallNow()) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Env& env_;
  const RpcStats& rpcs_;
  const ChangeService& changes_;
  const int64_t rule_log_bytes_max_;
  const absl::Time start_;
};

}  // namespace crr

#endif  // CRR_SERVER_METRICS_H_
