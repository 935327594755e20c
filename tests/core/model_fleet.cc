#include "tests/core/model_fleet.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace crr::test {

// ------------------------------------------------------------------- ModelWire

StreamId ModelWire::Open(const std::string& copier) {
  streams_[++last_].copier = copier;
  return last_;
}

void ModelWire::Say(StreamId stream, Up message) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.open) return;
  found->second.up.push_back(std::move(message));
}

bool ModelWire::DeliverUp(LeaseCore& core, const Pick& pick) {
  std::vector<StreamId> ready;
  std::set<std::string> greeting;  // Copiers with a hello under way.
  for (const auto& [id, stream] : streams_) {
    if (stream.up.empty()) continue;
    const bool says_hello = stream.up.front().kind == Up::Kind::kHello;
    const bool must_wait = says_hello && greeting.contains(stream.copier);
    if (says_hello) greeting.insert(stream.copier);
    if (!must_wait && !held_.contains(id)) ready.push_back(id);
  }
  if (ready.empty()) return false;
  const StreamId id = ready[pick(ready.size())];
  std::deque<Up>& up = streams_.at(id).up;
  auto next = up.begin();
  if (pick(2) == 0) {
    const auto urgent = std::find_if(
        up.begin(), up.end(),
        [](const Up& message) { return message.kind == Up::Kind::kHeartbeat; });
    if (urgent != up.end()) next = urgent;
  }
  const Up message = std::move(*next);
  up.erase(next);
  message.say(core, id);
  return true;
}

std::optional<ModelWire::Down> ModelWire::TakeDown(StreamId stream,
                                                   bool overtake) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return std::nullopt;
  std::deque<Down>& down = found->second.down;
  if (down.empty()) return std::nullopt;
  auto next = down.begin();
  if (overtake) {
    const auto urgent =
        std::find_if(down.begin(), down.end(), [](const Down& message) {
          const auto* m = std::get_if<LeaseMessage>(&message);
          return m != nullptr && !std::holds_alternative<SegmentMessage>(*m);
        });
    if (urgent != down.end()) next = urgent;
  }
  Down message = std::move(*next);
  down.erase(next);
  return message;
}

void ModelWire::Break(StreamId stream, const Pick& pick) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.open) return;
  Stream& s = found->second;
  s.up.resize(pick(s.up.size() + 1));
  s.down.resize(pick(s.down.size() + 1));
  s.up.push_back({.kind = Up::Kind::kOther,
                  .say = [](LeaseCore& core, StreamId id) {
                    core.OnStreamClosed(id);
                  }});
  s.down.emplace_back(absl::UnavailableError("the stream broke"));
  s.open = false;
}

void ModelWire::BreakAll(const Pick& pick) {
  for (auto& [id, stream] : streams_) {
    Break(id, pick);
    stream.up.clear();
  }
}

void ModelWire::Abandon(StreamId stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  Break(stream, [](size_t bound) { return bound - 1; });
  found->second.down.clear();
}

std::vector<StreamId> ModelWire::OpenStreams() const {
  std::vector<StreamId> open;
  for (const auto& [id, stream] : streams_) {
    if (stream.open) open.push_back(id);
  }
  return open;
}

void ModelWire::Send(StreamId stream, LeaseMessage message) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.open) return;
  found->second.down.emplace_back(std::move(message));
}

void ModelWire::Close(StreamId stream, absl::Status status) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.open) return;
  found->second.down.emplace_back(std::move(status));
  found->second.open = false;
  // The server sees the end of its own stream, too.
  found->second.up.push_back(
      {.kind = Up::Kind::kOther, .say = [](LeaseCore& core, StreamId id) {
         core.OnStreamClosed(id);
       }});
}

// ----------------------------------------------------------------- ModelCopier

bool ModelCopier::Writes(const Lease& lease) const {
  // What it reported as finished, or gave back, has nothing in flight.
  return !lease.released &&
         !(lease.checkpoint.has_value() && lease.checkpoint->complete);
}

Ticks ModelCopier::BeliefEnd(const Lease& lease) const {
  const LeaseOptions& terms = options_.terms;
  return lease.renewed +
         (0.995 * terms.ttl - terms.margin) / options_.clock_rate;
}

std::vector<int64_t> ModelCopier::MayWrite(Ticks now) const {
  const absl::Duration bound =
      options_.terms.commit_bound / options_.clock_rate;
  std::vector<int64_t> units;
  for (const auto& [unit_id, until] : tails_) {
    if (now < until) units.push_back(unit_id);
  }
  for (const auto& [unit_id, lease] : leases_) {
    if (Writes(lease) && now < BeliefEnd(lease) + bound) {
      units.push_back(unit_id);
    }
  }
  return units;
}

