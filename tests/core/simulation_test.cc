// The lease core, its transactions and the protocol under everything at once.
// CRR_SIMULATION_SEEDS sets how many runs there are; CRR_SIMULATION_FIRST which
// is the first, so that one can be repeated.

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "tests/core/simulation.h"

namespace crr {
namespace {

using test::Simulation;
using test::Weakness;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  uint64_t number = 0;
  return value != nullptr && absl::SimpleAtoi(value, &number) ? number
                                                              : otherwise;
}

char present_seed[64];

// A failed CRR_CHECK is a finding, too, and must name its seed.
void OnAbort(int) {
  const ssize_t ignored =
      write(STDERR_FILENO, present_seed, std::strlen(present_seed));
  static_cast<void>(ignored);
}

std::string RunOne(uint64_t seed, const Weakness& weakness,
                   std::map<std::string, int64_t>& reached) {
  absl::SNPrintF(present_seed, sizeof(present_seed), "aborted at seed %d\n",
                 seed);
  Simulation simulation(seed, weakness);
  const std::string violation = simulation.Run();
  for (const auto& [what, count] : simulation.reached()) {
    reached[what] += count;
  }
  return violation;
}

TEST(SimulationTest, NothingIsEverBroken) {
  std::signal(SIGABRT, OnAbort);
  const uint64_t first = FromEnvironment("CRR_SIMULATION_FIRST", 1);
  const uint64_t seeds = FromEnvironment("CRR_SIMULATION_SEEDS", 200);
  int failures = 0;
  std::map<std::string, int64_t> reached;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const std::string violation = RunOne(seed, {}, reached);
    if (violation.empty()) continue;
    ADD_FAILURE() << "seed " << seed << ": " << violation;
    if (++failures == 5) return;
  }
  // What it was never brought to, it did not show.
  for (const char* what :
       {"a batch again", "a checkpoint again", "a crash on an object",
        "a difference to repair", "a fenced checkpoint", "a grant",
        "a last_sync_time", "a lease of a rule that grew", "a log overflowed",
        "an object done by itself",
        "an object retried by hand", "an object that left its lane",
        "a kill at work", "a lease lost by its holder", "a pause under a lease",
        "a paused rule closed", "a bound below the leases that live",
        "a restart", "a resume", "a rule", "a rule closed under a lease",
        "an expiry"}) {
    RecordProperty(what, std::to_string(reached[what]));
    EXPECT_GE(reached[what], static_cast<int64_t>(seeds / 10)) << what;
  }
}

// A simulation that finds nothing has shown something only if it finds what is
// there.
TEST(SimulationTest, WeaknessesAreFound) {
  std::signal(SIGABRT, OnAbort);
  struct Case {
    Weakness weakness;
    const char* finds;
  };
  for (const Case& c :
       {Case{{.token_is_ignored = true}, "under an old token"},
        Case{{.failures_are_dropped = true}, "is ahead of"},
        Case{{.grace_is_left_out = true}, "may write for unit"},
        Case{{.restart_forgets_leases = true}, "may write for unit"}}) {
    SCOPED_TRACE(c.finds);
    bool found = false;
    std::map<std::string, int64_t> reached;
    for (uint64_t seed = 1; seed <= 1000 && !found; ++seed) {
      found = RunOne(seed, c.weakness, reached).find(c.finds) !=
              std::string::npos;
    }
    EXPECT_TRUE(found);
  }
}

}  // namespace
}  // namespace crr
