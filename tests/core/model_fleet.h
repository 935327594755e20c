#ifndef CRR_TESTS_CORE_MODEL_FLEET_H_
#define CRR_TESTS_CORE_MODEL_FLEET_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "server/core/lease_core.h"

namespace crr::test {

// Buckets of revision-fenced stores (design §7, tier 1): a write to a
// destination counts iff its revision is not lower than what is there.
class ModelStores {
 public:
  struct State {
    int64_t revision = 0;
    bool exists = false;
    friend bool operator==(const State&, const State&) = default;
  };
  using Bucket = std::map<std::string, State>;

  // A user writes or deletes.
  void Write(const std::string& bucket, const std::string& key, bool exists) {
    buckets_[bucket][key] = {++revision_, exists};
  }
  // A key that cannot be copied, or that ends the process of whoever tries,
  // until all are cured.
  enum class Fate { kCopied, kFails, kKills };
  void SetFate(const std::string& bucket, const std::string& key, Fate fate) {
    fates_[{bucket, key}] = fate;
  }
  void CureAll() { fates_.clear(); }
  // Brings a key's present state over, unless its fate is another.
  Fate Copy(const std::string& from, const std::string& to,
            const std::string& key) {
    const auto fate = fates_.find({from, key});
    if (fate != fates_.end()) return fate->second;
    const State state = buckets_[from][key];
    State& there = buckets_[to][key];
    if (state.revision >= there.revision) there = state;
    return Fate::kCopied;
  }
  const Bucket& of(const std::string& bucket) { return buckets_[bucket]; }

 private:
  int64_t revision_ = 0;
  std::map<std::string, Bucket> buckets_;
  std::map<std::pair<std::string, std::string>, Fate> fates_;
};

// The streams between copiers and a server. Messages wait here in both
// directions until they are taken out. As in the server, heartbeats overtake
// what else goes up, and segments are overtaken by what else comes down. The
// hellos of one copier are heard in the order in which they were said; whatever
// else its older streams brought may come later than its newer ones.
class ModelWire final : public LeaseOutput {
 public:
  // Goes up.
  struct Up {
    enum class Kind { kHello, kHeartbeat, kOther } kind = Kind::kOther;
    std::function<void(LeaseCore&, StreamId)> say;
  };
  using Down = std::variant<LeaseMessage, absl::Status>;

  StreamId Open(const std::string& copier);
  void Say(StreamId stream, Up message);
  // Hands one message of some stream to the core; false when none waits.
  // `pick` chooses below a bound.
  using Pick = std::function<size_t(size_t)>;
  bool DeliverUp(LeaseCore& core, const Pick& pick);
  // From now on nothing of the stream goes up, until it is let go.
  void Hold(StreamId stream) { held_.insert(stream); }
  void LetGo(StreamId stream) { held_.erase(stream); }
  // The next message for the copier at the other end, if there is one. A
  // status is the stream's end.
  std::optional<Down> TakeDown(StreamId stream, bool overtake);
  // The network loses the stream: what is on its way arrives in part, and both
  // ends see it break.
  void Break(StreamId stream, const Pick& pick);
  // The server's process is gone: nothing goes up any more.
  void BreakAll(const Pick& pick);
  // The copier's process is gone.
  void Abandon(StreamId stream);
  std::vector<StreamId> OpenStreams() const;

  // LeaseOutput.
  void Send(StreamId stream, LeaseMessage message) override;
  void Close(StreamId stream, absl::Status status) override;

 private:
  struct Stream {
    std::string copier;
    std::deque<Up> up;
    std::deque<Down> down;
    bool open = true;  // Messages may still be added.
  };
  std::map<StreamId, Stream> streams_;
  std::set<StreamId> held_;
  StreamId last_ = 0;
};

// A copier's process as the protocol asks it to be (client/copier/session.cc,
// lease_table.cc and lease_guard.cc, without their threads). It moves only when
// told, so that leaving it alone is what a freeze is.
class ModelCopier {
 public:
  struct Options {
    std::string id;
    int64_t lease_credit = 4;
    int64_t segment_credit_bytes = 1 << 20;
    LeaseOptions terms;
    // Its clock against the server's: a slow one believes for longer.
    double clock_rate = 0.995;
  };
  // Chooses below a bound; decides how much is done at once.
  using Pick = ModelWire::Pick;

