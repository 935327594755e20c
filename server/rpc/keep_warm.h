#ifndef CRR_SERVER_RPC_KEEP_WARM_H_
#define CRR_SERVER_RPC_KEEP_WARM_H_

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace crr {

// Calls the server's own health check in-process now and then. The callback API
// of gRPC 1.51 otherwise naps for up to 100 ms after a second of idleness, and
// the next caller waits that long (grpc PR 25169; reliability.md §3).
class KeepWarm {
 public:
  explicit KeepWarm(grpc::Server& server);
  ~KeepWarm();

 private:
  void Run();

  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
  Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_KEEP_WARM_H_
