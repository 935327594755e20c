#include "server/core/checkpoint_sense.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/limits.h"

namespace crr {
namespace {

// Beyond any bucket, and so far below the end of the numbers that sums of them
// do not wrap around.
constexpr int64_t kCountMax = int64_t{1} << 50;

bool IsCount(int64_t n) { return n >= 0 && n <= kCountMax; }

// Why a copier may leave out an object (semantics.md §2.8).
bool IsFilterReason(absl::string_view reason) {
  return reason == "REPLICA" || reason == "SSE_KMS" || reason == "WORM" ||
         reason == "COLD_ARCHIVE" || reason == "SYMLINK";
}

bool IsReason(absl::string_view reason) {
  return !reason.empty() && reason.size() <= limits::kReasonBytesMax &&
         std::all_of(reason.begin(), reason.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
         });
}

absl::Status CheckFailures(const Unit& unit, const Checkpoint& cp) {
  if (cp.failed.size() > limits::kFailuresPerCheckpointMax) {
    return Senseless("too many objects failed at once");
  }
  std::set<absl::string_view> keys;
  for (const ObjectFailure& failure : cp.failed) {
    const bool is_change = unit.kind == UnitKind::kChanges;
    if (failure.key.empty() || failure.key.size() > limits::kKeyBytesMax ||
        !keys.insert(failure.key).second || !IsReason(failure.reason) ||
        failure.message.size() > limits::kReportBytesMax ||
        !IsCount(failure.size_bytes) || !IsCount(failure.changes) ||
        is_change != (failure.changes > 0) ||
        (failure.deletion && !is_change)) {
      return Senseless("an object that failed is not described as it must be");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLog(const Checkpoint& cp, int64_t settled) {
  if (cp.complete || cp.to.sequence < cp.from.sequence) {
    return Senseless("a log is never complete and never runs back");
  }
  if (settled != cp.to.sequence - cp.from.sequence) {
    return Senseless("the counts do not add up to the interval");
  }
  return absl::OkStatus();
}

// `settled`: BACKFILL settles objects, VERIFY only compares them.
absl::Status CheckRange(const Unit& unit, const Checkpoint& cp,
                        int64_t settled) {
  const bool verify = unit.kind == UnitKind::kVerify;
  if (cp.to.key < cp.from.key || cp.collapsed != 0) {
    return Senseless("a range never runs back and collapses nothing");
  }
  const bool bounded = !verify || !unit.range_end.empty();
  if (bounded && (cp.to.key > unit.range_end ||
                  (cp.complete && cp.to.key != unit.range_end))) {
    return Senseless("a range is complete at its end and not before");
  }
  if (verify != cp.compared.has_value() || (verify && settled != 0)) {
    return Senseless("a verification compares, and nothing else does");
  }
  if (verify &&
      (!IsCount(cp.compared->equal) || !IsCount(cp.compared->foreign) ||
       cp.compared->foreign_keys.size() >
           std::min<size_t>(limits::kVerificationSamplesMax,
                            static_cast<size_t>(cp.compared->foreign)))) {
    return Senseless("what was compared is out of range");
  }
  return absl::OkStatus();
}

absl::Status CheckInventory(const Checkpoint& cp, int64_t settled) {
  if (settled != 0 || cp.ranges.size() > limits::kRangesPerCheckpointMax) {
    return Senseless("an inventory only lists, and in bounded steps");
  }
  std::string last = cp.from.key;
  for (const Checkpoint::Range& range : cp.ranges) {
    if (range.end <= last || range.objects < 1 || !IsCount(range.objects)) {
      return Senseless("ranges must rise and hold objects");
    }
    last = range.end;
  }
  if (last != cp.to.key) return Senseless("ranges must end at the cursor");
  return absl::OkStatus();
}

absl::Status CheckObject(const Checkpoint& cp, int64_t settled) {
  if (settled != (cp.complete ? 1 : 0) || cp.collapsed != 0) {
    return Senseless("an object is settled once, when it is complete");
  }
  if (cp.to.sequence < cp.from.sequence && !cp.upload) {
    return Senseless("only another upload begins anew");
  }
  if (cp.upload && (cp.upload->id.empty() ||
                    cp.upload->id.size() > limits::kUploadIdBytesMax ||
                    cp.upload->source_etag.size() > limits::kEtagBytesMax)) {
    return Senseless("the upload is not described as it must be");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Senseless(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("checkpoint: ", why));
}

int64_t Sum(const std::map<std::string, int64_t>& counts) {
  int64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

absl::Status CheckSense(const Unit& unit, const Checkpoint& cp) {
  if (cp.from.sequence < 0 || cp.to.sequence < 0) {
    return Senseless("a sequence number is negative");
  }
  if (!IsCount(cp.applied) || !IsCount(cp.collapsed) || !IsCount(cp.bytes) ||
      !std::all_of(cp.filtered.begin(), cp.filtered.end(),
                   [](const auto& entry) {
                     return IsFilterReason(entry.first) &&
                            IsCount(entry.second);
                   })) {
    return Senseless("a count is out of range, or its reason is unknown");
  }
  CRR_RETURN_IF_ERROR(CheckFailures(unit, cp));
  const bool by_sequence =
      unit.kind == UnitKind::kChanges || unit.kind == UnitKind::kObject;
  if (by_sequence ? !cp.to.key.empty() : cp.to.sequence != 0) {
    return Senseless("the cursor is of another kind of unit");
  }
  int64_t settled = cp.applied + cp.collapsed + Sum(cp.filtered);
  if (cp.from == cp.to && unit.kind != UnitKind::kObject &&
      (settled != 0 || !cp.failed.empty())) {
    return Senseless("an empty interval settles nothing");
  }
  const bool may_fail = unit.kind == UnitKind::kChanges ||
                        unit.kind == UnitKind::kBackfill ||
                        unit.kind == UnitKind::kVerify;
  if (!cp.failed.empty() && !may_fail) {
    return Senseless("no objects leave a unit of this kind");
  }
  switch (unit.kind) {
    case UnitKind::kChanges:
      for (const ObjectFailure& failure : cp.failed) settled += failure.changes;
      return CheckLog(cp, settled);
    case UnitKind::kBackfill:
    case UnitKind::kVerify:
      return CheckRange(unit, cp, settled);
    case UnitKind::kInventory:
      return CheckInventory(cp, settled);
    case UnitKind::kObject:
      return CheckObject(cp, settled);
    case UnitKind::kProbe:
      if (!cp.probe || !cp.complete) {
        return Senseless("a probe reports once, what it found");
      }
      return absl::OkStatus();
  }
  return Senseless("unknown kind");
}

}  // namespace crr
