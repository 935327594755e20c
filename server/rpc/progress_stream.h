#ifndef CRR_SERVER_RPC_PROGRESS_STREAM_H_
#define CRR_SERVER_RPC_PROGRESS_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "crr/v1/replication_service.pb.h"

namespace crr {

// One caller of WatchRuleProgress. Holds at most the newest state that was not
// sent yet, so that a slow reader costs nothing and misses only what is old.
// Thread-safe.
class ProgressStream final : public grpc::ServerWriteReactor<v1::RuleProgress> {
 public:
  // Lives until gRPC is done with it, and longer while others hold it.
  static std::shared_ptr<ProgressStream> Make(const Clock& clock);

  // Sends the progress when it says something new, or when nothing was sent for
  // 15 seconds. False when the stream is over; a status ends it.
  bool Offer(const absl::StatusOr<v1::RuleProgress>& progress);
  void Close(const absl::Status& status);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit ProgressStream(const Clock& clock) : clock_(clock) {}
  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  std::shared_ptr<ProgressStream> self_;
  v1::RuleProgress message_;  // Of the write under way.
  Mutex mu_;
  std::optional<v1::RuleProgress> next_ ABSL_GUARDED_BY(mu_);
  std::string last_said_ ABSL_GUARDED_BY(mu_);
  Ticks last_time_ ABSL_GUARDED_BY(mu_);
  bool write_in_flight_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<grpc::Status> final_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_PROGRESS_STREAM_H_
