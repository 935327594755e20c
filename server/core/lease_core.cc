#include "server/core/lease_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/hash.h"
#include "server/core/refusal.h"

namespace crr {
namespace {

// A unit whose holder gave it back with a problem waits, doubling, up to this;
// a probe is cheap, and somebody is waiting for it.
constexpr absl::Duration kRetryBase = absl::Milliseconds(250);
constexpr absl::Duration kRetryMax = absl::Seconds(30);
constexpr absl::Duration kProbeRetryMax = absl::Seconds(2);

// Steps of dropping logs whose commit is awaited: after a restore every rule
// wants one.
constexpr int kResyncStepsMax = 64;

// A holder that was asked, or that is leaving, has no problem to tell of.
bool IsOrderly(const std::string& reason) {
  return reason.empty() || reason == "REVOKED" || reason == "STOPPING";
}

}  // namespace

LeaseCore::LeaseCore(LeaseOptions options, const Clock& clock,
                     LeaseStore& store, LeaseOutput& output)
    : options_(options),
      clock_(clock),
      store_(store),
      output_(output),
      last_tick_(clock.Now()),
      next_rebalance_(clock.Now() + options.rebalance_interval) {
  CRR_CHECK(options_.Validate().ok());
}

void LeaseCore::Restore(const Restored& restored) {
  for (const SessionRecord& record : restored.sessions) {
    Session& session = sessions_[record.number];
    session.number = record.number;
    session.copier = record.copier;
    session.region = record.region;
    session.deadline = FullTerm();
    // In rising order, so the newest stays.
    const auto older = by_copier_.find(record.copier);
    if (older != by_copier_.end()) {
      sessions_.at(older->second).superseded = true;
    }
    by_copier_[record.copier] = record.number;
  }
  for (const UnitInfo& info : restored.units) AddUnit(info);
  for (const auto& [lease, silence] : restored.leases) {
    UnitState& unit = units_.at(lease.unit_id);
    unit.phase = Phase::kLeased;
    unit.session = lease.session_number;
    unit.token = lease.token;
    unit.sent_sequence = unit.info.cursor_sequence;
    unit.granted = clock_.Now();
    unit.moved = unit.granted;
    unit.patience = options_.no_progress + silence;
    leased_.insert(lease.unit_id);
    sessions_.at(lease.session_number).units.insert(lease.unit_id);
    queue_.CountLease(unit.info.rule_uid, +1);
  }
  WorkEvents events;
  events.closing = restored.closing;
  events.resync = restored.resync;
  events.paused = restored.paused;
  paused_.insert(restored.paused.begin(), restored.paused.end());
  for (auto& [unit_id, unit] : units_) {
    if (unit.phase != Phase::kOffered) continue;
    if (unit.info.kind == UnitKind::kObject) {
      unit.failures = static_cast<int>(unit.info.attempts);
    }
    OfferUnit(unit, clock_.Now() + RetryDelay(unit));
  }
  if (restored.quiet) quiet_until_ = FullTerm();
  // The process before may not have come to ask for them.
  for (const SessionRecord& record : restored.sessions) {
    if (record.draining) DrainSession(record.number);
  }
  OnWork(events);
}

LeaseCore::Session* LeaseCore::SessionOf(StreamId stream) {
  const auto found = by_stream_.find(stream);
  return found == by_stream_.end() ? nullptr : &sessions_.at(found->second);
}

LeaseCore::UnitState* LeaseCore::HeldUnit(const Session& session,
                                          const LeaseRef& lease) {
  UnitState* const unit = LeasedUnit(lease);
  return unit != nullptr && unit->session == session.number ? unit : nullptr;
}

LeaseCore::UnitState* LeaseCore::LeasedUnit(const LeaseRef& lease) {
  const auto found = units_.find(lease.unit_id);
  if (found == units_.end()) return nullptr;
  UnitState& unit = found->second;
  const bool is_present =
      unit.phase == Phase::kLeased && unit.token == lease.token;
  return is_present ? &unit : nullptr;
}

void LeaseCore::Malformed(StreamId stream, const std::string& why) {
  output_.Close(stream,
                Refuse({.reason = "MALFORMED_MESSAGE", .description = why}));
  OnStreamClosed(stream);
}

// ---------------------------------------------------------------- checkpoints

void LeaseCore::OnCheckpoint(StreamId stream, Checkpoint checkpoint) {
  if (SessionOf(stream) == nullptr) {
    Malformed(stream, "a checkpoint before hello was answered");
    return;
  }
  const LeaseRef lease{checkpoint.unit_id, checkpoint.token, 0};
  store_.Apply(std::move(checkpoint),
               [this, stream, lease](
                   const absl::StatusOr<CheckpointOutcome>& outcome) {
                 OnApplied(stream, lease, outcome);
               });
}

void LeaseCore::OnApplied(StreamId stream, const LeaseRef& lease,
                          const absl::StatusOr<CheckpointOutcome>& outcome) {
  using Result = CheckpointAckMessage::Result;
  CheckpointAckMessage ack{.unit_id = lease.unit_id,
                           .token = lease.token,
                           .result = Result::kStorageFull,
                           .cursor = {},
                           .complete = false};
  if (!outcome.ok()) {
    if (absl::IsInvalidArgument(outcome.status())) {
      Malformed(stream, std::string(outcome.status().message()));
    } else if (absl::IsResourceExhausted(outcome.status()) ||
               absl::IsUnavailable(outcome.status())) {
      UnitState* const unit = LeasedUnit(lease);
      if (unit != nullptr) unit->moved = clock_.Now();  // Not its fault.
      output_.Send(stream, ack);
    } else {
      // Ours; repeating it would not help.
      output_.Close(stream, outcome.status());
      OnStreamClosed(stream);
    }
    return;
  }
  ack.cursor = outcome->cursor;
  ack.complete = outcome->lease_over;
  switch (outcome->result) {
    case CheckpointOutcome::Result::kRecorded:
      ack.result = Result::kRecorded;
      break;
    case CheckpointOutcome::Result::kCursorDiffers:
      ack.result = Result::kCursorDiffers;
      break;
    case CheckpointOutcome::Result::kFenced:
      ack.result = Result::kFenced;
      ++counts_.fenced;
      break;
    case CheckpointOutcome::Result::kObjectsFull:
      ack.result = Result::kObjectsFull;
      break;
  }
  counts_.settled[outcome->kind] += outcome->settled;
  counts_.bytes[outcome->kind] += outcome->bytes;
  output_.Send(stream, ack);
  OnWork(outcome->events);
  if (UnitState* const unit = LeasedUnit(lease)) {
    if (outcome->result == CheckpointOutcome::Result::kRecorded) {
      OnRecorded(*unit, *outcome);
    } else if (outcome->result == CheckpointOutcome::Result::kObjectsFull) {
      unit->moved = clock_.Now();  // Its holder waits, as it should.
    }
  }
  Schedule();
}

void LeaseCore::OnRecorded(UnitState& unit, const CheckpointOutcome& outcome) {
  if (outcome.lease_over) {
    // Stored as ended, to be tried again: a probe that found a problem, or an
    // object that was folded into meanwhile.
    DetachUnit(unit);
    if (unit.info.kind == UnitKind::kProbe) ++unit.failures;
    OfferUnit(unit, clock_.Now() + RetryDelay(unit));
    MaybeCloseRule(unit.info.rule_uid);
    return;
  }
  if (outcome.progressed) {
    unit.failures = 0;
    unit.progressed = true;
  }
  if (unit.cursor != outcome.cursor) unit.moved = clock_.Now();
  unit.cursor = outcome.cursor;
  unit.info.cursor_sequence = outcome.cursor.sequence;
  while (!unit.unsettled.empty() &&
         unit.unsettled.front().first <= unit.info.cursor_sequence) {
    unit.unsettled_bytes -= unit.unsettled.front().second;
    unit.unsettled.pop_front();
    unit.no_room = false;
  }
  PumpSegments(unit);
}

void LeaseCore::OnTrouble(StreamId stream, LeaseRef lease,
                          const std::string& message) {
  Session* const session = SessionOf(stream);
  if (session == nullptr) {
    Malformed(stream, "a report before hello was answered");
    return;
  }
  if (HeldUnit(*session, lease) != nullptr) {
    store_.Note(lease.unit_id, lease.token, message);
  }
}

// ------------------------------------------------------------ ends of a lease

void LeaseCore::OnRelease(StreamId stream, const ReleaseMessage& release) {
  Session* const session = SessionOf(stream);
  if (session == nullptr) {
    Malformed(stream, "a release before hello was answered");
    return;
  }
  const LeaseRef& lease = release.lease;
  std::erase_if(session->lost, [&](const LeaseRef& lost) {
    return lost.unit_id == lease.unit_id && lost.token == lease.token;
  });
  UnitState* const unit = HeldUnit(*session, lease);
  if (unit == nullptr) {
    // Over already, or being ended: the copier need not wait.
    output_.Send(stream, ReleaseAckMessage{lease.unit_id, lease.token});
    return;
  }
  EndLease(*unit, EndOf(*unit, release));
}

LeaseEnd LeaseCore::EndOf(const UnitState& unit,
                          const ReleaseMessage& release) const {
  using Kind = LeaseEnd::Kind;
  if (!IsOrderly(release.reason)) {
    return {.kind = release.object_failed ? Kind::kObjectFailed
                                          : Kind::kProblem,
            .reason = release.reason,
            .message = release.message};
  }
  if (unit.revoke_reason != kNoProgress) return {};
  // An attempt that came to nothing, however politely it ended.
  if (unit.info.kind != UnitKind::kObject) return {.kind = Kind::kLost};
  return {.kind = Kind::kObjectFailed,
          .reason = kNoProgress,
          .message = absl::StrCat("nothing of it moved for ",
                                  absl::FormatDuration(unit.patience))};
}

void LeaseCore::EndLease(UnitState& unit, LeaseEnd end) {
  unit.phase = Phase::kEnding;
  unit.end = std::move(end);
  leased_.erase(unit.info.unit_id);
  store_.End(unit.info.unit_id, unit.token, unit.end,
             [this, unit_id = unit.info.unit_id](
                 const absl::StatusOr<WorkEvents>& events) {
               OnEnded(unit_id, events);
             });
}

void LeaseCore::OnEnded(int64_t unit_id,
                        const absl::StatusOr<WorkEvents>& events) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return;
  if (!events.ok()) {
    retry_end_.insert(unit_id);
    return;
  }
  UnitState& unit = found->second;
  const int64_t rule_uid = unit.info.rule_uid;
  AckRelease(unit);
  const LeaseEnd::Kind how = unit.end.kind;
  const bool had_its_turn = unit.revoke_reason == kTurn;
  const bool progressed = unit.progressed;
  DetachUnit(unit);
  // A lane whose holder is gone is in other hands at once, and so is an object
  // that was on its way; one that may have been the cause waits.
  const bool failed = how == LeaseEnd::Kind::kProblem ||
                      how == LeaseEnd::Kind::kObjectFailed ||
                      (how == LeaseEnd::Kind::kLost && !progressed &&
                       unit.info.kind == UnitKind::kObject);
  unit.failures = failed ? unit.failures + 1 : 0;
  // Behind those that waited for its place.
  OfferUnit(unit, clock_.Now() +
                      (had_its_turn ? tick_interval() : RetryDelay(unit)));
  OnWork(*events);  // May remove the unit.
  MaybeCloseRule(rule_uid);
  MaybeResyncRule(rule_uid);
  Schedule();
}

