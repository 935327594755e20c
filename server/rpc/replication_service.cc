#include "server/rpc/replication_service.h"

#include <atomic>
#include <functional>
#include <memory>
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
#include "server/core/rule_validator.h"
#include "server/rpc/converters.h"
#include "server/rpc/progress_converters.h"
#include "server/rpc/name_from.h"
#include "server/rpc/paging.h"
#include "server/rpc/progress_stream.h"
#include "server/rpc/unary.h"
#include "server/rpc/update_mask.h"

namespace crr {
namespace {

// Design §3: at most one message a second.
constexpr absl::Duration kWatchInterval = absl::Seconds(1);
// About as often as a publisher's word can change what is known.
constexpr absl::Duration kWaitInterval = absl::Milliseconds(100);
// Clocks of hosts that are kept in step differ by far less.
constexpr absl::Duration kWaitAheadMax = absl::Minutes(1);

using RuleChange =
    std::function<absl::StatusOr<RuleOutcome>(Transaction&, const Rule&)>;

// The answer, told to the audit log when the rule is another than before.
Changed<v1::Rule> ChangedFrom(const v1::Rule& before, RuleOutcome outcome) {
  Changed<v1::Rule> changed{.response = ToProto(outcome.view),
                            .events = std::move(outcome.events)};
  if (changed.response.etag() != before.etag()) {
    changed.audit = {before.name(), ToJson(before), ToJson(changed.response)};
  }
  return changed;
}

// Finds the rule, checks the etag, and changes it.
ChangingBody<v1::Rule> ChangeOf(const RuleId& id, const std::string& etag,
                                RuleChange change) {
  return [=](Transaction& txn) -> absl::StatusOr<Changed<v1::Rule>> {
    CRR_ASSIGN_OR_RETURN(const Rule rule, FindRule(txn, id.source, id.rule));
    const v1::Rule before = ToProto(ViewOf(txn, rule));
    CRR_RETURN_IF_ERROR(
        CheckEtag(etag, before.etag(), "etag", before.name()));
    CRR_ASSIGN_OR_RETURN(RuleOutcome outcome, change(txn, rule));
    return ChangedFrom(before, std::move(outcome));
  };
}

// Of a call that names a rule, with an etag, and says nothing else.
template <typename Request>
grpc::ServerUnaryReactor* FinishChange(
    grpc::CallbackServerContext* context, const Env& env,
    const std::string& method, const Request& request, v1::Rule* response,
    absl::StatusOr<RuleOutcome> (*change)(Transaction&, const Rule&,
                                          absl::Time)) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request.name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Rule>(
      context, env, {method, ""}, response,
      ChangeOf(id, request.etag(),
               [change, now = env.clock.WallNow()](Transaction& txn,
                                                   const Rule& rule) {
                 return change(txn, rule, now);
               }));
}

}  // namespace

grpc::ServerUnaryReactor* ReplicationService::CreateRule(
    grpc::CallbackServerContext* context, const v1::CreateRuleRequest* request,
    v1::Rule* response) {
  const absl::Time now = env_.clock.WallNow();
  std::vector<Violation> found;
  const NewRule rule = FromProto(*request, found);
  CheckRequestId(request->request_id(), found);
  if (request->validate_only()) {
    return FinishRead<v1::Rule>(
        context, env_, response,
        [rule, found, now](ReadTransaction& txn) -> absl::StatusOr<v1::Rule> {
          CRR_RETURN_IF_ERROR(RefuseIfAny(ValidateRule(txn, rule, found)));
          return ToProto(ViewOf(txn, MakeRule(rule, now)));
        });
  }
  const Call call{"crr.v1.ReplicationService/CreateRule",
                  request->request_id()};
  return FinishWrite<v1::Rule>(
      context, env_, call, response,
      Idempotent<v1::CreateRuleRequest, v1::Rule>(
          call.method, *request, now,
          [rule, found,
           now](Transaction& txn) -> absl::StatusOr<Changed<v1::Rule>> {
            CRR_ASSIGN_OR_RETURN(RuleOutcome outcome,
                                 crr::CreateRule(txn, rule, found, now));
            Changed<v1::Rule> changed{.response = ToProto(outcome.view),
                                      .events = std::move(outcome.events)};
            changed.audit = {changed.response.name(), "",
                             ToJson(changed.response)};
            return changed;
          }));
}

