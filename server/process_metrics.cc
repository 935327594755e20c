#include "server/process_metrics.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace crr {

void AddProcess(absl::Time start, MetricPage& page) {
  page.BeginGauge("process_start_time_seconds",
                  "When the process began to serve, in seconds since 1970.");
  page.Value(absl::ToDoubleSeconds(start - absl::UnixEpoch()));

  timespec cpu{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
    page.BeginCounter("process_cpu_seconds_total", "Processor time used.");
    page.Value(absl::ToDoubleSeconds(absl::DurationFromTimespec(cpu)));
  }

  int64_t all_pages = 0;
  int64_t resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> all_pages >> resident_pages) {
    page.BeginGauge("process_resident_memory_bytes", "Memory in use.");
    page.Value(resident_pages * sysconf(_SC_PAGESIZE));
  }

  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) {
    page.BeginGauge("process_open_fds", "Open file descriptors.");
    page.Value(std::distance(begin(files), end(files)));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    page.BeginGauge("process_max_fds", "As many may be open.");
    page.Value(limit.rlim_cur);
  }
}

}  // namespace crr