void LeaseCore::AckRelease(const UnitState& unit) {
  const auto session = sessions_.find(unit.session);
  if (session != sessions_.end() && session->second.stream != 0) {
    output_.Send(session->second.stream,
                 ReleaseAckMessage{unit.info.unit_id, unit.token});
  }
}

void LeaseCore::DetachUnit(UnitState& unit) {
  const int64_t session_number = unit.session;
  leased_.erase(unit.info.unit_id);
  const auto session = sessions_.find(session_number);
  if (session != sessions_.end()) {
    session->second.units.erase(unit.info.unit_id);
    UpdateRoom(session->second);
  }
  queue_.CountLease(unit.info.rule_uid, -1);
  // What belonged to the lease goes; the unit and its count of failures stay.
  UnitState next;
  next.info = unit.info;
  next.failures = unit.failures;
  next.in_turn = unit.in_turn;
  unit = std::move(next);
  MaybeForget(session_number);
}

absl::Duration LeaseCore::RetryDelay(const UnitState& unit) const {
  if (unit.failures == 0) return absl::ZeroDuration();
  const int64_t doubled = int64_t{1} << std::min(unit.failures - 1, 20);
  if (unit.info.kind == UnitKind::kObject) {
    // What failed together is not to come back together.
    const double jitter =
        0.5 + static_cast<double>(Hash64(absl::StrCat(unit.info.unit_id, "/",
                                                      unit.failures)) %
                                  1024) /
                  1024;
    return jitter * std::min(options_.object_retry_max,
                             options_.object_retry_base * doubled);
  }
  const absl::Duration cap =
      unit.info.kind == UnitKind::kProbe ? kProbeRetryMax : kRetryMax;
  return std::min(cap, kRetryBase * doubled);
}

