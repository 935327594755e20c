#ifndef CRR_TESTS_CORE_RECORDING_OUTPUT_H_
#define CRR_TESTS_CORE_RECORDING_OUTPUT_H_

#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "server/core/lease_core.h"

namespace crr::test {

// Keeps what a LeaseCore sent, by stream and in order.
class RecordingOutput final : public LeaseOutput {
 public:
  void Send(StreamId stream, LeaseMessage message) override {
    streams_[stream].messages.push_back(std::move(message));
  }
  // The first end of a stream is the one that its copier sees.
  void Close(StreamId stream, absl::Status status) override {
    std::optional<absl::Status>& closed = streams_[stream].closed;
    if (!closed) closed = std::move(status);
  }

  const std::vector<LeaseMessage>& All(StreamId stream) {
    return streams_[stream].messages;
  }
  template <typename T>
  std::vector<T> Of(StreamId stream) {
    std::vector<T> found;
    for (const LeaseMessage& message : streams_[stream].messages) {
      if (const T* one = std::get_if<T>(&message)) found.push_back(*one);
    }
    return found;
  }
  // The last of its kind; an empty one when there is none.
  template <typename T>
  T Last(StreamId stream) {
    const std::vector<T> found = Of<T>(stream);
    return found.empty() ? T{} : found.back();
  }
  std::optional<absl::Status> closed(StreamId stream) {
    return streams_[stream].closed;
  }
  // Forgets what was sent so far.
  void Clear(StreamId stream) { streams_[stream].messages.clear(); }

 private:
  struct Stream {
    std::vector<LeaseMessage> messages;
    std::optional<absl::Status> closed;
  };
  std::map<StreamId, Stream> streams_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_RECORDING_OUTPUT_H_
