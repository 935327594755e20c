#ifndef CRR_TESTS_SWEEP_SERVER_PROCESS_H_
#define CRR_TESTS_SWEEP_SERVER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace crr::test {

// A running sweep_server. Killed with this object if it still runs.
class ServerProcess {
 public:
  // Starts it and waits until it serves or is dead. It kills itself at commit
  // point `point`; 0 for never.
  ServerProcess(const std::string& database, int64_t point);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Where it listens; empty when it died before.
  const std::string& address() const { return address_; }
  // Waits for its death. The exit status, or minus the signal that ended it;
  // ends it with SIGABRT when it lives on.
  int Wait();
  // Asks it to drain, and waits.
  int Stop();

 private:
  pid_t pid_ = -1;
  int input_ = -1;   // Its standard input, ours to close.
  int output_ = -1;  // Its standard output; at its end the process is gone.
  std::string address_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_SERVER_PROCESS_H_
