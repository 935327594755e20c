#ifndef CRR_SERVER_RPC_BUCKET_SERVICE_H_
#define CRR_SERVER_RPC_BUCKET_SERVICE_H_

#include "base/clock.h"
#include "crr/v1/bucket_service.grpc.pb.h"
#include "server/lease_loop.h"
#include "storage/database.h"

namespace crr {

// crr.v1.BucketService. Thread-safe.
class BucketService final : public v1::BucketService::CallbackService {
 public:
  BucketService(Database& database, LeaseLoop& loop, const Clock& clock)
      : database_(database), loop_(loop), clock_(clock) {}

  grpc::ServerUnaryReactor* CreateBucket(grpc::CallbackServerContext* context,
                                         const v1::CreateBucketRequest* request,
                                         v1::Bucket* response) override;
  grpc::ServerUnaryReactor* GetBucket(grpc::CallbackServerContext* context,
                                      const v1::GetBucketRequest* request,
                                      v1::Bucket* response) override;
  grpc::ServerUnaryReactor* ListBuckets(
      grpc::CallbackServerContext* context,
      const v1::ListBucketsRequest* request,
      v1::ListBucketsResponse* response) override;

 private:
  Database& database_;
  LeaseLoop& loop_;
  const Clock& clock_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_BUCKET_SERVICE_H_
