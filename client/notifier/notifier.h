#ifndef CRR_CLIENT_NOTIFIER_NOTIFIER_H_
#define CRR_CLIENT_NOTIFIER_NOTIFIER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/notifier/publish_stream.h"
#include "client/store/change_journal.h"
#include "crr/v1/change_service.grpc.pb.h"
#include "crr/v1/region.pb.h"
#include "crr/v1/region_service.grpc.pb.h"

namespace crr {

// Publishes the journal of one region's store, over as many streams as it
// takes. Before each stream the server is asked anew where the region's store
// is. Whatever fails is logged once and tried again, with growing delays.
//
// Run belongs to one thread, Stop may be called from any other.
class Notifier {
 public:
  struct Options {
    std::string id;      // Of the publisher.
    std::string region;  // Without `regions/`.
  };
  // Opens the journal of the store at an address.
  using OpenJournal =
      std::function<absl::StatusOr<std::unique_ptr<ChangeJournal>>(
          const v1::Store&)>;

  // The references must outlive this object. `on_ready` is called once, after
  // the first welcome.
  Notifier(Options options, v1::RegionService::StubInterface& regions,
           v1::ChangeService::StubInterface& changes, OpenJournal open_journal,
           const Clock& clock, std::function<void()> on_ready);

  // Publishes until Stop, and returns OK then. ABORTED when another publisher
  // of the same id took over, or this journal is older than the one that was
  // published before: going on would only fight.
  absl::Status Run();

  // Ends the stream in order and makes Run return. When the server does not
  // end its side within a few seconds the stream is broken off, which loses
  // nothing.
  void Stop();

 private:
  grpc::Status PublishOnce();
  // Whether the region's store is still the one that was opened.
  absl::Status CheckStore(const v1::Store& opened);
  grpc::Status GetStore(v1::Store& store);
  grpc::Status AskForStore(grpc::ClientContext& context, v1::Store& store);
  // Logs `status` unless the same trouble was logged last.
  void NoteTrouble(const grpc::Status& status);
  void NoteProgress();
  // False when Stop was called.
  bool Sleep(absl::Duration delay);

  const Options options_;
  v1::RegionService::StubInterface& regions_;
  v1::ChangeService::StubInterface& changes_;
  const OpenJournal open_journal_;
  const Clock& clock_;

  // Of the thread in Run.
  std::function<void()> on_ready_;  // Empty once called.
  Backoff backoff_;
  std::string state_;  // What was logged last.

  Mutex mu_;
  CondVar changed_;
  PublishStream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;  // While it runs.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;  // The same.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace crr

#endif  // CRR_CLIENT_NOTIFIER_NOTIFIER_H_
