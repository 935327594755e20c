#ifndef CRR_CLIENT_COPIER_COPY_KEY_H_
#define CRR_CLIENT_COPIER_COPY_KEY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/object_store.h"

namespace crr {

// Bytes of one object that are in memory at once.
inline constexpr size_t kPartBytes = 1 << 20;

enum class Operations { kAddDeleteChange, kAddChange };

// What a rule says of every key, with the two stores that it joins.
struct CopyRule {
  ObjectStore* source = nullptr;       // Never null when used.
  ObjectStore* destination = nullptr;  // Likewise; fences by revision.
  std::string source_bucket;
  std::string source_identity;
  std::string destination_bucket;
  Operations operations = Operations::kAddDeleteChange;
  // Objects under a customer key are replicated, under this one.
  std::optional<std::string> replica_kms_key;
};

// Why a key is looked at.
enum class CopyReason { kBackfill, kDelete, kOtherChange };

// One look at one key.
struct CopyTask {
  std::string key;
  CopyReason reason = CopyReason::kBackfill;
  // An earlier attempt failed midway: what stands at the destination may be
  // ours and was not proven, so it counts as equal only after a proof.
  bool unproven = false;
  // Asked at the commit point of every write.
  std::function<bool()> may_commit;
  // Called before each part of `bytes` is written; may wait to hold a rate.
  // An error ends the copy with that error.
  std::function<absl::Status(int64_t bytes)> before_part;
  // Objects of more bytes are not copied in one piece; 0 for no bound.
  int64_t large_bytes = 0;
};

struct CopyResult {
  enum class Outcome {
    kCopied,
    kEqual,      // It was there already; its revision was recorded.
    kFactsOnly,  // Equal bytes: only what stands beside them was written.
    kDeleted,
    kNothingToDo,  // Absent at the source, and nothing to delete.
    kFiltered,     // Not to be replicated, for `filter_reason`.
    kStale,        // The destination had a later state of the source already.
  };
  Outcome outcome = Outcome::kNothingToDo;
  int64_t bytes = 0;  // Written to the destination, all rounds together.
  std::string filter_reason;
};

// Brings the destination's state of one key of an unversioned bucket to the
// source's, for destinations that order writes by revision. Every copy is read
// back at the destination before it counts. Safe beside any other writer of the
// key: of two states of the source, the later one stays. Statuses:
//   ABORTED             the lease is over
//   DATA_LOSS           the destination does not hold what was read
//   FAILED_PRECONDITION the source bucket is not the one that was probed
//   UNAVAILABLE         the key moved too fast to be read, with the reason
//                       OBJECT_MOVING; or the store's
//   OUT_OF_RANGE        the object is large: nothing was read, reason LARGE
//   others              the stores', and those of `before_part`
// The size of the object, when it was seen, goes along (SizeOf).
absl::StatusOr<CopyResult> CopyKey(const CopyRule& rule, const CopyTask& task);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_COPY_KEY_H_