void ModelCopier::Drop(int64_t unit_id) {
  const auto found = leases_.find(unit_id);
  if (found == leases_.end()) return;
  const Lease& lease = found->second;
  const bool copies = lease.spec.kind == UnitKind::kBackfill ||
                      lease.spec.kind == UnitKind::kChanges ||
                      lease.spec.kind == UnitKind::kObject;
  if (copies && Writes(lease)) {
    const Ticks last = std::min(clock_.Now(), BeliefEnd(lease));
    tails_[unit_id] =
        std::max(tails_[unit_id],
                 last + options_.terms.commit_bound / options_.clock_rate);
  }
  leases_.erase(found);
}

void ModelCopier::DropNamed(const std::vector<LeaseRef>& refs) {
  for (const LeaseRef& ref : refs) {
    const auto found = leases_.find(ref.unit_id);
    if (found != leases_.end() && found->second.spec.token == ref.token) {
      if (Writes(found->second)) ++lost_;
      Drop(ref.unit_id);
    }
  }
}

void ModelCopier::LoseAll() {
  while (!leases_.empty()) Drop(leases_.begin()->first);
}

void ModelCopier::Kill() {
  LoseAll();
  if (stream_ != 0) wire_.Abandon(stream_);
  stream_ = 0;
  superseded_ = true;
}

void ModelCopier::Renew(Ticks sent) {
  renewed_ = std::max(renewed_, sent);
  for (auto& [unit_id, lease] : leases_) {
    lease.renewed = std::max(lease.renewed, sent);
  }
}

void ModelCopier::SayHello() {
  stream_ = wire_.Open(options_.id);
  welcomed_ = false;
  hello_sent_ = clock_.Now();
  heartbeats_.clear();
  HelloMessage hello{.copier = options_.id,
                     .session_number = number_,
                     .region = "",
                     .lease_credit = options_.lease_credit,
                     .segment_credit_bytes = options_.segment_credit_bytes,
                     .held = {}};
  for (const auto& [unit_id, lease] : leases_) {
    hello.held.push_back({unit_id, lease.spec.token, lease.received});
  }
  wire_.Say(stream_, {.kind = ModelWire::Up::Kind::kHello,
                      .say = [hello](LeaseCore& core, StreamId id) {
                        core.OnHello(id, hello);
                      }});
}

void ModelCopier::Beat() {
  const Ticks now = clock_.Now();
  if (superseded_) return;
  if (stream_ == 0) {
    if (now < connect_at_) return;
    // A hello that leaves a lease out says that nobody works on it: it waits
    // until no write of a dropped lease can land any more.
    if (Local(now - renewed_) >= options_.terms.ttl) LoseAll();
    for (const auto& [unit_id, until] : tails_) {
      if (now < until) return;
    }
    SayHello();
    return;
  }
  // A server that says nothing for a ttl is given up.
  const Ticks silent_since = welcomed_ ? renewed_ : hello_sent_;
  if (Local(now - silent_since) >= options_.terms.ttl) {
    wire_.Abandon(stream_);
    stream_ = 0;
    connect_at_ = now + absl::Milliseconds(static_cast<int64_t>(pick_(500)));
    return;
  }
  if (!welcomed_ || now < next_heartbeat_) return;
  heartbeats_[++last_heartbeat_] = now;
  next_heartbeat_ =
      now + options_.terms.heartbeat_interval *
                (0.9 + 0.01 * static_cast<double>(pick_(21)));
  wire_.Say(stream_, {.kind = ModelWire::Up::Kind::kHeartbeat,
                      .say = [number = last_heartbeat_](LeaseCore& core,
                                                        StreamId id) {
                        core.OnHeartbeat(id, number);
                      }});
}

bool ModelCopier::Receive() {
  if (stream_ == 0) return false;
  auto message = wire_.TakeDown(stream_, /*overtake=*/pick_(2) == 0);
  if (!message) return false;
  if (const auto* status = std::get_if<absl::Status>(&*message)) {
    if (absl::IsInvalidArgument(*status)) {
      complaint_ = absl::StrCat(options_.id, " was told ", status->ToString());
    }
    stream_ = 0;
    welcomed_ = false;
    connect_at_ = clock_.Now() +
                  absl::Milliseconds(static_cast<int64_t>(pick_(500)));
    if (absl::IsAborted(*status)) {
      LoseAll();
      superseded_ = true;
    }
    return true;
  }
  Handle(std::get<LeaseMessage>(*std::move(message)));
  return true;
}

