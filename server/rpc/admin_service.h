#ifndef CRR_SERVER_RPC_ADMIN_SERVICE_H_
#define CRR_SERVER_RPC_ADMIN_SERVICE_H_

#include "crr/v1/admin_service.grpc.pb.h"
#include "server/rpc/env.h"

namespace crr {

// crr.v1.AdminService. Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(const Env& env) : env_(env) {}

  grpc::ServerUnaryReactor* ListPublishers(
      grpc::CallbackServerContext* context,
      const v1::ListPublishersRequest* request,
      v1::ListPublishersResponse* response) override;
  grpc::ServerUnaryReactor* DeletePublisher(
      grpc::CallbackServerContext* context,
      const v1::DeletePublisherRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListAuditEvents(
      grpc::CallbackServerContext* context,
      const v1::ListAuditEventsRequest* request,
      v1::ListAuditEventsResponse* response) override;

  grpc::ServerUnaryReactor* ListCopiers(
      grpc::CallbackServerContext* context,
      const v1::ListCopiersRequest* request,
      v1::ListCopiersResponse* response) override;
  grpc::ServerUnaryReactor* DrainCopier(grpc::CallbackServerContext* context,
                                        const v1::DrainCopierRequest* request,
                                        v1::Copier* response) override;
  grpc::ServerUnaryReactor* ListLeases(
      grpc::CallbackServerContext* context,
      const v1::ListLeasesRequest* request,
      v1::ListLeasesResponse* response) override;
  grpc::ServerUnaryReactor* RevokeLease(grpc::CallbackServerContext* context,
                                        const v1::RevokeLeaseRequest* request,
                                        v1::LeaseStatus* response) override;

 private:
  const Env& env_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_ADMIN_SERVICE_H_
