#include "client/copier/slot_pool.h"

#include <algorithm>

#include "base/check.h"

namespace crr {

SlotPool::SlotPool(int slots) {
  CRR_CHECK(slots > 0);
  threads_.reserve(static_cast<size_t>(slots));
  for (int i = 0; i < slots; ++i) threads_.emplace_back([this] { Work(); });
}

SlotPool::~SlotPool() {
  {
    MutexLock lock(mu_);
    CRR_CHECK(lanes_.empty());
    stop_ = true;
    ready_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

std::unique_ptr<SlotPool::Lane> SlotPool::OpenLane() {
  MutexLock lock(mu_);
  const int64_t id = next_lane_++;
  lanes_[id];
  return std::unique_ptr<Lane>(new Lane(*this, id));
}

void SlotPool::Submit(int64_t lane, std::function<void()> task) {
  MutexLock lock(mu_);
  Queue& queue = lanes_.at(lane);
  if (queue.waiting.empty()) turns_.push_back(lane);
  queue.waiting.push_back(std::move(task));
  ready_.NotifyOne();
}

void SlotPool::Close(int64_t lane) {
  MutexLock lock(mu_);
  Queue& queue = lanes_.at(lane);
  queue.waiting.clear();
  turns_.erase(std::remove(turns_.begin(), turns_.end(), lane), turns_.end());
  while (queue.running > 0) ended_.Wait(mu_);
  lanes_.erase(lane);
}

void SlotPool::Work() {
  for (;;) {
    int64_t lane = 0;
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (turns_.empty() && !stop_) ready_.Wait(mu_);
      if (turns_.empty()) return;
      lane = turns_.front();
      turns_.pop_front();
      Queue& queue = lanes_.at(lane);
      task = std::move(queue.waiting.front());
      queue.waiting.pop_front();
      ++queue.running;
      if (!queue.waiting.empty()) turns_.push_back(lane);
    }
    task();
    // What the task holds goes before its lane may.
    task = nullptr;
    MutexLock lock(mu_);
    --lanes_.at(lane).running;
    ended_.NotifyAll();
  }
}

}  // namespace crr
