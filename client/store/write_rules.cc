#include "client/store/write_rules.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace crr {
namespace {

constexpr int kListLimitMax = 1'000;

}  // namespace

absl::Status CheckSkip(const KeyState& state, int64_t position,
                       int64_t bytes) {
  const int64_t left = state.object->size - position;
  if (bytes >= 0 && bytes <= left) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a reader with ", left, " bytes left cannot skip ", bytes));
}

WriteOutcome CheckFence(const std::optional<AppliedRevision>& applied,
                        const KeyState& state,
                        const std::optional<ReplicaWrite>& write) {
  if (!write.has_value()) return WriteOutcome::kApplied;
  if (applied.has_value() &&
      applied->source_identity == write->source_identity &&
      applied->revision > write->revision) {
    return WriteOutcome::kStale;
  }
  return write->if_revision.value_or(state.revision) == state.revision
             ? WriteOutcome::kApplied
             : WriteOutcome::kMissing;
}

int64_t NextStamp(absl::Time now, int64_t last_stamp,
                  const std::optional<ReplicaMark>& mark) {
  if (mark.has_value()) return mark->source_stamp;
  return std::max(absl::ToUnixMicros(now), last_stamp + 1);
}

ObjectFacts Completed(const ObjectFacts& facts, absl::Time creation_time) {
  ObjectFacts completed = facts;
  if (facts.creation_time == absl::UnixEpoch() ||
      facts.creation_time == absl::InfinitePast()) {
    completed.creation_time = creation_time;
  }
  completed.creation_time =
      absl::FromUnixMicros(absl::ToUnixMicros(completed.creation_time));
  return completed;
}

std::optional<ReplicaMark> Sealed(std::optional<ReplicaMark> mark,
                                  const ObjectFacts& facts, int64_t size,
                                  absl::string_view etag) {
  if (mark.has_value()) mark->digest = DigestOf(facts, size, etag);
  return mark;
}

JournalEntry::Kind KindOfEdit(const ObjectFacts& before,
                              const ObjectFacts& after) {
  ObjectFacts same_acl = before;
  same_acl.acl = after.acl;
  if (before.acl != after.acl && same_acl == after) {
    return JournalEntry::Kind::kAcl;
  }
  ObjectFacts same_tags = before;
  same_tags.tags = after.tags;
  if (before.tags != after.tags && same_tags == after) {
    return JournalEntry::Kind::kTagging;
  }
  return JournalEntry::Kind::kMetadata;
}

KeyRange RangeOf(const ListRequest& request) {
  // A NUL makes the next key in byte order; 0xff is in no key, since keys are
  // UTF-8.
  const std::string after =
      request.after.empty() ? "" : request.after + std::string(1, '\0');
  KeyRange range = {.first = std::max(request.prefix, after),
                    .end = request.prefix + "\xff"};
  if (!request.until.empty()) {
    range.end = std::min(range.end, request.until + std::string(1, '\0'));
  }
  return range;
}

absl::Status CheckListRequest(const ListRequest& request) {
  if (request.limit >= 1 && request.limit <= kListLimitMax) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a list's limit is 1 to ", kListLimitMax, ", not ",
                   request.limit));
}

absl::Status CheckPartBytes(int64_t part_bytes) {
  if (part_bytes > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a part has 1 byte or more, not ", part_bytes));
}

absl::Status CheckPart(int64_t part_bytes, int64_t number, size_t size) {
  // The end of every part is a number too.
  const int64_t numbers = std::numeric_limits<int64_t>::max() / part_bytes;
  if (number >= 0 && number < numbers && size >= 1 &&
      size <= static_cast<uint64_t>(part_bytes)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("an upload with parts of ", part_bytes,
                   " bytes has no part ", number, " of ", size, " bytes"));
}

absl::Status CheckWritable(const BucketInfo& bucket) {
  if (bucket.versioning == BucketVersioning::kUnversioned) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "bucket ", bucket.name, ": versioned copy is not available yet"));
}

}  // namespace crr
