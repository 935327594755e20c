#ifndef CRR_SERVER_CORE_LEASE_CORE_H_
#define CRR_SERVER_CORE_LEASE_CORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "server/core/lease_messages.h"
#include "server/core/lease_options.h"
#include "server/core/resync.h"
#include "server/core/session_rooms.h"
#include "server/core/work.h"
#include "server/core/work_events.h"
#include "server/core/work_queue.h"
#include "storage/session_table.h"

namespace crr {

// Names one open stream of one copier; never reused.
using StreamId = int64_t;

// The durable side that LeaseCore drives. Each answer comes later, through the
// same thread that drives the core, in commit order; none comes from within
// the call. A status is a refusal of the body or one of Database's own.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  template <typename T>
  using Answer = std::function<void(absl::StatusOr<T>)>;

  // A new session for the copier. ABORTED when `known` is below its newest.
  virtual void StartSession(const std::string& copier,
                            const std::string& region,
                            std::optional<int64_t> known,
                            Answer<int64_t> answer) = 0;
  // The session holds nothing and is over.
  virtual void ForgetSession(int64_t session_number) = 0;
  virtual void Grant(int64_t unit_id, int64_t session_number,
                     Answer<LeaseSpec> answer) = 0;
  virtual void Apply(Checkpoint checkpoint,
                     Answer<CheckpointOutcome> answer) = 0;
  virtual void End(int64_t unit_id, int64_t token, LeaseEnd end,
                   Answer<WorkEvents> answer) = 0;
  virtual void Note(int64_t unit_id, int64_t token, std::string message) = 0;
  virtual void CloseRule(int64_t rule_uid, Answer<ClosingOutcome> answer) = 0;
  virtual void ResyncRule(int64_t rule_uid, Answer<ResyncOutcome> answer) = 0;
  // Leases that a restored database cannot know of have run out.
  virtual void EndQuiet(Answer<bool> answer) = 0;
  virtual void ReadSegments(int64_t rule_uid, int64_t partition, int64_t after,
                            int64_t bytes_max,
                            Answer<std::vector<Segment>> answer) = 0;
};

// Where answers to copiers go. Sending to a stream that is gone does nothing.
class LeaseOutput {
 public:
  virtual ~LeaseOutput() = default;
  virtual void Send(StreamId stream, LeaseMessage message) = 0;
  virtual void Close(StreamId stream, absl::Status status) = 0;
  // Whether segments may be sent now. After a no, LeaseCore::OnRoom tells.
  virtual bool HasRoom(StreamId) { return true; }
  // Ends the stream if its copier does not read what is sent.
  virtual void CloseIfStalled(StreamId) {}
};

// Who may work on what: sessions, grants, renewal, expiry, revocation (design
// §6). A plain object: no gRPC, no threads, no sleeping; whoever drives it
// calls one method at a time and Tick about every `tick_interval()`.
//
// Safety does not rest on it: the transaction that applies a checkpoint
// compares the fencing token. It rests here that two copiers do not start
// writes for one unit: a unit is offered again only when its holder gave it
// back, never got it, or has been silent for ttl + grace since the answer that
// it counts from.
//
// All state here changes only when the durable step has been answered. Deadlines
// live on the clock of this process and are not stored: after a restart every
// stored lease gets one full ttl + grace.
class LeaseCore {
 public:
  LeaseCore(LeaseOptions options, const Clock& clock, LeaseStore& store,
            LeaseOutput& output);

  // What the database held at the start. Call once, first.
  struct Restored {
    std::vector<UnitInfo> units;
    struct Lease {
      LeaseRecord record;
      absl::Duration silence;  // See SilenceOf.
    };
    std::vector<Lease> leases;
    std::vector<SessionRecord> sessions;  // In rising order of numbers.
    std::vector<int64_t> closing;             // Rules.
    std::vector<int64_t> resync;              // Rules whose logs must go.
    std::vector<int64_t> paused;              // Rules.
    // The database is a copy of an earlier state: leases that it cannot know of
    // may live, so nothing is granted for one full ttl + grace.
    bool quiet = false;
  };
  void Restore(const Restored& restored);

  // From a copier's stream. A message that needs a session and has none ends
  // the stream as malformed.
  void OnHello(StreamId stream, HelloMessage hello);
  void OnHeartbeat(StreamId stream, int64_t number);
  void OnCheckpoint(StreamId stream, Checkpoint checkpoint);
  void OnRelease(StreamId stream, const ReleaseMessage& release);
  void OnTrouble(StreamId stream, LeaseRef lease, const std::string& message);
  // Ends the stream and the leases of its copier, which has none that it works
  // on; but those that it was told to drop run out at their own time.
  void OnFinish(StreamId stream);
  // The stream is gone; the session and its leases stay until they expire.
  void OnStreamClosed(StreamId stream);

  // The stream takes segments again.
  void OnRoom(StreamId stream);

  // What a committed transaction changed.
  void OnWork(const WorkEvents& events);

