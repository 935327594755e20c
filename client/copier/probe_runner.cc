#include "client/copier/probe_runner.h"

#include <utility>

#include "client/copier/checkpointer.h"
#include "client/copier/failure_reason.h"

namespace crr {
namespace {

v1::Bucket::Versioning ToProto(BucketVersioning versioning) {
  switch (versioning) {
    case BucketVersioning::kUnversioned:
      return v1::Bucket::UNVERSIONED;
    case BucketVersioning::kEnabled:
      return v1::Bucket::ENABLED;
    case BucketVersioning::kSuspended:
      return v1::Bucket::SUSPENDED;
  }
  return v1::Bucket::VERSIONING_UNSPECIFIED;
}

v1::Checkpoint::Probe::Finding Find(StoreAccess& access,
                                    const v1::Lease::Endpoint& endpoint) {
  v1::Checkpoint::Probe::Finding finding;
  const absl::StatusOr<BucketInfo> bucket = access.PrepareBucket(endpoint);
  if (bucket.ok()) {
    finding.set_identity(bucket->identity);
    finding.set_versioning(ToProto(bucket->versioning));
  } else {
    finding.set_problem(MessageOf(bucket.status()));
  }
  return finding;
}

}  // namespace

RunEnd RunProbe(const RunnerContext& context, StoreAccess& access) {
  const v1::Lease& lease = context.link.lease();
  v1::Checkpoint checkpoint;
  v1::Checkpoint::Probe& probe = *checkpoint.mutable_probe();
  *probe.mutable_source() = Find(access, lease.source());
  *probe.mutable_destination() = Find(access, lease.destination());
  *checkpoint.mutable_to() = lease.cursor();
  checkpoint.set_complete(true);

  Checkpointer checkpointer(context.link, context.clock, context.timing);
  return checkpointer.Record(std::move(checkpoint))
      .value_or(RunEnd::Release("NOT_RECORDED"));
}

}  // namespace crr
