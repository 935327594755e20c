#ifndef CRR_SERVER_RPC_REPLICATION_SERVICE_H_
#define CRR_SERVER_RPC_REPLICATION_SERVICE_H_

#include "crr/v1/replication_service.grpc.pb.h"
#include "server/rpc/env.h"
#include "server/rpc/progress_watch.h"

namespace crr {

// crr.v1.ReplicationService. Thread-safe.
class ReplicationService final
    : public v1::ReplicationService::CallbackService {
 public:
  ReplicationService(const Env& env, ProgressWatch& watch)
      : env_(env), watch_(watch) {}

  grpc::ServerUnaryReactor* CreateRule(grpc::CallbackServerContext* context,
                                       const v1::CreateRuleRequest* request,
                                       v1::Rule* response) override;
  grpc::ServerUnaryReactor* GetRule(grpc::CallbackServerContext* context,
                                    const v1::GetRuleRequest* request,
                                    v1::Rule* response) override;
  grpc::ServerUnaryReactor* ListRules(grpc::CallbackServerContext* context,
                                      const v1::ListRulesRequest* request,
                                      v1::ListRulesResponse* response) override;
  grpc::ServerUnaryReactor* DeleteRule(grpc::CallbackServerContext* context,
                                       const v1::DeleteRuleRequest* request,
                                       v1::Rule* response) override;
  grpc::ServerUnaryReactor* GetRuleProgress(
      grpc::CallbackServerContext* context,
      const v1::GetRuleProgressRequest* request,
      v1::RuleProgress* response) override;
  grpc::ServerUnaryReactor* UpdateRule(grpc::CallbackServerContext* context,
                                       const v1::UpdateRuleRequest* request,
                                       v1::Rule* response) override;
  grpc::ServerUnaryReactor* PauseRule(grpc::CallbackServerContext* context,
                                      const v1::PauseRuleRequest* request,
                                      v1::Rule* response) override;
  grpc::ServerUnaryReactor* ResumeRule(grpc::CallbackServerContext* context,
                                       const v1::ResumeRuleRequest* request,
                                       v1::Rule* response) override;
  grpc::ServerWriteReactor<v1::RuleProgress>* WatchRuleProgress(
      grpc::CallbackServerContext* context,
      const v1::WatchRuleProgressRequest* request) override;
  grpc::ServerUnaryReactor* WaitForSync(grpc::CallbackServerContext* context,
                                        const v1::WaitForSyncRequest* request,
                                        v1::RuleProgress* response) override;

  // In failed_object_calls.cc.
  grpc::ServerUnaryReactor* VerifyRule(grpc::CallbackServerContext* context,
                                       const v1::VerifyRuleRequest* request,
                                       v1::Verification* response) override;
  grpc::ServerUnaryReactor* ListFailedObjects(
      grpc::CallbackServerContext* context,
      const v1::ListFailedObjectsRequest* request,
      v1::ListFailedObjectsResponse* response) override;
  grpc::ServerUnaryReactor* RetryFailedObjects(
      grpc::CallbackServerContext* context,
      const v1::RetryFailedObjectsRequest* request,
      v1::RetryFailedObjectsResponse* response) override;
  grpc::ServerUnaryReactor* SkipFailedObjects(
      grpc::CallbackServerContext* context,
      const v1::SkipFailedObjectsRequest* request,
      v1::SkipFailedObjectsResponse* response) override;

 private:
  const Env& env_;
  ProgressWatch& watch_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_REPLICATION_SERVICE_H_
