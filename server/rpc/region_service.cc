#include "server/rpc/region_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/core/registry.h"
#include "server/rpc/converters.h"
#include "server/rpc/name_from.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"
#include "server/rpc/update_mask.h"

namespace crr {
namespace {

constexpr char kListQuery[] = "regions";
constexpr char kPolicyName[] = "regionPairPolicy";

}  // namespace

grpc::ServerUnaryReactor* RegionService::CreateRegion(
    grpc::CallbackServerContext* context,
    const v1::CreateRegionRequest* request, v1::Region* response) {
  const absl::Time now = env_.clock.WallNow();
  std::vector<Violation> found;
  const Region region = FromProto(*request, now, found);
  CheckRequestId(request->request_id(), found);
  if (request->validate_only()) {
    return FinishRead<v1::Region>(
        context, env_, response,
        [region, found](ReadTransaction& txn) -> absl::StatusOr<v1::Region> {
          CRR_RETURN_IF_ERROR(RefuseIfAny(ValidateRegion(txn, region, found)));
          return ToProto(region);
        });
  }
  const Call call{"crr.v1.RegionService/CreateRegion", request->request_id()};
  return FinishWrite<v1::Region>(
      context, env_, call, response,
      Idempotent<v1::CreateRegionRequest, v1::Region>(
          call.method, *request, now,
          [region, found](
              Transaction& txn) -> absl::StatusOr<Changed<v1::Region>> {
            CRR_ASSIGN_OR_RETURN(const Region created,
                                 crr::CreateRegion(txn, region, found));
            Changed<v1::Region> changed{.response = ToProto(created)};
            changed.audit = {changed.response.name(), "",
                             ToJson(changed.response)};
            return changed;
          }));
}

grpc::ServerUnaryReactor* RegionService::GetRegion(
    grpc::CallbackServerContext* context, const v1::GetRegionRequest* request,
    v1::Region* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRegionName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::Region>(
      context, env_, response,
      [id](ReadTransaction& txn) -> absl::StatusOr<v1::Region> {
        CRR_ASSIGN_OR_RETURN(const Region region, FindRegion(txn, id, "name"));
        return ToProto(region);
      });
}

grpc::ServerUnaryReactor* RegionService::ListRegions(
    grpc::CallbackServerContext* context, const v1::ListRegionsRequest* request,
    v1::ListRegionsResponse* response) {
  std::vector<Violation> found;
  const Page page = ParsePage(request->page_size(), request->page_token(),
                              kListQuery, found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListRegionsResponse>(
      context, env_, response,
      [page](ReadTransaction& txn) -> absl::StatusOr<v1::ListRegionsResponse> {
        v1::ListRegionsResponse answer;
        FillPage(
            region_table::List(txn, page.after, page.size + 1), page, kListQuery, answer,
            [&](const Region& region) -> const auto& {
              return *answer.add_regions() = ToProto(region);
            },
            [](const Region& region) { return region.id; });
        return answer;
      });
}

grpc::ServerUnaryReactor* RegionService::UpdateRegion(
    grpc::CallbackServerContext* context,
    const v1::UpdateRegionRequest* request, v1::Region* response) {
  std::vector<Violation> found;
  const v1::Region& region = request->region();
  const auto id =
      NameFrom(ParseRegionName, region.name(), "region.name", found);
  const UpdatePaths paths =
      PathsToSet(request->update_mask(), region, "region", found);
  CheckRegionText(region, found);
  std::string root;
  if (Covers(paths, "store.local.root")) {
    root = LocalRootFrom(region.store(), "region.store", found);
  }
  // The rest is told together with what the state says.
  if (id.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Region>(
      context, env_, {"crr.v1.RegionService/UpdateRegion", ""}, response,
      [this, id, root, paths, found, update = *request,
       now = env_.clock.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::Region>> {
        const auto old = FindRegion(txn, id, "region.name");
        if (!old.ok()) return RefuseWith(found, old.status());
        const v1::Region before = ToProto(*old);
        const v1::Region& given = update.region();
        std::vector<Violation> all = found;
        CheckImmutable(update.update_mask(), given, before, "region", all);
        const absl::Status same = CheckEtag(given.etag(), before.etag(),
                                            "region.etag", before.name());
        if (!same.ok()) return RefuseWith(std::move(all), same);
        Region next = *old;
        if (!root.empty()) next.store_root = root;
        if (Covers(paths, "display_name")) {
          next.display_name = given.display_name();
        }
        if (Covers(paths, "credentials")) {
          next.credentials = given.credentials();
        }
        CRR_ASSIGN_OR_RETURN(RegionOutcome outcome,
                             crr::UpdateRegion(txn, *old, next,
                                               std::move(all), now));
        Changed<v1::Region> changed{.response = ToProto(outcome.region),
                                    .events = std::move(outcome.events)};
        if (changed.response.etag() != before.etag()) {
          changed.audit = {before.name(), ToJson(before),
                           ToJson(changed.response)};
        }
        if (outcome.replaced) {
          changed.then = [this] { env_.publishers.ForgetAll(); };
        }
        return changed;
      });
}

grpc::ServerUnaryReactor* RegionService::DeleteRegion(
    grpc::CallbackServerContext* context,
    const v1::DeleteRegionRequest* request, google::protobuf::Empty* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRegionName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<google::protobuf::Empty>(
      context, env_, {"crr.v1.RegionService/DeleteRegion", ""}, response,
      [id, etag = request->etag()](Transaction& txn)
          -> absl::StatusOr<Changed<google::protobuf::Empty>> {
        CRR_ASSIGN_OR_RETURN(const Region region, FindRegion(txn, id, "name"));
        const v1::Region before = ToProto(region);
        CRR_RETURN_IF_ERROR(
            CheckEtag(etag, before.etag(), "etag", before.name()));
        CRR_RETURN_IF_ERROR(crr::DeleteRegion(txn, region));
        Changed<google::protobuf::Empty> changed;
        changed.audit = {before.name(), ToJson(before), ""};
        return changed;
      });
}

grpc::ServerUnaryReactor* RegionService::GetRegionPairPolicy(
    grpc::CallbackServerContext* context,
    const v1::GetRegionPairPolicyRequest* request,
    v1::RegionPairPolicy* response) {
  if (!request->name().empty() && request->name() != kPolicyName) {
    return FinishWith(
        context, Refuse({.reason = "INVALID_NAME",
                         .field = "name",
                         .description = "the name is regionPairPolicy"}));
  }
  return FinishRead<v1::RegionPairPolicy>(
      context, env_, response,
      [](ReadTransaction& txn) -> absl::StatusOr<v1::RegionPairPolicy> {
        return ToProto(region_table::GetPolicy(txn));
      });
}

grpc::ServerUnaryReactor* RegionService::UpdateRegionPairPolicy(
    grpc::CallbackServerContext* context,
    const v1::UpdateRegionPairPolicyRequest* request,
    v1::RegionPairPolicy* response) {
  std::vector<Violation> found;
  const RegionPairPolicy policy =
      FromProto(*request, env_.clock.WallNow(), found);
  return FinishWrite<v1::RegionPairPolicy>(
      context, env_, {"crr.v1.RegionService/UpdateRegionPairPolicy", ""},
      response,
      [policy, found, etag = request->region_pair_policy().etag()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::RegionPairPolicy>> {
        const v1::RegionPairPolicy before =
            ToProto(region_table::GetPolicy(txn));
        const absl::Status same = CheckEtag(
            etag, before.etag(), "region_pair_policy.etag", kPolicyName);
        if (!same.ok()) return RefuseWith(found, same);
        Changed<v1::RegionPairPolicy> changed{.response = ToProto(policy)};
        if (found.empty() && changed.response.etag() == before.etag()) {
          changed.response = before;
          return changed;
        }
        CRR_RETURN_IF_ERROR(ReplacePolicy(txn, policy, found));
        changed.audit = {kPolicyName, ToJson(before), ToJson(changed.response)};
        return changed;
      });
}

grpc::ServerUnaryReactor* RegionService::ListDestinationRegions(
    grpc::CallbackServerContext* context,
    const v1::ListDestinationRegionsRequest* request,
    v1::ListDestinationRegionsResponse* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRegionName, request->parent(), "parent", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListDestinationRegionsResponse>(
      context, env_, response,
      [id](ReadTransaction& txn)
          -> absl::StatusOr<v1::ListDestinationRegionsResponse> {
        CRR_ASSIGN_OR_RETURN(const Region source,
                             FindRegion(txn, id, "parent"));
        v1::ListDestinationRegionsResponse answer;
        for (const DestinationRegion& region : DestinationsOf(txn, source)) {
          auto& entry = *answer.add_destination_regions();
          entry.set_region(RegionName(region.region));
          entry.set_transfer(region.accelerated ? v1::Rule::ACCELERATED
                                                : v1::Rule::STANDARD);
        }
        return answer;
      });
}

}  // namespace crr
