#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "server/app.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7443",
          "Address to serve gRPC on, HOST:PORT; port 0 picks one.");
ABSL_FLAG(std::string, storage, "sqlite:crr.db",
          "Where the state is kept: sqlite:PATH.");
ABSL_FLAG(absl::Duration, lease_ttl, absl::Seconds(10),
          "How long a lease holds without a heartbeat; at least 1s.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:9464",
          "Address to serve Prometheus metrics on, HOST:PORT; port 0 picks one, "
          "empty serves none.");
ABSL_FLAG(bool, allow_plaintext, false,
          "Serve without TLS on an address that is not loopback.");

namespace {

constexpr char kUsage[] =
    "crr-server: the control plane of cross-region replication.\n"
    "Prints `crr-server ready on HOST:PORT` once it serves; SIGTERM drains.\n";

}  // namespace

int main(int argc, char** argv) {
  if (!crr::InitProgram("crr-server", kUsage, argc, argv).empty()) {
    std::fputs("crr-server: takes no arguments but flags (see --help)\n",
               stderr);
    return 2;
  }
  crr::BlockStopSignals();
  const std::string storage = absl::GetFlag(FLAGS_storage);
  absl::string_view path = storage;
  if (!absl::ConsumePrefix(&path, "sqlite:") || path.empty()) {
    std::fputs("crr-server: --storage must be sqlite:PATH\n", stderr);
    return 2;
  }
  auto app = crr::App::Start(
      {.listen = absl::GetFlag(FLAGS_listen),
       .allow_plaintext = absl::GetFlag(FLAGS_allow_plaintext),
       .metrics_listen = absl::GetFlag(FLAGS_metrics_listen),
       .database_path = std::string(path),
       .lease = crr::LeaseOptions::FromTtl(absl::GetFlag(FLAGS_lease_ttl))},
      crr::Clock::Real());
  if (!app.ok()) {
    crr::LogError("start_failed", {{"error", app.status().ToString()}});
    return 1;
  }
  crr::LogInfo("serving", {{"address", (*app)->address()}, {"storage", storage}});
  std::printf("crr-server ready on %s\n", (*app)->address().c_str());
  if (!(*app)->metrics_address().empty()) {
    std::printf("metrics on %s\n", (*app)->metrics_address().c_str());
  }
  std::fflush(stdout);
  crr::WaitForStopSignal();
  crr::LogInfo("draining");
  (*app)->Drain();
  crr::LogInfo("stopped");
  return 0;
}
