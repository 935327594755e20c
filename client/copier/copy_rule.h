#ifndef CRR_CLIENT_COPIER_COPY_RULE_H_
#define CRR_CLIENT_COPIER_COPY_RULE_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/store/object_store.h"

namespace crr {

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
  // What was written or deleted at the source before this is not compared, and
  // the deletion speaks against no replica.
  absl::Time changed_since = absl::InfinitePast();
};

// How two states of one key compare: the same for those who copy and for those
// who verify. `origin` is an object at the source, `replica` one at the
// destination.

// Why `origin` is not to be replicated; empty when it is.
std::string FilterReasonOf(const CopyRule& rule, const ObjectInfo& origin);

// What a replica of `origin` carries beside the bytes.
ObjectFacts ReplicaFacts(const CopyRule& rule, const ObjectInfo& origin);

// Whether `replica` is, unedited, a replica of this source.
bool IsOurs(const CopyRule& rule, const ObjectInfo& replica);

// Whether equal bytes have equal etags at both ends.
bool EtagsCompare(const CopyRule& rule);

// Whether both have the same bytes, by size and etag. Where etags do not
// compare, only our own mark can tell.
bool SameContent(const CopyRule& rule, const ObjectInfo& origin,
                 const ObjectInfo& replica);

// Whether the absence `origin` speaks against a replica of this source: the
// source knows of the object's deletion, and it is one that is compared. A
// bucket that was made anew never held the key, which says nothing. Stores
// without revisions have only absence to tell.
bool IsDeletion(const CopyRule& rule, const KeyState& origin);

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_COPY_RULE_H_
