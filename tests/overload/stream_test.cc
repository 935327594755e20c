// A stream whose peer never reads.

#include "server/rpc/stream.h"

#include <gtest/gtest.h>

#include <latch>

#include "crr/v1/copier_service.grpc.pb.h"
#include "tests/rpc/test_server.h"

namespace crr {
namespace {

// Says something at once, and that it is over.
class TalkingStream final
    : public Stream<v1::SessionRequest, v1::SessionResponse> {
 public:
  TalkingStream(grpc::CallbackServerContext* context, std::latch& ended)
      : Stream(context, absl::Milliseconds(100)), ended_(ended) {}

 private:
  void OnStart() override {
    Send(v1::SessionResponse(), /*urgent=*/false);
    Close(absl::OkStatus());
  }
  void OnMessage(const v1::SessionRequest&) override {}
  void OnEnd() override { ended_.count_down(); }

  std::latch& ended_;
};

class TalkingService final : public v1::CopierService::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override {
    return TalkingStream::Make<TalkingStream>(context, ended);
  }
  std::latch ended{1};
};

TEST(StreamTest, APeerThatDoesNotReadIsCutOff) {
  TalkingService service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  // In-process, a write waits for its reader.
  const auto stub = v1::CopierService::NewStub(
      server->InProcessChannel(grpc::ChannelArguments()));
  grpc::ClientContext context;
  test::SetPatience(context);
  const auto stream = stub->Session(&context);
  service.ended.wait();
  v1::SessionResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace crr
