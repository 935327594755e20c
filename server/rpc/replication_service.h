#ifndef CRR_SERVER_RPC_REPLICATION_SERVICE_H_
#define CRR_SERVER_RPC_REPLICATION_SERVICE_H_

#include "base/clock.h"
#include "crr/v1/replication_service.grpc.pb.h"
#include "server/lease_loop.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// crr.v1.ReplicationService. Thread-safe.
class ReplicationService final
    : public v1::ReplicationService::CallbackService {
 public:
  ReplicationService(Database& database, LeaseLoop& loop,
                     const PublisherHub& publishers, const Clock& clock)
      : database_(database),
        loop_(loop),
        publishers_(publishers),
        clock_(clock) {}

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

 private:
  Database& database_;
  LeaseLoop& loop_;
  const PublisherHub& publishers_;
  const Clock& clock_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_REPLICATION_SERVICE_H_
