#include "client/copier/held_slot.h"

namespace crr {

HeldSlot::HeldSlot(SlotPool& pool, LeaseLink& link)
    : link_(link), lane_(pool.OpenLane()) {
  lane_->Submit([this] {
    held_ = true;
    link_.Ring();
    over_.wait();
  });
}

HeldSlot::~HeldSlot() { over_.count_down(); }

bool HeldSlot::Wait() {
  for (;;) {
    link_.Wait(absl::InfiniteDuration());
    if (link_.lost() || link_.draining().has_value()) return false;
    if (held_ && link_.guard().StartAllowed()) return true;
  }
}

}  // namespace crr
