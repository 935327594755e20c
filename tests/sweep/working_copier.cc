#include "tests/sweep/working_copier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "tests/rpc/streams.h"

namespace crr::test {
namespace {

bool AtOrPast(const v1::Cursor& cursor, const v1::Cursor& wanted) {
  return std::make_tuple(cursor.sequence(), cursor.key()) >=
         std::make_tuple(wanted.sequence(), wanted.key());
}

// Whether `report`, of the lane that `lane` is a lease of, tells that the object
// of `lease` failed in it.
bool TellsOf(const v1::Checkpoint& report, const v1::Lease& lane,
             const v1::Lease& lease) {
  return lease.kind() == v1::Lease::OBJECT && lease.rule() == lane.rule() &&
         std::any_of(report.failed().begin(), report.failed().end(),
                     [&](const v1::ObjectFailure& failure) {
                       return failure.key() == lease.object().key();
                     });
}

}  // namespace

bool WorkingCopier::Connect(v1::CopierService::Stub& service) {
  stream_.reset();
  context_ = std::make_unique<grpc::ClientContext>();
  SetPatience(*context_);
  stream_ = service.Session(context_.get());
  v1::SessionRequest request;
  v1::Hello& hello = *request.mutable_hello();
  hello = ScriptedCopier::MakeHello("copier-1");
  if (session_ != 0) hello.set_session_number(session_);
  for (const auto& [unit, held] : held_) {
    v1::HeldLease& lease = *hello.add_held();
    lease.set_unit(unit);
    lease.set_token(held.lease.token());
    lease.set_received_sequence(held.reached.sequence());
  }
  v1::SessionResponse response;
  if (!Send(request) || !stream_->Read(&response)) return false;
  EXPECT_TRUE(response.has_welcome());
  session_ = response.welcome().session_number();
  for (const v1::HeldLease& lease : response.welcome().not_held()) Drop(lease);
  for (const auto& [unit, held] : held_) {
    for (const v1::Checkpoint& checkpoint : held.unanswered) {
      v1::SessionRequest again;
      *again.mutable_checkpoint() = checkpoint;
      if (!Send(again)) return false;
    }
    if (held.release) {
      v1::SessionRequest again;
      *again.mutable_release() = *held.release;
      if (!Send(again)) return false;
    }
  }
  return true;
}

bool WorkingCopier::Work() {
  for (auto& [unit, held] : held_) {
    if (held.lease.kind() == v1::Lease::OBJECT && !OnObject(held)) return false;
  }
  v1::SessionRequest request;
  request.mutable_heartbeat()->set_number(++heartbeats_);
  if (!Send(request)) return false;
  v1::SessionResponse response;
  while (stream_->Read(&response)) {
    if (!response.has_heartbeat_ack()) {
      if (!OnMessage(response)) return false;
      continue;
    }
    for (const auto& lease : response.heartbeat_ack().not_renewed()) {
      Drop(lease);
    }
    return true;
  }
  return false;
}

bool WorkingCopier::Holds(const std::string& rule) const {
  for (const auto& [unit, held] : held_) {
    if (held.lease.rule() == rule) return true;
  }
  return false;
}

bool WorkingCopier::HoldsObject(const std::string& key) const {
  return std::any_of(held_.begin(), held_.end(), [&](const auto& held) {
    return held.second.lease.object().key() == key;
  });
}

int64_t WorkingCopier::failures(const std::string& key) const {
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkingCopier::Forget() {
  context_->TryCancel();
  stream_.reset();
  session_ = 0;
  held_.clear();
}

bool WorkingCopier::Finish() {
  EXPECT_TRUE(folded_.empty());
  for (auto& [unit, held] : held_) {
    if (!Release(held, "REVOKED")) return false;
  }
  while (!held_.empty()) {
    v1::SessionResponse response;
    if (!stream_->Read(&response) || !OnMessage(response)) return false;
  }
  v1::SessionRequest request;
  request.mutable_finish();
  if (!Send(request)) return false;
  v1::SessionResponse response;
  while (stream_->Read(&response)) {
  }
  return stream_->Finish().ok();
}

bool WorkingCopier::Send(const v1::SessionRequest& request) {
  return stream_->Write(request);
}

bool WorkingCopier::Report(Held& held, const v1::Checkpoint& checkpoint) {
  if (held.release) return true;
  held.reached = checkpoint.to();
  held.unanswered.push_back(checkpoint);
  for (auto& [unit, other] : held_) {
    if (TellsOf(checkpoint, held.lease, other.lease)) {
      other.folded = Folded::kYes;
    }
  }
  v1::SessionRequest request;
  *request.mutable_checkpoint() = checkpoint;
  return Send(request);
}

bool WorkingCopier::Release(Held& held, const std::string& reason) {
  if (held.release) return true;
  v1::SessionRequest request;
  v1::Release& release = *request.mutable_release();
  release.set_unit(held.lease.unit());
  release.set_token(held.lease.token());
  release.set_reason(reason);
  release.set_object_failed(reason != "REVOKED");
  if (release.object_failed()) ++failures_[held.lease.object().key()];
  held.release = release;
  return Send(request);
}

WorkingCopier::Leases::iterator WorkingCopier::Find(int64_t unit,
                                                    int64_t token) {
  const auto found = held_.find(unit);
  const bool held =
      found != held_.end() && found->second.lease.token() == token;
  return held ? found : held_.end();
}

void WorkingCopier::Drop(const v1::HeldLease& lease) {
  const auto found = Find(lease.unit(), lease.token());
  if (found != held_.end()) held_.erase(found);
}

bool WorkingCopier::OnMessage(const v1::SessionResponse& response) {
  if (response.has_grant()) return OnGrant(response.grant());
  if (response.has_segment()) return OnSegment(response.segment());
  if (response.has_checkpoint_ack()) return OnAck(response.checkpoint_ack());
  if (response.has_revoke()) {
    const auto found =
        Find(response.revoke().unit(), response.revoke().token());
    return found == held_.end() || Release(found->second, "REVOKED");
  }
  if (response.has_release_ack()) {
    v1::HeldLease lease;
    lease.set_unit(response.release_ack().unit());
    lease.set_token(response.release_ack().token());
    Drop(lease);
    return true;
  }
  ADD_FAILURE() << "unexpected: " << response.DebugString();
  return true;
}

bool WorkingCopier::OnGrant(const v1::Lease& lease) {
  int64_t& highest = highest_token_[lease.unit()];
  EXPECT_GT(lease.token(), highest) << lease.DebugString();
  highest = lease.token();
  EXPECT_FALSE(finished_.contains(lease.unit())) << lease.DebugString();
  folded_.erase({lease.rule(), lease.object().key()});
  Held& held = held_[lease.unit()];
  held = {.lease = lease,
          .reached = lease.cursor(),
          .unanswered = {},
          .release = std::nullopt,
          .folded = Folded::kNo};
  for (const auto& [unit, other] : held_) {
    for (const v1::Checkpoint& report : other.unanswered) {
      // Nobody tells whether it came before the grant or after.
      if (TellsOf(report, other.lease, lease)) held.folded = Folded::kPerhaps;
    }
  }
  switch (lease.kind()) {
    case v1::Lease::PROBE:
      return Report(held, GoodProbe(lease));
    case v1::Lease::INVENTORY:
      return OnInventory(held);
    case v1::Lease::BACKFILL:
      return OnBackfill(held);
    case v1::Lease::VERIFY:
      return OnVerify(held);
    default:
      return true;  // Segments follow, or Work does the rest.
  }
}

bool WorkingCopier::OnInventory(Held& held) {
  v1::Checkpoint listed = CheckpointOf(held.lease);
  *listed.mutable_from() = held.reached;
  const bool last = !held.reached.key().empty();
  v1::Checkpoint::Range& range = *listed.add_ranges();
  range.set_end(last ? "a/9" : "a/5");
  range.set_objects(2);
  listed.mutable_to()->set_key(range.end());
  listed.set_complete(last);
  return Report(held, listed);
}

bool WorkingCopier::OnBackfill(Held& held) {
  v1::Checkpoint copied = CheckpointOf(held.lease);
  copied.mutable_to()->set_key(held.lease.range_end());
  copied.set_complete(true);
  const auto failure = FailureOf(held.lease.range_end());
  if (failure) *copied.add_failed() = *failure;
  copied.set_applied(failure ? 1 : 2);
  copied.set_bytes(100);
  return Report(held, copied);
}

bool WorkingCopier::OnVerify(Held& held) {
  v1::Checkpoint compared = CheckpointOf(held.lease);
  const std::string& end = held.lease.range_end();
  const bool behind = end.empty();  // All objects of the source.
  compared.mutable_to()->set_key(behind ? "a/z" : end);
  compared.set_complete(true);
  auto failure = FailureOf(end);
  if (failure) {
    failure->set_reason("MISSING");
    *compared.add_failed() = *failure;
  }
  compared.mutable_compared()->set_equal(behind ? 0 : failure ? 1 : 2);
  return Report(held, compared);
}

bool WorkingCopier::OnObject(Held& held) {
  if (!held.unanswered.empty() || held.release) return true;
  const auto fate = FateOf(held.lease.object().key());
  if (fate == Fate::kHeld) return true;
  if (fate == Fate::kFailing) return Release(held, "CONTENT_DAMAGED");
  v1::Checkpoint copied = CheckpointOf(held.lease);
  *copied.mutable_from() = held.reached;
  *copied.mutable_to() = held.reached;
  copied.set_bytes(50);
  if (held.reached.sequence() == 0) {
    copied.mutable_to()->set_sequence(1);
    copied.mutable_upload()->set_id("upload");
    copied.mutable_upload()->set_source_etag("etag");
  } else {
    copied.set_complete(true);
    copied.set_applied(1);
  }
  return Report(held, copied);
}

std::optional<WorkingCopier::Fate> WorkingCopier::FateOf(
    const std::string& key) const {
  const auto found = fates_.find(key);
  if (found == fates_.end()) return std::nullopt;
  return found->second;
}

std::optional<v1::ObjectFailure> WorkingCopier::FailureOf(
    const std::string& key) const {
  const auto fate = FateOf(key);
  if (!fate) return std::nullopt;
  v1::ObjectFailure failure;
  failure.set_key(key);
  failure.set_reason(fate == Fate::kApart ? "LARGE" : "CONTENT_DAMAGED");
  return failure;
}

bool WorkingCopier::OnSegment(const v1::Segment& segment) {
  const auto found = Find(segment.unit(), segment.token());
  if (found == held_.end() || !settles_) return true;
  Held& held = found->second;
  v1::Checkpoint settled = CheckpointOf(held.lease);
  *settled.mutable_from() = held.reached;
  settled.mutable_to()->set_sequence(segment.last_sequence());
  v1::ChangeBatch batch;
  EXPECT_TRUE(batch.ParseFromString(segment.changes()));
  std::map<std::string, v1::ObjectFailure> failed;
  int64_t sequence = segment.first_sequence();
  for (const v1::Change& change : batch.changes()) {
    if (sequence++ <= held.reached.sequence()) continue;
    const auto failure = FailureOf(change.key());
    if (!failure) {
      settled.set_applied(settled.applied() + 1);
      continue;
    }
    v1::ObjectFailure& all =
        failed.try_emplace(change.key(), *failure).first->second;
    all.set_changes(all.changes() + 1);
  }
  for (const auto& [key, failure] : failed) *settled.add_failed() = failure;
  return Report(held, settled);
}

bool WorkingCopier::OnAck(const v1::CheckpointAck& ack) {
  const auto found = Find(ack.unit(), ack.token());
  if (found == held_.end()) return true;
  Held& held = found->second;
  if (ack.result() == v1::CheckpointAck::FENCED) {
    held_.erase(found);  // It expired: another grant follows.
    return true;
  }
  // Two reports before one answer: the first of them is repeated after both
  // were stored.
  EXPECT_TRUE(AtOrPast(ack.cursor(), held.unanswered.front().to()) ||
              held.lease.kind() == v1::Lease::PROBE)
      << ack.DebugString() << held.unanswered.front().DebugString();
  const bool complete = held.unanswered.front().complete();
  held.unanswered.pop_front();
  if (complete) {
    if (held.folded == Folded::kYes) {
      folded_.emplace(held.lease.rule(), held.lease.object().key());
    }
    // A probe is asked for again when somebody it needs was away.
    if (held.folded == Folded::kNo && held.lease.kind() != v1::Lease::PROBE) {
      finished_.insert(ack.unit());
    }
    held_.erase(found);
    return true;
  }
  return held.lease.kind() != v1::Lease::INVENTORY || OnInventory(held);
}

}  // namespace crr::test
