#include "client/notifier/publish_stream.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/status_macros.h"

namespace crr {

grpc::Status PublishStream::Run(
    const v1::PublishChangesRequest::Hello& hello, const Events& events) {
  const std::unique_ptr<Stream> stream = stub_.PublishChanges(&context_);
  std::jthread reader([this, &stream] { ReadAll(*stream); });

  v1::PublishChangesRequest first;
  *first.mutable_hello() = hello;
  absl::Status failure;
  bool open = stream->Write(first);
  while (open) {
    {
      MutexLock lock(mu_);
      if (finishing_ || read_ended_) break;
    }
    failure = HandleResponses(events);
    if (!failure.ok()) break;
    if (pump_.has_value()) {
      const absl::StatusOr<bool> sent = SendAll(*stream, events);
      failure = sent.status();
      if (!sent.ok()) break;
      open = *sent;
    }
    if (open) {
      journal_.Wait(pump_.has_value() ? pump_->IdleTime() : absl::Seconds(1));
    }
  }

  if (failure.ok()) {
    // Harmless on a stream that is broken.
    v1::PublishChangesRequest last;
    last.mutable_finish();
    stream->WriteLast(last, grpc::WriteOptions());
  } else {
    context_.TryCancel();
  }
  reader.join();
  // A batch counts once it was acknowledged, whatever the final status.
  if (failure.ok()) failure = HandleResponses(events);
  grpc::Status status = stream->Finish();
  if (!failure.ok()) {
    status = grpc::Status(static_cast<grpc::StatusCode>(failure.raw_code()),
                          std::string(failure.message()));
  }
  return status;
}

void PublishStream::Finish() {
  MutexLock lock(mu_);
  finishing_ = true;
  journal_.Wake();
}

void PublishStream::ReadAll(Stream& stream) {
  v1::PublishChangesResponse response;
  while (stream.Read(&response)) {
    MutexLock lock(mu_);
    responses_.push_back(std::move(response));
    journal_.Wake();
  }
  MutexLock lock(mu_);
  read_ended_ = true;
  journal_.Wake();
}

absl::Status PublishStream::HandleResponses(const Events& events) {
  std::vector<v1::PublishChangesResponse> responses;
  {
    MutexLock lock(mu_);
    responses.swap(responses_);
  }
  for (const v1::PublishChangesResponse& response : responses) {
    if (response.has_welcome() && !pump_.has_value()) {
      pump_.emplace(journal_, clock_, Pump::Limits(),
                    response.welcome().last_number());
      CRR_RETURN_IF_ERROR(events.welcomed());
    } else if (response.has_ack() && pump_.has_value()) {
      CRR_RETURN_IF_ERROR(pump_->Acknowledge(response.ack().number()));
      NoteProgress(events);
    } else {
      return absl::InternalError(
          "the server said something that is neither its one welcome nor an "
          "acknowledgement after it");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> PublishStream::SendAll(Stream& stream,
                                            const Events& events) {
  for (;;) {
    CRR_ASSIGN_OR_RETURN(
        const std::optional<v1::PublishChangesRequest> message, pump_->Next());
    if (!message.has_value()) return true;
    if (!stream.Write(*message)) return false;
    if (message->has_complete_through()) NoteProgress(events);
  }
}

void PublishStream::NoteProgress(const Events& events) {
  if (progressed_) return;
  progressed_ = true;
  events.progressed();
}

}  // namespace crr
