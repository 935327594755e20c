#include "client/store/reader_pool.h"

#include "client/store/index_schema.h"

namespace crr {
namespace {

// Reads are short; more would only hold more file descriptors.
constexpr int kConnectionsMax = 8;

}  // namespace

absl::StatusOr<ReaderPool::Reader> ReaderPool::Borrow() {
  {
    MutexLock lock(mu_);
    while (free_.empty() && open_ == kConnectionsMax) given_back_.Wait(mu_);
    if (!free_.empty()) {
      Reader reader(*this, std::move(free_.back()));
      free_.pop_back();
      return reader;
    }
    ++open_;
  }
  absl::StatusOr<std::unique_ptr<IndexConnection>> db =
      OpenIndexReader(path_);
  if (db.ok()) return Reader(*this, *std::move(db));
  MutexLock lock(mu_);
  --open_;
  given_back_.NotifyOne();
  return db.status();
}

void ReaderPool::GiveBack(std::unique_ptr<IndexConnection> db) {
  MutexLock lock(mu_);
  free_.push_back(std::move(db));
  given_back_.NotifyOne();
}

}  // namespace crr
