#ifndef CRR_TESTS_RPC_RAW_CALLS_H_
#define CRR_TESTS_RPC_RAW_CALLS_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

namespace crr::test {

// Calls with bytes of the test's own making, which no generated stub would
// send. `method` is a full one, such as "/crr.v1.BucketService/GetBucket".

// Sends `request` as the one message of a call and waits for its end. The bytes
// of the answer, when there is one, go to `response`.
grpc::Status CallWithBytes(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method,
                           const std::string& request,
                           std::string* response = nullptr);

// A call that may send and get many messages. Thread-compatible.
class RawStream {
 public:
  RawStream(const std::shared_ptr<grpc::Channel>& channel,
            const std::string& method);
  // Breaks the call off unless it has ended.
  ~RawStream();

  void Send(const std::string& message);
  // The next answer; nullopt when the call is over.
  std::optional<std::string> Next();
  // Says that nothing more is sent, and waits for the end.
  grpc::Status End();

 private:
  // Waits for the one operation under way; whether it went well.
  bool Wait();

  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool ended_ = false;
};

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_RAW_CALLS_H_
