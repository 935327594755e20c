#ifndef CRR_TESTS_RPC_STREAMS_H_
#define CRR_TESTS_RPC_STREAMS_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/rpc/test_server.h"

namespace crr::test {

// A publisher whose every message a test writes by hand. Thread-compatible.
class ScriptedPublisher {
 public:
  using Request = v1::PublishChangesRequest;

  explicit ScriptedPublisher(TestServer& server)
      : ScriptedPublisher(server.changes()) {}
  explicit ScriptedPublisher(v1::ChangeService::Stub& service);
  // Breaks the stream off unless it has ended.
  ~ScriptedPublisher();

  void Send(const Request& request);
  // The next answer; nullopt when the stream is over.
  std::optional<v1::PublishChangesResponse> Next();

  // `welcome.last_number`; nullopt when refused.
  std::optional<int64_t> Hello(const std::string& publisher,
                               const std::string& scope, int64_t epoch = 1);
  // nullopt when refused.
  std::optional<v1::PublishChangesResponse::Ack> Batch(
      int64_t number, const std::vector<v1::Change>& changes);
  void CompleteThrough(absl::Time time);
  // Everything before was heard: publishes a change that nobody wants, under
  // this number.
  void Sync(int64_t number);

  // Ends in order and returns how it ended.
  grpc::Status Finish();
  // Half-closes without `finish`.
  grpc::Status BreakOff();
  // Waits for the server to end it.
  grpc::Status End();

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, v1::PublishChangesResponse>>
      stream_;
  bool ended_ = false;
};

// A change as JSON says it, of bucket `buckets/{bucket}`.
v1::Change MakeChange(const std::string& bucket, const std::string& key,
                      v1::Change::Kind kind = v1::Change::PUT,
                      std::optional<absl::Time> event_time = std::nullopt);

// A copier whose every message a test writes by hand. Thread-compatible.
class ScriptedCopier {
 public:
  using Response = v1::SessionResponse;

  explicit ScriptedCopier(TestServer& server)
      : ScriptedCopier(server.copiers()) {}
  explicit ScriptedCopier(v1::CopierService::Stub& service);
  // Breaks the stream off unless it has ended.
  ~ScriptedCopier();

  void Send(const v1::SessionRequest& request);
  // The first message of this kind that has come or comes; what comes before
  // it is kept for later. nullopt when the stream is over.
  std::optional<Response> Await(Response::MessageCase wanted);

  // A good hello.
  static v1::Hello MakeHello(const std::string& copier);
  // Number of the session; 0 when refused.
  int64_t Hello(const v1::Hello& hello);
  int64_t Hello(const std::string& copier) { return Hello(MakeHello(copier)); }
  // The next grant, which must be of this kind (adds a failure if not).
  v1::Lease AwaitGrant(v1::Lease::Kind kind);
  // The answer to a heartbeat.
  v1::HeartbeatAck Heartbeat();
  // The answer to a checkpoint; empty when the stream ended instead.
  v1::CheckpointAck Commit(const v1::Checkpoint& checkpoint);
  // Sends it back and awaits the answer.
  void Release(const v1::Lease& lease, const std::string& reason = "STOPPING");
  // The same, of an OBJECT lease whose object could not be copied.
  void FailObject(const v1::Lease& lease, const std::string& reason,
                  const std::string& message = "");
  // Messages of a kind that have come and were not awaited.
  int unread(Response::MessageCase wanted) const;
  int stray_grants() const { return unread(Response::kGrant); }

  grpc::Status Finish();
  grpc::Status BreakOff();
  grpc::Status End();

 private:
  std::optional<Response> Next();
  void Release(const v1::Release& release);

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SessionRequest, Response>>
      stream_;
  std::deque<Response> kept_;
  int64_t heartbeats_ = 0;
  bool ended_ = false;
};

// A checkpoint of `lease` from its own cursor.
v1::Checkpoint CheckpointOf(const v1::Lease& lease);
// What a PROBE reports when all is well.
v1::Checkpoint GoodProbe(const v1::Lease& lease);

// published = applied + collapsed + filtered + resync + pending + failed (I4).
bool AddsUp(const v1::RuleProgress& progress);

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_STREAMS_H_
