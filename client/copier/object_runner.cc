#include "client/copier/object_runner.h"

#include <optional>
#include <utility>

#include "client/copier/copy_key.h"
#include "client/copier/failure_reason.h"
#include "client/copier/held_slot.h"
#include "client/copier/part_copy.h"
#include "client/copier/token_bucket.h"

namespace crr {
namespace {

// Asks both stores whether they are there.
bool BothAnswer(const CopyRule& rule) {
  return rule.source->GetBucket(rule.source_bucket).ok() &&
         rule.destination->GetBucket(rule.destination_bucket).ok();
}

RunEnd EndOf(const LeaseLink& link, const CopyRule& rule,
             const absl::Status& status, bool took_room) {
  if (link.lost()) return RunEnd::Over();
  const FailureScope scope = ScopeOf(status);
  const auto draining = link.draining();
  if (draining.has_value() && scope == FailureScope::kLease) {
    return RunEnd::Release(*draining);
  }
  // No renewal came in time, and the lease is not known to be lost.
  if (absl::IsAborted(status)) return RunEnd::Release("LEASE_RAN_OUT");
  RunEnd end = RunEnd::Failed(status);
  // What takes no attempts is tried for ever. A store that is away for one
  // object alone may be so for ever, and an object that took the last of the
  // room itself may never fit.
  end.object_failed =
      scope == FailureScope::kObject ||
      (absl::IsResourceExhausted(status) && took_room) ||
      ((absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) &&
       BothAnswer(rule));
  return end;
}

}  // namespace

RunEnd RunObject(const RunnerContext& context, const LeaseEnds& ends) {
  LeaseLink& link = context.link;
  const v1::Lease& lease = link.lease();
  HeldSlot slot(context.pool, link);
  if (!slot.Wait(context.clock, context.timing.slot_wait)) {
    // Where other copiers have room the object is better off there.
    return link.lost() ? RunEnd::Over()
                       : RunEnd::Release(link.draining().value_or("NO_SLOT"));
  }
  Checkpointer checkpointer(link, context.clock, context.timing);
  TokenBucket rate(lease.bytes_per_second(), context.clock);
  const auto before_part = [&](int64_t bytes) {
    return link.Pause(rate.Take(bytes));
  };
  PartCopy parts(ends.rule, context, checkpointer, before_part);
  const absl::StatusOr<CopyResult> result =
      CopyKey(ends.rule,
              {.key = lease.object().key(),
               .reason = lease.object().deletion() ? CopyReason::kDelete
                                                   : CopyReason::kOtherChange,
               .unproven = true,
               .may_commit = [&] { return link.MayCommit(); },
               .before_part = before_part,
               .large_bytes = lease.large_object_bytes(),
               .large = &parts});
  if (const auto end = parts.Finish(result.status())) return *end;
  if (!result.ok()) {
    return EndOf(link, ends.rule, result.status(), parts.took_room());
  }

  v1::Checkpoint checkpoint;
  *checkpoint.mutable_to() = checkpointer.cursor();
  checkpoint.set_complete(true);
  if (result->outcome == CopyResult::Outcome::kFiltered) {
    (*checkpoint.mutable_filtered())[result->filter_reason] = 1;
  } else {
    checkpoint.set_applied(1);
  }
  checkpoint.set_bytes(result->bytes + parts.unreported_bytes());
  return checkpointer.Record(std::move(checkpoint))
      .value_or(RunEnd::Release("NOT_RECORDED"));
}

}  // namespace crr
