#include "tests/rpc/streams.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace crr::test {
namespace {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      time - absl::FromUnixSeconds(timestamp.seconds()))));
  return timestamp;
}

}  // namespace

// ------------------------------------------------------------------ publisher

ScriptedPublisher::ScriptedPublisher(v1::ChangeService::Stub& service) {
  SetPatience(context_);
  stream_ = service.PublishChanges(&context_);
}

ScriptedPublisher::~ScriptedPublisher() {
  if (ended_) return;
  context_.TryCancel();
  End();
}

void ScriptedPublisher::Send(const Request& request) {
  // Whether it arrived is seen by what is answered.
  static_cast<void>(stream_->Write(request));
}

std::optional<v1::PublishChangesResponse> ScriptedPublisher::Next() {
  v1::PublishChangesResponse response;
  if (!stream_->Read(&response)) return std::nullopt;
  return response;
}

std::optional<int64_t> ScriptedPublisher::Hello(const std::string& publisher,
                                                const std::string& scope,
                                                int64_t epoch) {
  Request request;
  request.mutable_hello()->set_publisher_id(publisher);
  request.mutable_hello()->set_scope(scope);
  request.mutable_hello()->set_epoch(epoch);
  Send(request);
  const auto response = Next();
  if (!response) return std::nullopt;
  EXPECT_TRUE(response->has_welcome());
  return response->welcome().last_number();
}

std::optional<v1::PublishChangesResponse::Ack> ScriptedPublisher::Batch(
    int64_t number, const std::vector<v1::Change>& changes) {
  Request request;
  request.mutable_batch()->set_number(number);
  request.mutable_batch()->mutable_changes()->Assign(changes.begin(),
                                                     changes.end());
  Send(request);
  const auto response = Next();
  if (!response) return std::nullopt;
  EXPECT_TRUE(response->has_ack());
  EXPECT_EQ(response->ack().number(), number);
  return response->ack();
}

void ScriptedPublisher::CompleteThrough(absl::Time time) {
  Request request;
  *request.mutable_complete_through()->mutable_time() = ToTimestamp(time);
  Send(request);
}

void ScriptedPublisher::Sync(int64_t number) {
  const auto ack = Batch(number, {MakeChange("no-rule-here", "x")});
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 0);
}

grpc::Status ScriptedPublisher::Finish() {
  Request request;
  request.mutable_finish();
  Send(request);
  return End();
}

grpc::Status ScriptedPublisher::BreakOff() {
  stream_->WritesDone();
  return End();
}

grpc::Status ScriptedPublisher::End() {
  ended_ = true;
  v1::PublishChangesResponse response;
  while (stream_->Read(&response)) {
  }
  return stream_->Finish();
}

v1::Change MakeChange(const std::string& bucket, const std::string& key,
                      v1::Change::Kind kind,
                      std::optional<absl::Time> event_time) {
  v1::Change change;
  change.set_bucket(absl::StrCat("buckets/", bucket));
  change.set_key(key);
  change.set_kind(kind);
  if (event_time) *change.mutable_event_time() = ToTimestamp(*event_time);
  return change;
}

// --------------------------------------------------------------------- copier

ScriptedCopier::ScriptedCopier(v1::CopierService::Stub& service) {
  SetPatience(context_);
  stream_ = service.Session(&context_);
}

ScriptedCopier::~ScriptedCopier() {
  if (ended_) return;
  context_.TryCancel();
  End();
}

void ScriptedCopier::Send(const v1::SessionRequest& request) {
  static_cast<void>(stream_->Write(request));
}

std::optional<v1::SessionResponse> ScriptedCopier::Next() {
  Response response;
  if (!stream_->Read(&response)) return std::nullopt;
  return response;
}

std::optional<v1::SessionResponse> ScriptedCopier::Await(
    Response::MessageCase wanted) {
  const auto kept = std::find_if(
      kept_.begin(), kept_.end(),
      [&](const Response& r) { return r.message_case() == wanted; });
  if (kept != kept_.end()) {
    Response response = *kept;
    kept_.erase(kept);
    return response;
  }
  while (auto response = Next()) {
    if (response->message_case() == wanted) return response;
    kept_.push_back(*std::move(response));
  }
  return std::nullopt;
}

v1::Hello ScriptedCopier::MakeHello(const std::string& copier) {
  v1::Hello hello;
  hello.set_copier_id(copier);
  hello.set_slots(8);
  hello.set_lease_credit(16);
  hello.set_segment_credit_bytes(8 << 20);
  return hello;
}

