#ifndef CRR_TESTS_RPC_TEST_SERVER_H_
#define CRR_TESTS_RPC_TEST_SERVER_H_

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "crr/v1/admin_service.grpc.pb.h"
#include "crr/v1/bucket_service.grpc.pb.h"
#include "crr/v1/change_service.grpc.pb.h"
#include "crr/v1/copier_service.grpc.pb.h"
#include "crr/v1/region_service.grpc.pb.h"
#include "crr/v1/replication_service.grpc.pb.h"
#include "server/app.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace crr::test {

// Regions of the catalogue, two on either side of the border.
inline constexpr char kHangzhou[] = "oss-cn-hangzhou";
inline constexpr char kShanghai[] = "oss-cn-shanghai";
inline constexpr char kSydney[] = "oss-ap-southeast-2";
inline constexpr char kVirginia[] = "oss-us-east-1";

// Far beyond what anything here needs: a test that hangs fails instead.
inline constexpr std::chrono::seconds kPatience{30};

// A message as a caller writes it (design §10).
template <typename Message>
Message FromJson(absl::string_view json) {
  Message message;
  CRR_CHECK(google::protobuf::util::JsonStringToMessage(std::string(json),
                                                        &message)
                .ok());
  return message;
}

// A whole server on a fake clock and a database of its own.
class TestServer {
 public:
  struct Options {
    int64_t rule_log_bytes_max = limits::kRuleLogBytesMax;
    absl::Duration lease_ttl = absl::Seconds(10);
    // As LeaseOptions.
    absl::Duration object_retry_base = absl::Seconds(1);
    std::string metrics_listen;  // As App::Options.
    // Over a real connection, not in-process.
    bool over_tcp = false;
    std::function<void()> at_commit;  // As App::Options.
    // Makes the database, or something in its place, before it is opened.
    std::function<void(const std::string& path)> prepare;
  };
  TestServer() : TestServer(Options{}) {}
  explicit TestServer(Options options);
  ~TestServer();

  // Drains it and starts another one on the same database.
  void Restart();
  // Drains it; the database can be looked into then.
  void Stop();

  FakeClock& clock() { return clock_; }
  App& app() { return *app_; }
  std::string database_path() const { return dir_ / "crr.db"; }

  v1::AdminService::Stub& admin() { return *admin_; }
  v1::RegionService::Stub& regions() { return *regions_; }
  v1::BucketService::Stub& buckets() { return *buckets_; }
  v1::ReplicationService::Stub& rules() { return *rules_; }
  v1::ChangeService::Stub& changes() { return *changes_; }
  v1::CopierService::Stub& copiers() { return *copiers_; }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }

  // What a test takes for granted; ends the process when it is refused.
  void AddBucket(const std::string& id, const std::string& region,
                 v1::Bucket::Versioning versioning = v1::Bucket::UNVERSIONED,
                 const std::string& owner = "acme");
  void SetStore(const std::string& region);
  // `json`: what the rule has beside the required fields, such as
  // `"prefixes":["a/"]`. Not historical, ADD_DELETE_CHANGE.
  v1::Rule AddRule(const std::string& source, const std::string& destination,
                   const std::string& json = "");
  v1::Rule GetRule(const std::string& name);
  v1::RuleProgress Progress(const std::string& name);

  grpc::Status CreateRule(const v1::CreateRuleRequest& request,
                          v1::Rule* rule = nullptr);
  grpc::Status GetRule(const std::string& name, v1::Rule* rule);
  grpc::Status DeleteRule(const std::string& name, v1::Rule* rule = nullptr);

 private:
  void Start();

  const Options options_;
  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<App> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::RegionService::Stub> regions_;
  std::unique_ptr<v1::BucketService::Stub> buckets_;
  std::unique_ptr<v1::ReplicationService::Stub> rules_;
  std::unique_ptr<v1::ChangeService::Stub> changes_;
  std::unique_ptr<v1::CopierService::Stub> copiers_;
};

inline void SetPatience(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

// Calls `(stub.*method)(request)`.
template <typename Stub, typename Request, typename Response>
grpc::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*,
                                               const Request&, Response*),
                  const Request& request, Response* response = nullptr) {
  grpc::ClientContext context;
  SetPatience(context);
  Response unused;
  return (stub.*method)(&context, request,
                        response == nullptr ? &unused : response);
}

// Asks until `condition` holds; false when it does not within kPatience. Each
// asking should be a call to the server, so that this does not spin.
bool Eventually(const std::function<bool()>& condition);

// The request of the smallest good CreateRule.
v1::CreateRuleRequest RuleRequest(const std::string& source,
                                  const std::string& destination,
                                  const std::string& rule_id = "dr");

// Types of a rule's conditions, in order.
std::vector<std::string> ConditionTypes(const v1::Rule& rule);

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_TEST_SERVER_H_
