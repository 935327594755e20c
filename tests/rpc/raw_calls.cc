#include "tests/rpc/raw_calls.h"

#include "base/check.h"
#include "tests/rpc/test_server.h"

namespace crr::test {
namespace {

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  CRR_CHECK(buffer.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace

grpc::Status CallWithBytes(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method,
                           const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  SetPatience(context);
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, method, BufferOf(request), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (status.ok() && response != nullptr) *response = BytesOf(answer);
  return status;
}

RawStream::RawStream(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& method)
    : stub_(channel) {
  SetPatience(context_);
  call_ = stub_.PrepareCall(&context_, method, &queue_);
  call_->StartCall(nullptr);
  Wait();
}

RawStream::~RawStream() {
  if (ended_) return;
  context_.TryCancel();
  End();
}

void RawStream::Send(const std::string& message) {
  call_->Write(BufferOf(message), nullptr);
  // Whether it arrived is seen by what is answered.
  Wait();
}

std::optional<std::string> RawStream::Next() {
  grpc::ByteBuffer answer;
  call_->Read(&answer, nullptr);
  if (!Wait()) return std::nullopt;
  return BytesOf(answer);
}

grpc::Status RawStream::End() {
  ended_ = true;
  call_->WritesDone(nullptr);
  Wait();
  while (Next()) {
  }
  grpc::Status status;
  call_->Finish(&status, nullptr);
  Wait();
  return status;
}

bool RawStream::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

}  // namespace crr::test