grpc::ServerUnaryReactor* ReplicationService::GetRule(
    grpc::CallbackServerContext* context, const v1::GetRuleRequest* request,
    v1::Rule* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::Rule>(
      context, env_, response,
      [id](ReadTransaction& txn) -> absl::StatusOr<v1::Rule> {
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
  // The rest is told together with what the state says.
  if (!found.empty() && !parent) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListRulesResponse>(
      context, env_, response,
      [=](ReadTransaction& txn) -> absl::StatusOr<v1::ListRulesResponse> {
        v1::ListRulesResponse answer;
        RuleFilter wanted = filter;
        if (parent) {
          CRR_RETURN_IF_ERROR(
              RefuseWith(found, FindBucket(txn, *parent, "parent").status()));
          // Both the parent and the filter may name a source.
          if (wanted.source && wanted.source != parent) return answer;
          wanted.source = parent;
        }
        FillPage(
            rule_table::List(txn, wanted, page.after, page.size + 1), page,
            query, answer,
            [&](const Rule& rule) -> const auto& {
              return *answer.add_rules() = ToProto(ViewOf(txn, rule));
            },
            [](const Rule& rule) { return absl::StrCat(rule.source, "/"); });
        return answer;
      });
}

grpc::ServerUnaryReactor* ReplicationService::DeleteRule(
    grpc::CallbackServerContext* context, const v1::DeleteRuleRequest* request,
    v1::Rule* response) {
  return FinishChange(context, env_, "crr.v1.ReplicationService/DeleteRule", *request,
                      response, crr::DeleteRule);
}

grpc::ServerUnaryReactor* ReplicationService::GetRuleProgress(
    grpc::CallbackServerContext* context,
    const v1::GetRuleProgressRequest* request, v1::RuleProgress* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  // Before the snapshot is taken: see ProgressOf.
  const Watermarks watermarks = env_.publishers.watermarks();
  return FinishRead<v1::RuleProgress>(
      context, env_, response,
      [id, watermarks, now = env_.clock.WallNow()](
          ReadTransaction& txn) -> absl::StatusOr<v1::RuleProgress> {
        CRR_ASSIGN_OR_RETURN(const Rule rule,
                             FindRule(txn, id.source, id.rule));
        return ToProto(ProgressOf(txn, rule, watermarks, now), now);
      });
}

grpc::ServerUnaryReactor* ReplicationService::UpdateRule(
    grpc::CallbackServerContext* context, const v1::UpdateRuleRequest* request,
    v1::Rule* response) {
  std::vector<Violation> found;
  const v1::Rule& message = request->rule();
  const auto id = NameFrom(ParseRuleName, message.name(), "rule.name", found);
  const UpdatePaths paths =
      PathsToSet(request->update_mask(), message, "rule", found);
  // Gives a rule what the request sets.
  const auto set = [message, paths](Rule& rule) {
    if (Covers(paths, "limits.max_leases")) {
      rule.max_leases = message.limits().max_leases();
    }
    if (Covers(paths, "limits.max_bytes_per_second")) {
      rule.max_bytes_per_second = message.limits().max_bytes_per_second();
    }
    if (Covers(paths, "labels")) {
      rule.labels = {message.labels().begin(), message.labels().end()};
    }
  };
  Rule alone;
  set(alone);
  for (Violation& violation : CheckLimitsAndLabels(
           alone.max_leases, alone.max_bytes_per_second, alone.labels)) {
    found.push_back(std::move(violation));
  }
  // The rest is told together with what the state says.
  if (id.rule.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<v1::Rule>(
      context, env_, {"crr.v1.ReplicationService/UpdateRule", ""}, response,
      [id, set, found, update = *request, now = env_.clock.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<v1::Rule>> {
        const auto old = FindRule(txn, id.source, id.rule, "rule.name");
        if (!old.ok()) return RefuseWith(found, old.status());
        const v1::Rule before = ToProto(ViewOf(txn, *old));
        const v1::Rule& given = update.rule();
        std::vector<Violation> all = found;
        CheckImmutable(update.update_mask(), given, before, "rule", all);
        const absl::Status same = CheckEtag(given.etag(), before.etag(),
                                            "rule.etag", before.name());
        if (!same.ok()) return RefuseWith(std::move(all), same);
        Rule next = *old;
        set(next);
        CRR_ASSIGN_OR_RETURN(
            RuleOutcome outcome,
            crr::UpdateRule(txn, *old, next, std::move(all), now));
        return ChangedFrom(before, std::move(outcome));
      });
}

grpc::ServerUnaryReactor* ReplicationService::PauseRule(
    grpc::CallbackServerContext* context, const v1::PauseRuleRequest* request,
    v1::Rule* response) {
  return FinishChange(context, env_, "crr.v1.ReplicationService/PauseRule", *request,
                      response, crr::PauseRule);
}

grpc::ServerUnaryReactor* ReplicationService::ResumeRule(
    grpc::CallbackServerContext* context, const v1::ResumeRuleRequest* request,
    v1::Rule* response) {
  return FinishChange(context, env_, "crr.v1.ReplicationService/ResumeRule", *request,
                      response, crr::ResumeRule);
}

grpc::ServerWriteReactor<v1::RuleProgress>*
ReplicationService::WatchRuleProgress(
    grpc::CallbackServerContext*, const v1::WatchRuleProgressRequest* request) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->name(), "name", found);
  const auto stream = ProgressStream::Make(env_.clock);
  if (!found.empty()) {
    stream->Close(RefuseAll(found));
  } else {
    watch_.Add(id.source, id.rule, kWatchInterval,
               [](const SyncTime&) { return true; },
               [stream](const absl::StatusOr<v1::RuleProgress>& progress) {
                 return stream->Offer(progress);
               });
  }
  return stream.get();
}

grpc::ServerUnaryReactor* ReplicationService::WaitForSync(
    grpc::CallbackServerContext* context, const v1::WaitForSyncRequest* request,
    v1::RuleProgress* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseRuleName, request->name(), "name", found);
  const absl::Time time = FromProto(request->time());
  if (!request->has_time()) {
    found.push_back({.reason = "REQUIRED_FIELD_MISSING",
                     .field = "time",
                     .description = "the time is required"});
  } else if (!IsTime(request->time())) {
    found.push_back({.reason = "INVALID_TIME",
                     .field = "time",
                     .description = "not a time"});
  } else if (time > env_.clock.WallNow() + kWaitAheadMax) {
    found.push_back({.reason = "INVALID_TIME",
                     .field = "time",
                     .description = "the time lies in the future"});
  }
  // The rest is told together with what the state says.
  if (id.rule.empty()) return FinishWith(context, RefuseAll(found));
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto is_answer = [=](const SyncTime& sync) {
    return !found.empty() || context->IsCancelled() ||
           sync.unknown_reason == "NO_PUBLISHER" ||
           (sync.time && *sync.time >= time);
  };
  watch_.Add(
      id.source, id.rule, kWaitInterval, is_answer,
      [=](const absl::StatusOr<v1::RuleProgress>& progress) {
        absl::Status status = RefuseWith(found, progress.status());
        if (status.ok() && context->IsCancelled()) {
          status = absl::CancelledError("the caller is gone");
        } else if (status.ok() &&
                   progress->live().last_sync_unknown_reason() ==
                       "NO_PUBLISHER") {
          status = Refuse(
              {.reason = "NO_WATERMARK",
               .field = "name",
               .subject = progress->name(),
               .description = "no named publisher speaks for the source "
                              "bucket: what is missing cannot be known"});
        } else if (status.ok()) {
          *response = *progress;
        }
        reactor->Finish(ToGrpcStatus(status));
        return false;
      });
  return reactor;
}

}  // namespace crr
