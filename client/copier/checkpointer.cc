#include "client/copier/checkpointer.h"

#include <utility>

#include "base/check.h"

namespace crr {

void Checkpointer::Send(v1::Checkpoint checkpoint) {
  CRR_CHECK(!in_flight());
  *checkpoint.mutable_from() = cursor_;
  sent_ = std::move(checkpoint);
  link_.Send(*sent_);
}

Checkpointer::Answer Checkpointer::Handle(
    const std::optional<v1::CheckpointAck>& ack) {
  if (!ack.has_value() || !sent_.has_value()) return Answer::kNone;
  switch (ack->result()) {
    case v1::CheckpointAck::RECORDED:
      cursor_ = sent_->to();
      sent_.reset();
      repeat_at_.reset();
      backoff_.Reset();
      return ack->complete() ? Answer::kComplete : Answer::kRecorded;
    case v1::CheckpointAck::CURSOR_DIFFERS:
      cursor_ = ack->cursor();
      sent_.reset();
      repeat_at_.reset();
      return Answer::kCursorDiffers;
    case v1::CheckpointAck::STORAGE_FULL:
    case v1::CheckpointAck::OBJECTS_FULL:
      repeat_at_ = clock_.Now() + backoff_.Next();
      return Answer::kFull;
    default:
      return Answer::kFenced;
  }
}

void Checkpointer::Pump() {
  if (!repeat_at_.has_value() || clock_.Now() < *repeat_at_) return;
  repeat_at_.reset();
  link_.Send(*sent_);
}

absl::Duration Checkpointer::NextDue() const {
  return repeat_at_.has_value() ? *repeat_at_ - clock_.Now()
                                : absl::InfiniteDuration();
}

std::optional<RunEnd> Checkpointer::Record(v1::Checkpoint checkpoint) {
  switch (SendAndWait(std::move(checkpoint))) {
    case Answer::kRecorded:
      return std::nullopt;
    case Answer::kCursorDiffers:
      // The next grant of the unit begins where the server stands.
      return RunEnd::Release("CURSOR_DIFFERS");
    case Answer::kFull:
      return RunEnd::Release(link_.draining().value_or("NOT_RECORDED"));
    default:
      return RunEnd::Over();
  }
}

Checkpointer::Answer Checkpointer::SendAndWait(v1::Checkpoint checkpoint) {
  Send(std::move(checkpoint));
  for (;;) {
    const LeaseLink::News news = link_.Wait(NextDue());
    if (link_.lost()) return Answer::kFenced;
    const Answer answer = Handle(news.ack);
    if (answer != Answer::kNone && answer != Answer::kFull) {
      return answer;
    }
    if (full() && link_.draining().has_value()) {
      return Answer::kFull;
    }
    Pump();
  }
}

}  // namespace crr
