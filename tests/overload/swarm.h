#ifndef CRR_TESTS_OVERLOAD_SWARM_H_
#define CRR_TESTS_OVERLOAD_SWARM_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "crr/v1/copier_service.grpc.pb.h"
#include "tests/overload/real_server.h"

namespace crr::test {

// Thousands of copiers that hold sessions and do nothing else: each says hello,
// sends a heartbeat every `interval`, spread over it, and comes back with the
// number of its session when its stream ends. Thread-safe.
class Swarm {
 public:
  struct Options {
    size_t sessions = 0;
    size_t per_connection = 100;
    std::chrono::milliseconds interval{};
  };
  Swarm(const RealServer& server, Options options);
  ~Swarm();

  struct Report {
    size_t welcomed = 0;     // Sessions that stand now.
    int64_t welcomes = 0;    // Ever; the rest since the report before.
    int64_t answered = 0;    // Heartbeats.
    int64_t ended = 0;       // Streams.
    int64_t renumbered = 0;  // Sessions that were not resumed.
    std::chrono::duration<double> slowest{};  // From heartbeat to answer.
    grpc::Status last_end;                    // Of the last stream.
  };
  Report TakeReport();
  // Until all stand; false after `patience`.
  bool AwaitWelcomed(std::chrono::seconds patience);
  // Until so many heartbeats were answered since the last report, or none for
  // a second.
  void AwaitAnswered(int64_t count);

 private:
  class Stream;
  struct Copier {
    v1::CopierService::Stub* stub = nullptr;
    int64_t session = 0;
    bool welcomed = false;
    std::shared_ptr<Stream> stream;
    std::chrono::steady_clock::time_point due;
  };

  void Run();
  void Open(size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Welcomed(size_t index, int64_t session);
  void Answered(std::chrono::duration<double> took);
  void Ended(size_t index, const grpc::Status& status);

  const Options options_;
  std::vector<std::unique_ptr<v1::CopierService::Stub>> stubs_;
  Mutex mu_;
  CondVar changed_;
  CondVar stopped_;
  std::vector<Copier> copiers_ ABSL_GUARDED_BY(mu_);
  // Streams that are over. They hold on to their connection, and the last one
  // of a process may not go on a thread of gRPC, which it would wait for.
  std::vector<std::shared_ptr<Stream>> gone_ ABSL_GUARDED_BY(mu_);
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Report report_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_OVERLOAD_SWARM_H_
