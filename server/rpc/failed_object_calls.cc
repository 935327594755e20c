// The calls of ReplicationService that are about single objects: those that
// left their lane, and a compare of all of them.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/cc/resource_name.h"
#include "server/core/names.h"
#include "server/core/object_lane.h"
#include "server/core/rule_manager.h"
#include "server/core/verification.h"
#include "server/rpc/converters.h"
#include "server/rpc/failed_object_converters.h"
#include "server/rpc/name_from.h"
#include "server/rpc/paging.h"
#include "server/rpc/progress_converters.h"
#include "server/rpc/replication_service.h"
#include "server/rpc/unary.h"

namespace crr {
namespace {

// Keys of a selection that the audit log repeats: its events stay readable.
constexpr int kAuditKeysMax = 100;

std::string ToAudit(v1::FailedObjectSelection selection, int64_t objects) {
  if (selection.keys_size() > kAuditKeysMax) {
    selection.mutable_keys()->DeleteSubrange(
        kAuditKeysMax, selection.keys_size() - kAuditKeysMax);
  }
  return absl::StrCat(R"({"selection":)", ToJson(selection), R"(,"objects":")",
                      objects, R"("})");
}

// Does `change` to the objects that the request selects.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* FinishBulk(
    grpc::CallbackServerContext* context, const Env& env,
    const std::string& method, const Request& request, Response* response,
    BulkOutcome (*change)(Transaction&, const Rule&, const ObjectWorkFilter&)) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request.name(), "name", found);
  const ObjectWorkFilter filter =
      FromProto(request.selection(), env.clock.WallNow(), found);
  if (!SelectsAny(request.selection())) {
    found.push_back({.reason = "REQUIRED_FIELD_MISSING",
                     .field = "selection",
                     .description = "say which objects; `all` for all"});
  }
  // The rest is told together with what the state says.
  if (id.rule.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<Response>(
      context, env, {method, ""}, response,
      [id, filter, found, change, selection = request.selection(),
       &ledgers = env.loop.ledgers()](
          Transaction& txn) -> absl::StatusOr<Changed<Response>> {
        const auto rule = FindRule(txn, id.source, id.rule);
        if (!rule.ok()) return RefuseWith(found, rule.status());
        std::vector<Violation> all = found;
        if (rule->state == RuleState::kClosing) {
          all.push_back({.reason = "RULE_STATE",
                         .field = "name",
                         .subject = NameOfRule(*rule),
                         .description = "the rule is CLOSING",
                         .rule = NameOfRule(*rule)});
        }
        CRR_RETURN_IF_ERROR(RefuseIfAny(std::move(all)));
        BulkOutcome outcome = change(txn, *rule, filter);
        Changed<Response> changed;
        changed.response.set_objects(outcome.objects);
        changed.response.set_more(outcome.more);
        changed.events = std::move(outcome.events);
        changed.then = [&ledgers, uid = rule->uid] { ledgers.Touch(uid); };
        if (outcome.objects > 0) {
          changed.audit = {NameOfRule(*rule), "",
                           ToAudit(selection, outcome.objects)};
        }
        return changed;
      });
}

}  // namespace

grpc::ServerUnaryReactor* ReplicationService::VerifyRule(
    grpc::CallbackServerContext* context, const v1::VerifyRuleRequest* request,
    v1::Verification* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Verification>(
      context, env_, {"crr.v1.ReplicationService/VerifyRule", ""}, response,
      [id, read_bytes = request->read_bytes(), now = env_.clock.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::Verification>> {
        CRR_ASSIGN_OR_RETURN(const Rule rule,
                             FindRule(txn, id.source, id.rule));
        const auto before = verification_table::Get(txn, rule.uid);
        CRR_ASSIGN_OR_RETURN(WorkEvents events,
                             RequestVerification(txn, rule, read_bytes, now));
        const auto after = verification_table::Get(txn, rule.uid);
        Changed<v1::Verification> changed{
            .response = after ? ToProto(*after) : v1::Verification(),
            .events = std::move(events)};
        if (after && (!before || before->number != after->number)) {
          changed.audit = {NameOfRule(rule),
                           before ? ToJson(ToProto(*before)) : "",
                           ToJson(changed.response)};
        }
        return changed;
      });
}

grpc::ServerUnaryReactor* ReplicationService::ListFailedObjects(
    grpc::CallbackServerContext* context,
    const v1::ListFailedObjectsRequest* request,
    v1::ListFailedObjectsResponse* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->parent(), "parent", found);
  const std::string query =
      absl::StrCat("failed objects ", request->parent(), " ",
                   static_cast<int>(request->state()), " ",
                   CanonicalBytes(request->selection()));
  const Page page =
      ParsePage(request->page_size(), request->page_token(), query, found);
  ObjectWorkFilter filter =
      FromProto(request->selection(), env_.clock.WallNow(), found);
  if (!v1::FailedObject::State_IsValid(request->state())) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "state",
                     .description = "the value is not a known one"});
  }
  if (request->state() != v1::FailedObject::STATE_UNSPECIFIED) {
    filter.dead = request->state() == v1::FailedObject::DEAD;
  }
  // The rest is told together with what the state says.
  if (id.rule.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListFailedObjectsResponse>(
      context, env_, response,
      [=](ReadTransaction& txn)
          -> absl::StatusOr<v1::ListFailedObjectsResponse> {
        const auto rule = FindRule(txn, id.source, id.rule, "parent");
        if (!rule.ok()) return RefuseWith(found, rule.status());
        CRR_RETURN_IF_ERROR(RefuseIfAny(found));
        v1::ListFailedObjectsResponse answer;
        FillPage(
            object_work_table::List(txn, rule->uid, filter, page.after,
                                    page.size + 1),
            page, query, answer,
            [&](const ObjectWork& work) -> const auto& {
              return *answer.add_failed_objects() = ToProto(work);
            },
            [](const ObjectWork& work) { return work.key; });
        return answer;
      });
}

grpc::ServerUnaryReactor* ReplicationService::RetryFailedObjects(
    grpc::CallbackServerContext* context,
    const v1::RetryFailedObjectsRequest* request,
    v1::RetryFailedObjectsResponse* response) {
  return FinishBulk(context, env_,
                    "crr.v1.ReplicationService/RetryFailedObjects", *request,
                    response, RetryObjects);
}

grpc::ServerUnaryReactor* ReplicationService::SkipFailedObjects(
    grpc::CallbackServerContext* context,
    const v1::SkipFailedObjectsRequest* request,
    v1::SkipFailedObjectsResponse* response) {
  return FinishBulk(context, env_,
                    "crr.v1.ReplicationService/SkipFailedObjects", *request,
                    response, SkipObjects);
}

}  // namespace crr
