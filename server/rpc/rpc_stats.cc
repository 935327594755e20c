#include "server/rpc/rpc_stats.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/log.h"
#include "proto/cc/status_details.h"

namespace crr {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using grpc::experimental::InterceptionHookPoints;

// From a read, over a commit on a good disk and on a busy one, to what a caller
// still waits for; a first call after idleness must take 5 ms at most.
const std::vector<double>& SecondsBounds() {
  static const auto* const bounds = new std::vector<double>{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10};
  return *bounds;
}

class Recorder final : public grpc::experimental::Interceptor {
 public:
  Recorder(RpcStats& stats, const Clock& clock,
           grpc::experimental::ServerRpcInfo& info)
      : stats_(stats),
        clock_(clock),
        context_(*info.server_context()),
        method_(stats.NameOf(absl::StripPrefix(info.method(), "/"))),
        peer_(context_.peer()),
        start_(clock.Now()) {}

  void Intercept(
      grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      Record(methods->GetSendStatus());
    }
    methods->Proceed();
  }

 private:
  void Record(grpc::Status status) {
    if (context_.IsCancelled()) {
      // Whatever it was, its caller does not see it.
      status = context_.deadline() <= std::chrono::system_clock::now()
                   ? grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "")
                   : grpc::Status::CANCELLED;
    }
    const absl::Duration time = clock_.Now() - start_;
    const std::string code(CodeName(status.error_code()));
    stats_.Record(method_, code, time);
    if (absl::StartsWith(method_, "grpc.health.")) return;
    LogInfo("rpc",
            {{"method", method_},
             {"code", code},
             {"reason", DetailsOf(status).reason},
             {"ms", absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(time))},
             {"peer", peer_}});
  }

  RpcStats& stats_;
  const Clock& clock_;
  grpc::ServerContextBase& context_;
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

RpcStats::RpcStats(const std::vector<std::string>& services) {
  for (const std::string& name : services) {
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    CRR_CHECK(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      const bool is_stream =
          method.client_streaming() || method.server_streaming();
      (is_stream ? streams_ : unary_)
          .insert(absl::StrCat(name, "/", method.name()));
    }
  }
}

std::string RpcStats::NameOf(absl::string_view method) const {
  std::string name(method);
  return unary_.contains(name) || streams_.contains(name) ? name : "unknown";
}

void RpcStats::Record(const std::string& method, const std::string& code,
                      absl::Duration time) {
  MutexLock lock(mu_);
  ++counts_.calls[{method, code}];
  if (unary_.contains(method)) {
    counts_.seconds.try_emplace(method, SecondsBounds())
        .first->second.Add(absl::ToDoubleSeconds(time));
  }
}

RpcStats::Counts RpcStats::counts() const {
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
