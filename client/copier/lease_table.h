#ifndef CRR_CLIENT_COPIER_LEASE_TABLE_H_
#define CRR_CLIENT_COPIER_LEASE_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/lease_guard.h"
#include "client/copier/lease_link.h"
#include "client/copier/run_end.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// The leases that a session holds, a thread for each, and what the server has
// not acknowledged of them yet: a stream may break at any message and lose
// nothing. A lease is held from its grant until its release was acknowledged,
// its unit is finished, or it is lost. Thread-safe.
class LeaseTable {
 public:
  using HeldLeases = google::protobuf::RepeatedPtrField<v1::HeldLease>;
  // Does the work of one lease; returns when the lease ends.
  using Runner = std::function<RunEnd(LeaseLink&)>;
  using SendFunction = std::function<void(v1::SessionRequest)>;

  // `send` takes what goes to the server and may drop it while there is no
  // stream. `changed` is called after a lease has gone. Neither may call back.
  LeaseTable(Runner runner, SendFunction send, std::function<void()> changed,
             const Clock& clock);
  // Loses all leases and waits for their runners.
  ~LeaseTable();

  // What the server said.
  void Renew(LeaseTerms terms, Ticks sent, const HeldLeases& except);
  void Grant(v1::Lease lease);
  void Deliver(v1::Segment segment);
  void Acknowledge(v1::CheckpointAck ack);
  void Acknowledge(const v1::ReleaseAck& ack);
  void Revoke(const v1::Revoke& revoke);

  // Drains every lease, and gives back at once what is still granted later.
  void DrainAll(absl::string_view reason, Ticks until);
  // Every lease is over, and the server need not be told.
  void LoseAll();

  std::vector<v1::HeldLease> Held() const;
  // Checkpoints and releases, to be sent again on a new stream.
  std::vector<v1::SessionRequest> Unacknowledged() const;
  bool empty() const;

 private:
  // Shared by the table and the thread of the runner: a lost lease leaves the
  // table before its runner has noticed.
  using Link = std::shared_ptr<LeaseLink>;
  struct Entry {
    Link link;
    int64_t received = 0;  // Last sequence number, for CHANGES.
    std::optional<v1::Checkpoint> checkpoint;  // Not acknowledged.
    std::optional<v1::Release> release;        // Likewise.
  };
  using Leases = std::map<int64_t, Entry>;  // By unit.

  void Run(int64_t thread, const Link& link);
  // From a runner.
  void Send(v1::SessionRequest request);
  void GiveBack(const v1::Lease& lease, const RunEnd& end);
  void JoinEnded();
  Leases::iterator Find(int64_t unit, int64_t token)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Runner runner_;
  const SendFunction send_;
  const std::function<void()> changed_;
  const Clock& clock_;

  mutable Mutex mu_;
  LeaseTerms terms_ ABSL_GUARDED_BY(mu_);
  Ticks renewed_ ABSL_GUARDED_BY(mu_);
  std::optional<std::string> draining_ ABSL_GUARDED_BY(mu_);
  Leases leases_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, std::thread> threads_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> ended_threads_ ABSL_GUARDED_BY(mu_);
  int64_t next_thread_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_LEASE_TABLE_H_
