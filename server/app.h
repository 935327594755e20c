#ifndef CRR_SERVER_APP_H_
#define CRR_SERVER_APP_H_

#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/core/lease_options.h"
#include "server/core/limits.h"

namespace prometheus {
class Exposer;
}

namespace crr {

struct Env;
class AdminService;
class BucketService;
class CallsUnderWay;
class ChangeService;
class CopierService;
class Database;
class KeepWarm;
class LeaseLoop;
class Metrics;
class ProgressWatch;
class PublisherHub;
class RegionService;
class ReplicationService;
class RpcStats;
class SessionStreams;

// The whole server: builds every part in order, owns them, and takes them down
// in reverse.
class App {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // HOST:PORT; port 0 picks one.
    bool allow_plaintext = false;        // On other than loopback addresses.
    std::string metrics_listen;          // HOST:PORT; empty for none.
    std::string database_path;
    LeaseOptions lease;
    int64_t rule_log_bytes_max = limits::kRuleLogBytesMax;
    std::function<void()> at_commit;  // For tests: see Database::Options.
  };

  // INVALID_ARGUMENT: the options make no sense, or ask for plaintext beyond
  // loopback. Others: the database cannot be opened (see Database::Open) or the
  // address cannot be listened on (UNAVAILABLE).
  static absl::StatusOr<std::unique_ptr<App>> Start(Options options,
                                                    const Clock& clock);
  ~App();

  // Where it listens, HOST:PORT.
  const std::string& address() const { return address_; }
  // Where metrics are served, HOST:PORT; empty when they are not: the control
  // plane does not stop for want of a port for them.
  const std::string& metrics_address() const { return metrics_address_; }
  // For calls without a network.
  grpc::Server& server() { return *server_; }

  // Takes no new work: health says NOT_SERVING, streams are told to move, calls
  // under way are finished, and the database is closed. Call once.
  void Drain();

 private:
  App() = default;

  void ServeMetrics(const std::string& listen);

  std::string address_;
  std::string metrics_address_;
  std::unique_ptr<RpcStats> rpc_stats_;
  std::unique_ptr<CallsUnderWay> calls_under_way_;
  std::unique_ptr<PublisherHub> publishers_;
  std::unique_ptr<SessionStreams> sessions_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<LeaseLoop> loop_;
  std::unique_ptr<Env> env_;
  std::unique_ptr<ProgressWatch> progress_watch_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<RegionService> region_service_;
  std::unique_ptr<BucketService> bucket_service_;
  std::unique_ptr<ReplicationService> replication_service_;
  std::unique_ptr<ChangeService> change_service_;
  std::unique_ptr<CopierService> copier_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<KeepWarm> keep_warm_;
  std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  bool drained_ = false;
};

}  // namespace crr

#endif  // CRR_SERVER_APP_H_
