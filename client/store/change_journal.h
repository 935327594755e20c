#ifndef CRR_CLIENT_STORE_CHANGE_JOURNAL_H_
#define CRR_CLIENT_STORE_CHANGE_JOURNAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace crr {

// One operation on one object, as the store recorded it with the operation.
struct JournalEntry {
  enum class Kind { kPut, kAcl, kTagging, kMetadata, kDelete };
  int64_t position = 0;  // The operation's revision.
  std::string bucket;
  std::string key;
  std::string version_id;
  Kind kind = Kind::kPut;
  absl::Time time;
  int64_t size = 0;
  std::string etag;
  bool replica = false;  // A copier did it.
};

// A store's operations in the order in which they became visible, durable, and
// read by any number of readers. Thread-compatible.
class ChangeJournal {
 public:
  virtual ~ChangeJournal() = default;

  // Identity of the numbering: positive, and higher when the store is made
  // anew.
  virtual int64_t epoch() const = 0;
  // Up to `limit` entries after `position`, in order.
  virtual absl::StatusOr<std::vector<JournalEntry>> Read(int64_t position,
                                                         int limit) = 0;
  struct Sample {
    int64_t position = 0;  // Of the last entry.
    absl::Time time;       // Every later entry has this time or a later one.
  };
  // Taken while no operation can commit: everything done before `time` is at or
  // below `position`.
  virtual absl::StatusOr<Sample> TakeSample() = 0;
  // Waits until something may have been added or `timeout` has passed, without
  // polling.
  virtual void Wait(absl::Duration timeout) = 0;
  // Makes a running Wait return, and the next one too. Thread-safe.
  virtual void Wake() = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_STORE_CHANGE_JOURNAL_H_
