#include "server/rpc/change_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/core/change_log.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/rpc/change_converters.h"
#include "server/rpc/converters.h"
#include "server/rpc/stream.h"

namespace crr {

namespace {

absl::Status WhyItEnds(PublisherHub::End end) {
  switch (end) {
    case PublisherHub::End::kTakenOver:
      return Refuse(
          {.reason = "SESSION_SUPERSEDED",
           .description = "another stream of this publisher took over"});
    case PublisherHub::End::kStoreChanged:
      return Refuse(
          {.reason = "OVERLOADED",
           .description = "a region's store has changed: look at it again"});
    case PublisherHub::End::kForgotten:
      return Refuse(
          {.reason = "OVERLOADED",
           .description = "this publisher was deleted: say hello again"});
  }
  return absl::InternalError("unknown end");
}

}  // namespace

// One publisher's stream. The next message is read only when the one before has
// been committed, answered and told to the lease loop: so a publisher is slowed
// down to the pace of those, and `complete_through` comes after every batch
// before it.
class ChangeService::PublishStream final
    : public Stream<v1::PublishChangesRequest, v1::PublishChangesResponse> {
 public:
  PublishStream(grpc::CallbackServerContext* context, ChangeService& service)
      : Stream(context, limits::kPublisherStallMax), service_(service) {}

 private:
  using Request = v1::PublishChangesRequest;

  void OnStart() override {
    number_ = service_.streams_.Add(
        [weak = weak_from_this()](const absl::Status& status) {
          if (const auto stream = weak.lock()) stream->Close(status);
        });
  }

  void OnMessage(const Request& request) override {
    switch (request.message_case()) {
      case Request::kHello:
        return OnHello(request.hello());
      case Request::kBatch:
        return OnBatch(request.batch());
      case Request::kCompleteThrough:
        return OnCompleteThrough(request.complete_through());
      case Request::kFinish:
        return Close(absl::OkStatus());
      case Request::MESSAGE_NOT_SET:
        return Malformed("a message is one of hello, batch, complete_through, "
                         "finish");
    }
  }

  void OnEnd() override {
    service_.streams_.Remove(number_);
    MutexLock lock(end_mu_);
    ended_ = true;
    if (attachment_ != 0) {
      service_.env_.publishers.Detach(publisher_.id, attachment_);
    }
  }

  void Malformed(const std::string& why) {
    Close(Refuse({.reason = "MALFORMED_MESSAGE", .description = why}));
  }

  std::shared_ptr<PublishStream> Self() {
    return std::static_pointer_cast<PublishStream>(shared_from_this());
  }

  void OnHello(const Request::Hello& hello) {
    if (greeted_) return Malformed("hello comes once, first");
    std::vector<Violation> found;
    publisher_ = FromProto(hello, found);
    if (!found.empty()) return Close(RefuseAll(std::move(found)));
    service_.env_.database.Write<Publisher>(
        {},
        [publisher = publisher_, now = service_.env_.clock.WallNow()](
            Transaction& txn) { return AttachPublisher(txn, publisher, now); },
        [self = Self()](const absl::StatusOr<Publisher>& attached) {
          if (!attached.ok()) return self->Close(attached.status());
          self->publisher_ = *attached;
          self->Welcome();
        });
  }

  void Welcome() {
    greeted_ = true;
    if (!publisher_.id.empty()) {
      // The peer may be gone already: then nobody is attached.
      MutexLock lock(end_mu_);
      if (ended_) return;
      attachment_ = service_.env_.publishers.Attach(
          publisher_, [weak = weak_from_this()](PublisherHub::End end) {
            const auto stream = weak.lock();
            if (stream == nullptr) return;
            stream->Close(WhyItEnds(end));
          });
    }
    v1::PublishChangesResponse response;
    response.mutable_welcome()->set_last_number(publisher_.last_number);
    Send(std::move(response), /*urgent=*/false);
    NextRead();
  }

  void OnBatch(const Request::Batch& message) {
    if (!greeted_) return Malformed("hello comes first");
    std::vector<Violation> found;
    const absl::Time now = service_.env_.clock.WallNow();
    Batch batch{.publisher = std::nullopt,
                .scope = publisher_.scope,
                .epoch = publisher_.epoch,
                .attachment = publisher_.attachment,
                .number = message.number(),
                .changes = FromProto(message, DefaultEventTime(), found)};
    if (!found.empty()) return Close(RefuseAll(std::move(found)));
    if (!publisher_.id.empty()) batch.publisher = publisher_.id;
    service_.env_.database.Write<BatchOutcome>(
        {.cancelled = nullptr, .bytes = message.ByteSizeLong()},
        [batch = std::move(batch), max = service_.rule_log_bytes_max_,
         now](Transaction& txn) { return AppendBatch(txn, batch, max, now); },
        [self = Self(), number = message.number(), &loop = service_.env_.loop](
            absl::StatusOr<BatchOutcome> outcome) {
          if (!outcome.ok()) return self->Close(outcome.status());
          self->service_.logged_ += outcome->accepted;
          for (const auto& [reason, count] : outcome->filtered) {
            self->service_.filtered_ += count;
          }
          for (const int64_t rule : outcome->rules) loop.ledgers().Touch(rule);
          v1::PublishChangesResponse response;
          auto& ack = *response.mutable_ack();
          ack.set_number(number);
          ack.set_accepted(outcome->accepted);
          ack.mutable_filtered()->insert(outcome->filtered.begin(),
                                         outcome->filtered.end());
          self->Send(std::move(response), /*urgent=*/false);
          if (outcome->events.empty()) return self->NextRead();
          loop.Post([self, events = std::move(outcome->events)](
                        LeaseCore& core) {
            core.OnWork(events);
            self->NextRead();
          });
        });
  }

  void OnCompleteThrough(const Request::CompleteThrough& message) {
    if (!greeted_) return Malformed("hello comes first");
    if (!message.has_time()) {
      return Close(Refuse({.reason = "REQUIRED_FIELD_MISSING",
                           .field = "complete_through.time",
                           .description = "the time is required"}));
    }
    if (!IsTime(message.time())) {
      return Close(Refuse({.reason = "INVALID_TIME",
                           .field = "complete_through.time",
                           .description = "not a time"}));
    }
    if (const int64_t attachment = Attachment(); attachment != 0) {
      service_.env_.publishers.CompleteThrough(publisher_.id, attachment,
                                           FromProto(message.time()));
    }
    NextRead();
  }

  // A write that is published after its publisher's last word on completeness
  // was made after the time of that word. Its arrival would say too much: it is
  // later than the write, and last_sync_time would run ahead of the truth.
  absl::Time DefaultEventTime() {
    return service_.env_.publishers.LastWord(publisher_.id, Attachment())
        .value_or(UnknownEventTime());
  }

  int64_t Attachment() {
    MutexLock lock(end_mu_);
    return attachment_;
  }

  ChangeService& service_;
  Mutex end_mu_;  // The end may come at any time, and before the welcome.
  bool ended_ ABSL_GUARDED_BY(end_mu_) = false;
  int64_t attachment_ ABSL_GUARDED_BY(end_mu_) = 0;
  // Set on the way from one message to the next, never by two threads at once:
  // the next read begins after.
  int64_t number_ = 0;
  bool greeted_ = false;
  Publisher publisher_;
};

grpc::ServerBidiReactor<v1::PublishChangesRequest, v1::PublishChangesResponse>*
ChangeService::PublishChanges(grpc::CallbackServerContext* context) {
  return PublishStream::Make<PublishStream>(context, *this);
}

}  // namespace crr
