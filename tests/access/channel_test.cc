#include "client/access/channel.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace crr {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using ::testing::IsSupersetOf;

// Refuses every call, with UNAVAILABLE as often as it is told for each method
// and then with NOT_FOUND, and counts them.
class RefusingService : public grpc::CallbackGenericService {
 public:
  explicit RefusingService(int unavailable) : unavailable_(unavailable) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Reactor : public grpc::ServerGenericBidiReactor {
     public:
      explicit Reactor(grpc::StatusCode code) { Finish({code, "refused"}); }
      void OnDone() override { delete this; }
    };
    MutexLock lock(mu_);
    return new Reactor(++calls_[context->method()] <= unavailable_
                           ? grpc::StatusCode::UNAVAILABLE
                           : grpc::StatusCode::NOT_FOUND);
  }

  int CallsOf(const std::string& method) {
    MutexLock lock(mu_);
    return calls_[method];
  }

 private:
  const int unavailable_;
  Mutex mu_;
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mu_);
};

// A server with that service, and a channel to it.
class Refusing {
 public:
  explicit Refusing(int unavailable) : service_(unavailable) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = MakeChannel(absl::StrCat("127.0.0.1:", port));
  }

  // How often the server hears of one call. All calls here send one message
  // and wait for one: nothing depends on how the method streams.
  int Attempts(const std::string& method) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(30));
    grpc::CompletionQueue queue;
    grpc::GenericStub stub(channel_);
    auto call = stub.PrepareUnaryCall(&context, method, {}, &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    EXPECT_FALSE(status.ok());
    return service_.CallsOf(method);
  }

 private:
  RefusingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST(ChannelTest, TriesAgainWhatOnlyReads) {
  Refusing server(/*unavailable=*/1);
  std::map<std::string, int> attempts;
  for (const char* name :
       {"Admin", "Bucket", "Change", "Copier", "Region", "Replication"}) {
    const ServiceDescriptor* service =
        DescriptorPool::generated_pool()->FindServiceByName(
            absl::StrCat("crr.v1.", name, "Service"));
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      const bool only_reads = absl::StartsWith(method.name(), "Get") ||
                              absl::StartsWith(method.name(), "List") ||
                              absl::StartsWith(method.name(), "WaitFor") ||
                              absl::StartsWith(method.name(), "Watch");
      const std::string path =
          absl::StrCat("/", service->full_name(), "/", method.name());
      attempts[path] = server.Attempts(path);
      EXPECT_EQ(attempts[path], only_reads ? 2 : 1) << path;
    }
  }
  EXPECT_THAT(attempts, IsSupersetOf({
      std::make_pair("/crr.v1.ReplicationService/CreateRule", 1),
      std::make_pair("/crr.v1.ReplicationService/GetRule", 2)}));
}

TEST(ChannelTest, GivesUpAfterFourAttempts) {
  Refusing server(/*unavailable=*/100);
  EXPECT_EQ(server.Attempts("/crr.v1.ReplicationService/GetRule"), 4);
}

}  // namespace
}  // namespace crr