void LeaseCore::OfferUnit(UnitState& unit, Ticks not_before) {
  if (closing_.contains(unit.info.rule_uid) ||
      paused_.contains(unit.info.rule_uid) ||
      (unit.info.kind == UnitKind::kChanges &&
       resyncing_.contains(unit.info.rule_uid))) {
    return;
  }
  queue_.Offer(unit.info.unit_id, unit.info.rule_uid, unit.info.kind,
               unit.info.max_leases, not_before, clock_.Now());
}

LeaseCore::UnitState& LeaseCore::AddUnit(const UnitInfo& info) {
  UnitState& unit = units_[info.unit_id];
  unit.info = info;
  units_of_rule_[info.rule_uid].insert(info.unit_id);
  return unit;
}

template <typename Act>
void LeaseCore::ForUnitsOf(int64_t rule_uid, Act act) {
  const auto found = units_of_rule_.find(rule_uid);
  if (found == units_of_rule_.end()) return;
  for (const int64_t unit_id : found->second) act(units_.at(unit_id));
}

void LeaseCore::RemoveUnit(int64_t unit_id) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return;
  queue_.Withdraw(unit_id);
  UnitState& unit = found->second;
  // Its release was on the way when the unit went: the holder waits for this.
  if (unit.phase == Phase::kEnding) AckRelease(unit);
  if (unit.phase != Phase::kOffered) DetachUnit(unit);
  retry_end_.erase(unit_id);
  const auto of_rule = units_of_rule_.find(found->second.info.rule_uid);
  of_rule->second.erase(unit_id);
  if (of_rule->second.empty()) units_of_rule_.erase(of_rule);
  units_.erase(found);
}

