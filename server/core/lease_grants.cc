// What goes out to copiers: grants, and the segments of a log.

#include "server/core/lease_core.h"

#include <algorithm>

#include "server/core/limits.h"

namespace crr {
namespace {

// Grants whose commit is awaited: enough for full groups, few enough that a
// burst does not crowd checkpoints out of the writer's queue.
constexpr int kGrantsUnderWayMax = 64;

// After a refusal that says nothing of the unit itself, such as a full disk.
constexpr absl::Duration kStepRetry = absl::Seconds(1);

}  // namespace

bool LeaseCore::WantsSegments(const UnitState& unit) {
  return unit.info.kind == UnitKind::kChanges &&
         unit.phase == Phase::kLeased && unit.reading == 0 &&
         !unit.revoke_deadline && !unit.no_room &&
         unit.sent_sequence < unit.info.log_end;
}

void LeaseCore::PumpSegments(UnitState& unit) {
  if (unit.in_turn || !WantsSegments(unit)) return;
  unit.in_turn = true;
  to_pump_.push_back(unit.info.unit_id);
  StartReads();
}

void LeaseCore::OnRoom(StreamId stream) {
  Session* const session = SessionOf(stream);
  if (session == nullptr) return;
  for (const int64_t unit_id : session->units) PumpSegments(units_.at(unit_id));
}

void LeaseCore::StartReads() {
  while (reads_under_way_ < limits::kSegmentReadsMax && !to_pump_.empty()) {
    const auto found = units_.find(to_pump_.front());
    to_pump_.pop_front();
    if (found == units_.end()) continue;
    found->second.in_turn = false;
    if (!WantsSegments(found->second)) continue;
    const auto session = sessions_.find(found->second.session);
    if (session == sessions_.end() || session->second.stream == 0) continue;
    if (!output_.HasRoom(session->second.stream)) continue;  // See OnRoom.
    ReadFor(found->second, session->second);
  }
}

void LeaseCore::ReadFor(UnitState& unit, const Session& session) {
  const int64_t room = session.segment_credit_bytes - unit.unsettled_bytes;
  if (room <= 0) return;
  unit.reading = next_read_++;
  ++reads_under_way_;
  store_.ReadSegments(
      unit.info.rule_uid, unit.info.partition, unit.sent_sequence,
      std::min(room, limits::kSegmentBytesMax),
      [this, unit_id = unit.info.unit_id, read = unit.reading,
       room](absl::StatusOr<std::vector<Segment>> segments) {
        --reads_under_way_;
        OnSegments(unit_id, read, room, std::move(segments));
        StartReads();
      });
}

void LeaseCore::OnSegments(int64_t unit_id, int64_t read, int64_t room,
                           absl::StatusOr<std::vector<Segment>> segments) {
  const auto found = units_.find(unit_id);
  if (found == units_.end()) return;
  UnitState& unit = found->second;
  // Of another lease, or of a stream before this one.
  if (unit.reading != read || unit.phase != Phase::kLeased) return;
  unit.reading = 0;
  const auto session = sessions_.find(unit.session);
  if (!segments.ok() || session == sessions_.end() ||
      session->second.stream == 0) {
    return;  // Tick, or the stream that comes next, pumps again.
  }
  for (Segment& segment : *segments) {
    const auto bytes = static_cast<int64_t>(segment.changes.size());
    unit.sent_sequence = segment.last_sequence;
    unit.unsettled.emplace_back(segment.last_sequence, bytes);
    unit.unsettled_bytes += bytes;
    output_.Send(session->second.stream,
                 SegmentMessage{unit_id, unit.token, std::move(segment)});
  }
  // Unless room was made while the read was under way.
  unit.no_room = segments->empty() &&
                 session->second.segment_credit_bytes - unit.unsettled_bytes <=
                     room;
  PumpSegments(unit);
}

bool LeaseCore::HasWork(const UnitState& unit) {
  return unit.info.kind != UnitKind::kChanges ||
         unit.info.cursor_sequence < unit.info.log_end;
}

bool LeaseCore::IsNear(const Session& session, const UnitInfo& unit) {
  return !session.region.empty() &&
         (session.region == unit.source_region ||
          session.region == unit.destination_region);
}

bool LeaseCore::IsAble(const Session& session) const {
  return session.stream != 0 && !session.superseded && !session.draining &&
         session.deadline > clock_.Now();
}

void LeaseCore::UpdateRoom(const Session& session) {
  const auto units = static_cast<int64_t>(session.units.size());
  if (IsAble(session) && units < session.lease_credit) {
    rooms_.Put(session.number, {.region = session.region,
                                .credit = session.lease_credit,
                                .units = units});
  } else {
    rooms_.Remove(session.number);
  }
}

LeaseCore::Session* LeaseCore::PickSession(const UnitInfo& unit) {
  while (const auto best =
             rooms_.Find(unit.source_region, unit.destination_region)) {
    Session& session = sessions_.at(best->session);
    if (IsAble(session)) return &session;
    rooms_.Remove(best->session);  // Its time ran out since; see OnHeartbeat.
  }
  return nullptr;
}

void LeaseCore::Schedule() {
  while (!draining_ && !quiet_until_ &&
         grants_under_way_ < kGrantsUnderWayMax) {
    const auto unit_id = queue_.Next(clock_.Now());
    if (!unit_id) return;
    UnitState& unit = units_.at(*unit_id);
    Session* const session = PickSession(unit.info);
    if (session == nullptr) return;
    queue_.Withdraw(*unit_id);
    unit.phase = Phase::kGranting;
    unit.session = session->number;
    session->units.insert(*unit_id);
    UpdateRoom(*session);
    queue_.CountLease(unit.info.rule_uid, +1);
    ++grants_under_way_;
    store_.Grant(*unit_id, session->number,
                 [this, id = *unit_id, number = session->number](
                     absl::StatusOr<LeaseSpec> spec) {
                   OnGranted(id, number, std::move(spec));
                 });
  }
}

void LeaseCore::OnGranted(int64_t unit_id, int64_t session_number,
                          absl::StatusOr<LeaseSpec> spec) {
  --grants_under_way_;
  const auto found = units_.find(unit_id);
  if (found == units_.end()) {
    // Its last holder's late checkpoint, the token still being the newest,
    // finished it before the grant was committed; the grant was refused.
    Schedule();
    return;
  }
  UnitState& unit = found->second;
  const int64_t rule_uid = unit.info.rule_uid;
  if (!spec.ok()) {
    DetachUnit(unit);
    if (absl::IsNotFound(spec.status())) {
      RemoveUnit(unit_id);
    } else {
      OfferUnit(unit, clock_.Now() + kStepRetry);
    }
    MaybeCloseRule(rule_uid);
    MaybeResyncRule(rule_uid);
    Schedule();
    return;
  }
  ++counts_.grants;
  unit.phase = Phase::kLeased;
  unit.token = spec->token;
  unit.cursor = spec->cursor;
  unit.granted = clock_.Now();
  unit.moved = unit.granted;
  unit.patience = options_.no_progress + spec->silence;
  unit.info.cursor_sequence = spec->cursor.sequence;
  unit.sent_sequence = spec->cursor.sequence;
  leased_.insert(unit_id);
  const auto session = sessions_.find(session_number);
  const bool can_send =
      session != sessions_.end() && IsAble(session->second) && !draining_ &&
      !closing_.contains(rule_uid) && !paused_.contains(rule_uid) &&
      !(unit.info.kind == UnitKind::kChanges && resyncing_.contains(rule_uid));
  if (!can_send) {
    EndLease(unit, {});  // Nobody ever knew of it.
    return;
  }
  output_.Send(session->second.stream, *std::move(spec));
  PumpSegments(unit);
  Schedule();
}

}  // namespace crr
