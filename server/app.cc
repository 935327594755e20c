#include "server/app.h"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <netdb.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "proto/cc/connection_settings.h"
#include "server/core/registry.h"
#include "server/lease_loop.h"
#include "server/metrics.h"
#include "server/publisher_hub.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/bucket_service.h"
#include "server/rpc/calls_under_way.h"
#include "server/rpc/change_service.h"
#include "server/rpc/copier_service.h"
#include "server/rpc/env.h"
#include "server/rpc/keep_warm.h"
#include "server/rpc/progress_watch.h"
#include "server/rpc/region_service.h"
#include "server/rpc/replication_service.h"
#include "server/rpc/rpc_stats.h"
#include "storage/database.h"

namespace crr {
namespace {

// Calls under way get this long once the server stops.
constexpr std::chrono::seconds kDrainTime{10};

constexpr const char* kServices[] = {
    "crr.v1.AdminService",       "crr.v1.BucketService",
    "crr.v1.ChangeService",      "crr.v1.CopierService",
    "crr.v1.RegionService",      "crr.v1.ReplicationService"};

// Connects to `address`, HOST:PORT, and hangs up: a listener that is to end
// looks whether it is only when somebody comes, or every 2 seconds.
void Knock(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return;
  const std::string host = address.substr(0, colon);
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, nullptr, &found) !=
      0) {
    return;
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    // Refused means that it has ended already.
    static_cast<void>(connect(fd, found->ai_addr, found->ai_addrlen));
    close(fd);
  }
  freeaddrinfo(found);
}

// Between two tries to cut connections that came while the server stopped.
constexpr std::chrono::milliseconds kCutInterval{20};

bool IsAddress(absl::string_view listen) {
  if (absl::StartsWith(listen, "unix:")) return true;
  const size_t colon = listen.rfind(':');
  int port = 0;
  return colon != absl::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(listen.substr(colon + 1), &port) && port >= 0 &&
         port <= 65'535;
}

bool IsLoopback(absl::string_view listen) {
  const std::string host(listen.substr(0, listen.rfind(':')));
  // Parsed, not compared: 127.example.org is a name that begins like one.
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) {
    return ntohl(address.s_addr) >> 24 == 127;
  }
  return host == "localhost" || host == "[::1]" ||
         absl::StartsWith(listen, "unix:");
}

