#ifndef CRR_CLIENT_COPIER_SLOT_POOL_H_
#define CRR_CLIENT_COPIER_SLOT_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace crr {

// A fixed number of threads that copy objects, shared evenly: each lease has a
// lane, and a free slot takes from the lane that has waited longest. What waits
// is bounded by those who submit (CopyWindow). Thread-safe.
class SlotPool {
 public:
  // One lease's place in the pool. Destroying it forgets what waits and
  // blocks until what runs has ended. Thread-safe.
  class Lane {
   public:
    ~Lane();
    void Submit(std::function<void()> task);

   private:
    friend class SlotPool;
    explicit Lane(SlotPool& pool) : pool_(pool) {}

    SlotPool& pool_;
    std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(pool_.mu_);
    size_t running_ ABSL_GUARDED_BY(pool_.mu_) = 0;
    CondVar ended_;
  };

  explicit SlotPool(int slots);
  // Requires: every lane is gone.
  ~SlotPool();

  std::unique_ptr<Lane> OpenLane();
  int slots() const { return static_cast<int>(threads_.size()); }

 private:
  void Work();

  Mutex mu_;
  CondVar ready_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Lane*> turns_ ABSL_GUARDED_BY(mu_);  // With waiting tasks, once.
  std::vector<std::thread> threads_;              // Constant once built.
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_SLOT_POOL_H_
