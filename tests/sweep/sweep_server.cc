// A server that kills itself at one of its commit points: a program for
// kill_sweep_test.
//
//   sweep_server DATABASE POINT LOG_BYTES
//
// The log of a rule takes LOG_BYTES at most; objects that failed are tried
// again at once.
//
// Points are counted from 1 over the life of the process; the odd ones are just
// before a COMMIT, the even ones just after it, before anything of it was
// answered. Point 0 is never reached. Prints the address that it serves on, and
// drains when its standard input ends.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/app.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  // Short: what a killed copier held is waited for.
  auto lease = crr::LeaseOptions::FromTtl(absl::Seconds(1));
  lease.object_retry_base = absl::ZeroDuration();
  auto app = crr::App::Start(
      {.database_path = argv[1],
       .lease = lease,
       .rule_log_bytes_max = std::atoll(argv[3]),
       .at_commit =
           [point = std::atoll(argv[2]), seen = 0LL]() mutable {
             if (++seen == point) raise(SIGKILL);
           }},
      crr::Clock::Real());
  if (!app.ok()) {
    std::fprintf(stderr, "%s\n", app.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", (*app)->address().c_str());
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  (*app)->Drain();
  return 0;
}