void LeaseCore::Revoke(UnitState& unit, const std::string& reason) {
  if (unit.revoke_deadline) return;
  unit.revoke_deadline = clock_.Now() + options_.ttl;
  unit.revoke_reason = reason;
  const auto session = sessions_.find(unit.session);
  if (session == sessions_.end() || session->second.stream == 0) return;
  output_.Send(session->second.stream,
               RevokeMessage{.unit_id = unit.info.unit_id,
                             .token = unit.token,
                             .reason = reason,
                             .deadline = options_.ttl});
}

void LeaseCore::MaybeCloseRule(int64_t rule_uid) {
  const auto found = closing_.find(rule_uid);
  if (found == closing_.end() || found->second.under_way ||
      queue_.LeasesOf(rule_uid) > 0) {
    return;
  }
  found->second.under_way = true;
  store_.CloseRule(rule_uid, [this, rule_uid](
                                 const absl::StatusOr<ClosingOutcome>& step) {
    closing_[rule_uid].under_way = false;
    if (!step.ok()) return;  // Tick tries again.
    OnWork(step->events);
    if (step->gone) {
      closing_.erase(rule_uid);
    } else {
      MaybeCloseRule(rule_uid);
    }
  });
}

void LeaseCore::MaybeResyncRule(int64_t rule_uid) {
  const auto found = resyncing_.find(rule_uid);
  if (found == resyncing_.end() || found->second.under_way ||
      resync_steps_ >= kResyncStepsMax) {
    return;
  }
  bool held = false;
  ForUnitsOf(rule_uid, [&](UnitState& unit) {
    held |= unit.info.kind == UnitKind::kChanges &&
            unit.phase != Phase::kOffered;
  });
  if (held) return;
  found->second.under_way = true;
  ++resync_steps_;
  store_.ResyncRule(rule_uid, [this, rule_uid](
                                  const absl::StatusOr<ResyncOutcome>& step) {
    --resync_steps_;
    resyncing_[rule_uid].under_way = false;
    if (!step.ok()) return;  // Tick tries again.
    if (step->done) resyncing_.erase(rule_uid);
    OnWork(step->events);
    MaybeResyncRule(rule_uid);
  });
}

