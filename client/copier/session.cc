#include "client/copier/session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"

namespace crr {
namespace {

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

}  // namespace

Session::Session(Options options, SessionTransport& transport,
                 LeaseTable::Runner runner, const Clock& clock)
    : options_(std::move(options)),
      transport_(transport),
      clock_(clock),
      random_(std::random_device()()),
      leases_(
          std::move(runner),
          [this](v1::SessionRequest request) { Send(std::move(request)); },
          [this] {
            MutexLock lock(mu_);  // Or a wake could fall before the wait.
            changed_.NotifyAll();
          },
          clock) {}

absl::Status Session::Run() {
  Backoff backoff(options_.reconnect_base, options_.reconnect_cap);
  for (;;) {
    int64_t welcomes_before = 0;
    {
      MutexLock lock(mu_);
      welcomes_before = welcomes_;
    }
    const StreamEnd end = RunStream();
    bool welcomed = false;
    {
      MutexLock lock(mu_);
      if (Stopped()) return absl::OkStatus();
      welcomed = welcomes_ > welcomes_before;
    }
    const bool refused = absl::IsInvalidArgument(end.status);
    if (absl::IsAborted(end.status) || (refused && !welcomed)) {
      leases_.LoseAll();
      return end.status;
    }
    LogWarning("stream ended", {{"status", end.status.ToString()}});
    if (refused) {
      // Something that was sent makes no sense to the server, and would be sent
      // again: better to begin without leases.
      leases_.LoseAll();
    } else if (welcomed) {
      backoff.Reset();
    }
    WaitToReconnect(end.retry_delay.value_or(backoff.Next()));
    MutexLock lock(mu_);
    if (Stopped()) return absl::OkStatus();
  }
}

void Session::Stop() {
  const Ticks now = clock_.Now();
  absl::Duration ttl;
  {
    MutexLock lock(mu_);
    if (stop_by_.has_value()) return;
    ttl = terms_.ttl;
  }
  // First: once `finish` is sent, no grant may begin to be worked on.
  leases_.DrainAll("STOPPING", now + ttl / 2);
  MutexLock lock(mu_);
  stop_by_ = now + ttl;
  changed_.NotifyAll();
}

StreamEnd Session::RunStream() {
  const std::unique_ptr<SessionStream> stream = transport_.Open();
  bool all_over = false;
  {
    MutexLock lock(mu_);
    all_over = clock_.Now() - renewed_ >= terms_.ttl;
  }
  if (all_over) leases_.LoseAll();
  v1::SessionRequest hello = Hello();
  {
    MutexLock lock(mu_);
    over_ = false;
    finishing_ = false;
    heartbeats_.clear();
    hello_sent_ = clock_.Now();
    outbox_.clear();
    outbox_.push_back(std::move(hello));
  }
  std::thread reader([&] { Read(*stream); });
  std::thread writer([&] { Write(*stream); });
  Supervise(*stream);
  reader.join();
  writer.join();
  return stream->Finish();
}

v1::SessionRequest Session::Hello() {
  v1::SessionRequest request;
  v1::Hello& hello = *request.mutable_hello();
  hello.set_copier_id(options_.copier_id);
  hello.set_region(options_.region);
  hello.set_slots(options_.slots);
  hello.set_lease_credit(options_.lease_credit);
  hello.set_segment_credit_bytes(options_.segment_credit_bytes);
  for (v1::HeldLease& held : leases_.Held()) {
    *hello.add_held() = std::move(held);
  }
  MutexLock lock(mu_);
  if (number_.has_value()) hello.set_session_number(*number_);
  return request;
}

void Session::Write(SessionStream& stream) {
  while (const auto request = NextToWrite()) {
    if (!stream.Write(*request)) return;
    if (request->has_finish()) {
      stream.WritesDone();
      return;
    }
  }
}

std::optional<v1::SessionRequest> Session::NextToWrite() {
  MutexLock lock(mu_);
  for (;;) {
    if (over_) return std::nullopt;
    absl::Duration wait = absl::Hours(1);
    if (welcomed_) {
      const Ticks now = clock_.Now();
      if (now >= next_heartbeat_) {
        // The time to live counts from here, before the message can leave.
        heartbeats_[++last_heartbeat_] = now;
        next_heartbeat_ = now + Jittered(heartbeat_interval_);
        v1::SessionRequest request;
        request.mutable_heartbeat()->set_number(last_heartbeat_);
        return request;
      }
      wait = next_heartbeat_ - now;
    }
    if (!outbox_.empty()) {
      v1::SessionRequest request = std::move(outbox_.front());
      outbox_.pop_front();
      return request;
    }
    changed_.WaitFor(mu_, wait);
  }
}

void Session::Read(SessionStream& stream) {
  v1::SessionResponse response;
  while (stream.Read(&response)) Handle(std::move(response));
  MutexLock lock(mu_);
  welcomed_ = false;
  over_ = true;
  changed_.NotifyAll();
}

void Session::Handle(v1::SessionResponse response) {
  switch (response.message_case()) {
    case v1::SessionResponse::kWelcome:
      HandleWelcome(response.welcome());
      break;
    case v1::SessionResponse::kHeartbeatAck:
      HandleHeartbeatAck(response.heartbeat_ack());
      break;
    case v1::SessionResponse::kGrant:
      leases_.Grant(std::move(*response.mutable_grant()));
      break;
    case v1::SessionResponse::kSegment:
      leases_.Deliver(std::move(*response.mutable_segment()));
      break;
    case v1::SessionResponse::kCheckpointAck:
      leases_.Acknowledge(std::move(*response.mutable_checkpoint_ack()));
      break;
    case v1::SessionResponse::kReleaseAck:
      leases_.Acknowledge(response.release_ack());
      break;
    case v1::SessionResponse::kRevoke:
      leases_.Revoke(response.revoke());
      break;
    case v1::SessionResponse::MESSAGE_NOT_SET:
      break;  // Of a newer server.
  }
}

void Session::HandleWelcome(const v1::Welcome& welcome) {
  bool first = false;
  LeaseTerms terms;
  Ticks sent;
  {
    MutexLock lock(mu_);
    first = welcomes_++ == 0;
    number_ = welcome.session_number();
    terms_ = terms = {.ttl = FromProto(welcome.ttl()),
                      .margin = FromProto(welcome.margin()),
                      .commit_bound = FromProto(welcome.commit_bound())};
    heartbeat_interval_ = FromProto(welcome.heartbeat_interval());
    renewed_ = sent = hello_sent_;
    next_heartbeat_ = hello_sent_ + Jittered(heartbeat_interval_);
    // Before what was not acknowledged is looked at: what runners send from now
    // on goes out, so nothing falls between the two.
    welcomed_ = true;
    changed_.NotifyAll();
  }
  leases_.Renew(terms, sent, welcome.not_held());
  for (v1::SessionRequest& request : leases_.Unacknowledged()) {
    Send(std::move(request));
  }
  LogInfo("session open", {{"session", welcome.session_number()}});
  if (first && options_.on_ready) options_.on_ready();
}

void Session::HandleHeartbeatAck(const v1::HeartbeatAck& ack) {
  LeaseTerms terms;
  Ticks sent;
  {
    MutexLock lock(mu_);
    const auto heartbeat = heartbeats_.find(ack.number());
    if (heartbeat == heartbeats_.end()) return;
    sent = heartbeat->second;
    heartbeats_.erase(heartbeats_.begin(), std::next(heartbeat));
    renewed_ = std::max(renewed_, sent);
    terms = terms_;
  }
  leases_.Renew(terms, sent, ack.not_renewed());
}

void Session::Supervise(SessionStream& stream) {
  const Ticks opened = clock_.Now();
  bool cancelled = false;
  MutexLock lock(mu_);
  while (!over_) {
    if (stop_by_.has_value() && welcomed_ && !finishing_ && leases_.empty()) {
      finishing_ = true;
      outbox_.emplace_back().mutable_finish();
      changed_.NotifyAll();
    }
    const absl::Duration left = StreamDeadline(opened) - clock_.Now();
    if (cancelled) {
      changed_.Wait(mu_);
    } else if (left <= absl::ZeroDuration()) {
      stream.Cancel();
      cancelled = true;
    } else {
      changed_.WaitFor(mu_, left);
    }
  }
}

Ticks Session::StreamDeadline(Ticks opened) {
  const Ticks silence =
      welcomed_ ? renewed_ + terms_.ttl : opened + options_.welcome_timeout;
  if (!stop_by_.has_value()) return silence;
  if (!welcomed_ && leases_.empty()) return opened;
  return std::min(silence, *stop_by_);
}

void Session::WaitToReconnect(absl::Duration delay) {
  MutexLock lock(mu_);
  const Ticks end = clock_.Now() + Jittered(delay);
  while (!Stopped()) {
    const absl::Duration left = end - clock_.Now();
    if (left <= absl::ZeroDuration()) return;
    changed_.WaitFor(mu_, left);
  }
}

void Session::Send(v1::SessionRequest request) {
  if (request.has_trouble()) {
    const v1::Trouble& trouble = request.trouble();
    LogWarning("keeps failing", {{"unit", trouble.unit()},
                                 {"key", trouble.key()},
                                 {"reason", trouble.reason()},
                                 {"message", trouble.message()}});
  }
  MutexLock lock(mu_);
  if (!welcomed_ || finishing_) return;
  outbox_.push_back(std::move(request));
  changed_.NotifyAll();
}

absl::Duration Session::Jittered(absl::Duration interval) {
  return interval * std::uniform_real_distribution<>(0.9, 1.1)(random_);
}

bool Session::Stopped() {
  return stop_by_.has_value() &&
         (leases_.empty() || clock_.Now() >= *stop_by_);
}

}  // namespace crr
