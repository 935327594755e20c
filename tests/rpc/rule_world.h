#ifndef CRR_TESTS_RPC_RULE_WORLD_H_
#define CRR_TESTS_RPC_RULE_WORLD_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

namespace crr::test {

inline constexpr char kOldEtag[] = "0123456789abcdef";

// A server with buckets hz-1 and hz-2 in Hangzhou, sh-1 and sh-2 in Shanghai,
// stores for both regions, and a copier.
class RuleWorld : public ::testing::Test {
 protected:
  explicit RuleWorld(TestServer::Options options = {})
      : server_(std::move(options)) {
    for (const char* id : {"hz-1", "hz-2"}) server_.AddBucket(id, kHangzhou);
    for (const char* id : {"sh-1", "sh-2"}) server_.AddBucket(id, kShanghai);
    server_.SetStore(kHangzhou);
    server_.SetStore(kShanghai);
    Connect();
  }

  // A copier, the one before having gone.
  void Connect() {
    copier_ = std::make_unique<ScriptedCopier>(server_);
    session_ = copier_->Hello("copier-1");
    ASSERT_GT(session_, 0);
  }
  // The copier is cut off meanwhile; it does not come back by itself.
  void Restart() {
    copier_.reset();
    server_.Restart();
  }

  // Lets time go on, in steps so small that the server does not take them for
  // stalls of its own, until a grant has come: what the copier held before a
  // restart is another's only when its time has run out.
  void PassTimeUntilAGrant() {
    ASSERT_TRUE(Eventually([&] {
      server_.clock().Advance(absl::Milliseconds(50));
      copier_->Heartbeat();
      return copier_->stray_grants() > 0;
    }));
  }

  // A rule that is ACTIVE. `json` as in TestServer::AddRule.
  v1::Rule StartRule(const std::string& source, const std::string& destination,
                     const std::string& json = "") {
    const v1::Rule rule = server_.AddRule(source, destination, json);
    const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);
    EXPECT_EQ(probe.rule(), rule.name());
    EXPECT_EQ(copier_->Commit(GoodProbe(probe)).result(),
              v1::CheckpointAck::RECORDED);
    const v1::Rule active = server_.GetRule(rule.name());
    EXPECT_EQ(active.state(), v1::Rule::ACTIVE);
    return active;
  }

