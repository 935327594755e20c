#ifndef CRR_TESTS_SWEEP_CALLERS_H_
#define CRR_TESTS_SWEEP_CALLERS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  // The copier's process is replaced by one that knows nothing.
  bool ReplaceCopier();
  // Lets the copier work until `done`, which calls the server, says true;
  // nullopt: it died.
  bool WorkUntil(const std::function<std::optional<bool>()>& done);
  WorkingCopier& copier() { return copier_; }
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

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_CALLERS_H_
