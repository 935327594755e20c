#include "client/copier/grpc_session_stream.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>

#include "proto/cc/status_details.h"

namespace crr {
namespace {

// After it the stream fails, and says why.
constexpr std::chrono::seconds kConnectTime{1};

class GrpcSessionStream final : public SessionStream {
 public:
  explicit GrpcSessionStream(v1::CopierService::Stub& stub)
      : stream_(stub.Session(&context_)) {}

  bool Write(const v1::SessionRequest& request) override {
    return stream_->Write(request);
  }
  void WritesDone() override { stream_->WritesDone(); }
  bool Read(v1::SessionResponse* response) override {
    return stream_->Read(response);
  }
  void Cancel() override { context_.TryCancel(); }

  StreamEnd Finish() override {
    const grpc::Status status = stream_->Finish();
    const StatusDetails details = DetailsOf(status);
    return {.status = absl::Status(
                static_cast<absl::StatusCode>(status.error_code()),
                status.ok() ? "" : Describe(status)),
            .reason = details.reason,
            .retry_delay = details.retry_delay};
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::SessionRequest, v1::SessionResponse>>
      stream_;
};

}  // namespace

GrpcSessionTransport::GrpcSessionTransport(
    const std::shared_ptr<grpc::Channel>& channel)
    : channel_(channel), stub_(v1::CopierService::NewStub(channel)) {}

std::unique_ptr<SessionStream> GrpcSessionTransport::Open() {
  // A channel that has just failed refuses at once for as long as its own
  // backoff lasts; waited for, it connects as soon as the server is back. Not
  // by wait_for_ready: what hello says would be old by then.
  channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectTime);
  return std::make_unique<GrpcSessionStream>(*stub_);
}

}  // namespace crr
