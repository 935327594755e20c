#ifndef CRR_SERVER_PROCESS_METRICS_H_
#define CRR_SERVER_PROCESS_METRICS_H_

#include "absl/time/time.h"
#include "server/metric_page.h"

namespace crr {

// What every program shows of its process, under the names that Prometheus'
// client libraries agreed on; what the system does not tell is left out.
// `start`: when the process began to serve.
void AddProcess(absl::Time start, MetricPage& page);

}  // namespace crr

#endif  // CRR_SERVER_PROCESS_METRICS_H_
