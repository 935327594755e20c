#ifndef CRR_CLIENT_COPIER_HELD_SLOT_H_
#define CRR_CLIENT_COPIER_HELD_SLOT_H_

#include <atomic>
#include <latch>
#include <memory>

#include "absl/time/time.h"
#include "base/clock.h"
#include "client/copier/lease_link.h"
#include "client/copier/slot_pool.h"

namespace crr {

// A slot that is kept from others for as long as this lives, while its runner's
// own thread copies. Thread-compatible.
class HeldSlot {
 public:
  // Both must outlive this object.
  HeldSlot(SlotPool& pool, LeaseLink& link);
  ~HeldSlot();
  HeldSlot(const HeldSlot&) = delete;
  HeldSlot& operator=(const HeldSlot&) = delete;

  // Waits for the slot, and until the lease lets work begin. False when the
  // lease was lost or asked for first, or after `at_most`.
  bool Wait(const Clock& clock, absl::Duration at_most);

 private:
  LeaseLink& link_;
  std::atomic<bool> held_ = false;
  std::latch over_{1};
  std::unique_ptr<SlotPool::Lane> lane_;  // Last: its task uses the above.
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_HELD_SLOT_H_
