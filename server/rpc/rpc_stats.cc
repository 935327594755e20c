#include "server/rpc/rpc_stats.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/log.h"
#include "proto/cc/status_details.h"

namespace crr {
namespace {

using grpc::experimental::InterceptionHookPoints;

class Recorder final : public grpc::experimental::Interceptor {
 public:
  Recorder(RpcStats& stats, const Clock& clock,
           grpc::experimental::ServerRpcInfo& info)
      : stats_(stats),
        clock_(clock),
        method_(absl::StripPrefix(info.method(), "/")),
        peer_(info.server_context()->peer()),
        start_(clock.Now()) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      Record(methods->GetSendStatus());
    }
    methods->Proceed();
  }

 private:
  void Record(const grpc::Status& status) {
    const absl::Duration time = clock_.Now() - start_;
    const std::string code(CodeName(status.error_code()));
    stats_.Record({method_, code}, time);
    if (absl::StartsWith(method_, "grpc.health.")) return;
    const std::string ms =
        absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(time));
    const std::string reason = DetailsOf(status).reason;
    if (reason.empty()) {
      LogInfo("rpc", {{"method", method_},
                      {"code", code},
                      {"ms", ms},
                      {"peer", peer_}});
    } else {
      LogInfo("rpc", {{"method", method_},
                      {"code", code},
                      {"reason", reason},
                      {"ms", ms},
                      {"peer", peer_}});
    }
  }

  RpcStats& stats_;
  const Clock& clock_;
  const std::string method_;
  const std::string peer_;
  const Ticks start_;
};

class RecorderFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  RecorderFactory(RpcStats& stats, const Clock& clock)
      : stats_(stats), clock_(clock) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new Recorder(stats_, clock_, *info);
  }

 private:
  RpcStats& stats_;
  const Clock& clock_;
};

}  // namespace

void RpcStats::Record(const Key& key, absl::Duration time) {
  MutexLock lock(mu_);
  Count& count = counts_[key];
  ++count.calls;
  count.time += time;
}

std::map<RpcStats::Key, RpcStats::Count> RpcStats::counts() const {
  MutexLock lock(mu_);
  return counts_;
}

std::vector<
    std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
CallRecorders(RpcStats& stats, const Clock& clock) {
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      factories;
  factories.push_back(std::make_unique<RecorderFactory>(stats, clock));
  return factories;
}

}  // namespace crr
