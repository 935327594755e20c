#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/access/channel.h"
#include "client/copier/grpc_session_stream.h"
#include "client/copier/session.h"
#include "crr/v1/copier_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::crr::test::HasCode;

grpc::Status Superseded() {
  google::rpc::ErrorInfo info;
  info.set_reason("SESSION_SUPERSEDED");
  info.set_domain("crr.v1");
  google::rpc::Status rich;
  rich.set_code(grpc::ABORTED);
  rich.set_message("a newer session took over");
  rich.add_details()->PackFrom(info);
  return {grpc::ABORTED, rich.message(), rich.SerializeAsString()};
}

// Breaks the first stream with a checkpoint unanswered, and supersedes the
// second once it has come again.
class ScriptedServer final : public v1::CopierService::Service {
 public:
  using Stream =
      grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>;

  grpc::Status Session(grpc::ServerContext*, Stream* stream) override {
    v1::SessionRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    const int n = ++streams_;
    hellos[n] = request.hello();
    v1::SessionResponse welcome;
    welcome.mutable_welcome()->set_session_number(7);
    welcome.mutable_welcome()->mutable_ttl()->set_seconds(60);
    welcome.mutable_welcome()->mutable_heartbeat_interval()->set_seconds(20);
    stream->Write(welcome);
    if (n == 1) {
      v1::SessionResponse grant;
      grant.mutable_grant()->set_unit(1);
      grant.mutable_grant()->set_token(101);
      stream->Write(grant);
    }
    if (!stream->Read(&request)) return grpc::Status::OK;
    checkpoints[n] = request.checkpoint();
    return n == 1 ? grpc::Status(grpc::UNAVAILABLE, "moving") : Superseded();
  }

  // By the number of the stream; read once the session has ended.
  v1::Hello hellos[3];
  v1::Checkpoint checkpoints[3];

 private:
  int streams_ = 0;  // One stream at a time.
};

TEST(GrpcSessionTest, RepeatsACheckpointOverAStreamAndEndsWhenSuperseded) {
  ScriptedServer service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  GrpcSessionTransport transport(MakeChannel(absl::StrCat("127.0.0.1:", port)));

  Session session({.copier_id = "c1",
                   .region = "",
                   .reconnect_base = absl::Milliseconds(1),
                   .on_ready = {}},
                  transport,
                  [](LeaseLink& link) {
                    v1::Checkpoint checkpoint;
                    checkpoint.mutable_to()->set_key("k");
                    link.Send(std::move(checkpoint));
                    while (!link.lost()) link.Wait(absl::Hours(1));
                    return RunEnd::Over();
                  },
                  Clock::Real());
  const absl::Status end = session.Run();
  EXPECT_THAT(end, HasCode(absl::StatusCode::kAborted));
  EXPECT_NE(end.message().find("a newer session took over"),
            absl::string_view::npos);
  EXPECT_FALSE(service.hellos[1].has_session_number());
  EXPECT_EQ(service.hellos[2].session_number(), 7);
  ASSERT_EQ(service.hellos[2].held_size(), 1);
  EXPECT_EQ(service.hellos[2].held(0).token(), 101);
  EXPECT_EQ(service.checkpoints[1].token(), 101);
  EXPECT_EQ(service.checkpoints[2].SerializeAsString(),
            service.checkpoints[1].SerializeAsString());
  server->Shutdown();
}

}  // namespace
}  // namespace crr
