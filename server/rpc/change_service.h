#ifndef CRR_SERVER_RPC_CHANGE_SERVICE_H_
#define CRR_SERVER_RPC_CHANGE_SERVICE_H_

#include "base/clock.h"
#include "base/mutex.h"
#include "crr/v1/change_service.grpc.pb.h"
#include "server/lease_loop.h"
#include "server/publisher_hub.h"
#include "server/rpc/stream_set.h"
#include "storage/database.h"

namespace crr {

// crr.v1.ChangeService. Thread-safe.
class ChangeService final : public v1::ChangeService::CallbackService {
 public:
  ChangeService(Database& database, LeaseLoop& loop, PublisherHub& publishers,
                const Clock& clock, int64_t rule_log_bytes_max)
      : database_(database),
        loop_(loop),
        publishers_(publishers),
        clock_(clock),
        rule_log_bytes_max_(rule_log_bytes_max) {}

  grpc::ServerBidiReactor<v1::PublishChangesRequest,
                          v1::PublishChangesResponse>*
  PublishChanges(grpc::CallbackServerContext* context) override;

  // Tells every open stream to move, and new ones too.
  void Drain() { streams_.CloseAll(); }

 private:
  class PublishStream;

  Database& database_;
  LeaseLoop& loop_;
  PublisherHub& publishers_;
  const Clock& clock_;
  const int64_t rule_log_bytes_max_;
  StreamSet streams_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_CHANGE_SERVICE_H_
