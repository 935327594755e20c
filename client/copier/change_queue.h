#ifndef CRR_CLIENT_COPIER_CHANGE_QUEUE_H_
#define CRR_CLIENT_COPIER_CHANGE_QUEUE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/copier/copy_key.h"
#include "client/copier/low_water.h"

namespace crr {

// Logged changes on their way to the destination: in order per key, folded per
// key, and accounted for one by one.
//
// A look at a key brings over whatever is at the source by then, so of changes
// that wait for the same key only the last is worked on. The earlier ones count
// as collapsed, and only once the last is settled: until then nothing at the
// destination stands for them. A key that fails takes along what came for it
// since: whoever looks at it next sees that, too. Thread-compatible.
class ChangeQueue {
 public:
  // Everything up to and with `cursor` is settled.
  explicit ChangeQueue(int64_t cursor) : low_water_(cursor) {}

  // Requires: `sequence` is above every one added so far.
  void Add(int64_t sequence, const std::string& key, CopyReason reason);

  struct Work {
    std::string key;
    CopyReason reason;
  };
  // The next key to be looked at; absent when there is none. A key is handed
  // out again only after its Settle.
  std::optional<Work> Next();
  // An error is that of a key that leaves the lane. Requires: `key` was handed
  // out.
  void Settle(const std::string& key,
              const absl::StatusOr<CopyResult>& result);

  // Changes that are not below the low-water mark.
  size_t open() const { return low_water_.open(); }
  int64_t ready() const { return low_water_.ready(); }
  LowWater<int64_t>::Interval Take() { return low_water_.Take(); }

 private:
  struct Change {
    int64_t sequence;
    CopyReason reason;
  };
  struct Key {
    std::vector<Change> waiting;  // Rising.
    std::vector<Change> in_work;  // Rising; empty when not handed out.
  };

  LowWater<int64_t> low_water_;
  std::map<std::string, Key> keys_;
  std::deque<std::string> turns_;  // Keys to be handed out, each once.
};

// What one entry of a settled key counts as.
Counts CountsOf(const std::string& key,
                const absl::StatusOr<CopyResult>& result);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_CHANGE_QUEUE_H_
