#ifndef CRR_CLIENT_NOTIFIER_PUBLISH_STREAM_H_
#define CRR_CLIENT_NOTIFIER_PUBLISH_STREAM_H_

#include <grpcpp/client_context.h>

#include <functional>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "client/notifier/pump.h"
#include "client/store/change_journal.h"
#include "crr/v1/change_service.grpc.pb.h"

namespace crr {

// One PublishChanges stream, from hello to the server's last word: carries a
// pump's messages out and the server's answers to the pump.
//
// Run belongs to one thread, which alone touches journal and pump; a second
// one, started and joined by Run, reads. Finish and Cancel may be
// called from any thread at any time.
class PublishStream {
 public:
  // The arguments must outlive this object.
  PublishStream(v1::ChangeService::StubInterface& stub, ChangeJournal& journal,
                const Clock& clock)
      : stub_(stub), journal_(journal), clock_(clock) {}

  // Each is called at most once, in this order, by the thread in Run.
  struct Events {
    // An error ends the stream.
    std::function<absl::Status()> welcomed;
    // Something was acknowledged, or there was nothing left to acknowledge.
    std::function<void()> progressed;
  };
  // Publishes until the stream ends. Returns the server's status, or what went
  // wrong here. Call once.
  grpc::Status Run(const v1::PublishChangesRequest::Hello& hello,
                   const Events& events);

  // Makes Run say `finish` and wait for the server to end the stream.
  void Finish();
  // Makes Run return soon, whatever the server does.
  void Cancel() { context_.TryCancel(); }

 private:
  using Stream =
      grpc::ClientReaderWriterInterface<v1::PublishChangesRequest,
                                        v1::PublishChangesResponse>;

  void ReadAll(Stream& stream);
  // Takes in what the server said since the last call.
  absl::Status HandleResponses(const Events& events);
  // Sends all that there is to say now; false when the stream is broken.
  absl::StatusOr<bool> SendAll(Stream& stream, const Events& events);
  void NoteProgress(const Events& events);

  v1::ChangeService::StubInterface& stub_;
  ChangeJournal& journal_;
  const Clock& clock_;
  grpc::ClientContext context_;

  // Of the thread in Run.
  std::optional<Pump> pump_;  // Present once welcomed.
  bool progressed_ = false;

  Mutex mu_;
  std::vector<v1::PublishChangesResponse> responses_ ABSL_GUARDED_BY(mu_);
  bool read_ended_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_CLIENT_NOTIFIER_PUBLISH_STREAM_H_
