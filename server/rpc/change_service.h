#ifndef CRR_SERVER_RPC_CHANGE_SERVICE_H_
#define CRR_SERVER_RPC_CHANGE_SERVICE_H_

#include <atomic>
#include <cstdint>

#include "crr/v1/change_service.grpc.pb.h"
#include "server/core/limits.h"
#include "server/rpc/env.h"
#include "server/rpc/stream_set.h"

namespace crr {

// crr.v1.ChangeService. Thread-safe.
class ChangeService final : public v1::ChangeService::CallbackService {
 public:
  ChangeService(const Env& env, int64_t rule_log_bytes_max)
      : env_(env), rule_log_bytes_max_(rule_log_bytes_max) {}

  grpc::ServerBidiReactor<v1::PublishChangesRequest,
                          v1::PublishChangesResponse>*
  PublishChanges(grpc::CallbackServerContext* context) override;

  // Changes that were taken, and those that no rule wanted.
  struct Counts {
    int64_t logged = 0;
    int64_t filtered = 0;
  };
  Counts counts() const { return {logged_.load(), filtered_.load()}; }

  // Tells every open stream to move, and new ones too.
  void Drain() { streams_.CloseAll(); }

 private:
  class PublishStream;

  const Env& env_;
  const int64_t rule_log_bytes_max_;
  StreamSet streams_{limits::kPublishStreamsMax};
  std::atomic<int64_t> logged_{0};
  std::atomic<int64_t> filtered_{0};
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_CHANGE_SERVICE_H_
