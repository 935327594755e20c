#include "client/copier/slot_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace crr {

SlotPool::Lane::~Lane() {
  MutexLock lock(pool_.mu_);
  waiting_.clear();
  pool_.turns_.erase(
      std::remove(pool_.turns_.begin(), pool_.turns_.end(), this),
      pool_.turns_.end());
  while (running_ > 0) ended_.Wait(pool_.mu_);
}

void SlotPool::Lane::Submit(std::function<void()> task) {
  MutexLock lock(pool_.mu_);
  if (waiting_.empty()) pool_.turns_.push_back(this);
  waiting_.push_back(std::move(task));
  pool_.ready_.NotifyOne();
}

SlotPool::SlotPool(int slots) {
  CRR_CHECK(slots > 0);
  threads_.reserve(static_cast<size_t>(slots));
  for (int i = 0; i < slots; ++i) threads_.emplace_back([this] { Work(); });
}

SlotPool::~SlotPool() {
  {
    MutexLock lock(mu_);
    CRR_CHECK(turns_.empty());
    stop_ = true;
    ready_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

std::unique_ptr<SlotPool::Lane> SlotPool::OpenLane() {
  return std::unique_ptr<Lane>(new Lane(*this));
}

void SlotPool::Work() {
  for (;;) {
    Lane* lane = nullptr;
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (turns_.empty() && !stop_) ready_.Wait(mu_);
      if (turns_.empty()) return;
      lane = turns_.front();
      turns_.pop_front();
      task = std::move(lane->waiting_.front());
      lane->waiting_.pop_front();
      ++lane->running_;
      if (!lane->waiting_.empty()) turns_.push_back(lane);
    }
    task();
    // What the task holds goes before the lane may.
    task = nullptr;
    MutexLock lock(mu_);
    --lane->running_;
    lane->ended_.NotifyAll();
  }
}

}  // namespace crr
