#include "server/rpc/progress_stream.h"

#include <utility>

#include "server/rpc/converters.h"
#include "server/rpc/status_convert.h"

namespace crr {
namespace {

// Design §3: when nothing changes.
constexpr absl::Duration kQuietMax = absl::Seconds(15);

// What is worth a message: all but the numbers that change by themselves.
std::string Said(v1::RuleProgress progress) {
  progress.mutable_live()->clear_lag();
  progress.mutable_historical()->clear_eta();
  return CanonicalBytes(progress);
}

}  // namespace

std::shared_ptr<ProgressStream> ProgressStream::Make(const Clock& clock) {
  std::shared_ptr<ProgressStream> stream(new ProgressStream(clock));
  stream->self_ = stream;
  return stream;
}

bool ProgressStream::Offer(const absl::StatusOr<v1::RuleProgress>& progress) {
  if (!progress.ok()) {
    Close(progress.status());
    return false;
  }
  std::string said = Said(*progress);
  MutexLock lock(mu_);
  if (final_) return false;
  const Ticks now = clock_.Now();
  if (said == last_said_ && now - last_time_ < kQuietMax) return true;
  last_said_ = std::move(said);
  last_time_ = now;
  next_ = *progress;
  MaybeWrite();
  return true;
}

void ProgressStream::Close(const absl::Status& status) {
  MutexLock lock(mu_);
  if (final_) return;
  final_ = ToGrpcStatus(status);
  MaybeWrite();
}

void ProgressStream::OnWriteDone(bool ok) {
  MutexLock lock(mu_);
  write_in_flight_ = false;
  if (!ok) {
    next_.reset();
    if (!final_) final_ = grpc::Status::CANCELLED;
  }
  MaybeWrite();
}

void ProgressStream::OnCancel() {
  Close(absl::CancelledError("the caller is gone"));
}

void ProgressStream::OnDone() { const auto self = std::move(self_); }

void ProgressStream::MaybeWrite() {
  if (write_in_flight_ || finished_) return;
  if (next_) {
    message_ = *std::exchange(next_, std::nullopt);
    write_in_flight_ = true;
    StartWrite(&message_);
  } else if (final_) {
    finished_ = true;
    Finish(*final_);
  }
}

}  // namespace crr
