#ifndef CRR_SERVER_RPC_CALLS_UNDER_WAY_H_
#define CRR_SERVER_RPC_CALLS_UNDER_WAY_H_

#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace crr {

// Counts the calls of our own services (a health watch goes on for ever) that
// have begun and not ended. Thread-safe.
class CallsUnderWay {
 public:
  // Tells this object of every call; it must outlive the server.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
  Counter();

  // Waits until there are none, at most for `timeout`.
  void AwaitNone(absl::Duration timeout);

 private:
  class Call;
  class Factory;

  Mutex mu_;
  CondVar ended_;
  int64_t count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_CALLS_UNDER_WAY_H_
