#include "client/copier/lease_table.h"

#include <algorithm>
#include <string>
#include <utility>

namespace crr {
namespace {

v1::HeldLease NameOf(const v1::Lease& lease) {
  v1::HeldLease name;
  name.set_unit(lease.unit());
  name.set_token(lease.token());
  return name;
}

bool Names(const LeaseTable::HeldLeases& names, const v1::Lease& lease) {
  return std::any_of(names.begin(), names.end(), [&](const auto& name) {
    return name.unit() == lease.unit() && name.token() == lease.token();
  });
}

bool Equal(const v1::Cursor& a, const v1::Cursor& b) {
  return a.sequence() == b.sequence() && a.key() == b.key();
}

}  // namespace

LeaseTable::LeaseTable(Runner runner, SendFunction send,
                       std::function<void()> changed, const Clock& clock)
    : runner_(std::move(runner)),
      send_(std::move(send)),
      changed_(std::move(changed)),
      clock_(clock) {}

LeaseTable::~LeaseTable() {
  LoseAll();
  std::map<int64_t, std::thread> threads;
  {
    MutexLock lock(mu_);
    threads.swap(threads_);
  }
  for (auto& [id, thread] : threads) thread.join();
}

void LeaseTable::Renew(LeaseTerms terms, Ticks sent, const HeldLeases& except) {
  {
    MutexLock lock(mu_);
    terms_ = terms;
    renewed_ = std::max(renewed_, sent);
    for (auto it = leases_.begin(); it != leases_.end();) {
      LeaseLink& link = *it->second.link;
      if (Names(except, link.lease())) {
        link.Lose();
        it = leases_.erase(it);
      } else {
        link.Renew(terms, sent);
        ++it;
      }
    }
  }
  changed_();
}

void LeaseTable::Grant(v1::Lease lease) {
  JoinEnded();
  std::optional<std::string> give_back;
  Link link;
  {
    MutexLock lock(mu_);
    if (Find(lease.unit(), lease.token()) != leases_.end()) return;
    Entry& entry = leases_[lease.unit()];
    // An older grant of the unit ends with a newer one.
    if (entry.link != nullptr) entry.link->Lose();
    link = std::make_shared<LeaseLink>(
        std::move(lease), clock_, terms_, renewed_,
        [this](v1::SessionRequest request) { Send(std::move(request)); });
    entry = {.link = link,
             .received = link->lease().cursor().sequence(),
             .checkpoint = {},
             .release = {}};
    give_back = draining_;
    if (!give_back.has_value()) {
      const int64_t id = next_thread_++;
      threads_[id] = std::thread([this, id, link] { Run(id, link); });
    }
  }
  if (give_back.has_value()) {
    GiveBack(link->lease(), RunEnd::Release(*give_back));
  }
}

void LeaseTable::Deliver(v1::Segment segment) {
  MutexLock lock(mu_);
  const auto it = Find(segment.unit(), segment.token());
  if (it == leases_.end()) return;
  it->second.received = std::max(it->second.received, segment.last_sequence());
  it->second.link->Deliver(std::move(segment));
}

void LeaseTable::Acknowledge(v1::CheckpointAck ack) {
  {
    MutexLock lock(mu_);
    const auto it = Find(ack.unit(), ack.token());
    if (it == leases_.end()) return;
    Entry& entry = it->second;
    if (ack.result() == v1::CheckpointAck::FENCED) {
      entry.link->Lose();
      leases_.erase(it);
    } else {
      // After a broken stream an answer may come twice: the second is not one
      // to the checkpoint that followed.
      if (!entry.checkpoint.has_value() ||
          (ack.result() == v1::CheckpointAck::RECORDED && !ack.complete() &&
           !Equal(ack.cursor(), entry.checkpoint->to()))) {
        return;
      }
      entry.checkpoint.reset();
      const Link link = entry.link;
      if (ack.complete()) leases_.erase(it);
      link->Deliver(std::move(ack));
    }
  }
  changed_();
}

void LeaseTable::Acknowledge(const v1::ReleaseAck& ack) {
  {
    MutexLock lock(mu_);
    const auto it = Find(ack.unit(), ack.token());
    if (it == leases_.end()) return;
    it->second.link->Lose();
    leases_.erase(it);
  }
  changed_();
}

void LeaseTable::Revoke(const v1::Revoke& revoke) {
  MutexLock lock(mu_);
  const auto it = Find(revoke.unit(), revoke.token());
  if (it == leases_.end()) return;
  // Half of the time for objects in flight; the rest for the last checkpoint.
  const absl::Duration deadline =
      absl::Seconds(revoke.deadline().seconds()) +
      absl::Nanoseconds(revoke.deadline().nanos());
  it->second.link->Drain("REVOKED", clock_.Now() + deadline / 2);
}

void LeaseTable::DrainAll(absl::string_view reason, Ticks until) {
  MutexLock lock(mu_);
  draining_ = std::string(reason);
  for (const auto& [unit, entry] : leases_) entry.link->Drain(reason, until);
}

void LeaseTable::LoseAll() {
  {
    MutexLock lock(mu_);
    for (const auto& [unit, entry] : leases_) entry.link->Lose();
    leases_.clear();
  }
  changed_();
}

std::vector<v1::HeldLease> LeaseTable::Held() const {
  MutexLock lock(mu_);
  std::vector<v1::HeldLease> held;
  for (const auto& [unit, entry] : leases_) {
    held.push_back(NameOf(entry.link->lease()));
    held.back().set_received_sequence(entry.received);
  }
  return held;
}

std::vector<v1::SessionRequest> LeaseTable::Unacknowledged() const {
  MutexLock lock(mu_);
  std::vector<v1::SessionRequest> requests;
  for (const auto& [unit, entry] : leases_) {
    if (entry.checkpoint.has_value()) {
      *requests.emplace_back().mutable_checkpoint() = *entry.checkpoint;
    }
    if (entry.release.has_value()) {
      *requests.emplace_back().mutable_release() = *entry.release;
    }
  }
  return requests;
}

bool LeaseTable::empty() const {
  MutexLock lock(mu_);
  return leases_.empty();
}

void LeaseTable::Run(int64_t thread, const Link& link) {
  const RunEnd end = runner_(*link);
  // Whatever the runner thinks: what is still in the table would be renewed for
  // ever, with nobody at work on it.
  GiveBack(link->lease(), end.release ? end : RunEnd::Release("NOT_RUNNING"));
  MutexLock lock(mu_);
  ended_threads_.push_back(thread);
}

void LeaseTable::Send(v1::SessionRequest request) {
  if (request.has_checkpoint()) {
    MutexLock lock(mu_);
    const v1::Checkpoint& checkpoint = request.checkpoint();
    const auto it = Find(checkpoint.unit(), checkpoint.token());
    if (it == leases_.end()) return;
    it->second.checkpoint = checkpoint;
  }
  send_(std::move(request));
}

// Nothing when the lease has left the table.
void LeaseTable::GiveBack(const v1::Lease& lease, const RunEnd& end) {
  v1::SessionRequest request;
  v1::Release& release = *request.mutable_release();
  release.set_unit(lease.unit());
  release.set_token(lease.token());
  release.set_reason(end.reason);
  release.set_message(end.message);
  release.set_object_failed(end.object_failed);
  {
    MutexLock lock(mu_);
    const auto it = Find(lease.unit(), lease.token());
    if (it == leases_.end()) return;
    it->second.release = release;
  }
  send_(std::move(request));
}

void LeaseTable::JoinEnded() {
  std::vector<std::thread> ended;
  {
    MutexLock lock(mu_);
    for (const int64_t id : ended_threads_) {
      ended.push_back(std::move(threads_.at(id)));
      threads_.erase(id);
    }
    ended_threads_.clear();
  }
  for (std::thread& thread : ended) thread.join();
}

LeaseTable::Leases::iterator LeaseTable::Find(int64_t unit, int64_t token) {
  const auto it = leases_.find(unit);
  return it != leases_.end() && it->second.link->lease().token() == token
             ? it
             : leases_.end();
}

}  // namespace crr
