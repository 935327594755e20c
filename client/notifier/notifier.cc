#include "client/notifier/notifier.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "proto/cc/resource_name.h"
#include "proto/cc/status_details.h"

namespace crr {
namespace {

constexpr std::chrono::seconds kCallDeadline{5};
constexpr absl::Duration kStopGrace = absl::Seconds(5);

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(status.message()));
}

}  // namespace

Notifier::Notifier(Options options, v1::RegionService::StubInterface& regions,
                   v1::ChangeService::StubInterface& changes,
                   OpenJournal open_journal, const Clock& clock,
                   std::function<void()> on_ready)
    : options_(std::move(options)),
      regions_(regions),
      changes_(changes),
      open_journal_(std::move(open_journal)),
      clock_(clock),
      on_ready_(std::move(on_ready)),
      backoff_(absl::Milliseconds(100), absl::Seconds(2)) {}

absl::Status Notifier::Run() {
  absl::Status result;
  for (;;) {
    const grpc::Status status = PublishOnce();
    const StatusDetails details = DetailsOf(status);
    if (details.reason == "SESSION_SUPERSEDED") {
      result = absl::AbortedError(Describe(status));
      break;
    }
    // The server's delay is a minimum; ours on top of it spreads publishers
    // that were all sent away at once.
    const absl::Duration delay =
        details.retry_delay.value_or(absl::ZeroDuration()) + backoff_.Next();
    {
      MutexLock lock(mu_);
      if (stopping_) break;
    }
    NoteTrouble(status);
    if (!Sleep(delay)) break;
  }
  MutexLock lock(mu_);
  ended_ = true;
  changed_.NotifyAll();
  return result;
}

void Notifier::Stop() {
  MutexLock lock(mu_);
  stopping_ = true;
  changed_.NotifyAll();
  if (call_ != nullptr) call_->TryCancel();
  if (stream_ != nullptr) stream_->Finish();
  const Ticks end = clock_.Now() + kStopGrace;
  while (!ended_ && clock_.Now() < end) {
    changed_.WaitFor(mu_, end - clock_.Now());
  }
  if (stream_ != nullptr) stream_->Cancel();
}

grpc::Status Notifier::PublishOnce() {
  v1::Store store;
  if (grpc::Status status = GetStore(store); !status.ok()) return status;
  const absl::StatusOr<std::unique_ptr<ChangeJournal>> journal =
      open_journal_(store);
  if (!journal.ok()) return ToGrpc(journal.status());

  v1::PublishChangesRequest::Hello hello;
  hello.set_publisher_id(options_.id);
  hello.set_scope(RegionName(options_.region));
  hello.set_epoch((*journal)->epoch());
  PublishStream stream(changes_, **journal, clock_);
  {
    MutexLock lock(mu_);
    if (stopping_) return grpc::Status::OK;
    stream_ = &stream;
  }
  const grpc::Status status = stream.Run(
      hello, {.welcomed = [&] { return CheckStore(store); },
              .progressed = [this] { NoteProgress(); }});
  MutexLock lock(mu_);
  stream_ = nullptr;
  return status;
}

absl::Status Notifier::CheckStore(const v1::Store& opened) {
  // Only a publisher that is attached is told that the store was replaced; it
  // may have been between the look at the region and the attachment.
  v1::Store now;
  const grpc::Status status = GetStore(now);
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("the region cannot be read: ", Describe(status)));
  }
  if (now.SerializeAsString() != opened.SerializeAsString()) {
    return absl::UnavailableError("the region has another store now");
  }
  if (on_ready_) std::exchange(on_ready_, nullptr)();
  return absl::OkStatus();
}

grpc::Status Notifier::GetStore(v1::Store& store) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
  // The first failure tells why at once; after it the next call goes out as
  // soon as the server is back, whatever the channel's own backoff.
  context.set_wait_for_ready(!state_.empty());
  {
    MutexLock lock(mu_);
    if (stopping_) return grpc::Status::CANCELLED;
    call_ = &context;
  }
  const grpc::Status status = AskForStore(context, store);
  MutexLock lock(mu_);
  call_ = nullptr;
  return status;
}

grpc::Status Notifier::AskForStore(grpc::ClientContext& context,
                                   v1::Store& store) {
  v1::GetRegionRequest request;
  request.set_name(RegionName(options_.region));
  v1::Region region;
  const grpc::Status status = regions_.GetRegion(&context, request, &region);
  if (!status.ok()) return status;
  if (region.store().kind_case() == v1::Store::KIND_NOT_SET) {
    return grpc::Status(
        grpc::FAILED_PRECONDITION,
        absl::StrCat(request.name(), " has no store; set one by UpdateRegion"));
  }
  store = region.store();
  return grpc::Status::OK;
}

void Notifier::NoteTrouble(const grpc::Status& status) {
  // By code and reason: messages of the transport differ from try to try.
  std::string state =
      absl::StrCat(status.error_code(), " ", DetailsOf(status).reason);
  if (state == state_) return;
  state_ = std::move(state);
  LogWarning("waiting", {{"region", options_.region},
                         {"why", status.ok() ? "the server ended the stream"
                                             : Describe(status)}});
}

void Notifier::NoteProgress() {
  backoff_.Reset();
  state_ = "publishing";
  LogInfo("publishing", {{"region", options_.region}, {"id", options_.id}});
}

bool Notifier::Sleep(absl::Duration delay) {
  const Ticks end = clock_.Now() + delay;
  MutexLock lock(mu_);
  while (!stopping_ && clock_.Now() < end) {
    changed_.WaitFor(mu_, end - clock_.Now());
  }
  return !stopping_;
}

}  // namespace crr
