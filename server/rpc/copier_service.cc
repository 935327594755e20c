#include "server/rpc/copier_service.h"

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/refusal.h"
#include "server/rpc/lease_converters.h"
#include "server/rpc/stream.h"

namespace crr {

// One copier's stream.
class SessionStream final
    : public Stream<v1::SessionRequest, v1::SessionResponse> {
 public:
  SessionStream(grpc::CallbackServerContext* context, absl::Duration stall_max,
                SessionStreams& streams, LeaseLoop& loop)
      : Stream(context, stall_max), streams_(streams), loop_(loop) {}

  // On the lease loop. Whether its copier takes more segments; OnRoom tells
  // after a no.
  bool HasRoom() {
    MutexLock lock(mu_);
    starved_ = waiting_bytes_ > 0 &&
               (waiting_bytes_ >= limits::kStreamOutboxBytesMax ||
                waiting() >= limits::kStreamOutboxMax / 2 ||
                streams_.queued_bytes_ >= limits::kOutboxBytesMax);
    return !starved_;
  }

  // On the lease loop: the first of its checkpoints in hand was answered.
  void Answered() {
    if (in_hand_.empty()) return;
    in_hand_bytes_ -= in_hand_.front();
    in_hand_.pop_front();
    if (std::exchange(waits_for_answer_, false)) ReadOn();
  }

 private:
  using Request = v1::SessionRequest;

  void OnStart() override {
    id_ = streams_.Add(Self());
  }

  void OnMessage(const Request& request) override {
    switch (request.message_case()) {
      case Request::kHello: {
        std::vector<Violation> found;
        HelloMessage hello = FromProto(request.hello(), found);
        if (!found.empty()) return Close(RefuseAll(std::move(found)));
        return Handle([id = id_, hello = std::move(hello)](LeaseCore& core) {
          core.OnHello(id, hello);
        });
      }
      case Request::kHeartbeat:
        return loop_.PostUrgent(
            [self = Self(), id = id_,
             number = request.heartbeat().number()](LeaseCore& core) {
              core.OnHeartbeat(id, number);
              self->NextRead();
            });
      case Request::kCheckpoint:
        return loop_.Post(
            [self = Self(), bytes = request.ByteSizeLong(),
             checkpoint = FromProto(request.checkpoint())](LeaseCore& core) {
              self->in_hand_.push_back(bytes);
              self->in_hand_bytes_ += bytes;
              core.OnCheckpoint(self->id_, checkpoint);
              self->ReadOn();
            });
      case Request::kRelease: {
        const v1::Release& release = request.release();
        return Handle(
            [id = id_, message = ReleaseMessage{
                           .lease = {release.unit(), release.token()},
                           .reason = BoundedReport(release.reason()),
                           .message = BoundedReport(release.message()),
                           .object_failed = release.object_failed()}](
                LeaseCore& core) { core.OnRelease(id, message); });
      }
      case Request::kTrouble: {
        const v1::Trouble& trouble = request.trouble();
        return Handle(
            [id = id_, lease = LeaseRef{trouble.unit(), trouble.token()},
             message = absl::StrCat(BoundedReport(trouble.key()), ": ",
                                    BoundedReport(trouble.reason()), ": ",
                                    BoundedReport(trouble.message()))](
                LeaseCore& core) { core.OnTrouble(id, lease, message); });
      }
      case Request::kFinish:
        return loop_.Post([id = id_](LeaseCore& core) { core.OnFinish(id); });
      case Request::MESSAGE_NOT_SET:
        return Close(Refuse({.reason = "MALFORMED_MESSAGE",
                             .description = "an empty message"}));
    }
  }

  // The next message is read once the loop has handled this one: a peer that
  // floods its stream waits for itself, and nobody else does.
  void Handle(std::function<void(LeaseCore&)> call) {
    loop_.Post([self = Self(), call = std::move(call)](LeaseCore& core) {
      call(core);
      self->NextRead();
    });
  }

  // Reads the next message unless too much that came is in the writer's queue.
  void ReadOn() {
    waits_for_answer_ = in_hand_bytes_ >= limits::kCheckpointBytesInHandMax ||
                        in_hand_.size() >= limits::kCheckpointsInHandMax;
    if (!waits_for_answer_) NextRead();
  }

  void OnQueued(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) override {
    streams_.queued_bytes_ += bytes;
    if (!starved_ || bytes > 0 ||
        waiting_bytes_ > limits::kStreamOutboxBytesMax / 2 ||
        waiting() > limits::kStreamOutboxMax / 4) {
      return;
    }
    starved_ = false;
    loop_.Post([id = id_](LeaseCore& core) { core.OnRoom(id); });
  }

  std::shared_ptr<SessionStream> Self() {
    return std::static_pointer_cast<SessionStream>(shared_from_this());
  }

  void OnEnd() override {
    streams_.Remove(id_);
    loop_.Post([id = id_](LeaseCore& core) { core.OnStreamClosed(id); });
  }

  SessionStreams& streams_;
  LeaseLoop& loop_;
  StreamId id_ = 0;
  bool starved_ ABSL_GUARDED_BY(mu_) = false;
  // Bytes of the checkpoints that are not answered. Only on the lease loop.
  std::deque<size_t> in_hand_;
  size_t in_hand_bytes_ = 0;
  bool waits_for_answer_ = false;
};

StreamId SessionStreams::Add(const std::shared_ptr<SessionStream>& stream) {
  StreamId id = 0;
  bool draining = false;
  bool full = false;
  {
    MutexLock lock(mu_);
    id = next_++;
    draining = draining_;
    full = streams_.size() >= limits::kSessionsMax;
    if (!full) streams_.emplace(id, stream);
  }
  if (draining) stream->Close(Draining());
  if (full) {
    stream->Close(Refuse({.reason = "OVERLOADED",
                          .description = "too many sessions are open"}));
  }
  return id;
}

void SessionStreams::Drain() {
  std::map<StreamId, std::weak_ptr<SessionStream>> streams;
  {
    MutexLock lock(mu_);
    draining_ = true;
    streams = streams_;
  }
  for (const auto& [id, weak] : streams) {
    if (const auto stream = weak.lock()) stream->Close(Draining());
  }
}

void SessionStreams::Remove(StreamId id) {
  MutexLock lock(mu_);
  streams_.erase(id);
}

std::shared_ptr<SessionStream> SessionStreams::Find(StreamId id) {
  MutexLock lock(mu_);
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.lock();
}

void SessionStreams::Send(StreamId id, LeaseMessage message) {
  const auto stream = Find(id);
  if (stream == nullptr) return;
  stream->Send(ToProto(message, options_), IsUrgent(message));
  if (std::holds_alternative<CheckpointAckMessage>(message)) {
    stream->Answered();
  }
}

bool SessionStreams::HasRoom(StreamId id) {
  const auto stream = Find(id);
  return stream != nullptr && stream->HasRoom();
}

void SessionStreams::CloseIfStalled(StreamId id) {
  const auto stream = Find(id);
  if (stream != nullptr) stream->CloseIfStalled();
}

void SessionStreams::Close(StreamId id, absl::Status status) {
  const auto stream = Find(id);
  if (stream != nullptr) stream->Close(status);
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>*
CopierService::Session(grpc::CallbackServerContext* context) {
  return SessionStream::Make<SessionStream>(context, streams_.options().ttl,
                                            streams_, loop_);
}

}  // namespace crr
