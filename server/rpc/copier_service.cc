#include "server/rpc/copier_service.h"

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
    id_ = streams_.Add(
        std::static_pointer_cast<SessionStream>(shared_from_this()));
  }

  void OnMessage(const Request& request) override {
    switch (request.message_case()) {
      case Request::kHello: {
        std::vector<Violation> found;
        HelloMessage hello = FromProto(request.hello(), found);
        if (!found.empty()) return Close(RefuseAll(std::move(found)));
        loop_.Post([id = id_, hello = std::move(hello)](LeaseCore& core) {
          core.OnHello(id, hello);
        });
        break;
      }
      case Request::kHeartbeat:
        loop_.PostHeartbeat(id_, request.heartbeat().number());
        break;
      case Request::kCheckpoint:
        loop_.Post([id = id_, checkpoint = FromProto(request.checkpoint())](
                       LeaseCore& core) { core.OnCheckpoint(id, checkpoint); });
        break;
      case Request::kRelease: {
        const v1::Release& release = request.release();
        loop_.Post([id = id_, lease = LeaseRef{release.unit(), release.token()},
                    reason = Bounded(release.reason()),
                    message = Bounded(release.message())](LeaseCore& core) {
          core.OnRelease(id, lease, reason, message);
        });
        break;
      }
      case Request::kTrouble: {
        const v1::Trouble& trouble = request.trouble();
        loop_.Post([id = id_, lease = LeaseRef{trouble.unit(), trouble.token()},
                    message = absl::StrCat(Bounded(trouble.key()), ": ",
                                           Bounded(trouble.reason()), ": ",
                                           Bounded(trouble.message()))](
                       LeaseCore& core) {
          core.OnTrouble(id, lease, message);
        });
        break;
      }
      case Request::kFinish:
        return Close(absl::OkStatus());
      case Request::MESSAGE_NOT_SET:
        return Close(Refuse({.reason = "MALFORMED_MESSAGE",
                             .description = "an empty message"}));
    }
    NextRead();
  }

  void OnEnd() override {
    streams_.Remove(id_);
    loop_.Post([id = id_](LeaseCore& core) { core.OnStreamClosed(id); });
  }

  // Cut at a character's border, so that it stays valid UTF-8.
  static std::string Bounded(const std::string& text) {
    size_t size = std::min(text.size(), limits::kReportBytesMax);
    while (size > 0 && size < text.size() &&
           (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
      --size;
    }
    return text.substr(0, size);
  }

  SessionStreams& streams_;
  LeaseLoop& loop_;
  StreamId id_ = 0;
};

namespace {

absl::Status Draining() {
  return Refuse(
      {.reason = "DRAINING", .description = "the server is stopping"});
}

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