int64_t ScriptedCopier::Hello(const v1::Hello& hello) {
  v1::SessionRequest request;
  *request.mutable_hello() = hello;
  Send(request);
  const auto response = Await(Response::kWelcome);
  return response ? response->welcome().session_number() : 0;
}

v1::Lease ScriptedCopier::AwaitGrant(v1::Lease::Kind kind) {
  const auto response = Await(Response::kGrant);
  EXPECT_TRUE(response.has_value()) << "the stream ended before a grant";
  if (!response) return {};
  EXPECT_EQ(response->grant().kind(), kind);
  return response->grant();
}

v1::HeartbeatAck ScriptedCopier::Heartbeat() {
  v1::SessionRequest request;
  request.mutable_heartbeat()->set_number(++heartbeats_);
  Send(request);
  const auto response = Await(Response::kHeartbeatAck);
  EXPECT_TRUE(response.has_value()) << "the stream ended before the answer";
  if (!response) return {};
  EXPECT_EQ(response->heartbeat_ack().number(), heartbeats_);
  return response->heartbeat_ack();
}

v1::CheckpointAck ScriptedCopier::Commit(const v1::Checkpoint& checkpoint) {
  v1::SessionRequest request;
  *request.mutable_checkpoint() = checkpoint;
  Send(request);
  const auto response = Await(Response::kCheckpointAck);
  if (!response) return {};
  EXPECT_EQ(response->checkpoint_ack().unit(), checkpoint.unit());
  EXPECT_EQ(response->checkpoint_ack().token(), checkpoint.token());
  return response->checkpoint_ack();
}

void ScriptedCopier::Release(const v1::Release& release) {
  v1::SessionRequest request;
  *request.mutable_release() = release;
  Send(request);
  const auto response = Await(Response::kReleaseAck);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->release_ack().unit(), release.unit());
}

void ScriptedCopier::Release(const v1::Lease& lease,
                             const std::string& reason) {
  v1::Release release;
  release.set_unit(lease.unit());
  release.set_token(lease.token());
  release.set_reason(reason);
  Release(release);
}

void ScriptedCopier::FailObject(const v1::Lease& lease,
                                const std::string& reason,
                                const std::string& message) {
  v1::Release release;
  release.set_unit(lease.unit());
  release.set_token(lease.token());
  release.set_reason(reason);
  release.set_message(message);
  release.set_object_failed(true);
  Release(release);
}

int ScriptedCopier::unread(Response::MessageCase wanted) const {
  return static_cast<int>(std::count_if(
      kept_.begin(), kept_.end(),
      [&](const Response& r) { return r.message_case() == wanted; }));
}

grpc::Status ScriptedCopier::Finish() {
  v1::SessionRequest request;
  request.mutable_finish();
  Send(request);
  return End();
}

grpc::Status ScriptedCopier::BreakOff() {
  stream_->WritesDone();
  return End();
}

grpc::Status ScriptedCopier::End() {
  ended_ = true;
  Response response;
  while (stream_->Read(&response)) {
  }
  return stream_->Finish();
}

v1::Checkpoint CheckpointOf(const v1::Lease& lease) {
  v1::Checkpoint checkpoint;
  checkpoint.set_unit(lease.unit());
  checkpoint.set_token(lease.token());
  *checkpoint.mutable_from() = lease.cursor();
  *checkpoint.mutable_to() = lease.cursor();
  return checkpoint;
}

v1::Checkpoint GoodProbe(const v1::Lease& lease) {
  v1::Checkpoint checkpoint = CheckpointOf(lease);
  checkpoint.set_complete(true);
  checkpoint.mutable_probe()->mutable_source()->set_identity("source-id");
  checkpoint.mutable_probe()->mutable_source()->set_versioning(
      lease.source().versioning());
  checkpoint.mutable_probe()->mutable_destination()->set_identity(
      "destination-id");
  checkpoint.mutable_probe()->mutable_destination()->set_versioning(
      lease.destination().versioning());
  return checkpoint;
}

bool AddsUp(const v1::RuleProgress& progress) {
  const auto& live = progress.live();
  int64_t sum = live.applied() + live.collapsed() + live.resync() +
                live.pending() + live.failed();
  for (const auto& [reason, count] : live.filtered()) sum += count;
  return live.published() == sum;
}

}  // namespace crr::test
