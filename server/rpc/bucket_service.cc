#include "server/rpc/bucket_service.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/core/registry.h"
#include "server/rpc/converters.h"
#include "server/rpc/name_from.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"
#include "server/rpc/update_mask.h"

namespace crr {
namespace {

constexpr char kListQuery[] = "buckets";

}  // namespace

grpc::ServerUnaryReactor* BucketService::CreateBucket(
    grpc::CallbackServerContext* context,
    const v1::CreateBucketRequest* request, v1::Bucket* response) {
  const absl::Time now = env_.clock.WallNow();
  std::vector<Violation> found;
  const Bucket bucket = FromProto(*request, now, found);
  CheckRequestId(request->request_id(), found);
  if (request->validate_only()) {
    return FinishRead<v1::Bucket>(
        context, env_, response,
        [bucket, found](ReadTransaction& txn) -> absl::StatusOr<v1::Bucket> {
          CRR_RETURN_IF_ERROR(RefuseIfAny(ValidateBucket(txn, bucket, found)));
          return ToProto(bucket);
        });
  }
  const Call call{"crr.v1.BucketService/CreateBucket", request->request_id()};
  return FinishWrite<v1::Bucket>(
      context, env_, call, response,
      Idempotent<v1::CreateBucketRequest, v1::Bucket>(
          call.method, *request, now,
          [bucket, found](
              Transaction& txn) -> absl::StatusOr<Changed<v1::Bucket>> {
            CRR_ASSIGN_OR_RETURN(const Bucket created,
                                 crr::CreateBucket(txn, bucket, found));
            Changed<v1::Bucket> changed{.response = ToProto(created)};
            changed.audit = {changed.response.name(), "",
                             ToJson(changed.response)};
            return changed;
          }));
}

grpc::ServerUnaryReactor* BucketService::GetBucket(
    grpc::CallbackServerContext* context, const v1::GetBucketRequest* request,
    v1::Bucket* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseBucketName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::Bucket>(
      context, env_, response,
      [id](ReadTransaction& txn) -> absl::StatusOr<v1::Bucket> {
        CRR_ASSIGN_OR_RETURN(const Bucket bucket, FindBucket(txn, id, "name"));
        return ToProto(bucket);
      });
}

grpc::ServerUnaryReactor* BucketService::ListBuckets(
    grpc::CallbackServerContext* context, const v1::ListBucketsRequest* request,
    v1::ListBucketsResponse* response) {
  std::vector<Violation> found;
  const Page page = ParsePage(request->page_size(), request->page_token(),
                              kListQuery, found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListBucketsResponse>(
      context, env_, response,
      [page](ReadTransaction& txn) -> absl::StatusOr<v1::ListBucketsResponse> {
        v1::ListBucketsResponse answer;
        FillPage(
            bucket_table::List(txn, page.after, page.size + 1), page, kListQuery, answer,
            [&](const Bucket& bucket) -> const auto& {
              return *answer.add_buckets() = ToProto(bucket);
            },
            [](const Bucket& bucket) { return bucket.id; });
        return answer;
      });
}

grpc::ServerUnaryReactor* BucketService::UpdateBucket(
    grpc::CallbackServerContext* context,
    const v1::UpdateBucketRequest* request, v1::Bucket* response) {
  std::vector<Violation> found;
  const v1::Bucket& bucket = request->bucket();
  const auto id =
      NameFrom(ParseBucketName, bucket.name(), "bucket.name", found);
  const UpdatePaths paths =
      PathsToSet(request->update_mask(), bucket, "bucket", found);
  CheckVersioning(bucket, found);
  // The rest is told together with what the state says.
  if (id.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Bucket>(
      context, env_, {"crr.v1.BucketService/UpdateBucket", ""}, response,
      [id, paths, found, update = *request, now = env_.clock.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::Bucket>> {
        const auto old = FindBucket(txn, id, "bucket.name");
        if (!old.ok()) return RefuseWith(found, old.status());
        const v1::Bucket before = ToProto(*old);
        const v1::Bucket& given = update.bucket();
        std::vector<Violation> all = found;
        CheckImmutable(update.update_mask(), given, before, "bucket", all);
        const absl::Status same = CheckEtag(given.etag(), before.etag(),
                                            "bucket.etag", before.name());
        if (!same.ok()) return RefuseWith(std::move(all), same);
        Bucket next = *old;
        if (Covers(paths, "versioning") &&
            v1::Bucket::Versioning_IsValid(given.versioning())) {
          next.versioning = FromProto(given.versioning());
        }
        if (Covers(paths, "transfer_acceleration")) {
          next.acceleration = given.transfer_acceleration();
        }
        CRR_ASSIGN_OR_RETURN(const Bucket updated,
                             crr::UpdateBucket(txn, *old, next,
                                               std::move(all), now));
        Changed<v1::Bucket> changed{.response = ToProto(updated)};
        if (changed.response.etag() != before.etag()) {
          changed.audit = {before.name(), ToJson(before),
                           ToJson(changed.response)};
        }
        return changed;
      });
}

grpc::ServerUnaryReactor* BucketService::DeleteBucket(
    grpc::CallbackServerContext* context,
    const v1::DeleteBucketRequest* request, google::protobuf::Empty* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseBucketName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<google::protobuf::Empty>(
      context, env_, {"crr.v1.BucketService/DeleteBucket", ""}, response,
      [this, id, etag = request->etag()](Transaction& txn)
          -> absl::StatusOr<Changed<google::protobuf::Empty>> {
        CRR_ASSIGN_OR_RETURN(const Bucket bucket, FindBucket(txn, id, "name"));
        const v1::Bucket before = ToProto(bucket);
        CRR_RETURN_IF_ERROR(
            CheckEtag(etag, before.etag(), "etag", before.name()));
        CRR_ASSIGN_OR_RETURN(const std::vector<std::string> publishers,
                             crr::DeleteBucket(txn, bucket));
        Changed<google::protobuf::Empty> changed;
        changed.audit = {before.name(), ToJson(before), ""};
        changed.then = [this, publishers] {
          for (const std::string& publisher : publishers) {
            env_.publishers.Forget(publisher);
          }
        };
        return changed;
      });
}

}  // namespace crr
