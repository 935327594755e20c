#include "server/rpc/region_service.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/cc/resource_name.h"
#include "server/core/registry.h"
#include "server/rpc/converters.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"

namespace crr {
namespace {

constexpr char kListQuery[] = "regions";

std::string RegionIdFrom(const std::string& name, const std::string& field,
                         std::vector<Violation>& found) {
  auto id = ParseRegionName(name);
  if (id.ok()) return *std::move(id);
  found.push_back({.reason = name.empty() ? "REQUIRED_FIELD_MISSING"
                                          : "INVALID_NAME",
                   .field = field,
                   .description = std::string(id.status().message())});
  return "";
}

// The only field that can be set is the store.
void CheckMask(const v1::UpdateRegionRequest& request,
               std::vector<Violation>& found) {
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "store" || path == "store.local" ||
        path == "store.local.root") {
      continue;
    }
    found.push_back({.reason = "INVALID_UPDATE_MASK",
                     .field = "update_mask",
                     .description = "only `store` can be set"});
  }
}

// Without a mask every field that is given counts: one that says something else
// than is stored, and cannot be set, is not dropped in silence.
absl::Status CheckUnsettable(const v1::Region& given, const v1::Region& old) {
  const bool differs =
      (!given.display_name().empty() &&
       given.display_name() != old.display_name()) ||
      (!given.credentials().empty() &&
       given.credentials() != old.credentials()) ||
      (given.area() != v1::Region::AREA_UNSPECIFIED &&
       given.area() != old.area());
  if (!differs) return absl::OkStatus();
  return Refuse({.reason = "INVALID_UPDATE_MASK",
                 .field = "region",
                 .subject = old.name(),
                 .description = "only `store` can be set"});
}

}  // namespace

grpc::ServerUnaryReactor* RegionService::GetRegion(
    grpc::CallbackServerContext* context, const v1::GetRegionRequest* request,
    v1::Region* response) {
  std::vector<Violation> found;
  const std::string id = RegionIdFrom(request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::Region>(
      context, database_, response,
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
      context, database_, response,
      [page](ReadTransaction& txn) -> absl::StatusOr<v1::ListRegionsResponse> {
        v1::ListRegionsResponse answer;
        const auto regions =
            region_table::List(txn, page.after, page.size + 1);
        for (const Region& region : regions) {
          if (answer.regions_size() == page.size) {
            answer.set_next_page_token(MakePageToken(
                regions[static_cast<size_t>(page.size) - 1].id, kListQuery));
            break;
          }
          *answer.add_regions() = ToProto(region);
        }
        return answer;
      });
}

grpc::ServerUnaryReactor* RegionService::UpdateRegion(
    grpc::CallbackServerContext* context,
    const v1::UpdateRegionRequest* request, v1::Region* response) {
  std::vector<Violation> found;
  const v1::Region& region = request->region();
  const std::string id = RegionIdFrom(region.name(), "region.name", found);
  CheckMask(*request, found);
  const std::string root = LocalRootFrom(region.store(), "region.store", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Region>(
      context, database_, loop_, response,
      [this, id, root, region, has_mask = !request->update_mask().paths().empty(),
       now = clock_.WallNow()](Transaction& txn) -> absl::StatusOr<Changed<v1::Region>> {
        CRR_ASSIGN_OR_RETURN(const Region old,
                             FindRegion(txn, id, "region.name"));
        const v1::Region before = ToProto(old);
        if (!has_mask) CRR_RETURN_IF_ERROR(CheckUnsettable(region, before));
        if (!region.etag().empty() && region.etag() != before.etag()) {
          return Refuse({.reason = "ETAG_MISMATCH",
                         .field = "region.etag",
                         .subject = RegionName(id),
                         .description = "the region has changed since"});
        }
        CRR_ASSIGN_OR_RETURN(RegionOutcome outcome,
                             SetRegionStore(txn, old, root, now));
        Changed<v1::Region> changed{ToProto(outcome.region),
                                    std::move(outcome.events),
                                    {}};
        if (outcome.replaced) changed.then = [this] { publishers_.ForgetAll(); };
        return changed;
      });
}

}  // namespace crr
