#include "client/copier/slot_pool.h"

#include <algorithm>

#include "base/check.h"

namespace crr {

SlotPool::SlotPool(int slots) : long_max_(std::max(1, slots / 2)) {
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

std::unique_ptr<SlotPool::Lane> SlotPool::OpenLane(Use use) {
  MutexLock lock(mu_);
  const int64_t id = next_lane_++;
  lanes_[id].use = use;
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

std::deque<int64_t>::iterator SlotPool::NextTurn() {
  auto turn = turns_.begin();
  while (turn != turns_.end() && lanes_.at(*turn).use == Use::kLong &&
         long_running_ >= long_max_) {
    ++turn;
  }
  return turn;
}

void SlotPool::Work() {
  for (;;) {
    int64_t lane = 0;
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      auto turn = NextTurn();
      while (turn == turns_.end() && !stop_) {
        ready_.Wait(mu_);
        turn = NextTurn();
      }
      if (turn == turns_.end()) return;
      lane = *turn;
      turns_.erase(turn);
      Queue& queue = lanes_.at(lane);
      if (queue.use == Use::kLong) ++long_running_;
      task = std::move(queue.waiting.front());
      queue.waiting.pop_front();
      ++queue.running;
      if (!queue.waiting.empty()) turns_.push_back(lane);
    }
    task();
    // What the task holds goes before its lane may.
    task = nullptr;
    MutexLock lock(mu_);
    Queue& queue = lanes_.at(lane);
    --queue.running;
    if (queue.use == Use::kLong) {
      --long_running_;
      ready_.NotifyAll();
    }
    ended_.NotifyAll();
  }
}

}  // namespace crr
