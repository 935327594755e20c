#ifndef CRR_TESTS_OVERLOAD_REAL_SERVER_H_
#define CRR_TESTS_OVERLOAD_REAL_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "crr/v1/bucket_service.grpc.pb.h"
#include "crr/v1/change_service.grpc.pb.h"
#include "crr/v1/copier_service.grpc.pb.h"
#include "crr/v1/region_service.grpc.pb.h"
#include "crr/v1/replication_service.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace crr::test {

// The crr-server program in a process of its own, where its memory can be
// measured. Killed with this object.
class RealServer {
 public:
  // `lease_ttl` as the flag takes it.
  explicit RealServer(const std::string& lease_ttl);
  ~RealServer();

  // As by `kill -9`; then the same address and database again.
  void KillAndRestart();

  const std::string& address() const { return address_; }
  int64_t resident_bytes() const;
  // Processor time used until now.
  double cpu_seconds() const;

  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const;

  // The calls of operators.
  v1::RegionService::Stub& regions() { return *regions_; }
  v1::BucketService::Stub& buckets() { return *buckets_; }
  v1::ReplicationService::Stub& rules() { return *rules_; }

  // A rule from `buckets/{name}-src` to `buckets/{name}-dst`, and its resource
  // name. Requires: both regions have stores.
  void SetStores();
  std::string AddRule(const std::string& name);
  // Plays the copier that probes `rules` rules, so that they become active.
  void Activate(int rules);
  v1::RuleProgress Progress(const std::string& rule);

 private:
  void Start(const std::string& listen);
  void Kill();

  const std::string lease_ttl_;
  TempDir dir_;
  pid_t pid_ = -1;
  std::string address_;
  std::unique_ptr<v1::RegionService::Stub> regions_;
  std::unique_ptr<v1::BucketService::Stub> buckets_;
  std::unique_ptr<v1::ReplicationService::Stub> rules_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_OVERLOAD_REAL_SERVER_H_
