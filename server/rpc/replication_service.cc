#include "server/rpc/replication_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/cc/resource_name.h"
#include "server/core/progress.h"
#include "server/core/registry.h"
#include "server/core/rule_manager.h"
#include "server/rpc/converters.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"

namespace crr {
namespace {

absl::StatusOr<RuleId> RuleIdFrom(const std::string& name) {
  auto id = ParseRuleName(name);
  if (id.ok()) return id;
  return Refuse({.reason = name.empty() ? "REQUIRED_FIELD_MISSING"
                                        : "INVALID_NAME",
                 .field = "name",
                 .description = std::string(id.status().message())});
}

}  // namespace

grpc::ServerUnaryReactor* ReplicationService::CreateRule(
    grpc::CallbackServerContext* context, const v1::CreateRuleRequest* request,
    v1::Rule* response) {
  const absl::Time now = clock_.WallNow();
  std::vector<Violation> found;
  const NewRule rule = FromProto(*request, found);
  CheckRequestId(request->request_id(), found);
  if (request->validate_only()) {
    return FinishRead<v1::Rule>(
        context, database_, response,
        [rule, found, now](ReadTransaction& txn) -> absl::StatusOr<v1::Rule> {
          CRR_RETURN_IF_ERROR(RefuseIfAny(ValidateRule(txn, rule, found)));
          return ToProto(ViewOf(txn, MakeRule(rule, now)));
        });
  }
  return FinishWrite<v1::Rule>(
      context, database_, loop_, response,
      Idempotent<v1::CreateRuleRequest, v1::Rule>(
          "CreateRule", *request, now,
          [rule, found,
           now](Transaction& txn) -> absl::StatusOr<Changed<v1::Rule>> {
            CRR_ASSIGN_OR_RETURN(RuleOutcome outcome,
                                 crr::CreateRule(txn, rule, found, now));
            return Changed<v1::Rule>{ToProto(outcome.view),
                                     std::move(outcome.events),
                                     {}};
          }));
}

grpc::ServerUnaryReactor* ReplicationService::GetRule(
    grpc::CallbackServerContext* context, const v1::GetRuleRequest* request,
    v1::Rule* response) {
  const auto id = RuleIdFrom(request->name());
  if (!id.ok()) return FinishWith(context, id.status());
  return FinishRead<v1::Rule>(
      context, database_, response,
      [id = *id](ReadTransaction& txn) -> absl::StatusOr<v1::Rule> {
        CRR_ASSIGN_OR_RETURN(Rule rule, FindRule(txn, id.source, id.rule));
        return ToProto(ViewOf(txn, std::move(rule)));
      });
}

grpc::ServerUnaryReactor* ReplicationService::ListRules(
    grpc::CallbackServerContext* context, const v1::ListRulesRequest* request,
    v1::ListRulesResponse* response) {
  std::vector<Violation> found;
  const std::string query =
      absl::StrCat("rules ", request->parent(), " ", request->filter());
  const Page page =
      ParsePage(request->page_size(), request->page_token(), query, found);
  RuleFilter filter = ParseRuleFilter(request->filter(), found);
  std::optional<std::string> parent;
  if (request->parent() != "buckets/-") {
    if (auto id = ParseBucketName(request->parent()); id.ok()) {
      parent = *std::move(id);
    } else {
      found.push_back({.reason = request->parent().empty()
                                     ? "REQUIRED_FIELD_MISSING"
                                     : "INVALID_NAME",
                       .field = "parent",
                       .description = std::string(id.status().message())});
    }
  }
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListRulesResponse>(
      context, database_, response,
      [=](ReadTransaction& txn) -> absl::StatusOr<v1::ListRulesResponse> {
        v1::ListRulesResponse answer;
        RuleFilter wanted = filter;
        if (parent) {
          CRR_RETURN_IF_ERROR(FindBucket(txn, *parent, "parent").status());
          // Both the parent and the filter may name a source.
          if (wanted.source && wanted.source != parent) return answer;
          wanted.source = parent;
        }
        auto rules = rule_table::List(txn, wanted, page.after, page.size + 1);
        for (Rule& rule : rules) {
          if (answer.rules_size() == page.size) {
            const Rule& last = rules[static_cast<size_t>(page.size) - 1];
            answer.set_next_page_token(
                MakePageToken(absl::StrCat(last.source, "/"), query));
            break;
          }
          *answer.add_rules() = ToProto(ViewOf(txn, rule));
        }
        return answer;
      });
}

grpc::ServerUnaryReactor* ReplicationService::DeleteRule(
    grpc::CallbackServerContext* context, const v1::DeleteRuleRequest* request,
    v1::Rule* response) {
  const auto id = RuleIdFrom(request->name());
  if (!id.ok()) return FinishWith(context, id.status());
  return FinishWrite<v1::Rule>(
      context, database_, loop_, response,
      [id = *id, etag = request->etag(), now = clock_.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::Rule>> {
        CRR_ASSIGN_OR_RETURN(const Rule rule,
                             FindRule(txn, id.source, id.rule));
        if (!etag.empty() && etag != ToProto(ViewOf(txn, rule)).etag()) {
          return Refuse({.reason = "ETAG_MISMATCH",
                         .field = "etag",
                         .subject = RuleName(id.source, id.rule),
                         .description = "the rule has changed since"});
        }
        CRR_ASSIGN_OR_RETURN(RuleOutcome outcome,
                             crr::DeleteRule(txn, rule, now));
        return Changed<v1::Rule>{ToProto(outcome.view),
                                 std::move(outcome.events),
                                     {}};
      });
}

grpc::ServerUnaryReactor* ReplicationService::GetRuleProgress(
    grpc::CallbackServerContext* context,
    const v1::GetRuleProgressRequest* request, v1::RuleProgress* response) {
  const auto id = RuleIdFrom(request->name());
  if (!id.ok()) return FinishWith(context, id.status());
  // Before the snapshot is taken: see ProgressOf.
  const Watermarks watermarks = publishers_.watermarks();
  return FinishRead<v1::RuleProgress>(
      context, database_, response,
      [id = *id, watermarks, now = clock_.WallNow()](
          ReadTransaction& txn) -> absl::StatusOr<v1::RuleProgress> {
        CRR_ASSIGN_OR_RETURN(const Rule rule,
                             FindRule(txn, id.source, id.rule));
        return ToProto(ProgressOf(txn, rule, watermarks, now), now);
      });
}

}  // namespace crr
