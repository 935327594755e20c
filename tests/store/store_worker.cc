// Writes to a local store until it has done enough or is killed, and says
// before and after each operation what it does: a program for the tests of
// several processes on one folder.
//
//   store_worker ROOT BUCKET NAME OPERATIONS THREADS
//   store_worker ROOT BUCKET KEY GATE
//
// Each thread goes through keys of its own in the order that WorkAt tells.
// Lines: "? KEY GENERATION" before an operation, "! KEY GENERATION" when it was
// answered; generation 0 is a deletion.
//
// With a GATE, a FIFO, it writes half of one large object, says "half", waits
// until somebody opens the gate for writing, commits the whole, says "whole".

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/store/local_store.h"
#include "tests/store/store_helpers.h"
#include "tests/store/worker_plan.h"

namespace crr::test {
namespace {

// One write(2), so that lines of threads and processes stay whole.
void Say(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) !=
      static_cast<ssize_t>(line.size())) {
    std::_Exit(3);
  }
}

void Work(LocalStore& store, const std::string& bucket,
          const std::string& name, int operations) {
  for (int i = 0; i < operations; ++i) {
    const PlannedOperation planned = WorkAt(name, i);
    const std::string line =
        absl::StrCat(" ", planned.key, " ", planned.generation, "\n");
    Say("?" + line);
    const absl::StatusOr<WriteOutcome> outcome =
        planned.generation == 0
            ? store.Delete(bucket, planned.key, {})
            : Put(store, bucket, planned.key,
                  PlannedBytes(planned.key, planned.generation));
    if (!outcome.ok() || *outcome != WriteOutcome::kApplied) std::_Exit(4);
    Say("!" + line);
  }
}

int Main(char** argv) {
  const absl::StatusOr<std::unique_ptr<LocalStore>> store =
      LocalStore::Open(argv[1], {});
  if (!store.ok()) return 2;
  std::vector<std::thread> threads;
  for (int t = 0; t < std::atoi(argv[5]); ++t) {
    threads.emplace_back([&, t] {
      Work(**store, argv[2], absl::StrCat(argv[3], "-", t),
           std::atoi(argv[4]));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

int WriteInHalves(char** argv) {
  const absl::StatusOr<std::unique_ptr<LocalStore>> store =
      LocalStore::Open(argv[1], {});
  if (!store.ok()) return 2;
  const auto writer = (*store)->Write(argv[2], argv[3]);
  const std::string half(kHalfBytes, 'x');
  if (!writer.ok() || !(*writer)->Append(half).ok()) return 4;
  Say("half\n");
  const int gate = open(argv[4], O_RDONLY);
  if (gate < 0 || !(*writer)->Append(half).ok()) return 5;
  close(gate);
  const absl::StatusOr<WriteOutcome> outcome = (*writer)->Commit({}, {}, {});
  if (!outcome.ok() || *outcome != WriteOutcome::kApplied) return 6;
  Say("whole\n");
  return 0;
}

}  // namespace
}  // namespace crr::test

int main(int argc, char** argv) {
  if (argc == 5) return crr::test::WriteInHalves(argv);
  return argc == 6 ? crr::test::Main(argv) : 1;
}
