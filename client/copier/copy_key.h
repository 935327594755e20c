#ifndef CRR_CLIENT_COPIER_COPY_KEY_H_
#define CRR_CLIENT_COPIER_COPY_KEY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/copier/copy_rule.h"
#include "client/store/object_store.h"

namespace crr {

// Bytes of one object that are in memory at once.
inline constexpr size_t kPartBytes = 1 << 20;

// Why a key is looked at.
enum class CopyReason { kBackfill, kDelete, kOtherChange };

// Brings the bytes of a large object to the destination, part by part, beyond
// the life of one process.
class LargeCopy {
 public:
  virtual ~LargeCopy() = default;

  struct Parts {
    // With all the bytes, to be committed. Null when it went away meanwhile:
    // the next look at the key begins anew.
    std::unique_ptr<ObjectUpload> upload;
    // Of all the bytes; absent when some of them were there already.
    std::optional<std::string> content_hash;
  };
  // Of what `reader` reads from its beginning.
  virtual absl::StatusOr<Parts> Bring(ObjectReader& reader) = 0;
};

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
  // Objects of more bytes are large; 0 for no bound.
  int64_t large_bytes = 0;
  LargeCopy* large = nullptr;  // Null: large objects are not copied here.
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
  // Written to the destination, all rounds together, but for large objects.
  int64_t bytes = 0;
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
