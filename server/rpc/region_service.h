#ifndef CRR_SERVER_RPC_REGION_SERVICE_H_
#define CRR_SERVER_RPC_REGION_SERVICE_H_

#include "crr/v1/region_service.grpc.pb.h"
#include "server/rpc/env.h"

namespace crr {

// crr.v1.RegionService. Thread-safe.
class RegionService final : public v1::RegionService::CallbackService {
 public:
  explicit RegionService(const Env& env) : env_(env) {}

  grpc::ServerUnaryReactor* CreateRegion(grpc::CallbackServerContext* context,
                                         const v1::CreateRegionRequest* request,
                                         v1::Region* response) override;
  grpc::ServerUnaryReactor* GetRegion(grpc::CallbackServerContext* context,
                                      const v1::GetRegionRequest* request,
                                      v1::Region* response) override;
  grpc::ServerUnaryReactor* ListRegions(
      grpc::CallbackServerContext* context,
      const v1::ListRegionsRequest* request,
      v1::ListRegionsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateRegion(grpc::CallbackServerContext* context,
                                         const v1::UpdateRegionRequest* request,
                                         v1::Region* response) override;
  grpc::ServerUnaryReactor* DeleteRegion(
      grpc::CallbackServerContext* context,
      const v1::DeleteRegionRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* GetRegionPairPolicy(
      grpc::CallbackServerContext* context,
      const v1::GetRegionPairPolicyRequest* request,
      v1::RegionPairPolicy* response) override;
  grpc::ServerUnaryReactor* UpdateRegionPairPolicy(
      grpc::CallbackServerContext* context,
      const v1::UpdateRegionPairPolicyRequest* request,
      v1::RegionPairPolicy* response) override;
  grpc::ServerUnaryReactor* ListDestinationRegions(
      grpc::CallbackServerContext* context,
      const v1::ListDestinationRegionsRequest* request,
      v1::ListDestinationRegionsResponse* response) override;

 private:
  const Env& env_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_REGION_SERVICE_H_
