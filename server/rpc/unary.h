#ifndef CRR_SERVER_RPC_UNARY_H_
#define CRR_SERVER_RPC_UNARY_H_

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/hash.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/core/work_events.h"
#include "server/rpc/converters.h"
#include "server/rpc/env.h"
#include "server/rpc/status_convert.h"
#include "storage/audit_table.h"
#include "storage/request_table.h"

namespace crr {

// The shapes of a unary call. Each returns at once; a database thread finishes
// the call. A call whose caller is gone before its body begins is dropped
// unrun; after that it commits.

// Answers with violations that were found before any state was read.
inline grpc::ServerUnaryReactor* FinishWith(
    grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// `body` reads; its value becomes the answer.
template <typename Response>
void ReadAndFinish(
    grpc::ServerUnaryReactor* reactor, const Env& env, Response* response,
    std::function<absl::StatusOr<Response>(ReadTransaction&)> body) {
  env.database.Read<Response>(std::move(body),
                              [=](absl::StatusOr<Response> answer) {
                                if (answer.ok()) *response = *std::move(answer);
                                reactor->Finish(ToGrpcStatus(answer.status()));
                              });
}

template <typename Response>
grpc::ServerUnaryReactor* FinishRead(
    grpc::CallbackServerContext* context, const Env& env, Response* response,
    std::function<absl::StatusOr<Response>(ReadTransaction&)> body) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  ReadAndFinish(reactor, env, response, std::move(body));
  return reactor;
}

// A change for the audit log, as JSON; empty where there is no such state.
struct Audit {
  std::string subject;
  std::string before;
  std::string after;
};

// What a changing call answers, and what it changed.
template <typename Response>
struct Changed {
  Response response;
  WorkEvents events;
  // Absent when nothing was changed.
  std::optional<Audit> audit;
  // What else is to be done once it is committed.
  std::function<void()> then;
};

template <typename Response>
using ChangingBody =
    std::function<absl::StatusOr<Changed<Response>>(Transaction&)>;

// Names a call in the audit log and in the memory of requests.
struct Call {
  std::string method;      // Such as "crr.v1.BucketService/CreateBucket".
  std::string request_id;  // Empty when it has none.
};

// `body` changes rows; its audit event is stored with them, and LeaseLoop hears
// of its work events after the commit.
template <typename Response>
void WriteAndFinish(grpc::CallbackServerContext* context,
                    grpc::ServerUnaryReactor* reactor, const Env& env,
                    const Call& call, Response* response,
                    ChangingBody<Response> body) {
  env.database.Write<Changed<Response>>(
      {.cancelled = [context] { return context->IsCancelled(); }},
      [body = std::move(body), call, caller = context->peer(),
       now = env.clock.WallNow()](
          Transaction& txn) -> absl::StatusOr<Changed<Response>> {
        auto changed = body(txn);
        if (changed.ok() && changed->audit) {
          audit_table::Insert(
              txn,
              {.time = now,
               .caller = caller,
               .method = call.method,
               .subject = changed->audit->subject,
               .before = changed->audit->before,
               .after = changed->audit->after,
               .request_id = call.request_id},
              {limits::kAuditAge, limits::kAuditEventsMax});
        }
        return changed;
      },
      [=, &loop = env.loop](absl::StatusOr<Changed<Response>> answer) {
        if (answer.ok()) {
          loop.PostWork(std::move(answer->events));
          if (answer->then) answer->then();
          *response = std::move(answer->response);
        }
        reactor->Finish(ToGrpcStatus(answer.status()));
      });
}

template <typename Response>
grpc::ServerUnaryReactor* FinishWrite(grpc::CallbackServerContext* context,
                                      const Env& env, const Call& call,
                                      Response* response,
                                      ChangingBody<Response> body) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  WriteAndFinish(context, reactor, env, call, response, std::move(body));
  return reactor;
}

// INVALID_REQUEST_ID unless it is empty or a UUID.
inline void CheckRequestId(const std::string& request_id,
                           std::vector<Violation>& found) {
  if (request_id.empty() || IsUuid(request_id)) return;
  found.push_back({.reason = "INVALID_REQUEST_ID",
                   .field = "request_id",
                   .description = "a request id is a UUID"});
}

// ABORTED ETAG_MISMATCH unless none was given or it is the present one.
inline absl::Status CheckEtag(const std::string& given,
                              const std::string& present,
                              const std::string& field,
                              const std::string& subject) {
  if (given.empty() || given == present) return absl::OkStatus();
  return Refuse({.reason = "ETAG_MISMATCH",
                 .field = field,
                 .subject = subject,
                 .description = subject + " has changed since it was read"});
}

// Wraps a body so that a repeat of `request` (which has a `request_id`) gets
// the first answer again, stored in the first one's transaction. Without an id
// the body runs as it is. Refusals are not remembered.
template <typename Request, typename Response>
ChangingBody<Response> Idempotent(const std::string& method,
                                  const Request& request, absl::Time now,
                                  ChangingBody<Response> body) {
  if (request.request_id().empty()) return body;
  Request canonical = request;
  canonical.clear_request_id();
  // Callers have no identity before there is mTLS: one name for all.
  return [key = RequestKey{.caller = "",
                           .method = method,
                           .request_id = request.request_id()},
          hash = static_cast<int64_t>(Hash64(CanonicalBytes(canonical))), now,
          body = std::move(body)](
             Transaction& txn) -> absl::StatusOr<Changed<Response>> {
    Changed<Response> changed;
    if (const auto stored = request_table::Get(txn, key, now)) {
      if (stored->hash != hash) {
        return Refuse({.reason = "REQUEST_ID_REUSED",
                       .field = "request_id",
                       .description =
                           "this id was used for a request of other content"});
      }
      if (!changed.response.ParseFromString(stored->response)) {
        return absl::InternalError("a stored answer cannot be read");
      }
      return changed;
    }
    auto fresh = body(txn);
    if (!fresh.ok()) return fresh;
    request_table::Put(txn, key,
                       {.hash = hash,
                        .response = fresh->response.SerializeAsString()},
                       now, now + limits::kRequestMemory);
    return fresh;
  };
}

}  // namespace crr

#endif  // CRR_SERVER_RPC_UNARY_H_