void ModelCopier::Handle(LeaseMessage message) {
  if (const auto* welcome = std::get_if<WelcomeMessage>(&message)) {
    number_ = welcome->session_number;
    welcomed_ = true;
    next_heartbeat_ = hello_sent_ + options_.terms.heartbeat_interval;
    DropNamed(welcome->not_held);
    Renew(hello_sent_);
    for (const auto& [unit_id, lease] : leases_) {
      if (lease.checkpoint) SendCheckpoint(*lease.checkpoint);
      if (lease.released) SendRelease(lease);
    }
  } else if (const auto* ack = std::get_if<HeartbeatAckMessage>(&message)) {
    const auto sent = heartbeats_.find(ack->number);
    if (sent == heartbeats_.end()) return;
    const Ticks when = sent->second;
    heartbeats_.erase(heartbeats_.begin(), std::next(sent));
    DropNamed(ack->not_renewed);
    Renew(when);
  } else if (auto* grant = std::get_if<LeaseSpec>(&message)) {
    const auto held = leases_.find(grant->unit_id);
    if (held != leases_.end() && held->second.spec.token >= grant->token) {
      complaint_ = absl::StrCat("a token of unit ", grant->unit_id, " fell");
      return;
    }
    leases_.erase(grant->unit_id);
    // The same process again: its own writes are no one else's.
    tails_.erase(grant->unit_id);
    Lease& lease = leases_[grant->unit_id];
    lease.renewed = renewed_;
    lease.cursor = grant->cursor;
    lease.received = grant->cursor.sequence;
    lease.spec = std::move(*grant);
  } else if (const auto* segment = std::get_if<SegmentMessage>(&message)) {
    Take(*segment);
  } else if (const auto* answer = std::get_if<CheckpointAckMessage>(&message)) {
    HandleAck(*answer);
  } else if (const auto* revoke = std::get_if<RevokeMessage>(&message)) {
    const auto found = leases_.find(revoke->unit_id);
    // Now and then it is deaf, and must be told by other means.
    if (found != leases_.end() && found->second.spec.token == revoke->token &&
        pick_(3) != 2) {
      found->second.draining = true;
    }
  } else if (const auto* over = std::get_if<ReleaseAckMessage>(&message)) {
    DropNamed({{over->unit_id, over->token, 0}});
  }
}

void ModelCopier::Take(const SegmentMessage& message) {
  const auto found = leases_.find(message.unit_id);
  if (found == leases_.end() || found->second.spec.token != message.token) {
    return;
  }
  Lease& lease = found->second;
  if (message.segment.first_sequence > lease.received + 1) {
    complaint_ = absl::StrCat("changes ", lease.received + 1, " to ",
                              message.segment.first_sequence - 1,
                              " were left out for ", options_.id);
    return;
  }
  int64_t sequence = message.segment.first_sequence;
  // What stands behind a bar only makes a record long.
  for (const absl::string_view record :
       absl::StrSplit(message.segment.changes, '\n', absl::SkipEmpty())) {
    if (sequence > lease.received) {
      lease.entries.emplace_back(
          sequence, std::string(record.substr(0, record.find('|'))));
    }
    ++sequence;
  }
  lease.received = std::max(lease.received, message.segment.last_sequence);
}

void ModelCopier::HandleAck(const CheckpointAckMessage& ack) {
  using Result = CheckpointAckMessage::Result;
  const auto found = leases_.find(ack.unit_id);
  if (found == leases_.end() || found->second.spec.token != ack.token) return;
  Lease& lease = found->second;
  if (ack.result == Result::kFenced) {
    Drop(ack.unit_id);
    return;
  }
  if (!lease.checkpoint ||
      (ack.result == Result::kRecorded && !ack.complete &&
       ack.cursor != lease.checkpoint->to)) {
    return;
  }
  switch (ack.result) {
    case Result::kRecorded:
      if (ack.complete) {
        leases_.erase(found);
        return;
      }
      lease.cursor = ack.cursor;
      lease.checkpoint.reset();
      break;
    case Result::kCursorDiffers:
      lease.checkpoint.reset();
      Release(lease, "CURSOR_DIFFERS");
      break;
    case Result::kStorageFull:
    case Result::kObjectsFull:
      lease.send_again = true;
      break;
    case Result::kFenced:
      break;
  }
}

