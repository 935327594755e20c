#include "server/rpc/keep_warm.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

namespace crr {
namespace {

// Well inside the second after which the pollers nap.
constexpr absl::Duration kInterval = absl::Milliseconds(300);

}  // namespace

KeepWarm::KeepWarm(grpc::Server& server)
    : health_(grpc::health::v1::Health::NewStub(
          server.InProcessChannel(grpc::ChannelArguments()))),
      thread_([this] { Run(); }) {}

KeepWarm::~KeepWarm() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  stop_.NotifyAll();
  thread_.join();
}

void KeepWarm::Run() {
  while (true) {
    {
      MutexLock lock(mu_);
      if (!stopping_) stop_.WaitFor(mu_, kInterval);
      if (stopping_) return;
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(1));
    grpc::health::v1::HealthCheckResponse response;
    // What it answers does not matter; that somebody polled does.
    static_cast<void>(health_->Check(&context, {}, &response));
  }
}

}  // namespace crr
