#ifndef CRR_CLIENT_COPIER_GRPC_SESSION_STREAM_H_
#define CRR_CLIENT_COPIER_GRPC_SESSION_STREAM_H_

#include <grpcpp/channel.h>

#include <memory>

#include "client/copier/session_stream.h"
#include "crr/v1/copier_service.grpc.pb.h"

namespace crr {

// Streams over gRPC's synchronous API.
class GrpcSessionTransport final : public SessionTransport {
 public:
  explicit GrpcSessionTransport(const std::shared_ptr<grpc::Channel>& channel);
  // Waits up to a second for a connection.
  std::unique_ptr<SessionStream> Open() override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::CopierService::Stub> stub_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_GRPC_SESSION_STREAM_H_