void ModelCopier::SendCheckpoint(const Checkpoint& checkpoint) {
  last_checkpoint_ = checkpoint;
  if (!welcomed_) return;
  wire_.Say(stream_, {.kind = ModelWire::Up::Kind::kOther,
                      .say = [checkpoint](LeaseCore& core, StreamId id) {
                        core.OnCheckpoint(id, checkpoint);
                      }});
}

void ModelCopier::SendRelease(const Lease& lease) {
  if (!welcomed_) return;
  wire_.Say(stream_,
            {.kind = ModelWire::Up::Kind::kOther,
             .say = [release = ReleaseMessage{
                         .lease = {lease.spec.unit_id, lease.spec.token, 0},
                         .reason = lease.release_reason,
                         .object_failed = lease.object_failed}](
                        LeaseCore& core, StreamId id) {
               core.OnRelease(id, release);
             }});
}

void ModelCopier::Report(Lease& lease, Checkpoint checkpoint) {
  checkpoint.unit_id = lease.spec.unit_id;
  checkpoint.token = lease.spec.token;
  checkpoint.from = lease.cursor;
  lease.checkpoint = std::move(checkpoint);
  lease.send_again = false;
  SendCheckpoint(*lease.checkpoint);
}

void ModelCopier::Release(Lease& lease, const std::string& reason) {
  lease.released = true;
  lease.release_reason = reason;
  SendRelease(lease);
}

void ModelCopier::GiveUp(const std::string& reason) {
  for (auto& [unit_id, lease] : leases_) {
    if (lease.released || lease.checkpoint) continue;
    Release(lease, reason);
    return;
  }
}

void ModelCopier::Repeat() {
  if (last_checkpoint_ && welcomed_) SendCheckpoint(*last_checkpoint_);
}

bool ModelCopier::Work() {
  std::vector<int64_t> units;
  for (const auto& [unit_id, lease] : leases_) units.push_back(unit_id);
  if (units.empty()) return false;
  const size_t first = pick_(units.size());
  for (size_t i = 0; i < units.size(); ++i) {
    if (WorkOn(leases_.at(units[(first + i) % units.size()]))) return true;
  }
  return false;
}

bool ModelCopier::WorkOn(Lease& lease) {
  if (lease.released || clock_.Now() >= BeliefEnd(lease)) return false;
  if (lease.checkpoint) {
    if (!lease.send_again) return false;
    lease.send_again = false;
    SendCheckpoint(*lease.checkpoint);
    return true;
  }
  if (lease.draining) {
    Release(lease, "REVOKED");
    return true;
  }
  switch (lease.spec.kind) {
    case UnitKind::kProbe:
      Report(lease,
             {.complete = true,
              .probe = Checkpoint::Probe{.source = {.identity = "s"},
                                         .destination = {.identity = "d"}}});
      return true;
    case UnitKind::kInventory:
      WorkOnInventory(lease);
      return true;
    case UnitKind::kBackfill:
      WorkOnRange(lease);
      return true;
    case UnitKind::kChanges:
      return WorkOnChanges(lease);
    case UnitKind::kObject:
      WorkOnObject(lease);
      return true;
    case UnitKind::kVerify:
      WorkOnVerification(lease);
      return true;
  }
  return false;
}

bool ModelCopier::InPrefixes(const Rule& rule, const std::string& key) {
  return rule.prefixes.empty() ||
         std::any_of(rule.prefixes.begin(), rule.prefixes.end(),
                     [&](const std::string& prefix) {
                       return absl::StartsWith(key, prefix);
                     });
}

void ModelCopier::WorkOnInventory(Lease& lease) {
  Checkpoint report{.to = lease.cursor};
  Checkpoint::Range range;
  const size_t ranges_max = 1 + pick_(3);
  const auto& source = stores_.of(lease.spec.source.bucket.id);
  auto it = source.upper_bound(lease.cursor.key);
  for (; it != source.end() && report.ranges.size() < ranges_max; ++it) {
    if (!it->second.exists || !InPrefixes(lease.spec.rule, it->first)) continue;
    range.end = it->first;
    if (++range.objects == 3) report.ranges.push_back(std::exchange(range, {}));
  }
  report.complete = it == source.end();
  if (range.objects > 0 && report.complete) report.ranges.push_back(range);
  if (!report.ranges.empty()) report.to.key = report.ranges.back().end;
  Report(lease, std::move(report));
}

