#ifndef CRR_CLIENT_STORE_READER_POOL_H_
#define CRR_CLIENT_STORE_READER_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/store/index_connection.h"

namespace crr {

// A few read-only connections to one index, opened when first needed and lent
// to one thread at a time. Thread-safe.
class ReaderPool {
 public:
  explicit ReaderPool(const std::string& index_path) : path_(index_path) {}

  // A borrowed connection, given back with this object.
  class Reader {
   public:
    Reader(ReaderPool& pool, std::unique_ptr<IndexConnection> db)
        : pool_(&pool), db_(std::move(db)) {}
    ~Reader() {
      if (db_ != nullptr) pool_->GiveBack(std::move(db_));
    }
    Reader(Reader&&) = default;
    Reader& operator=(Reader&&) = delete;

    IndexConnection& db() { return *db_; }

   private:
    ReaderPool* pool_;
    std::unique_ptr<IndexConnection> db_;
  };
  // Waits while all of them are lent: hold one for no longer than a statement.
  absl::StatusOr<Reader> Borrow();

 private:
  void GiveBack(std::unique_ptr<IndexConnection> db);

  const std::string path_;
  Mutex mu_;
  CondVar given_back_;
  int open_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::unique_ptr<IndexConnection>> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_READER_POOL_H_
