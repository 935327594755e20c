#include "client/copier/held_slot.h"

namespace crr {

HeldSlot::HeldSlot(SlotPool& pool, LeaseLink& link)
    : link_(link), lane_(pool.OpenLane(SlotPool::Use::kLong)) {
  lane_->Submit([this] {
    held_ = true;
    link_.Ring();
    over_.wait();
  });
}

HeldSlot::~HeldSlot() { over_.count_down(); }

bool HeldSlot::Wait(const Clock& clock, absl::Duration at_most) {
  const Ticks end = clock.Now() + at_most;
  for (;;) {
    link_.Wait(end - clock.Now());
    if (link_.lost() || link_.draining().has_value()) return false;
    if (held_ && link_.guard().StartAllowed()) return true;
    if (clock.Now() >= end) return false;
  }
}

}  // namespace crr