void ModelCopier::WorkOnRange(Lease& lease) {
  Checkpoint report{.to = lease.cursor};
  const int64_t keys_max = Portion(lease, 3);
  std::vector<std::string> keys;
  for (const auto& [key, state] : stores_.of(lease.spec.source.bucket.id)) {
    if (key <= lease.cursor.key || key > lease.spec.range_end) continue;
    if (!state.exists || !InPrefixes(lease.spec.rule, key)) continue;
    keys.push_back(key);
  }
  report.complete = static_cast<int64_t>(keys.size()) <= keys_max;
  if (!report.complete) keys.resize(static_cast<size_t>(keys_max));
  for (const std::string& key : keys) {
    const ModelStores::Fate fate = Meet(lease, key);
    if (crashed_) return;
    report.to.key = key;
    if (fate == ModelStores::Fate::kCopied) {
      ++report.applied;
    } else {
      report.failed.push_back({.key = key, .reason = "DATA_LOSS"});
    }
  }
  if (report.complete) report.to.key = lease.spec.range_end;
  Report(lease, std::move(report));
}

bool ModelCopier::WorkOnChanges(Lease& lease) {
  if (lease.entries.empty()) return false;
  Checkpoint report{.to = lease.cursor};
  std::map<std::string, int64_t> folded;
  for (int64_t n = Portion(lease, 4); n > 0 && !lease.entries.empty(); --n) {
    report.to.sequence = lease.entries.front().first;
    ++folded[lease.entries.front().second];
    lease.entries.pop_front();
  }
  for (const auto& [key, count] : folded) {
    const ModelStores::Fate fate = Meet(lease, key);
    if (crashed_) return true;
    if (fate == ModelStores::Fate::kCopied) {
      ++report.applied;
      report.collapsed += count - 1;
    } else {
      report.failed.push_back(
          {.key = key, .reason = "DATA_LOSS", .changes = count});
    }
  }
  Report(lease, std::move(report));
  return true;
}

int64_t ModelCopier::Portion(const Lease& lease, size_t most) {
  return lease.spec.serial ? 1 : 1 + static_cast<int64_t>(pick_(most));
}

ModelStores::Fate ModelCopier::Meet(Lease& lease, const std::string& key) {
  if (lease.spec.isolate_first && !std::exchange(lease.isolated, true)) {
    return ModelStores::Fate::kFails;  // Unseen.
  }
  const ModelStores::Fate fate = stores_.Copy(
      lease.spec.source.bucket.id, lease.spec.destination.bucket.id, key);
  crashed_ |= fate == ModelStores::Fate::kKills;
  return fate;
}

void ModelCopier::WorkOnObject(Lease& lease) {
  if (pick_(4) == 0) {  // A part.
    Report(lease,
           {.to = {.sequence = lease.cursor.sequence + 1},
            .bytes = 1,
            .upload = Checkpoint::Upload{
                .id = absl::StrCat("upload-", lease.spec.unit_id),
                .source_etag = "etag"}});
    return;
  }
  const ModelStores::Fate fate = Meet(lease, lease.spec.object->key);
  if (crashed_) return;
  if (fate == ModelStores::Fate::kCopied) {
    Report(lease, {.to = lease.cursor, .complete = true, .applied = 1});
    return;
  }
  lease.object_failed = true;
  Release(lease, "DATA_LOSS");
}

void ModelCopier::WorkOnVerification(Lease& lease) {
  const ModelStores::Bucket& here = stores_.of(lease.spec.source.bucket.id);
  const ModelStores::Bucket& there =
      stores_.of(lease.spec.destination.bucket.id);
  std::set<std::string> keys;
  for (const ModelStores::Bucket* bucket : {&here, &there}) {
    for (const auto& [key, state] : *bucket) {
      if (key > lease.cursor.key && InPrefixes(lease.spec.rule, key) &&
          (lease.spec.range_end.empty() || key <= lease.spec.range_end)) {
        keys.insert(key);
      }
    }
  }
  Checkpoint report{.to = lease.cursor, .compared = Checkpoint::Compared{}};
  size_t left = 1 + pick_(3);
  report.complete = keys.size() <= left;
  for (const std::string& key : keys) {
    if (left-- == 0) break;
    report.to.key = key;
    const auto wanted = here.find(key);
    const auto found = there.find(key);
    const bool exists = found != there.end() && found->second.exists;
    if (wanted == here.end()) {
      if (exists) ++report.compared->foreign;
    } else if (wanted->second.exists != exists ||
               (exists && wanted->second != found->second)) {
      report.failed.push_back({.key = key, .reason = "DIFFERENT"});
    } else if (exists) {
      ++report.compared->equal;
    }
  }
  if (report.complete && !lease.spec.range_end.empty()) {
    report.to.key = lease.spec.range_end;
  }
  Report(lease, std::move(report));
}

}  // namespace crr::test
