#include "tests/sweep/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/check.h"
#include "tests/sweep/scenario.h"

extern char** environ;

namespace crr::test {
namespace {

// Far beyond what a start or an end takes.
constexpr int kPatienceMs = 30'000;

}  // namespace

ServerProcess::ServerProcess(const std::string& database, int64_t point) {
  int input[2];
  int output[2];
  CRR_CHECK(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  // A line for each call; of use to nobody but who debugs one run.
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                   (database + ".log").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::string arguments[] = {CRR_SWEEP_SERVER, database, std::to_string(point),
                             std::to_string(kRuleLogBytesMax)};
  char* argv[] = {arguments[0].data(), arguments[1].data(),
                  arguments[2].data(), arguments[3].data(), nullptr};
  CRR_CHECK(posix_spawn(&pid_, argv[0], &actions, nullptr, argv, environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  output_ = output[0];
  char byte = 0;
  while (read(output_, &byte, 1) == 1 && byte != '\n') address_ += byte;
  if (byte != '\n') address_.clear();
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Wait();
  }
  if (input_ >= 0) close(input_);
  close(output_);
}

int ServerProcess::Wait() {
  pollfd end{.fd = output_, .events = POLLIN, .revents = 0};
  if (poll(&end, 1, kPatienceMs) != 1) kill(pid_, SIGABRT);
  int status = 0;
  CRR_CHECK(waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int ServerProcess::Stop() {
  close(std::exchange(input_, -1));
  return Wait();
}

}  // namespace crr::test
