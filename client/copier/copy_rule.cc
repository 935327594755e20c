#include "client/copier/copy_rule.h"

namespace crr {
namespace {

bool UnderCustomerKey(const ObjectInfo& object) {
  return object.facts.encryption == "SSE-KMS" &&
         !object.facts.encryption_key_id.empty();
}

}  // namespace

std::string FilterReasonOf(const CopyRule& rule, const ObjectInfo& origin) {
  if (IsValidReplica(rule.source_bucket, origin) &&
      origin.mark->source_bucket == rule.destination_bucket) {
    return "REPLICA";
  }
  if (UnderCustomerKey(origin) && !rule.replica_kms_key.has_value()) {
    return "SSE_KMS";
  }
  return "";
}

ObjectFacts ReplicaFacts(const CopyRule& rule, const ObjectInfo& origin) {
  ObjectFacts facts = origin.facts;
  if (UnderCustomerKey(origin)) {
    facts.encryption_key_id = *rule.replica_kms_key;
  }
  return facts;
}

bool IsOurs(const CopyRule& rule, const ObjectInfo& replica) {
  return IsValidReplica(rule.destination_bucket, replica) &&
         replica.mark->source_bucket == rule.source_bucket;
}

bool EtagsCompare(const CopyRule& rule) {
  return rule.source->capabilities().etag_is_content_hash &&
         rule.destination->capabilities().etag_is_content_hash;
}

bool SameContent(const CopyRule& rule, const ObjectInfo& origin,
                 const ObjectInfo& replica) {
  if (origin.size != replica.size) return false;
  if (EtagsCompare(rule)) return origin.etag == replica.etag;
  return IsOurs(rule, replica) && replica.mark->source_etag == origin.etag;
}

bool IsDeletion(const CopyRule& rule, const KeyState& origin) {
  if (!rule.source->capabilities().fences_by_revision) return true;
  return origin.revision > 0 &&
         absl::FromUnixMicros(origin.stamp) >= rule.changed_since;
}

}  // namespace crr
