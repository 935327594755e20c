#ifndef CRR_TESTS_SUPPORT_CHILD_H_
#define CRR_TESTS_SUPPORT_CHILD_H_

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "base/check.h"

namespace crr::test {

// A forked process that runs `run` and exits with what that returns. Requires:
// this process has no other thread. Killed with this object.
class Child {
 public:
  explicit Child(const std::function<int()>& run) : pid_(fork()) {
    CRR_CHECK(pid_ >= 0);
    if (pid_ == 0) _exit(run());
  }
  ~Child() {
    if (pid_ > 0) Kill();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The exit status, or minus the signal that ended it.
  int Wait() {
    int status = 0;
    CRR_CHECK(waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void Kill() {
    kill(pid_, SIGKILL);
    Wait();
  }

 private:
  pid_t pid_;
};

// What a child returns when it cannot do the below.
inline constexpr int kCannotMount = 77;

// Mounts a file system of 4 MiB that only this process and its children see.
// For a child: there is no way back.
inline bool MountSmallFileSystem(const std::string& folder) {
  return (geteuid() == 0 ? unshare(CLONE_NEWNS)
                         : unshare(CLONE_NEWUSER | CLONE_NEWNS)) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("crr", folder.c_str(), "tmpfs", 0, "size=4m") == 0;
}

}  // namespace crr::test

#endif  // CRR_TESTS_SUPPORT_CHILD_H_
