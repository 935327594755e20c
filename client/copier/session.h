#ifndef CRR_CLIENT_COPIER_SESSION_H_
#define CRR_CLIENT_COPIER_SESSION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/copier/lease_guard.h"
#include "client/copier/lease_table.h"
#include "client/copier/session_stream.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// A copier's session with the control plane, over as many streams as it takes.
//
// Leases outlive a stream: copying goes on while the session reconnects, and
// what was not acknowledged is sent again. One heartbeat renews all leases and
// goes ahead of everything else. When no answer has come for a whole time to
// live, all leases are over and the session begins without them.
//
// Threads: the caller of Run supervises, and each stream has a reader and a
// writer.
class Session {
 public:
  struct Options {
    std::string copier_id;
    std::string region;  // `regions/{region}` or empty.
    int slots = 8;
    int lease_credit = 32;
    int64_t segment_credit_bytes = 4 << 20;
    // Until the server answers the first message of a stream.
    absl::Duration welcome_timeout = absl::Seconds(10);
    absl::Duration reconnect_base = absl::Milliseconds(100);
    absl::Duration reconnect_cap = absl::Seconds(5);
    std::function<void()> on_ready;  // At the first welcome.
  };

  // `transport` and `clock` must outlive this object.
  Session(Options options, SessionTransport& transport,
          LeaseTable::Runner runner, const Clock& clock);

  // Runs until it was stopped, which is OK, or for good: ABORTED when a newer
  // session of this copier took over, INVALID_ARGUMENT when the server refuses
  // the copier as it is configured.
  absl::Status Run();
  // Asks Run to give back all leases and return, within one time to live.
  // Thread-safe.
  void Stop();

 private:
  // One stream, from its hello to its end.
  StreamEnd RunStream();
  v1::SessionRequest Hello();
  void Write(SessionStream& stream);
  void Read(SessionStream& stream);
  void Handle(v1::SessionResponse response);
  void HandleWelcome(const v1::Welcome& welcome);
  void HandleHeartbeatAck(const v1::HeartbeatAck& ack);
  // Waits until the stream is over, ending it where nothing else does.
  void Supervise(SessionStream& stream);
  void WaitToReconnect(absl::Duration delay);
  // Drops the message while no stream can take it: what must not be lost is
  // kept by the lease table.
  void Send(v1::SessionRequest request);
  // The next message for the stream; absent when it is over.
  std::optional<v1::SessionRequest> NextToWrite();

  // `interval` give or take 10 %.
  absl::Duration Jittered(absl::Duration interval)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether nothing is left to stop, or the time for it is up.
  bool Stopped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // When the supervisor ends the stream if nothing else changes.
  Ticks StreamDeadline(Ticks opened) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  SessionTransport& transport_;
  const Clock& clock_;

  Mutex mu_;
  CondVar changed_;
  std::optional<Ticks> stop_by_ ABSL_GUARDED_BY(mu_);  // Once asked to stop.
  int64_t welcomes_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<int64_t> number_ ABSL_GUARDED_BY(mu_);
  LeaseTerms terms_ ABSL_GUARDED_BY(mu_);
  absl::Duration heartbeat_interval_ ABSL_GUARDED_BY(mu_);
  // Before the last message was sent that the server has answered.
  Ticks renewed_ ABSL_GUARDED_BY(mu_);

  // Of the present stream.
  bool welcomed_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = true;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  Ticks hello_sent_ ABSL_GUARDED_BY(mu_);
  Ticks next_heartbeat_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::SessionRequest> outbox_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, Ticks> heartbeats_ ABSL_GUARDED_BY(mu_);  // Unanswered.
  int64_t last_heartbeat_ ABSL_GUARDED_BY(mu_) = 0;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);

  // Last, so that its runners end before what they use goes.
  LeaseTable leases_;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_SESSION_H_
