#ifndef CRR_SERVER_RPC_BUCKET_SERVICE_H_
#define CRR_SERVER_RPC_BUCKET_SERVICE_H_

#include "crr/v1/bucket_service.grpc.pb.h"
#include "server/rpc/env.h"

namespace crr {

// crr.v1.BucketService. Thread-safe.
class BucketService final : public v1::BucketService::CallbackService {
 public:
  explicit BucketService(const Env& env) : env_(env) {}

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
  grpc::ServerUnaryReactor* UpdateBucket(grpc::CallbackServerContext* context,
                                         const v1::UpdateBucketRequest* request,
                                         v1::Bucket* response) override;
  grpc::ServerUnaryReactor* DeleteBucket(
      grpc::CallbackServerContext* context,
      const v1::DeleteBucketRequest* request,
      google::protobuf::Empty* response) override;

 private:
  const Env& env_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_BUCKET_SERVICE_H_
