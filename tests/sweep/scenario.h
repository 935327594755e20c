#ifndef CRR_TESTS_SWEEP_SCENARIO_H_
#define CRR_TESTS_SWEEP_SCENARIO_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"
#include "tests/sweep/working_copier.h"

namespace crr::test {

// Text in which all times are the same.
std::string WithoutTimes(const std::string& text);

// The callers of one control plane, through as many servers as it takes: who
// changes rules, a publisher and a copier. Thread-compatible.
class Callers {
 public:
  // Meets a new server; publisher and copier come back if they were there.
  // False when it died meanwhile, as below.
  bool Connect(const std::string& address);

  v1::RegionService::Stub& regions() { return *regions_; }
  v1::BucketService::Stub& buckets() { return *buckets_; }
  v1::ReplicationService::Stub& rules() { return *rules_; }

  bool StartPublisher();
  // The next batch, or the one that was cut off.
  bool Publish(const std::vector<v1::Change>& changes);
  bool FinishPublisher();

  bool StartCopier();
  bool FinishCopier();
  // Lets the copier work until `done`, which calls the server, says true;
  // nullopt: it died.
  bool WorkUntil(const std::function<std::optional<bool>()>& done);
  const WorkingCopier& copier() const { return copier_; }

 private:
  bool ConnectPublisher();

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RegionService::Stub> regions_;
  std::unique_ptr<v1::BucketService::Stub> buckets_;
  std::unique_ptr<v1::ReplicationService::Stub> rules_;
  std::unique_ptr<v1::ChangeService::Stub> changes_;
  std::unique_ptr<v1::CopierService::Stub> copiers_;
  std::unique_ptr<ScriptedPublisher> publisher_;
  WorkingCopier copier_;
  bool publishes_ = false;
  bool copies_ = false;
  int64_t acknowledged_ = 0;  // Number of the last batch.
};

// One thing that somebody does, small enough to be done again after a server
// died under it.
struct Step {
  std::string name;
  // What was answered, as text without times; nullopt when the server died.
  // Empty when a repeat may be answered in another way than the first call.
  std::function<std::optional<std::string>(Callers&)> run;
};

// Rules of every kind from their creation through pauses, changes of policy and
// limits to their end and back. Between steps nothing is under way but what
// copiers wait for, so that each server comes to the same steps in one state.
std::vector<Step> Scenario();

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_SCENARIO_H_
