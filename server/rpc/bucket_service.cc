#include "server/rpc/bucket_service.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "proto/cc/resource_name.h"
#include "server/core/registry.h"
#include "server/rpc/converters.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"

namespace crr {
namespace {

constexpr char kListQuery[] = "buckets";

}  // namespace

grpc::ServerUnaryReactor* BucketService::CreateBucket(
    grpc::CallbackServerContext* context,
    const v1::CreateBucketRequest* request, v1::Bucket* response) {
  const absl::Time now = clock_.WallNow();
  std::vector<Violation> found;
  const Bucket bucket = FromProto(*request, now, found);
  CheckRequestId(request->request_id(), found);
  if (request->validate_only()) {
    return FinishRead<v1::Bucket>(
        context, database_, response,
        [bucket, found](ReadTransaction& txn) -> absl::StatusOr<v1::Bucket> {
          CRR_RETURN_IF_ERROR(RefuseIfAny(ValidateBucket(txn, bucket, found)));
          return ToProto(bucket);
        });
  }
  return FinishWrite<v1::Bucket>(
      context, database_, loop_, response,
      Idempotent<v1::CreateBucketRequest, v1::Bucket>(
          "CreateBucket", *request, now,
          [bucket, found](
              Transaction& txn) -> absl::StatusOr<Changed<v1::Bucket>> {
            CRR_ASSIGN_OR_RETURN(const Bucket created,
                                 crr::CreateBucket(txn, bucket, found));
            return Changed<v1::Bucket>{ToProto(created), {}, {}};
          }));
}

grpc::ServerUnaryReactor* BucketService::GetBucket(
    grpc::CallbackServerContext* context, const v1::GetBucketRequest* request,
    v1::Bucket* response) {
  const auto id = ParseBucketName(request->name());
  if (!id.ok()) {
    return FinishWith(
        context, Refuse({.reason = request->name().empty()
                                       ? "REQUIRED_FIELD_MISSING"
                                       : "INVALID_NAME",
                         .field = "name",
                         .description = std::string(id.status().message())}));
  }
  return FinishRead<v1::Bucket>(
      context, database_, response,
      [id = *id](ReadTransaction& txn) -> absl::StatusOr<v1::Bucket> {
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
      context, database_, response,
      [page](ReadTransaction& txn) -> absl::StatusOr<v1::ListBucketsResponse> {
        v1::ListBucketsResponse answer;
        const auto buckets =
            bucket_table::List(txn, page.after, page.size + 1);
        for (const Bucket& bucket : buckets) {
          if (answer.buckets_size() == page.size) {
            answer.set_next_page_token(MakePageToken(
                buckets[static_cast<size_t>(page.size) - 1].id, kListQuery));
            break;
          }
          *answer.add_buckets() = ToProto(bucket);
        }
        return answer;
      });
}

}  // namespace crr
