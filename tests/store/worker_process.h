#ifndef CRR_TESTS_STORE_WORKER_PROCESS_H_
#define CRR_TESTS_STORE_WORKER_PROCESS_H_

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/strip.h"
#include "base/check.h"

extern char** environ;

namespace crr::test {

// A running program that says what it does, line by line. Killed with this
// object if it still runs.
class WorkerProcess {
 public:
  // The first of `arguments` is the program.
  explicit WorkerProcess(std::vector<std::string> arguments) {
    int pipe_ends[2];
    CRR_CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    CRR_CHECK(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(),
                          environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    said_ = fdopen(pipe_ends[0], "r");
  }
  ~WorkerProcess() {
    if (pid_ > 0) {
      Kill();
      Wait();
    }
    std::fclose(said_);
  }
  WorkerProcess(const WorkerProcess&) = delete;

  // The next line, without its end; empty when there is no more.
  std::string NextLine() {
    char line[2'048];
    if (std::fgets(line, sizeof(line), said_) == nullptr) return "";
    return std::string(absl::StripSuffix(line, "\n"));
  }
  void Signal(int signal) { kill(pid_, signal); }
  void Kill() { Signal(SIGKILL); }
  int Wait() {
    int status = 0;
    CRR_CHECK(waitpid(pid_, &status, 0) == pid_);
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_ = 0;
  FILE* said_ = nullptr;
};

}  // namespace crr::test

#endif  // CRR_TESTS_STORE_WORKER_PROCESS_H_
