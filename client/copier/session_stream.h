#ifndef CRR_CLIENT_COPIER_SESSION_STREAM_H_
#define CRR_CLIENT_COPIER_SESSION_STREAM_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "crr/v1/copier_service.pb.h"

namespace crr {

// How a stream ended, as the server said it.
struct StreamEnd {
  absl::Status status;
  std::string reason;  // Of the refusal; empty when there is none.
  std::optional<absl::Duration> retry_delay;
};

// One stream of CopierService.Session, seen from the copier. One thread may
// write while another reads; Cancel may come from any.
class SessionStream {
 public:
  virtual ~SessionStream() = default;

  // False when the stream is broken; Read tells when it has ended.
  virtual bool Write(const v1::SessionRequest& request) = 0;
  // After the last Write.
  virtual void WritesDone() = 0;
  // Blocks; false at the end.
  virtual bool Read(v1::SessionResponse* response) = 0;
  // Makes running and later calls fail.
  virtual void Cancel() = 0;
  // Requires: Read has returned false, and no call is running. Call once.
  virtual StreamEnd Finish() = 0;
};

// Opens streams. Thread-compatible.
class SessionTransport {
 public:
  virtual ~SessionTransport() = default;
  virtual std::unique_ptr<SessionStream> Open() = 0;
};

}  // namespace crr

#endif  // CRR_CLIENT_COPIER_SESSION_STREAM_H_
