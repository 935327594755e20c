// Uploads one object in parts until it is done or killed, and says what it has
// done: a program for the tests of several processes on one folder.
//
//   upload_worker ROOT BUCKET KEY GENERATION PARTS ID FIRST COMMIT
//
// Goes on with the upload ID from part FIRST, or begins one if ID is "-". With
// COMMIT "die" it is killed in the middle of its commit. Lines: "begun ID",
// "part N", "commit", "outcome N" with a WriteOutcome, "failed CODE" and
// nothing more.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/store/local_store.h"
#include "tests/store/store_helpers.h"
#include "tests/store/worker_plan.h"

namespace crr::test {
namespace {

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  if (write(STDOUT_FILENO, whole.data(), whole.size()) !=
      static_cast<ssize_t>(whole.size())) {
    std::_Exit(3);
  }
}

template <typename Status>
void OrFail(const Status& status) {
  if (status.ok()) return;
  Say(absl::StrCat("failed ", static_cast<int>(status.code())));
  std::_Exit(0);
}

int Main(char** argv) {
  const std::string bucket = argv[2], key = argv[3], id = argv[6];
  const int generation = std::atoi(argv[4]), parts = std::atoi(argv[5]);
  const absl::StatusOr<std::unique_ptr<LocalStore>> store =
      LocalStore::Open(argv[1], {});
  if (!store.ok()) return 2;
  const auto upload =
      id == "-" ? (*store)->BeginUpload(bucket, key, kPlannedPartBytes)
                : (*store)->ResumeUpload(bucket, key, id);
  OrFail(upload.status());
  if (*upload == nullptr) OrFail(absl::NotFoundError("no such upload"));
  Say("begun " + (*upload)->id());
  for (int number = std::atoi(argv[7]); number < parts; ++number) {
    OrFail(
        (*upload)->WritePart(number, PlannedPart(generation, parts, number)));
    Say(absl::StrCat("part ", number));
  }
  ReplicaWrite replica = Revision(generation);
  if (std::string(argv[8]) == "die") {
    replica.may_commit = [] { return kill(getpid(), SIGKILL) == 0; };
  }
  Say("commit");
  const absl::StatusOr<WriteOutcome> outcome = (*upload)->Commit(
      static_cast<int64_t>(PlannedUpload(generation, parts).size()), {}, {},
      replica);
  OrFail(outcome.status());
  Say(absl::StrCat("outcome ", static_cast<int>(*outcome)));
  return 0;
}

}  // namespace
}  // namespace crr::test

int main(int argc, char** argv) {
  return argc == 9 ? crr::test::Main(argv) : 1;
}
