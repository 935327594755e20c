#include "client/copier/run_lease.h"

#include "absl/strings/str_cat.h"
#include "client/copier/backfill_runner.h"
#include "client/copier/changes_runner.h"
#include "client/copier/inventory_runner.h"
#include "client/copier/lease_ends.h"
#include "client/copier/object_runner.h"
#include "client/copier/probe_runner.h"
#include "client/copier/verify_runner.h"

namespace crr {

RunEnd RunLease(const RunnerContext& context, StoreAccess& access) {
  const v1::Lease& lease = context.link.lease();
  if (lease.kind() == v1::Lease::PROBE) return RunProbe(context, access);
  const absl::StatusOr<LeaseEnds> ends = OpenLeaseEnds(access, lease);
  if (!ends.ok()) return RunEnd::Failed(ends.status());
  switch (lease.kind()) {
    case v1::Lease::INVENTORY:
      return RunInventory(context, *ends);
    case v1::Lease::BACKFILL:
      return RunBackfill(context, *ends);
    case v1::Lease::CHANGES:
      return RunChanges(context, *ends);
    case v1::Lease::OBJECT:
      return RunObject(context, *ends);
    case v1::Lease::VERIFY:
      return RunVerify(context, *ends);
    default:
      return RunEnd::Failed(WithReason(
          absl::UnimplementedError(absl::StrCat("no work of kind ",
                                                lease.kind(), " is known")),
          "INVALID_LEASE"));
  }
}

}  // namespace crr
