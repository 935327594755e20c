// How many objects of 8 KiB a second 8 threads put into a local store, and how
// many files of 8 KiB a second a plain loop writes and syncs. Not a test:
//   store_bench FOLDER
// FOLDER must not exist, and stays.

#include <fcntl.h>

#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/store/files.h"
#include "client/store/local_store.h"
#include "tests/store/store_helpers.h"

namespace crr {
namespace {

constexpr int kThreads = 8;
constexpr absl::Duration kTime = absl::Seconds(5);

// Calls `work` with rising numbers on `threads` threads; returns calls a
// second.
double PerSecond(int threads,
                 const std::function<void(const std::string&)>& work) {
  const absl::Time start = absl::Now();
  std::vector<int> counts(static_cast<size_t>(threads));
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      int count = 0;
      while (absl::Now() - start < kTime) {
        work(absl::StrCat(t, "-", count++));
      }
      counts[static_cast<size_t>(t)] = count;
    });
  }
  double sum = 0;
  for (int t = 0; t < threads; ++t) {
    running[static_cast<size_t>(t)].join();
    sum += counts[static_cast<size_t>(t)];
  }
  return sum / absl::ToDoubleSeconds(absl::Now() - start);
}

int Main(const std::string& folder) {
  const std::string bytes(8 << 10, 'x');
  auto store = LocalStore::Open(folder + "/store", {.create = true}).value();
  store->EnsureBucket("bucket", BucketVersioning::kUnversioned).value();
  const std::string plain = folder + "/plain";
  if (!MakeFolder(plain).ok()) return 1;

  const auto put = [&](const std::string& name) {
    test::Put(*store, "bucket", name, bytes).value();
  };
  const double many = PerSecond(kThreads, put);
  const double one =
      PerSecond(1, [&](const std::string& name) { put("alone" + name); });
  const double files = PerSecond(1, [&](const std::string& name) {
    const FileDescriptor file =
        OpenFile(plain + "/" + name, O_WRONLY | O_CREAT | O_EXCL).value();
    if (!WriteAll(file, bytes).ok() || !SyncFile(file).ok()) std::abort();
  });
  std::printf("store, %d threads: %.0f/s\nstore, 1 thread: %.0f/s\n"
              "write and sync: %.0f/s\nratio: %.2f\n",
              kThreads, many, one, files, many / files);
  return 0;
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) {
  if (argc == 2) return crr::Main(argv[1]);
  std::fprintf(stderr, "usage: store_bench FOLDER\n");
  return 2;
}