  // Expires, revokes what lingers, retries what failed, and grants.
  void Tick();
  absl::Duration tick_interval() const;

  // No new grants and no new sessions; open streams are told to move.
  void Drain();

  // What operators see, and ask for.
  struct CopierView {
    std::string copier;
    std::string region;
    int64_t session_number = 0;
    bool connected = false;
    int64_t lease_credit = 0;
    int64_t leases = 0;  // Those that are on their way to or from it, too.
    bool draining = false;
  };
  // At most `count_max` copiers that have a session, by name, above `after`.
  std::vector<CopierView> Copiers(const std::string& after,
                                  size_t count_max) const;
  std::optional<CopierView> FindCopier(const std::string& copier) const;
  // Asks the session for all its leases and gives it no others.
  void DrainSession(int64_t session_number);
  // Asks for a lease, if it still lives.
  void RevokeLease(int64_t unit_id, int64_t token);
  // Why leases were asked back, by unit and token.
  using RevokeReasons = std::map<std::pair<int64_t, int64_t>, std::string>;
  RevokeReasons revoke_reasons() const;

  // Where a unit stands: it has no lease, its grant is being stored, it is
  // leased, or the end of its lease is being stored.
  enum class Phase { kOffered, kGranting, kLeased, kEnding };

  struct Counts {
    int64_t sessions = 0;      // With an open stream.
    int64_t lease_credit = 0;  // Of those.
    int64_t leases = 0;
    std::map<UnitKind, int64_t> waiting;  // Units that may be leased.
    std::map<std::pair<UnitKind, Phase>, int64_t> held;  // Not kOffered.
    int64_t wanted = 0;  // Leases that copiers without number would hold.
    int64_t grants = 0;
    int64_t expiries = 0;
    int64_t fenced = 0;
    std::map<UnitKind, int64_t> settled;  // Objects or changes.
    std::map<UnitKind, int64_t> bytes;    // That copiers wrote for them.
  };
  // What it costs grows with the leases that live, not with the units.
  Counts counts() const;

 private:
  struct Session {
    int64_t number = 0;
    std::string copier;
    std::string region;
    StreamId stream = 0;  // 0: none is open.
    Ticks deadline;       // Last answer + ttl + grace.
    bool superseded = false;
    bool draining = false;
    int64_t lease_credit = 0;
    int64_t segment_credit_bytes = 0;
    std::set<int64_t> units;  // Being granted, leased or ending.
    // Leases that ran out while the stream stayed open: named in every answer
    // to a heartbeat, lest the copier count them as renewed.
    std::vector<LeaseRef> lost;
  };

  struct UnitState {
    UnitInfo info;
    Phase phase = Phase::kOffered;
    int64_t session = 0;  // Unless kOffered.
    int64_t token = 0;    // In kLeased and kEnding.
    LeaseEnd end;         // In kEnding.
    int failures = 0;     // Grants that ended with a problem, in a row.
    // In kLeased: the last cursor that was recorded, since when nothing has
    // moved, and how long that may last.
    Cursor cursor;
    Ticks moved;
    absl::Duration patience;
    Ticks granted;
    bool progressed = false;  // Anything was done under this lease.
    // In kLeased, for CHANGES: what was sent and not yet settled.
    int64_t sent_sequence = 0;
    std::deque<std::pair<int64_t, int64_t>> unsettled;  // (last, bytes).
    int64_t unsettled_bytes = 0;
    bool no_room = false;  // The next segment waits for a checkpoint.
    bool in_turn = false;  // Stands in to_pump_.
    int64_t reading = 0;  // Number of the read under way; 0 for none.
    std::optional<Ticks> empty_since;
    // Set once asked for; after it the lease is not renewed any more.
    std::optional<Ticks> revoke_deadline;
    std::string revoke_reason;
    // Set once it is not renewed any more.
    std::optional<Ticks> expiry;
  };

  // Why a lease that shows no progress is asked back, and one that had its
  // turn.
  static constexpr char kNoProgress[] = "NO_PROGRESS";
  static constexpr char kTurn[] = "TURN";

  Session* SessionOf(StreamId stream);
  // The unit if `lease` is its present lease.
  UnitState* LeasedUnit(const LeaseRef& lease);
  // The same, if `session` holds it.
  UnitState* HeldUnit(const Session& session, const LeaseRef& lease);
  Ticks FullTerm() const { return clock_.Now() + options_.ttl + options_.grace; }
  void Malformed(StreamId stream, const std::string& why);

  void ResumeSession(StreamId stream, const HelloMessage& hello,
                     Session& session);
  void StartSessions();
  void AdoptSession(StreamId stream, const HelloMessage& hello,
                    int64_t number);
  // No more grants and renewals; what it holds runs out at its own time.
  void Supersede(Session& session);
  // Forgets a session that has no stream and holds nothing.
  void MaybeForget(int64_t session_number);