  // A region that nobody uses.
  v1::Region AddRegion(const std::string& id) {
    v1::Region region;
    EXPECT_TRUE(CreateRegion(absl::StrCat(
                                 R"({"regionId":")", id,
                                 R"(","region":{"area":"MAINLAND_CHINA",)",
                                 R"("displayName":"Nowhere"}})"),
                             &region)
                    .ok());
    return region;
  }
  // A bucket of acme.
  grpc::Status AddBucketIn(const std::string& id, const std::string& region) {
    v1::CreateBucketRequest request;
    request.set_bucket_id(id);
    request.mutable_bucket()->set_region(absl::StrCat("regions/", region));
    request.mutable_bucket()->set_owner("acme");
    return Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                request);
  }

  // The request that sets it.
  static std::string Versioning(const std::string& bucket,
                                const std::string& versioning) {
    return absl::StrCat(R"({"bucket":{"name":"buckets/)", bucket,
                        R"(","versioning":")", versioning, "\"}}");
  }

  // Publishes puts of these keys of `bucket`, without a name.
  void Publish(const std::string& bucket,
               const std::vector<std::string>& keys) {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", absl::StrCat("buckets/", bucket)));
    std::vector<v1::Change> changes;
    for (const std::string& key : keys) {
      changes.push_back(MakeChange(bucket, key));
    }
    ASSERT_TRUE(publisher.Batch(1, changes));
    EXPECT_TRUE(publisher.Finish().ok());
  }

  // Everything of the lease's log that came or comes, up to `sequence`, is
  // applied.
  v1::CheckpointAck Apply(const v1::Lease& lease, int64_t sequence) {
    v1::Checkpoint checkpoint = CheckpointOf(lease);
    checkpoint.mutable_to()->set_sequence(sequence);
    checkpoint.set_applied(sequence - lease.cursor().sequence());
    return copier_->Commit(checkpoint);
  }

  // An object that leaves its lane, with so many changes.
  static v1::ObjectFailure Failure(const std::string& key,
                                   const std::string& reason,
                                   int64_t changes = 0) {
    v1::ObjectFailure failure;
    failure.set_key(key);
    failure.set_reason(reason);
    failure.set_changes(changes);
    return failure;
  }
  // The object of the lease is at the destination.
  v1::CheckpointAck FinishObject(const v1::Lease& lease) {
    v1::Checkpoint checkpoint = CheckpointOf(lease);
    checkpoint.set_complete(true);
    checkpoint.set_applied(1);
    return copier_->Commit(checkpoint);
  }
  // All that a rule keeps apart, or those that the request selects.
  std::vector<v1::FailedObject> FailedObjects(
      v1::ListFailedObjectsRequest request) {
    v1::ListFailedObjectsResponse response;
    const grpc::Status status =
        Call(server_.rules(), &v1::ReplicationService::Stub::ListFailedObjects,
             request, &response);
    EXPECT_TRUE(status.ok()) << RefusalOf(status);
    return {response.failed_objects().begin(), response.failed_objects().end()};
  }
  std::vector<v1::FailedObject> FailedObjects(const std::string& rule) {
    v1::ListFailedObjectsRequest request;
    request.set_parent(rule);
    return FailedObjects(request);
  }
  // The progress, whose ledger balances.
  v1::RuleProgress Progress(const std::string& rule) {
    const v1::RuleProgress progress = server_.Progress(rule);
    EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
    return progress;
  }
  // Newest first.
  std::vector<v1::AuditEvent> AuditOf(const std::string& subject) {
    v1::ListAuditEventsRequest request;
    request.set_subject(subject);
    v1::ListAuditEventsResponse response;
    EXPECT_TRUE(Call(server_.admin(), &v1::AdminService::Stub::ListAuditEvents,
                     request, &response)
                    .ok());
    return {response.audit_events().begin(), response.audit_events().end()};
  }

  grpc::Status Pause(const std::string& name, v1::Rule* rule = nullptr,
                     const std::string& etag = "") {
    v1::PauseRuleRequest request;
    request.set_name(name);
    request.set_etag(etag);
    return Call(server_.rules(), &v1::ReplicationService::Stub::PauseRule,
                request, rule);
  }
  grpc::Status Resume(const std::string& name, v1::Rule* rule = nullptr,
                      const std::string& etag = "") {
    v1::ResumeRuleRequest request;
    request.set_name(name);
    request.set_etag(etag);
    return Call(server_.rules(), &v1::ReplicationService::Stub::ResumeRule,
                request, rule);
  }
  grpc::Status UpdateRule(const std::string& json, v1::Rule* rule = nullptr) {
    return Call(server_.rules(), &v1::ReplicationService::Stub::UpdateRule,
                FromJson<v1::UpdateRuleRequest>(json), rule);
  }
  grpc::Status UpdateBucket(const std::string& json,
                            v1::Bucket* bucket = nullptr) {
    return Call(server_.buckets(), &v1::BucketService::Stub::UpdateBucket,
                FromJson<v1::UpdateBucketRequest>(json), bucket);
  }
  grpc::Status DeleteBucket(const std::string& id,
                            const std::string& etag = "") {
    v1::DeleteBucketRequest request;
    request.set_name(absl::StrCat("buckets/", id));
    request.set_etag(etag);
    return Call(server_.buckets(), &v1::BucketService::Stub::DeleteBucket,
                request);
  }
  grpc::Status UpdateRegion(const std::string& json,
                            v1::Region* region = nullptr) {
    return Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                FromJson<v1::UpdateRegionRequest>(json), region);
  }
  grpc::Status CreateRegion(const std::string& json,
                            v1::Region* region = nullptr) {
    return Call(server_.regions(), &v1::RegionService::Stub::CreateRegion,
                FromJson<v1::CreateRegionRequest>(json), region);
  }
  grpc::Status DeleteRegion(const std::string& id,
                            const std::string& etag = "") {
    v1::DeleteRegionRequest request;
    request.set_name(absl::StrCat("regions/", id));
    request.set_etag(etag);
    return Call(server_.regions(), &v1::RegionService::Stub::DeleteRegion,
                request);
  }
  grpc::Status SetPolicy(const std::string& json,
                         v1::RegionPairPolicy* policy = nullptr) {
    return Call(server_.regions(),
                &v1::RegionService::Stub::UpdateRegionPairPolicy,
                FromJson<v1::UpdateRegionPairPolicyRequest>(absl::StrCat(
                    R"({"regionPairPolicy":)", json, "}")),
                policy);
  }
  grpc::Status DeletePublisher(const std::string& id) {
    v1::DeletePublisherRequest request;
    request.set_name(absl::StrCat("publishers/", id));
    return Call(server_.admin(), &v1::AdminService::Stub::DeletePublisher,
                request);
  }

  v1::Bucket GetBucket(const std::string& id) {
    v1::GetBucketRequest request;
    request.set_name(absl::StrCat("buckets/", id));
    v1::Bucket bucket;
    EXPECT_TRUE(Call(server_.buckets(), &v1::BucketService::Stub::GetBucket,
                     request, &bucket)
                    .ok());
    return bucket;
  }
  // Absent when there is none.
  std::optional<v1::Region> GetRegion(const std::string& id) {
    v1::GetRegionRequest request;
    request.set_name(absl::StrCat("regions/", id));
    v1::Region region;
    const grpc::Status status =
        Call(server_.regions(), &v1::RegionService::Stub::GetRegion, request,
             &region);
    if (!status.ok()) return std::nullopt;
    return region;
  }
  v1::RegionPairPolicy GetPolicy() {
    v1::RegionPairPolicy policy;
    EXPECT_TRUE(Call(server_.regions(),
                     &v1::RegionService::Stub::GetRegionPairPolicy,
                     v1::GetRegionPairPolicyRequest(), &policy)
                    .ok());
    return policy;
  }
  std::vector<v1::Publisher> Publishers() {
    v1::ListPublishersResponse response;
    EXPECT_TRUE(Call(server_.admin(), &v1::AdminService::Stub::ListPublishers,
                     v1::ListPublishersRequest(), &response)
                    .ok());
    return {response.publishers().begin(), response.publishers().end()};
  }

  bool Gone(const std::string& rule) {
    v1::Rule ignored;
    return Eventually([&] {
      return server_.GetRule(rule, &ignored).error_code() ==
             grpc::StatusCode::NOT_FOUND;
    });
  }
  // Whether the reason is among the conditions of the rule.
  bool Says(const std::string& rule, const std::string& condition) {
    const std::vector<std::string> types =
        ConditionTypes(server_.GetRule(rule));
    return std::find(types.begin(), types.end(), condition) != types.end();
  }

  TestServer server_;
  std::unique_ptr<ScriptedCopier> copier_;
  int64_t session_ = 0;  // Of the copier.
};

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_RULE_WORLD_H_
