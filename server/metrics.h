#ifndef CRR_SERVER_METRICS_H_
#define CRR_SERVER_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

#include "server/rpc/env.h"
#include "server/rpc/rpc_stats.h"

namespace crr {

// What Prometheus sees of the server. Everything is looked up when it asks:
// nothing is kept up to date meanwhile, and an idle rule has no series.
// Thread-safe.
class Metrics final : public prometheus::Collectable {
 public:
  Metrics(const Env& env, const RpcStats& rpcs) : env_(env), rpcs_(rpcs) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Env& env_;
  const RpcStats& rpcs_;
};

}  // namespace crr

#endif  // CRR_SERVER_METRICS_H_
