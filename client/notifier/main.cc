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
#include "base/status_macros.h"
#include "client/access/channel.h"
#include "client/access/region_stores.h"
#include "client/notifier/notifier.h"
#include "proto/cc/resource_name.h"

ABSL_FLAG(std::string, server, "127.0.0.1:7443", "crr-server, as HOST:PORT");
ABSL_FLAG(std::string, id, "",
          "Name of this publisher, 1 to 63 of [a-z0-9-]; the server keeps its "
          "position under it");
ABSL_FLAG(std::string, region, "",
          "Region whose store is watched, such as oss-cn-hangzhou");
ABSL_FLAG(std::vector<std::string>, local_roots, {},
          "Absolute folders, comma-separated; a local store is opened only "
          "below one of them");

namespace crr {
namespace {

constexpr char kUsage[] =
    "crr-notifier --id=NAME --region=REGION --local_roots=DIR[,DIR]\n"
    "\n"
    "Publishes the changes of one region's store to crr-server. The position "
    "is kept by\n"
    "the server: there is nothing to keep here, and a restart loses and "
    "repeats nothing.\n"
    "Prints `crr-notifier ready` once the server has welcomed it. SIGTERM or "
    "SIGINT ends\n"
    "it in order.\n";

int Refuse(const char* why) {
  std::fprintf(stderr, "crr-notifier: %s (see --help)\n", why);
  return 2;
}

int Main(int argc, char** argv) {
  const auto arguments = InitProgram("crr-notifier", kUsage, argc, argv);
  const std::string id = absl::GetFlag(FLAGS_id);
  const std::string region_flag = absl::GetFlag(FLAGS_region);
  const std::string region(absl::StripPrefix(region_flag, "regions/"));
  if (!arguments.empty()) return Refuse("there are no arguments, only flags");
  if (!IsId(id)) return Refuse("--id must be 1 to 63 of [a-z0-9-]");
  if (!IsId(region)) return Refuse("--region must be 1 to 63 of [a-z0-9-]");

  BlockStopSignals();
  const auto channel = MakeChannel(absl::GetFlag(FLAGS_server));
  const auto regions = v1::RegionService::NewStub(channel);
  const auto changes = v1::ChangeService::NewStub(channel);
  RegionStores stores(absl::GetFlag(FLAGS_local_roots));
  Notifier notifier(
      {.id = id, .region = region}, *regions, *changes,
      [&](const v1::Store& address)
          -> absl::StatusOr<std::unique_ptr<ChangeJournal>> {
        // Made where it is missing: a region is watched from before its first
        // object.
        CRR_ASSIGN_OR_RETURN(const auto store,
                             stores.Open(address, /*create=*/true));
        return store->OpenJournal();
      },
      Clock::Real(), [] {
        std::puts("crr-notifier ready");
        std::fflush(stdout);
      });
  std::jthread publishing([&] {
    if (const absl::Status status = notifier.Run(); !status.ok()) {
      LogFatal("stopped", {{"why", status.message()}});
    }
  });
  WaitForStopSignal();
  notifier.Stop();
  return 0;
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) { return crr::Main(argc, argv); }
