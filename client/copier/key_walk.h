#ifndef CRR_CLIENT_COPIER_KEY_WALK_H_
#define CRR_CLIENT_COPIER_KEY_WALK_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/store/object_store.h"

namespace crr {

// Walks the objects of a bucket whose keys start with one of a rule's prefixes,
// in rising byte order. Thread-compatible.
class KeyWalk {
 public:
  // Keys in (after, until]; an empty `until` is the end. `prefixes`: none the
  // start of another; empty for all keys. `store` must outlive this object.
  KeyWalk(ObjectStore& store, std::string bucket,
          std::vector<std::string> prefixes, std::string after,
          std::string until);

  bool done() const { return prefix_ == prefixes_.size(); }
  // The next objects, maybe none. Requires: !done(). After an error, which is
  // the store's or INTERNAL for a listing that cannot be right, the walk stands
  // where it stood and may be gone on with.
  absl::StatusOr<std::vector<ObjectInfo>> Next();
  // Where the walk stands, for people: the last key, or what is listed first;
  // never empty.
  std::string position() const;

 private:
  ObjectStore& store_;
  const std::string bucket_;
  std::vector<std::string> prefixes_;  // Sorted; constant after construction.
  const std::string until_;
  std::string after_;
  size_t prefix_ = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_KEY_WALK_H_
