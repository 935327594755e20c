#include "server/rpc/admin_service.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/cc/resource_name.h"
#include "server/rpc/converters.h"
#include "server/rpc/name_from.h"
#include "server/rpc/paging.h"
#include "server/rpc/unary.h"
#include "storage/audit_table.h"
#include "storage/publisher_table.h"
#include "storage/rule_table.h"
#include "storage/session_table.h"
#include "storage/unit_table.h"

namespace crr {
namespace {

constexpr char kListQuery[] = "publishers";
constexpr char kCopiersQuery[] = "copiers";

v1::Publisher ToProto(const Publisher& publisher, const Watermarks& watermarks,
                      const std::set<std::string>& attached) {
  v1::Publisher message;
  message.set_name(PublisherName(publisher.id));
  message.set_scope(publisher.scope.kind == PublisherScope::Kind::kRegion
                        ? RegionName(publisher.scope.id)
                        : BucketName(publisher.scope.id));
  message.set_epoch(publisher.epoch);
  message.set_last_number(publisher.last_number);
  message.set_attached(attached.contains(publisher.id));
  const auto said = watermarks.find(SpeakerOf(publisher));
  if (said != watermarks.end() && said->second != absl::InfinitePast()) {
    *message.mutable_complete_through() = crr::ToProto(said->second);
  }
  *message.mutable_create_time() = crr::ToProto(publisher.create_time);
  return message;
}

v1::AuditEvent ToProto(const AuditEvent& event) {
  v1::AuditEvent message;
  message.set_number(event.number);
  *message.mutable_time() = crr::ToProto(event.time);
  message.set_caller(event.caller);
  message.set_method(event.method);
  message.set_subject(event.subject);
  message.set_before(event.before);
  message.set_after(event.after);
  message.set_request_id(event.request_id);
  return message;
}

v1::Copier ToProto(const LeaseCore::CopierView& copier) {
  v1::Copier message;
  message.set_name(CopierName(copier.copier));
  if (!copier.region.empty()) message.set_region(RegionName(copier.region));
  message.set_session_number(copier.session_number);
  message.set_connected(copier.connected);
  message.set_lease_credit(copier.lease_credit);
  message.set_leases(copier.leases);
  message.set_draining(copier.draining);
  return message;
}

v1::LeaseStatus ToProto(ReadTransaction& txn, const LeaseOverview& row,
                        const LeaseCore::RevokeReasons& reasons) {
  v1::LeaseStatus message;
  message.set_name(LeaseName(row.lease.unit_id));
  message.set_copier(CopierName(row.copier));
  if (const auto rule = rule_table::Get(txn, row.rule_uid)) {
    message.set_rule(RuleName(rule->source, rule->id));
  }
  message.set_kind(static_cast<v1::Lease::Kind>(row.kind));
  message.set_token(row.lease.token);
  *message.mutable_grant_time() = crr::ToProto(row.grant_time);
  message.set_attempts(static_cast<int32_t>(row.attempts));
  const auto reason = reasons.find({row.lease.unit_id, row.lease.token});
  if (reason != reasons.end()) message.set_revoke_reason(reason->second);
  return message;
}

// The number that a page's token names; a violation when it names none.
int64_t NumberIn(const Page& page, std::vector<Violation>& found) {
  int64_t number = 0;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &number)) {
    found.push_back({.reason = "INVALID_PAGE_TOKEN",
                     .field = "page_token",
                     .description = "the token does not belong to this query"});
  }
  return number;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::ListPublishers(
    grpc::CallbackServerContext* context,
    const v1::ListPublishersRequest* request,
    v1::ListPublishersResponse* response) {
  std::vector<Violation> found;
  const Page page = ParsePage(request->page_size(), request->page_token(),
                              kListQuery, found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListPublishersResponse>(
      context, env_, response,
      [page, watermarks = env_.publishers.watermarks(),
       attached = env_.publishers.attached()](ReadTransaction& txn)
          -> absl::StatusOr<v1::ListPublishersResponse> {
        v1::ListPublishersResponse answer;
        FillPage(
            publisher_table::List(txn, page.after, page.size + 1), page, kListQuery, answer,
            [&](const Publisher& publisher) -> const auto& {
              return *answer.add_publishers() = ToProto(publisher, watermarks, attached);
            },
            [](const Publisher& publisher) { return publisher.id; });
        return answer;
      });
}

grpc::ServerUnaryReactor* AdminService::DeletePublisher(
    grpc::CallbackServerContext* context,
    const v1::DeletePublisherRequest* request,
    google::protobuf::Empty* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParsePublisherName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishWrite<google::protobuf::Empty>(
      context, env_, {"crr.v1.AdminService/DeletePublisher", ""}, response,
      [this, id, attached = env_.publishers.attached()](Transaction& txn)
          -> absl::StatusOr<Changed<google::protobuf::Empty>> {
        const std::string name = PublisherName(id);
        const auto publisher = publisher_table::Get(txn, id);
        if (!publisher) {
          return Refuse({.reason = "PUBLISHER_NOT_FOUND",
                         .field = "name",
                         .subject = name,
                         .description = absl::StrCat("there is no ", name)});
        }
        if (attached.contains(id)) {
          return Refuse({.reason = "PUBLISHER_ATTACHED",
                         .field = "name",
                         .subject = name,
                         .description = absl::StrCat(name, " is attached")});
        }
        publisher_table::Delete(txn, id);
        Changed<google::protobuf::Empty> changed;
        changed.audit = {name, ToJson(ToProto(*publisher, {}, {})), ""};
        changed.then = [this, id] { env_.publishers.Forget(id); };
        return changed;
      });
}

grpc::ServerUnaryReactor* AdminService::ListAuditEvents(
    grpc::CallbackServerContext* context,
    const v1::ListAuditEventsRequest* request,
    v1::ListAuditEventsResponse* response) {
  std::vector<Violation> found;
  const std::string query = absl::StrCat("audit ", request->subject());
  Page page =
      ParsePage(request->page_size(), request->page_token(), query, found);
  page.size = std::min(page.size, limits::kAuditPageSizeMax);
  const int64_t before = NumberIn(page, found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  return FinishRead<v1::ListAuditEventsResponse>(
      context, env_, response,
      [page, before, query, subject = request->subject()](ReadTransaction& txn)
          -> absl::StatusOr<v1::ListAuditEventsResponse> {
        v1::ListAuditEventsResponse answer;
        FillPage(
            audit_table::List(txn, subject, before, page.size + 1), page, query,
            answer,
            [&](const AuditEvent& event) -> const auto& {
              return *answer.add_audit_events() = ToProto(event);
            },
            [](const AuditEvent& event) { return absl::StrCat(event.number); });
        return answer;
      });
}

// What lives in LeaseLoop's memory is asked for there, and its thread finishes
// the call or hands it on to the database's.

grpc::ServerUnaryReactor* AdminService::ListCopiers(
    grpc::CallbackServerContext* context,
    const v1::ListCopiersRequest* request, v1::ListCopiersResponse* response) {
  std::vector<Violation> found;
  const Page page = ParsePage(request->page_size(), request->page_token(),
                              kCopiersQuery, found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  env_.loop.Post([page, response, reactor](LeaseCore& core) {
    FillPage(
        core.Copiers(page.after, static_cast<size_t>(page.size) + 1), page,
        kCopiersQuery, *response,
        [&](const LeaseCore::CopierView& copier) -> const auto& {
          return *response->add_copiers() = ToProto(copier);
        },
        [](const LeaseCore::CopierView& copier) { return copier.copier; });
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::DrainCopier(
    grpc::CallbackServerContext* context,
    const v1::DrainCopierRequest* request, v1::Copier* response) {
  std::vector<Violation> found;
  const auto id = NameFrom(ParseCopierName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  env_.loop.Post([this, id, context, response, reactor](LeaseCore& core) {
    const auto copier = core.FindCopier(id);
    if (!copier) {
      const std::string name = CopierName(id);
      reactor->Finish(ToGrpcStatus(
          Refuse({.reason = "COPIER_NOT_FOUND",
                  .field = "name",
                  .subject = name,
                  .description = absl::StrCat(name, " has no session")})));
      return;
    }
    *response = ToProto(*copier);
    if (copier->draining) {
      core.DrainSession(copier->session_number);
      reactor->Finish(grpc::Status::OK);
      return;
    }
    Changed<v1::Copier> changed;
    changed.response = *response;
    changed.response.set_draining(true);
    changed.audit = {response->name(), ToJson(*response),
                     ToJson(changed.response)};
    changed.then = [&loop = env_.loop, number = copier->session_number] {
      loop.Post([number](LeaseCore& later) { later.DrainSession(number); });
    };
    WriteAndFinish<v1::Copier>(
        context, reactor, env_, {"crr.v1.AdminService/DrainCopier", ""},
        response,
        [changed, number = copier->session_number](Transaction& txn)
            -> absl::StatusOr<Changed<v1::Copier>> {
          session_table::SetDraining(txn, number);
          return changed;
        });
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::ListLeases(
    grpc::CallbackServerContext* context, const v1::ListLeasesRequest* request,
    v1::ListLeasesResponse* response) {
  std::vector<Violation> found;
  const std::string query =
      absl::StrCat("leases ", request->copier(), " ", request->rule());
  const Page page =
      ParsePage(request->page_size(), request->page_token(), query, found);
  const int64_t after = NumberIn(page, found);
  const std::string copier =
      request->copier().empty()
          ? ""
          : NameFrom(ParseCopierName, request->copier(), "copier", found);
  const RuleId rule =
      request->rule().empty()
          ? RuleId{}
          : NameFrom(ParseRuleName, request->rule(), "rule", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  env_.loop.Post([=, &env = env_](LeaseCore& core) {
    ReadAndFinish<v1::ListLeasesResponse>(
        reactor, env, response,
        [=, reasons = core.revoke_reasons()](ReadTransaction& txn)
            -> absl::StatusOr<v1::ListLeasesResponse> {
          v1::ListLeasesResponse answer;
          int64_t rule_uid = 0;
          if (!rule.source.empty()) {
            const auto stored = rule_table::GetBySource(txn, rule.source);
            if (!stored || stored->id != rule.rule) return answer;
            rule_uid = stored->uid;
          }
          FillPage(
              unit_table::ListLeases(txn, after, copier, rule_uid,
                                     page.size + 1),
              page, query, answer,
              [&](const LeaseOverview& row) -> const auto& {
                return *answer.add_leases() = ToProto(txn, row, reasons);
              },
              [](const LeaseOverview& row) {
                return absl::StrCat(row.lease.unit_id);
              });
          return answer;
        });
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::RevokeLease(
    grpc::CallbackServerContext* context,
    const v1::RevokeLeaseRequest* request, v1::LeaseStatus* response) {
  std::vector<Violation> found;
  const int64_t unit =
      NameFrom(ParseLeaseName, request->name(), "name", found);
  if (!found.empty()) return FinishWith(context, RefuseAll(found));
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  env_.loop.Post([=, &env = env_](LeaseCore& core) {
    WriteAndFinish<v1::LeaseStatus>(
        context, reactor, env, {"crr.v1.AdminService/RevokeLease", ""},
        response,
        [unit, &loop = env.loop, reasons = core.revoke_reasons()](
            Transaction& txn) -> absl::StatusOr<Changed<v1::LeaseStatus>> {
          const std::vector<LeaseOverview> rows =
              unit_table::ListLeases(txn, unit - 1, "", 0, 1);
          if (rows.empty() || rows[0].lease.unit_id != unit) {
            const std::string name = LeaseName(unit);
            return Refuse({.reason = "LEASE_NOT_FOUND",
                           .field = "name",
                           .subject = name,
                           .description = absl::StrCat("no ", name, " lives")});
          }
          Changed<v1::LeaseStatus> changed;
          changed.response = ToProto(txn, rows[0], reasons);
          if (!changed.response.revoke_reason().empty()) return changed;
          const std::string before = ToJson(changed.response);
          changed.response.set_revoke_reason("REVOKED");
          changed.audit = {changed.response.name(), before,
                           ToJson(changed.response)};
          changed.then = [&loop, unit, token = rows[0].lease.token] {
            loop.Post([unit, token](LeaseCore& later) {
              later.RevokeLease(unit, token);
            });
          };
          return changed;
        });
  });
  return reactor;
}

}  // namespace crr
