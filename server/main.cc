#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "server/app.h"
#include "storage/backup.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7443",
          "Address to serve gRPC on, HOST:PORT; port 0 picks one.");
ABSL_FLAG(std::string, storage, "sqlite:crr.db",
          "Where the state is kept: sqlite:PATH.");
ABSL_FLAG(absl::Duration, lease_ttl, absl::Seconds(10),
          "How long a lease holds without a heartbeat; at least 1s. To lower it, "
          "stop the server and wait one and a half times the old value: leases "
          "that were given with it hold for so long.");
ABSL_FLAG(absl::Duration, object_retry, absl::Seconds(1),
          "Pause before a failing object is tried again; doubles from try to "
          "try, up to 5 minutes.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:9464",
          "Address to serve Prometheus metrics on, HOST:PORT; port 0 picks one, "
          "empty serves none.");
ABSL_FLAG(bool, allow_plaintext, false,
          "Serve without TLS on an address that is not loopback.");
ABSL_FLAG(std::string, backup, "",
          "Copies the database of --storage, which a server may be serving, to "
          "this new file, checks the copy, and exits. The file appears once it "
          "is whole; FILE.incomplete is what a killed backup leaves.");
ABSL_FLAG(std::string, restore, "",
          "Makes the database of --storage, which must not be there, from this "
          "backup, and exits. The first start then waits --lease_ttl and its "
          "grace before it gives work out, has publishers send again what the "
          "backup does not know of, and compares the buckets of every rule.");

namespace {

constexpr char kUsage[] =
    "crr-server: the control plane of cross-region replication.\n"
    "Prints `crr-server ready on HOST:PORT` once it serves; SIGTERM drains.\n"
    "With --backup or --restore it does that alone and exits 0, or says why "
    "not and exits 1.\n";

int Backup(const std::string& path, const std::string& file) {
  const crr::Ticks begun = crr::Clock::Real().Now();
  const auto report = crr::Backup(path, file);
  if (!report.ok()) {
    crr::LogError("backup_failed", {{"error", report.status().ToString()}});
    return 1;
  }
  crr::LogInfo(
      "backup_written",
      {{"file", file},
       {"bytes", report->bytes},
       {"schema_version", report->schema_version},
       {"took", absl::FormatDuration(crr::Clock::Real().Now() - begun)}});
  return 0;
}

int Restore(const std::string& file, const std::string& path) {
  const auto report =
      crr::Restore(file, path, crr::Clock::Real().WallNow());
  if (!report.ok()) {
    crr::LogError("restore_failed", {{"error", report.status().ToString()}});
    return 1;
  }
  crr::LogInfo("restored",
               {{"from", file},
                {"path", path},
                {"rules", report->rules},
                {"incarnation", report->incarnation},
                {"next", "start the server: it waits until leases that the "
                         "backup does not know of have run out, has publishers "
                         "send again, and verifies every rule"}});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (!crr::InitProgram("crr-server", kUsage, argc, argv).empty()) {
    std::fputs("crr-server: takes no arguments but flags (see --help)\n",
               stderr);
    return 2;
  }
  const std::string storage = absl::GetFlag(FLAGS_storage);
  absl::string_view path = storage;
  if (!absl::ConsumePrefix(&path, "sqlite:") || path.empty()) {
    std::fputs("crr-server: --storage must be sqlite:PATH\n", stderr);
    return 2;
  }
  const std::string backup = absl::GetFlag(FLAGS_backup);
  const std::string restore = absl::GetFlag(FLAGS_restore);
  if (!backup.empty() && !restore.empty()) {
    std::fputs("crr-server: --backup and --restore exclude each other\n",
               stderr);
    return 2;
  }
  if (!backup.empty()) return Backup(std::string(path), backup);
  if (!restore.empty()) return Restore(restore, std::string(path));
  crr::BlockStopSignals();
  crr::LeaseOptions lease =
      crr::LeaseOptions::FromTtl(absl::GetFlag(FLAGS_lease_ttl));
  lease.object_retry_base = absl::GetFlag(FLAGS_object_retry);
  auto app = crr::App::Start(
      {.listen = absl::GetFlag(FLAGS_listen),
       .allow_plaintext = absl::GetFlag(FLAGS_allow_plaintext),
       .metrics_listen = absl::GetFlag(FLAGS_metrics_listen),
       .database_path = std::string(path),
       .lease = lease},
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
