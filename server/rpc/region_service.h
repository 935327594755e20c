#ifndef CRR_SERVER_RPC_REGION_SERVICE_H_
#define CRR_SERVER_RPC_REGION_SERVICE_H_

#include "base/clock.h"
#include "crr/v1/region_service.grpc.pb.h"
#include "server/lease_loop.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// crr.v1.RegionService. Thread-safe.
class RegionService final : public v1::RegionService::CallbackService {
 public:
  RegionService(Database& database, LeaseLoop& loop, PublisherHub& publishers,
                const Clock& clock)
      : database_(database),
        loop_(loop),
        publishers_(publishers),
        clock_(clock) {}

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

 private:
  Database& database_;
  LeaseLoop& loop_;
  PublisherHub& publishers_;
  const Clock& clock_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_REGION_SERVICE_H_
