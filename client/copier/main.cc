#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "client/access/channel.h"
#include "client/access/region_stores.h"
#include "client/copier/copier_id.h"
#include "client/copier/grpc_session_stream.h"
#include "client/copier/region_store_access.h"
#include "client/copier/run_lease.h"
#include "client/copier/session.h"
#include "client/copier/slot_pool.h"
#include "proto/cc/resource_name.h"

ABSL_FLAG(std::string, server, "127.0.0.1:7443", "crr-server, as HOST:PORT");
ABSL_FLAG(std::string, id, "",
          "Name of this copier, 1 to 63 of [a-z0-9-]; two processes with one "
          "name take the work from each other. Empty: made of the host's name "
          "and the process number");
ABSL_FLAG(int, slots, 8, "Objects copied at once, 1 to 1024");
ABSL_FLAG(std::string, region, "",
          "Region that this copier is in, such as oss-cn-hangzhou; work that "
          "touches it is preferred");
ABSL_FLAG(std::vector<std::string>, local_roots, {},
          "Absolute folders, comma-separated; a local store is opened only "
          "below one of them");
ABSL_FLAG(std::string, credentials_dir, "",
          "Folder with the credentials of stores, by name; local stores need "
          "none");

namespace crr {
namespace {

constexpr char kUsage[] =
    "crr-copier --local_roots=DIR[,DIR]\n"
    "\n"
    "Takes leases on work from crr-server and copies objects between regions.\n"
    "Start as many as there is work for. Prints `crr-copier ready` once the\n"
    "server has welcomed it. SIGTERM or SIGINT gives back all work and ends\n"
    "it in order.\n";

constexpr int kSlotsMax = 1024;
// Idle leases cost a waiting thread each; many small rules share one copier.
constexpr int kLeaseCredit = 32;

int Refuse(const char* why) {
  std::fprintf(stderr, "crr-copier: %s (see --help)\n", why);
  return 2;
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

int Main(int argc, char** argv) {
  const auto arguments = InitProgram("crr-copier", kUsage, argc, argv);
  std::string id = absl::GetFlag(FLAGS_id);
  if (id.empty()) id = DefaultCopierId(HostName(), getpid());
  const int slots = absl::GetFlag(FLAGS_slots);
  const std::string region_flag = absl::GetFlag(FLAGS_region);
  const std::string region(absl::StripPrefix(region_flag, "regions/"));
  if (!arguments.empty()) return Refuse("there are no arguments, only flags");
  if (!IsId(id)) return Refuse("--id must be 1 to 63 of [a-z0-9-]");
  if (slots < 1 || slots > kSlotsMax) return Refuse("--slots is 1 to 1024");
  if (!region.empty() && !IsId(region)) {
    return Refuse("--region must be 1 to 63 of [a-z0-9-]");
  }

  BlockStopSignals();
  const Clock& clock = Clock::Real();
  const RunnerTiming timing;
  RegionStores region_stores(absl::GetFlag(FLAGS_local_roots));
  RegionStoreAccess stores(region_stores);
  SlotPool pool(slots);
  GrpcSessionTransport transport(MakeChannel(absl::GetFlag(FLAGS_server)));
  Session session(
      {.copier_id = id,
       .region = region.empty() ? "" : RegionName(region),
       .slots = slots,
       .lease_credit = kLeaseCredit,
       .on_ready =
           [] {
             std::puts("crr-copier ready");
             std::fflush(stdout);
           }},
      transport,
      [&](LeaseLink& link) {
        const RunEnd end = RunLease({link, pool, clock, timing}, stores);
        if (!end.message.empty()) {
          LogWarning("gave a lease back", {{"rule", link.lease().rule()},
                                           {"unit", link.lease().unit()},
                                           {"reason", end.reason},
                                           {"message", end.message}});
        }
        return end;
      },
      clock);
  LogInfo("starting", {{"id", id}, {"slots", slots}});
  std::jthread work([&] {
    if (const absl::Status status = session.Run(); !status.ok()) {
      LogFatal("stopped for good", {{"why", status.message()}});
    }
  });
  WaitForStopSignal();
  session.Stop();
  return 0;
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) { return crr::Main(argc, argv); }