  absl::Duration RetryDelay(const UnitState& unit) const;
  void OfferUnit(UnitState& unit, Ticks not_before);
  void RemoveUnit(int64_t unit_id);
  void OnGranted(int64_t unit_id, int64_t session_number,
                 absl::StatusOr<LeaseSpec> spec);
  void OnApplied(StreamId stream, const LeaseRef& lease,
                 const absl::StatusOr<CheckpointOutcome>& outcome);
  // A checkpoint of the unit's present lease was recorded.
  void OnRecorded(UnitState& unit, const CheckpointOutcome& outcome);
  // Ends the lease durably, then offers the unit again.
  void EndLease(UnitState& unit, LeaseEnd end);
  void OnEnded(int64_t unit_id, const absl::StatusOr<WorkEvents>& events);
  // Tells the holder, if it is there, that the lease is over.
  void AckRelease(const UnitState& unit);
  // The lease is over and stored as such; the unit stays.
  void DetachUnit(UnitState& unit);
  void Revoke(UnitState& unit, const std::string& reason);
  UnitState& AddUnit(const UnitInfo& info);
  // Calls `act` with each unit of the rule; it may not add or remove any.
  template <typename Act>
  void ForUnitsOf(int64_t rule_uid, Act act);
  // Takes a unit's offer back, or asks for its lease.
  void HoldBack(UnitState& unit, const std::string& reason);
  // Goes on with the end of a rule, or with the drop of its log, once nobody
  // holds a lease that is in the way.
  void MaybeCloseRule(int64_t rule_uid);
  void MaybeResyncRule(int64_t rule_uid);
  // Sends what the lease has credit for, in its turn.
  void PumpSegments(UnitState& unit);
  // Whether a segment may be read for it; credit aside.
  static bool WantsSegments(const UnitState& unit);
  void StartReads();
  void ReadFor(UnitState& unit, const Session& session);
  void OnSegments(int64_t unit_id, int64_t read, int64_t room,
                  absl::StatusOr<std::vector<Segment>> segments);
  void Schedule();
  Session* PickSession(const UnitInfo& unit);
  // Whether it may be given work, as far as it is concerned.
  bool IsAble(const Session& session) const;
  // Says what is known of the session where it counts for PickSession.
  void UpdateRoom(const Session& session);
  static bool IsNear(const Session& session, const UnitInfo& unit);
  // False for a lease on an empty log.
  static bool HasWork(const UnitState& unit);
  static bool Lasts(const UnitState& unit);
  void Rebalance(Ticks now);
  // Asks the giver for a part of what it has above the mean load.
  void Relieve(const Session& giver, double mean, SessionRooms& plan);
  // Asks those that had their turn for their place, while others wait for it.
  void TakeTurns(Ticks now);
  static CopierView ViewOf(const Session& session);
  void MaybeEndQuiet(Ticks now);
  void NoteLost(Session& session, const UnitState& unit);
  void ExpireSessions(Ticks now);
  void CheckLeases(Ticks now);
  // Asks for a lease with nothing to do, or with which nothing is done.
  void CheckProgress(UnitState& unit, Ticks now);
  // What becomes of the unit of a lease that was given back.
  LeaseEnd EndOf(const UnitState& unit, const ReleaseMessage& release) const;

  const LeaseOptions options_;
  const Clock& clock_;
  LeaseStore& store_;
  LeaseOutput& output_;

  std::map<int64_t, Session> sessions_;                    // By number.
  std::unordered_map<std::string, int64_t> by_copier_;     // Newest session.
  std::unordered_map<StreamId, int64_t> by_stream_;
  std::unordered_map<StreamId, bool> opening_;  // Hello under way.
  std::unordered_map<int64_t, UnitState> units_;
  std::unordered_map<int64_t, std::set<int64_t>> units_of_rule_;
  std::set<int64_t> leased_;  // Units in kLeased.
  std::set<int64_t> retry_end_;  // Units in kEnding whose step failed.
  // Rules that are closing, and rules whose logs are being dropped; whether a
  // step of it is under way.
  struct Steps {
    bool under_way = false;
  };
  std::unordered_map<int64_t, Steps> closing_;
  std::unordered_map<int64_t, Steps> resyncing_;
  int resync_steps_ = 0;  // Under way.
  std::set<int64_t> paused_;  // Rules.
  WorkQueue queue_;
  SessionRooms rooms_;  // Of the sessions that are able and have room.
  Ticks last_tick_;
  Ticks next_rebalance_;
  // Nothing is granted before this, nor before its end is stored.
  std::optional<Ticks> quiet_until_;
  bool quiet_is_ending_ = false;
  int64_t next_read_ = 1;
  int grants_under_way_ = 0;
  std::deque<int64_t> to_pump_;  // Units, each once; some gone.
  int reads_under_way_ = 0;
  std::deque<std::pair<StreamId, HelloMessage>> arriving_;
  int starts_under_way_ = 0;
  bool draining_ = false;
  Counts counts_;
};

}  // namespace crr

#endif  // CRR_SERVER_CORE_LEASE_CORE_H_
