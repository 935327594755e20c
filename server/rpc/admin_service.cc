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

namespace crr {
namespace {

constexpr char kListQuery[] = "publishers";

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
  const auto said = watermarks.find(publisher.id);
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
  int64_t before = 0;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &before)) {
    found.push_back({.reason = "INVALID_PAGE_TOKEN",
                     .field = "page_token",
                     .description = "the token does not belong to this query"});
  }
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

}  // namespace crr
