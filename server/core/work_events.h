#ifndef CRR_SERVER_CORE_WORK_EVENTS_H_
#define CRR_SERVER_CORE_WORK_EVENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "storage/unit_table.h"

namespace crr {

// What the scheduler needs to know of a unit.
struct UnitInfo {
  int64_t unit_id = 0;
  int64_t rule_uid = 0;
  UnitKind kind = UnitKind::kProbe;
  int64_t partition = 0;
  int64_t attempts = 0;
  int64_t max_leases = 0;  // Of the rule; 0 for no bound.
  std::string source_region;
  std::string destination_region;
  // CHANGES: last sequence number settled, and last one logged.
  int64_t cursor_sequence = 0;
  int64_t log_end = 0;
};

struct LogGrowth {
  int64_t unit_id = 0;
  int64_t log_end = 0;  // Last sequence number logged.
};

// How a committed transaction changed the work that there is. A body returns
// them, and LeaseCore is told in commit order.
struct WorkEvents {
  std::vector<UnitInfo> added;
  std::vector<int64_t> removed;  // Unit ids.
  std::vector<LogGrowth> grown;
  std::vector<int64_t> closing;  // Rules that began to close.
  std::vector<int64_t> resync;   // Rules whose logs are to be dropped.
  std::vector<int64_t> paused;   // Rules that take no leases until resumed.
  std::vector<int64_t> resumed;  // Rules that take leases again.
  struct Bound {
    int64_t rule_uid = 0;
    int64_t max_leases = 0;
    bool rate_changed = false;  // What leases were granted with is over.
  };
  std::vector<Bound> bounds;  // Rules whose limits changed.

  bool empty() const {
    return added.empty() && removed.empty() && grown.empty() &&
           closing.empty() && resync.empty() && paused.empty() &&
           resumed.empty() && bounds.empty();
  }

  void Add(WorkEvents other) {
    const auto append = [](auto& to, auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(added, other.added);
    append(removed, other.removed);
    append(grown, other.grown);
    append(closing, other.closing);
    append(resync, other.resync);
    append(paused, other.paused);
    append(resumed, other.resumed);
    append(bounds, other.bounds);
  }
};

}  // namespace crr

#endif  // CRR_SERVER_CORE_WORK_EVENTS_H_
