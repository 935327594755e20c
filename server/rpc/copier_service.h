#ifndef CRR_SERVER_RPC_COPIER_SERVICE_H_
#define CRR_SERVER_RPC_COPIER_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>

#include "base/mutex.h"
#include "crr/v1/copier_service.grpc.pb.h"
#include "server/core/lease_core.h"
#include "server/core/lease_options.h"
#include "server/lease_loop.h"

namespace crr {

class SessionStream;

// The open streams of copiers: where LeaseCore's answers go out. Thread-safe.
class SessionStreams final : public LeaseOutput {
 public:
  explicit SessionStreams(LeaseOptions options) : options_(options) {}

  StreamId Add(const std::shared_ptr<SessionStream>& stream);
  void Remove(StreamId id);
  void Send(StreamId id, LeaseMessage message) override;
  void Close(StreamId id, absl::Status status) override;
  bool HasRoom(StreamId id) override;
  void CloseIfStalled(StreamId id) override;

  const LeaseOptions& options() const { return options_; }

  // Tells every stream to move, those that have not said hello and those that
  // are yet to come included.
  void Drain();

 private:
  friend class SessionStream;  // Counts queued_bytes_.

  std::shared_ptr<SessionStream> Find(StreamId id);

  const LeaseOptions options_;
  std::atomic<int64_t> queued_bytes_{0};  // For all streams.
  Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  StreamId next_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<StreamId, std::weak_ptr<SessionStream>> streams_
      ABSL_GUARDED_BY(mu_);
};

// crr.v1.CopierService: converts, and hands on to the lease loop. Thread-safe.
class CopierService final : public v1::CopierService::CallbackService {
 public:
  CopierService(SessionStreams& streams, LeaseLoop& loop)
      : streams_(streams), loop_(loop) {}

  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  SessionStreams& streams_;
  LeaseLoop& loop_;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_COPIER_SERVICE_H_
