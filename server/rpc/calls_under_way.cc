#include "server/rpc/calls_under_way.h"

#include <chrono>

#include "absl/strings/match.h"

namespace crr {

using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

// Lives as long as its call.
class CallsUnderWay::Call final : public Interceptor {
 public:
  explicit Call(CallsUnderWay& calls) : calls_(calls) {
    MutexLock lock(calls_.mu_);
    ++calls_.count_;
  }
  ~Call() override {
    MutexLock lock(calls_.mu_);
    if (--calls_.count_ == 0) calls_.ended_.NotifyAll();
  }
  void Intercept(InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  CallsUnderWay& calls_;
};

class CallsUnderWay::Factory final : public ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallsUnderWay& calls) : calls_(calls) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    // gRPC owns it; none for the calls of others.
    if (!absl::StartsWith(info->method(), "/crr.v1.")) return nullptr;
    return new Call(calls_);
  }

 private:
  CallsUnderWay& calls_;
};

std::unique_ptr<ServerInterceptorFactoryInterface> CallsUnderWay::Counter() {
  return std::make_unique<Factory>(*this);
}

void CallsUnderWay::AwaitNone(absl::Duration timeout) {
  const auto end = std::chrono::steady_clock::now() +
                   absl::ToChronoNanoseconds(timeout);
  MutexLock lock(mu_);
  while (count_ > 0) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) return;
    ended_.WaitFor(mu_, absl::FromChrono(left));
  }
}

}  // namespace crr