// ----------------------------------------------------------------------- work

void LeaseCore::OnWork(const WorkEvents& events) {
  for (const UnitInfo& info : events.added) {
    OfferUnit(AddUnit(info), clock_.Now());
  }
  for (const LogGrowth& growth : events.grown) {
    const auto found = units_.find(growth.unit_id);
    if (found == units_.end()) continue;
    found->second.info.log_end =
        std::max(found->second.info.log_end, growth.log_end);
    found->second.empty_since.reset();
    PumpSegments(found->second);
  }
  for (const int64_t unit_id : events.removed) RemoveUnit(unit_id);
  for (const int64_t rule_uid : events.closing) {
    paused_.erase(rule_uid);
    closing_[rule_uid];
    ForUnitsOf(rule_uid, [this](UnitState& unit) {
      HoldBack(unit, "RULE_CLOSING");
    });
    MaybeCloseRule(rule_uid);
  }
  for (const int64_t rule_uid : events.resync) {
    resyncing_[rule_uid];
    ForUnitsOf(rule_uid, [this](UnitState& unit) {
      if (unit.info.kind == UnitKind::kChanges) HoldBack(unit, "RESYNC");
    });
    MaybeResyncRule(rule_uid);
  }
  for (const int64_t rule_uid : events.paused) {
    paused_.insert(rule_uid);
    ForUnitsOf(rule_uid, [this](UnitState& unit) {
      HoldBack(unit, "RULE_PAUSED");
    });
  }
  for (const int64_t rule_uid : events.resumed) {
    if (paused_.erase(rule_uid) == 0) continue;
    ForUnitsOf(rule_uid, [this](UnitState& unit) {
      if (unit.phase != Phase::kOffered) return;
      queue_.Withdraw(unit.info.unit_id);  // It may have been added just now.
      OfferUnit(unit, clock_.Now());
    });
  }
  for (const WorkEvents::Bound& bound : events.bounds) {
    ForUnitsOf(bound.rule_uid, [&](UnitState& unit) {
      unit.info.max_leases = bound.max_leases;
      // A rate travels with the lease: its holder comes back for the new one.
      if (bound.rate_changed && unit.phase == Phase::kLeased) {
        Revoke(unit, "LIMITS_CHANGED");
      }
    });
    queue_.SetMaxLeases(bound.rule_uid, bound.max_leases);
  }
  Schedule();
}

void LeaseCore::HoldBack(UnitState& unit, const std::string& reason) {
  queue_.Withdraw(unit.info.unit_id);
  if (unit.phase == Phase::kLeased) Revoke(unit, reason);
}

void LeaseCore::Drain() {
  draining_ = true;
  const absl::Status move = Refuse(
      {.reason = "DRAINING", .description = "the server is stopping"});
  for (const auto& [stream, number] : std::exchange(by_stream_, {})) {
    sessions_.at(number).stream = 0;
    output_.Close(stream, move);
  }
  for (const auto& [stream, is_open] : std::exchange(opening_, {})) {
    output_.Close(stream, move);
  }
}

LeaseCore::Counts LeaseCore::counts() const {
  Counts counts = counts_;
  counts.sessions = static_cast<int64_t>(by_stream_.size());
  counts.leases = static_cast<int64_t>(leased_.size());
  for (const auto& [stream, number] : by_stream_) {
    counts.lease_credit += sessions_.at(number).lease_credit;
  }
  counts.waiting = queue_.waiting();
  counts.wanted = queue_.wanted();
  for (const auto& [number, session] : sessions_) {
    for (const int64_t unit_id : session.units) {
      const UnitState& unit = units_.at(unit_id);
      ++counts.held[{unit.info.kind, unit.phase}];
    }
  }
  return counts;
}

}  // namespace crr