void Configure(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(limits::kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             connection::kServerPingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             connection::kPingTimeoutMs);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      connection::kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             connection::kStreamsMax);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                             connection::kServerWindowBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             connection::kHandshakeMs);
  // A few bytes could unpack to more than the bound on messages, which gRPC
  // checks too late.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  // Two servers on one port must not share it unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(Options options,
                                                const Clock& clock) {
  CRR_RETURN_IF_ERROR(options.lease.Validate());
  for (const std::string* listen : {&options.listen, &options.metrics_listen}) {
    if (listen == &options.metrics_listen && listen->empty()) continue;
    if (!IsAddress(*listen)) {
      return absl::InvalidArgumentError(
          absl::StrCat("`", *listen, "` is not HOST:PORT"));
    }
    if (!options.allow_plaintext && !IsLoopback(*listen)) {
      return absl::InvalidArgumentError(absl::StrCat(
          *listen, " is not a loopback address: this version speaks plaintext "
                   "only; allow it with --allow_plaintext"));
    }
  }
  std::unique_ptr<App> app(new App());
  CRR_ASSIGN_OR_RETURN(app->database_,
                       Database::Open({.path = options.database_path,
                                       .queue_max = limits::kQueueMax,
                                       .queue_bytes_max = limits::kQueueBytesMax,
                                       .at_commit = options.at_commit}));
  CRR_RETURN_IF_ERROR(app->database_
                          ->WriteAndWait<std::monostate>(
                              [now = clock.WallNow()](Transaction& txn)
                                  -> absl::StatusOr<std::monostate> {
                                SeedRegistry(txn, now);
                                return std::monostate{};
                              })
                          .status());
  app->publishers_ = std::make_unique<PublisherHub>();
  app->sessions_ = std::make_unique<SessionStreams>(options.lease);
  app->loop_ =
      std::make_unique<LeaseLoop>(options.lease, clock, *app->database_,
                                  *app->publishers_, *app->sessions_);
  CRR_RETURN_IF_ERROR(app->loop_->Start());
  app->env_ = std::make_unique<Env>(
      Env{*app->database_, *app->loop_, *app->publishers_, clock});
  const Env& env = *app->env_;
  app->progress_watch_ = std::make_unique<ProgressWatch>(env);
  app->admin_service_ = std::make_unique<AdminService>(env);
  app->region_service_ = std::make_unique<RegionService>(env);
  app->bucket_service_ = std::make_unique<BucketService>(env);
  app->replication_service_ =
      std::make_unique<ReplicationService>(env, *app->progress_watch_);
  app->change_service_ =
      std::make_unique<ChangeService>(env, options.rule_log_bytes_max);
  app->copier_service_ =
      std::make_unique<CopierService>(*app->sessions_, *app->loop_);

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();
  grpc::ServerBuilder builder;
  Configure(builder);
  std::vector<std::string> services(std::begin(kServices),
                                    std::end(kServices));
  services.push_back("grpc.channelz.v1.Channelz");
  services.push_back("grpc.health.v1.Health");
  services.push_back("grpc.reflection.v1alpha.ServerReflection");
  app->rpc_stats_ = std::make_unique<RpcStats>(services);
  app->calls_under_way_ = std::make_unique<CallsUnderWay>();
  auto interceptors = CallRecorders(*app->rpc_stats_, clock);
  interceptors.push_back(app->calls_under_way_->Counter());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(app->admin_service_.get());
  builder.RegisterService(app->region_service_.get());
  builder.RegisterService(app->bucket_service_.get());
  builder.RegisterService(app->replication_service_.get());
  builder.RegisterService(app->change_service_.get());
  builder.RegisterService(app->copier_service_.get());
  app->server_ = builder.BuildAndStart();
  if (app->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen));
  }
  app->server_->GetHealthCheckService()->SetServingStatus(true);
  for (const char* service : kServices) {
    app->server_->GetHealthCheckService()->SetServingStatus(service, true);
  }
  app->keep_warm_ = std::make_unique<KeepWarm>(*app->server_);
  app->address_ = absl::StrCat(
      options.listen.substr(0, options.listen.rfind(':')), ":", port);
  app->metrics_ = std::make_shared<Metrics>(
      env, *app->rpc_stats_, *app->change_service_, options.rule_log_bytes_max);
  if (!options.metrics_listen.empty()) {
    app->ServeMetrics(options.metrics_listen);
  }
  return app;
}

void App::ServeMetrics(const std::string& listen) {
  // The exposer throws when it cannot listen.
  try {
    // Threads and a short patience, so that clients which connect and stay
    // silent do not keep a scraper out.
    exposer_ = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", listen, "num_threads", "4", "request_timeout_ms",
        "5000"});
    exposer_->RegisterCollectable(metrics_);
    metrics_address_ =
        absl::StrCat(listen.substr(0, listen.rfind(':')), ":",
                     exposer_->GetListeningPorts().at(0));
  } catch (const std::exception& error) {
    exposer_.reset();
    LogError("metrics_unavailable",
             {{"listen", listen}, {"error", error.what()}});
  }
}

void App::Drain() {
  if (drained_) return;
  drained_ = true;
  // A scrape waits for the loop and the database; its end takes a moment.
  std::thread metrics_end([this] { exposer_.reset(); });
  if (server_ != nullptr) {
    server_->GetHealthCheckService()->SetServingStatus(false);
    loop_->Drain();
    sessions_->Drain();
    change_service_->Drain();
    progress_watch_->Drain();
    keep_warm_.reset();
    const auto shutdown = std::async(std::launch::async, [this] {
      server_->Shutdown(std::chrono::system_clock::now() + kDrainTime);
    });
    // Shutdown would wait on for connections whose clients do nothing, and so
    // do not see that they are asked to close them.
    calls_under_way_->AwaitNone(absl::FromChrono(kDrainTime));
    do {
      grpc_server_cancel_all_calls(server_->c_server());
    } while (shutdown.wait_for(kCutInterval) != std::future_status::ready);
    server_->Wait();
  }
  Knock(metrics_address_);
  metrics_end.join();
  // The loop hears no more answers, then the database runs what waits, and only
  // then does the loop, which those answers name, go.
  if (loop_ != nullptr) loop_->Stop();
  database_.reset();
}

App::~App() { Drain(); }

}  // namespace crr