  ModelCopier(Options options, const Clock& clock, ModelWire& wire,
              ModelStores& stores, Pick pick)
      : options_(std::move(options)),
        clock_(clock),
        wire_(wire),
        stores_(stores),
        pick_(std::move(pick)) {}

  // Says hello or sends a heartbeat when one is due.
  void Beat();
  // Takes one message; false when none is there.
  bool Receive();
  // Does some work under one of its leases; false when there is nothing to do.
  // What it met may have ended the process; then it is to be killed.
  bool Work();
  // Gives a lease back, if it has one to give.
  void GiveUp(const std::string& reason);
  // Sends a checkpoint again, one that waits or one that was answered.
  void Repeat();
  // Ends the process. Its writes under way may still land.
  void Kill();

  const std::string& id() const { return options_.id; }
  StreamId stream() const { return stream_; }
  // It must not connect again: a newer process has its name.
  bool superseded() const { return superseded_; }
  bool crashed() const { return crashed_; }
  // Leases at work that a server said were lost.
  int64_t lost() const { return lost_; }
  // What was wrong with what the server sent; empty when nothing was.
  const std::string& complaint() const { return complaint_; }

  // Units for which a write of this process may become visible after `now`,
  // that is: it believes in its lease, or believed in it when the last write
  // began.
  std::vector<int64_t> MayWrite(Ticks now) const;

 private:
  struct Lease {
    LeaseSpec spec;
    Ticks renewed;  // What was answered was sent then.
    Cursor cursor;
    int64_t received = 0;
    std::deque<std::pair<int64_t, std::string>> entries;
    std::optional<Checkpoint> checkpoint;  // Not answered yet.
    bool send_again = false;
    bool released = false;
    std::string release_reason;
    bool object_failed = false;
    bool draining = false;
    bool isolated = false;  // What `isolate_first` asks for is done.
  };

  bool Writes(const Lease& lease) const;
  Ticks BeliefEnd(const Lease& lease) const;
  absl::Duration Local(absl::Duration real) const {
    return real * options_.clock_rate;
  }
  void Drop(int64_t unit_id);
  void DropNamed(const std::vector<LeaseRef>& refs);
  void LoseAll();
  void Renew(Ticks sent);
  void SayHello();
  void Handle(LeaseMessage message);
  void HandleAck(const CheckpointAckMessage& ack);
  void Take(const SegmentMessage& message);
  void Report(Lease& lease, Checkpoint checkpoint);
  void Release(Lease& lease, const std::string& reason);
  void SendCheckpoint(const Checkpoint& checkpoint);
  void SendRelease(const Lease& lease);
  bool WorkOn(Lease& lease);
  void WorkOnInventory(Lease& lease);
  void WorkOnRange(Lease& lease);
  bool WorkOnChanges(Lease& lease);
  void WorkOnObject(Lease& lease);
  void WorkOnVerification(Lease& lease);
  // What becomes of a key that a lane has come to.
  ModelStores::Fate Meet(Lease& lease, const std::string& key);
  // How many are worked on at once, of `most`.
  int64_t Portion(const Lease& lease, size_t most);
  static bool InPrefixes(const Rule& rule, const std::string& key);

  const Options options_;
  const Clock& clock_;
  ModelWire& wire_;
  ModelStores& stores_;
  const Pick pick_;

  StreamId stream_ = 0;
  bool welcomed_ = false;
  bool superseded_ = false;
  bool crashed_ = false;
  std::optional<int64_t> number_;
  Ticks hello_sent_;
  Ticks renewed_;
  Ticks connect_at_;
  Ticks next_heartbeat_;
  int64_t last_heartbeat_ = 0;
  std::map<int64_t, Ticks> heartbeats_;
  std::map<int64_t, Lease> leases_;
  // Writes that were under way when a lease went.
  std::map<int64_t, Ticks> tails_;
  std::optional<Checkpoint> last_checkpoint_;
  std::string complaint_;
  int64_t lost_ = 0;
};

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_MODEL_FLEET_H_
