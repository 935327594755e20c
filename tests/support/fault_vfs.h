#ifndef CRR_TESTS_SUPPORT_FAULT_VFS_H_
#define CRR_TESTS_SUPPORT_FAULT_VFS_H_

#include <cstdint>
#include <functional>
#include <limits>

namespace crr::test {

// A file system for SQLite that fails where it is told to, as disks do: a write
// that fails is half done, and an fsync that fails has lost all that was
// written since the last one, while the next one says that all is well.

// What counts, and may fail: whatever moves bytes, and removing a file.
enum class Io { kRead, kWrite, kTruncate, kSync, kDelete };

struct Fault {
  // The first of the operations that fail, counted from 1 over all kinds that
  // `may_fail` accepts, and how many do.
  int64_t at = std::numeric_limits<int64_t>::max();
  int64_t count = 1;
  std::function<bool(Io)> may_fail = [](Io) { return true; };
  // With SQLITE_FULL, otherwise with the I/O error of the operation.
  bool full = false;
  // Called as each fails, on the thread that meets it.
  std::function<void(Io)> on_fault = [](Io) {};
};

// Makes it the file system of every connection that this process opens from now
// on. For a child process: there is no way back. Call once, before any thread
// starts.
void InstallFaultVfs(Fault fault);

// Operations that could have failed so far.
int64_t IoCount();

}  // namespace crr::test

#endif  // CRR_TESTS_SUPPORT_FAULT_VFS_H_
