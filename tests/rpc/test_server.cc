#include "tests/rpc/test_server.h"

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace crr::test {
namespace {

void Expect(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "refused: %s\n", status.error_message().c_str());
  CRR_CHECK(status.ok());
}

}  // namespace

TestServer::TestServer(Options options) : options_(std::move(options)) {
  if (options_.prepare) options_.prepare(database_path());
  Start();
}

TestServer::~TestServer() { Stop(); }

void TestServer::Start() {
  LeaseOptions lease = LeaseOptions::FromTtl(options_.lease_ttl);
  lease.object_retry_base = options_.object_retry_base;
  auto app = App::Start({.metrics_listen = options_.metrics_listen,
                         .database_path = database_path(),
                         .lease = lease,
                         .rule_log_bytes_max = options_.rule_log_bytes_max,
                         .at_commit = options_.at_commit},
                        clock_);
  if (!app.ok()) {
    std::fprintf(stderr, "%s\n", app.status().ToString().c_str());
  }
  CRR_CHECK(app.ok());
  app_ = *std::move(app);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A channel of its own for each server: one of the last may be shutting down.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = options_.over_tcp
                 ? grpc::CreateCustomChannel(app_->address(),
                                             grpc::InsecureChannelCredentials(),
                                             arguments)
                 : app_->server().InProcessChannel(arguments);
  admin_ = v1::AdminService::NewStub(channel_);
  regions_ = v1::RegionService::NewStub(channel_);
  buckets_ = v1::BucketService::NewStub(channel_);
  rules_ = v1::ReplicationService::NewStub(channel_);
  changes_ = v1::ChangeService::NewStub(channel_);
  copiers_ = v1::CopierService::NewStub(channel_);
}

void TestServer::Stop() {
  if (app_ == nullptr) return;
  app_->Drain();
  app_.reset();
}

void TestServer::Restart() {
  Stop();
  Start();
}

void TestServer::AddBucket(const std::string& id, const std::string& region,
                           v1::Bucket::Versioning versioning,
                           const std::string& owner) {
  v1::CreateBucketRequest request;
  request.set_bucket_id(id);
  request.mutable_bucket()->set_region(absl::StrCat("regions/", region));
  request.mutable_bucket()->set_versioning(versioning);
  request.mutable_bucket()->set_owner(owner);
  Expect(Call(buckets(), &v1::BucketService::Stub::CreateBucket, request));
}

void TestServer::SetStore(const std::string& region) {
  v1::UpdateRegionRequest request;
  request.mutable_region()->set_name(absl::StrCat("regions/", region));
  request.mutable_region()->mutable_store()->mutable_local()->set_root(
      absl::StrCat("/data/", region));
  Expect(Call(regions(), &v1::RegionService::Stub::UpdateRegion, request));
}

v1::Rule TestServer::AddRule(const std::string& source,
                             const std::string& destination,
                             const std::string& json) {
  auto request = RuleRequest(source, destination);
  request.mutable_rule()->MergeFrom(
      FromJson<v1::Rule>(absl::StrCat("{", json, "}")));
  v1::Rule rule;
  Expect(CreateRule(request, &rule));
  return rule;
}

v1::Rule TestServer::GetRule(const std::string& name) {
  v1::Rule rule;
  Expect(GetRule(name, &rule));
  return rule;
}

v1::RuleProgress TestServer::Progress(const std::string& name) {
  v1::GetRuleProgressRequest request;
  request.set_name(name);
  v1::RuleProgress progress;
  Expect(Call(rules(), &v1::ReplicationService::Stub::GetRuleProgress, request,
              &progress));
  return progress;
}

grpc::Status TestServer::CreateRule(const v1::CreateRuleRequest& request,
                                    v1::Rule* rule) {
  return Call(rules(), &v1::ReplicationService::Stub::CreateRule, request,
              rule);
}

grpc::Status TestServer::GetRule(const std::string& name, v1::Rule* rule) {
  v1::GetRuleRequest request;
  request.set_name(name);
  return Call(rules(), &v1::ReplicationService::Stub::GetRule, request, rule);
}

grpc::Status TestServer::DeleteRule(const std::string& name, v1::Rule* rule) {
  v1::DeleteRuleRequest request;
  request.set_name(name);
  return Call(rules(), &v1::ReplicationService::Stub::DeleteRule, request,
              rule);
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
  }
  return false;
}

v1::CreateRuleRequest RuleRequest(const std::string& source,
                                  const std::string& destination,
                                  const std::string& rule_id) {
  v1::CreateRuleRequest request;
  request.set_parent(absl::StrCat("buckets/", source));
  request.set_rule_id(rule_id);
  request.mutable_rule()->set_destination_bucket(
      absl::StrCat("buckets/", destination));
  request.mutable_rule()->set_operations(v1::Rule::ADD_DELETE_CHANGE);
  request.mutable_rule()->set_replicate_historical(false);
  return request;
}

std::vector<std::string> ConditionTypes(const v1::Rule& rule) {
  std::vector<std::string> types;
  for (const auto& condition : rule.conditions()) {
    types.push_back(condition.type());
  }
  return types;
}

}  // namespace crr::test
