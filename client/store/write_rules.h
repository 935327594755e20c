#ifndef CRR_CLIENT_STORE_WRITE_RULES_H_
#define CRR_CLIENT_STORE_WRITE_RULES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/store/change_journal.h"
#include "client/store/object_store.h"

namespace crr {

// What the stores that fence by revision have in common, as functions of
// values.

// INVALID_ARGUMENT unless a reader of `state` that stands at `position` can go
// on behind `bytes` more.
absl::Status CheckSkip(const KeyState& state, int64_t position, int64_t bytes);

// What a key was last told by copiers.
struct AppliedRevision {
  std::string source_identity;
  int64_t revision = 0;
};

// Whether a key in `state` takes `write`: kApplied; kStale after a later state
// of the same source; kMissing when it was decided on another state.
WriteOutcome CheckFence(const std::optional<AppliedRevision>& applied,
                        const KeyState& state,
                        const std::optional<ReplicaWrite>& write);

// The stamp of a new state: the mark's when a copier wrote it, otherwise the
// time, and above the key's last stamp.
int64_t NextStamp(absl::Time now, int64_t last_stamp,
                  const std::optional<ReplicaMark>& mark);

// `facts` as they are stored: times in whole microseconds, and
// `creation_time` where the facts carry none.
ObjectFacts Completed(const ObjectFacts& facts, absl::Time creation_time);

// `mark` with its digest filled in for an object that has `facts`.
std::optional<ReplicaMark> Sealed(std::optional<ReplicaMark> mark,
                                  const ObjectFacts& facts, int64_t size,
                                  absl::string_view etag);

// What a change of facts alone is called.
JournalEntry::Kind KindOfEdit(const ObjectFacts& before,
                              const ObjectFacts& after);

// The keys from `first` on and below `end`.
struct KeyRange {
  std::string first;
  std::string end;
};
KeyRange RangeOf(const ListRequest& request);

// INVALID_ARGUMENT unless the limit is within its bounds.
absl::Status CheckListRequest(const ListRequest& request);

// INVALID_ARGUMENT unless the parts of an upload can have so many bytes.
absl::Status CheckPartBytes(int64_t part_bytes);

// INVALID_ARGUMENT unless an upload whose parts have `part_bytes` bytes can have
// a part `number` of `size` bytes.
absl::Status CheckPart(int64_t part_bytes, int64_t number, size_t size);

// FAILED_PRECONDITION unless objects of `bucket` can be written.
absl::Status CheckWritable(const BucketInfo& bucket);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_WRITE_RULES_H_
