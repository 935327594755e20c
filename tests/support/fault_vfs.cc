#include "tests/support/fault_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"

namespace crr::test {
namespace {

struct State {
  sqlite3_vfs* real = nullptr;
  sqlite3_vfs vfs{};
  Fault fault;
  std::atomic<int64_t> operations{0};
};
State* state = nullptr;

// What stood where an unsynced write went.
struct Overwritten {
  sqlite3_int64 offset;
  std::string bytes;
  sqlite3_int64 file_size;
};

struct File : sqlite3_file {
  sqlite3_file* real;  // Behind this, in the same block of memory.
  std::vector<Overwritten>* unsynced;
};

File& Of(sqlite3_file* file) { return *static_cast<File*>(file); }
sqlite3_file* Real(sqlite3_file* file) { return Of(file).real; }

// Counts the operation and says whether it is to fail.
bool Fails(Io io) {
  const Fault& fault = state->fault;
  if (!fault.may_fail(io)) return false;
  const int64_t number = ++state->operations;
  if (number < fault.at || number - fault.at >= fault.count) return false;
  fault.on_fault(io);
  return true;
}

int Code(int io_error) { return state->fault.full ? SQLITE_FULL : io_error; }

int RealWrite(sqlite3_file* file, const void* bytes, int size,
              sqlite3_int64 offset) {
  return Real(file)->pMethods->xWrite(Real(file), bytes, size, offset);
}

int Read(sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
  if (Fails(Io::kRead)) return SQLITE_IOERR_READ;
  return Real(file)->pMethods->xRead(Real(file), bytes, size, offset);
}

int Write(sqlite3_file* file, const void* bytes, int size,
          sqlite3_int64 offset) {
  const sqlite3_io_methods& real = *Real(file)->pMethods;
  Overwritten old{offset, {}, 0};
  real.xFileSize(Real(file), &old.file_size);
  old.bytes.resize(static_cast<size_t>(
      std::clamp<sqlite3_int64>(old.file_size - offset, 0, size)));
  if (!old.bytes.empty()) {
    real.xRead(Real(file), old.bytes.data(), static_cast<int>(old.bytes.size()),
               offset);
  }
  Of(file).unsynced->push_back(std::move(old));
  if (!Fails(Io::kWrite)) return RealWrite(file, bytes, size, offset);
  RealWrite(file, bytes, size / 2, offset);
  return Code(SQLITE_IOERR_WRITE);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (Fails(Io::kTruncate)) return SQLITE_IOERR_TRUNCATE;
  return Real(file)->pMethods->xTruncate(Real(file), size);
}

int Sync(sqlite3_file* file, int flags) {
  std::vector<Overwritten>& unsynced = *Of(file).unsynced;
  if (!Fails(Io::kSync)) {
    unsynced.clear();
    return Real(file)->pMethods->xSync(Real(file), flags);
  }
  for (; !unsynced.empty(); unsynced.pop_back()) {
    const Overwritten& old = unsynced.back();
    RealWrite(file, old.bytes.data(), static_cast<int>(old.bytes.size()),
              old.offset);
    Real(file)->pMethods->xTruncate(Real(file), old.file_size);
  }
  return Code(SQLITE_IOERR_FSYNC);
}

int Close(sqlite3_file* file) {
  delete Of(file).unsynced;
  return Real(file)->pMethods->xClose(Real(file));
}

// The rest goes through.
template <auto method>
struct Pass;
template <typename... Args,
          int (*sqlite3_io_methods::*method)(sqlite3_file*, Args...)>
struct Pass<method> {
  static int Call(sqlite3_file* file, Args... args) {
    return (Real(file)->pMethods->*method)(Real(file), args...);
  }
};
void Barrier(sqlite3_file* file) {
  Real(file)->pMethods->xShmBarrier(Real(file));
}

// Version 2: with shared memory, without mapped files.
constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = Pass<&sqlite3_io_methods::xFileSize>::Call,
    .xLock = Pass<&sqlite3_io_methods::xLock>::Call,
    .xUnlock = Pass<&sqlite3_io_methods::xUnlock>::Call,
    .xCheckReservedLock = Pass<&sqlite3_io_methods::xCheckReservedLock>::Call,
    .xFileControl = Pass<&sqlite3_io_methods::xFileControl>::Call,
    .xSectorSize = Pass<&sqlite3_io_methods::xSectorSize>::Call,
    .xDeviceCharacteristics =
        Pass<&sqlite3_io_methods::xDeviceCharacteristics>::Call,
    .xShmMap = Pass<&sqlite3_io_methods::xShmMap>::Call,
    .xShmLock = Pass<&sqlite3_io_methods::xShmLock>::Call,
    .xShmBarrier = Barrier,
    .xShmUnmap = Pass<&sqlite3_io_methods::xShmUnmap>::Call,
};

int Open(sqlite3_vfs*, const char* name, sqlite3_file* raw, int flags,
         int* out_flags) {
  File& file = Of(raw);
  file.pMethods = nullptr;
  file.real = reinterpret_cast<sqlite3_file*>(&file + 1);
  const int code =
      state->real->xOpen(state->real, name, file.real, flags, out_flags);
  if (code != SQLITE_OK) return code;
  file.unsynced = new std::vector<Overwritten>();
  file.pMethods = &kMethods;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs*, const char* name, int sync_folder) {
  if (Fails(Io::kDelete)) return SQLITE_IOERR_DELETE;
  return state->real->xDelete(state->real, name, sync_folder);
}

}  // namespace

void InstallFaultVfs(Fault fault) {
  CRR_CHECK(state == nullptr);
  state = new State();
  state->real = sqlite3_vfs_find(nullptr);
  state->fault = std::move(fault);
  state->vfs = *state->real;
  state->vfs.zName = "crr-faults";
  state->vfs.szOsFile = static_cast<int>(sizeof(File)) + state->real->szOsFile;
  state->vfs.xOpen = Open;
  state->vfs.xDelete = Delete;
  CRR_CHECK(sqlite3_vfs_register(&state->vfs, /*makeDflt=*/1) == SQLITE_OK);
}

int64_t IoCount() { return state->operations; }

}  // namespace crr::test
