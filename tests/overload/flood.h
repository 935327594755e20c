#ifndef CRR_TESTS_OVERLOAD_FLOOD_H_
#define CRR_TESTS_OVERLOAD_FLOOD_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <latch>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "crr/v1/change_service.grpc.pb.h"

namespace crr::test {

// A batch of so many changes of `bucket`, with keys of so many bytes.
inline v1::PublishChangesRequest MakeBatch(const std::string& bucket,
                                           int changes, size_t key_bytes) {
  v1::PublishChangesRequest request;
  for (int i = 0; i < changes; ++i) {
    v1::Change& change = *request.mutable_batch()->add_changes();
    change.set_bucket(absl::StrCat("buckets/", bucket));
    std::string key = absl::StrCat("key-", i, "-");
    key.resize(key_bytes, 'x');
    change.set_key(key);
    change.set_kind(v1::Change::PUT);
  }
  return request;
}

// A publisher that sends batches as fast as the server takes them, for as long
// as this object lives, and reads the answers or never does.
class Flood final : public grpc::ClientBidiReactor<v1::PublishChangesRequest,
                                                   v1::PublishChangesResponse> {
 public:
  // An empty `publisher` has no name.
  Flood(std::shared_ptr<grpc::Channel> channel, const std::string& publisher,
        const std::string& bucket, bool reads)
      : stub_(v1::ChangeService::NewStub(std::move(channel))),
        request_(MakeBatch(bucket, 1000, 64)) {
    hello_.mutable_hello()->set_publisher_id(publisher);
    hello_.mutable_hello()->set_scope(absl::StrCat("buckets/", bucket));
    hello_.mutable_hello()->set_epoch(1);
    stub_->async()->PublishChanges(&context_, this);
    StartWrite(&hello_);
    if (reads) StartRead(&response_);
    StartCall();
  }
  ~Flood() override { Stop(); }

  // Sends and reads nothing any more.
  void Stop() {
    context_.TryCancel();
    done_.wait();
  }

  int64_t sent() const { return sent_; }
  int64_t acknowledged() const { return acknowledged_; }
  // Whether the server ended it.
  bool over() const { return done_.try_wait(); }

  void OnWriteDone(bool ok) override {
    if (!ok) return;
    request_.mutable_batch()->set_number(++sent_);
    StartWrite(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (response_.has_ack()) ++acknowledged_;
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override { done_.count_down(); }

 private:
  const std::unique_ptr<v1::ChangeService::Stub> stub_;
  grpc::ClientContext context_;
  v1::PublishChangesRequest hello_;
  v1::PublishChangesRequest request_;
  v1::PublishChangesResponse response_;
  std::atomic<int64_t> sent_{0};
  std::atomic<int64_t> acknowledged_{0};
  std::latch done_{1};
};

}  // namespace crr::test

#endif  // CRR_TESTS_OVERLOAD_FLOOD_H_
