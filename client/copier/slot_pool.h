#ifndef CRR_CLIENT_COPIER_SLOT_POOL_H_
#define CRR_CLIENT_COPIER_SLOT_POOL_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace crr {

// A fixed number of threads that copy objects, shared evenly: each lease has a
// lane, and a free slot takes from the lane that has waited longest. What waits
// is bounded by those who submit (CopyWindow). Lanes that keep a slot for long
// never have more than half of them, so that the others go on. Thread-safe.
class SlotPool {
 public:
  // One lease's place in the pool. Destroying it forgets what waits and
  // blocks until what runs has ended. Thread-safe.
  class Lane {
   public:
    ~Lane() { pool_.Close(id_); }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    void Submit(std::function<void()> task) {
      pool_.Submit(id_, std::move(task));
    }

   private:
    friend class SlotPool;
    Lane(SlotPool& pool, int64_t id) : pool_(pool), id_(id) {}

    SlotPool& pool_;
    const int64_t id_;
  };

  explicit SlotPool(int slots);
  // Requires: every lane is gone.
  ~SlotPool();

  enum class Use { kShort, kLong };
  std::unique_ptr<Lane> OpenLane(Use use = Use::kShort);
  int slots() const { return static_cast<int>(threads_.size()); }

 private:
  struct Queue {
    std::deque<std::function<void()>> waiting;
    int running = 0;
    Use use = Use::kShort;
  };

  void Submit(int64_t lane, std::function<void()> task);
  void Close(int64_t lane);
  void Work();
  // The next lane that may have a slot; turns_.end() for none.
  std::deque<int64_t>::iterator NextTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int long_max_;
  Mutex mu_;
  int long_running_ ABSL_GUARDED_BY(mu_) = 0;
  CondVar ready_;
  CondVar ended_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  int64_t next_lane_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int64_t, Queue> lanes_ ABSL_GUARDED_BY(mu_);
  std::deque<int64_t> turns_ ABSL_GUARDED_BY(mu_);  // With waiting tasks, once.
  std::vector<std::thread> threads_;                // Constant once built.
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_SLOT_POOL_H_
