// The sessions of LeaseCore: how a copier comes, comes back, is replaced and is
// forgotten, and how its heartbeats renew what it holds.

#include <algorithm>
#include <set>
#include <utility>

#include "server/core/lease_core.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"

namespace crr {

void LeaseCore::OnHello(StreamId stream, HelloMessage hello) {
  if (draining_) {
    output_.Close(stream, Refuse({.reason = "DRAINING",
                                  .description = "the server is stopping"}));
    return;
  }
  if (by_stream_.contains(stream) || opening_.contains(stream)) {
    Malformed(stream, "hello comes once, first");
    return;
  }
  const auto newest = by_copier_.find(hello.copier);
  if (hello.session_number && newest != by_copier_.end()) {
    const auto session = sessions_.find(newest->second);
    if (newest->second == *hello.session_number &&
        session != sessions_.end() && !session->second.superseded) {
      ResumeSession(stream, hello, session->second);
      return;
    }
  }
  opening_[stream] = true;
  arriving_.emplace_back(stream, std::move(hello));
  StartSessions();
}

void LeaseCore::StartSessions() {
  while (starts_under_way_ < limits::kSessionStartsMax && !arriving_.empty()) {
    const auto [stream, hello] = std::move(arriving_.front());
    arriving_.pop_front();
    if (!opening_.contains(stream)) continue;  // Gone before its turn.
    ++starts_under_way_;
    const auto known = hello.session_number;
    store_.StartSession(
        hello.copier, hello.region, known,
        [this, stream = stream, hello = hello](absl::StatusOr<int64_t> number) {
          --starts_under_way_;
          const bool is_open = opening_.erase(stream) > 0;
          if (number.ok()) {
            AdoptSession(is_open ? stream : 0, hello, *number);
          } else if (is_open) {
            output_.Close(stream, number.status());
          }
          StartSessions();
        });
  }
}

void LeaseCore::ResumeSession(StreamId stream, const HelloMessage& hello,
                              Session& session) {
  if (stream < session.stream) {
    // The copier has given this stream up since and come by another: what it
    // says of leases is no longer so.
    output_.Close(stream,
                  absl::UnavailableError("the session is on a later stream"));
    return;
  }
  if (session.stream != 0) {
    // The same process came back before its old stream was seen to break.
    output_.Close(session.stream,
                  absl::UnavailableError("the session moved to a new stream"));
    by_stream_.erase(session.stream);
  }
  session.stream = stream;
  session.deadline = FullTerm();
  session.region = hello.region;
  session.lease_credit = hello.lease_credit;
  session.segment_credit_bytes = hello.segment_credit_bytes;
  session.lost.clear();
  by_stream_[stream] = session.number;
  UpdateRoom(session);

  WelcomeMessage welcome{.session_number = session.number, .not_held = {}};
  std::set<int64_t> named;
  for (const LeaseRef& lease : hello.held) {
    UnitState* const unit = HeldUnit(session, lease);
    if (unit == nullptr || unit->expiry) {
      // What heartbeats do not renew, a welcome does not either; it runs out
      // at its own time.
      welcome.not_held.push_back(lease);
      continue;
    }
    named.insert(lease.unit_id);
    unit->sent_sequence =
        std::max(lease.received_sequence, unit->info.cursor_sequence);
    // What it did not receive is sent again; what it did, it still holds.
    while (!unit->unsettled.empty() &&
           unit->unsettled.back().first > lease.received_sequence) {
      unit->unsettled_bytes -= unit->unsettled.back().second;
      unit->unsettled.pop_back();
    }
    unit->no_room = false;
    unit->reading = 0;
  }
  output_.Send(stream, welcome);
  // A grant that never arrived: its holder says so, hence nobody works on it.
  const std::set<int64_t> held = session.units;
  for (const int64_t unit_id : held) {
    UnitState& unit = units_.at(unit_id);
    if (unit.phase != Phase::kLeased) continue;
    if (unit.expiry) continue;  // Told to drop it; runs out at its own time.
    if (!named.contains(unit_id)) {
      EndLease(unit, {});
      continue;
    }
    if (unit.revoke_deadline) {
      output_.Send(stream, RevokeMessage{.unit_id = unit_id,
                                         .token = unit.token,
                                         .reason = unit.revoke_reason,
                                         .deadline = options_.ttl});
    }
    PumpSegments(unit);
  }
  Schedule();
}

void LeaseCore::AdoptSession(StreamId stream, const HelloMessage& hello,
                             int64_t number) {
  const auto older = by_copier_.find(hello.copier);
  if (older != by_copier_.end()) {
    const auto session = sessions_.find(older->second);
    if (session != sessions_.end()) Supersede(session->second);
  }
  by_copier_[hello.copier] = number;
  if (draining_) return;  // Its stream was told to move; it comes back.
  Session& session = sessions_[number];
  session.number = number;
  session.copier = hello.copier;
  session.region = hello.region;
  session.lease_credit = hello.lease_credit;
  session.segment_credit_bytes = hello.segment_credit_bytes;
  session.deadline = FullTerm();
  if (stream == 0) return;  // Gone meanwhile; it may come back by number.
  session.stream = stream;
  by_stream_[stream] = number;
  UpdateRoom(session);
  output_.Send(stream,
               WelcomeMessage{.session_number = number, .not_held = hello.held});
  Schedule();
}

void LeaseCore::Supersede(Session& session) {
  session.superseded = true;
  if (session.stream != 0) {
    output_.Close(session.stream,
                  Refuse({.reason = "SESSION_SUPERSEDED",
                          .description = "a newer session of this copier took "
                                         "over"}));
    by_stream_.erase(session.stream);
    session.stream = 0;
  }
  UpdateRoom(session);
  MaybeForget(session.number);
}

void LeaseCore::MaybeForget(int64_t session_number) {
  const auto found = sessions_.find(session_number);
  if (found == sessions_.end()) return;
  const Session& session = found->second;
  if (session.stream != 0 || !session.units.empty()) return;
  if (!session.superseded && session.deadline > clock_.Now()) return;
  const auto newest = by_copier_.find(session.copier);
  if (newest != by_copier_.end() && newest->second == session_number) {
    by_copier_.erase(newest);
  }
  store_.ForgetSession(session_number);
  sessions_.erase(found);
}

void LeaseCore::OnFinish(StreamId stream) {
  std::set<int64_t> held;
  if (const Session* const session = SessionOf(stream)) held = session->units;
  output_.Close(stream, absl::OkStatus());
  OnStreamClosed(stream);
  // Grants that crossed the message: their holder says that it has none, hence
  // nobody works on them. What it was told to drop may have a write under way,
  // and runs out at its own time.
  for (const int64_t unit_id : held) {
    UnitState& unit = units_.at(unit_id);
    if (unit.phase == Phase::kLeased && !unit.expiry) EndLease(unit, {});
  }
}

void LeaseCore::OnStreamClosed(StreamId stream) {
  opening_.erase(stream);
  const auto found = by_stream_.find(stream);
  if (found == by_stream_.end()) return;
  Session& session = sessions_.at(found->second);
  session.stream = 0;
  UpdateRoom(session);
  by_stream_.erase(found);
}

void LeaseCore::OnHeartbeat(StreamId stream, int64_t number) {
  Session* const session = SessionOf(stream);
  if (session == nullptr) {
    Malformed(stream, "a heartbeat before hello was answered");
    return;
  }
  session->deadline = FullTerm();
  UpdateRoom(*session);
  HeartbeatAckMessage ack{.number = number, .not_renewed = session->lost};
  for (const int64_t unit_id : session->units) {
    const UnitState& unit = units_.at(unit_id);
    if (unit.expiry) ack.not_renewed.push_back({unit_id, unit.token, 0});
  }
  output_.Send(stream, std::move(ack));
}

}  // namespace crr
