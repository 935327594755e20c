#include "server/rpc/copier_service.h"

#include <functional>
#include <string>
#include <utility>
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
  SessionStream(SessionStreams& streams, LeaseLoop& loop)
      : streams_(streams), loop_(loop) {}

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
        return Handle(
            [id = id_, checkpoint = FromProto(request.checkpoint())](
                LeaseCore& core) { core.OnCheckpoint(id, checkpoint); });
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
        return Close(absl::OkStatus());
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
};

namespace {

}  // namespace

StreamId SessionStreams::Add(const std::shared_ptr<SessionStream>& stream) {
  StreamId id = 0;
  bool draining = false;
  {
    MutexLock lock(mu_);
    id = next_++;
    streams_.emplace(id, stream);
    draining = draining_;
  }
  if (draining) stream->Close(Draining());
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
}

void SessionStreams::Close(StreamId id, absl::Status status) {
  const auto stream = Find(id);
  if (stream != nullptr) stream->Close(status);
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>*
CopierService::Session(grpc::CallbackServerContext*) {
  return SessionStream::Make<SessionStream>(streams_, loop_);
}

}  // namespace crr
