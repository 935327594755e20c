#ifndef CRR_TESTS_RPC_NO_OUTPUT_H_
#define CRR_TESTS_RPC_NO_OUTPUT_H_

#include "absl/status/status.h"
#include "server/core/lease_core.h"

namespace crr::test {

// Of a lease loop that nobody's stream hangs on.
class NoOutput final : public LeaseOutput {
 public:
  void Send(StreamId, LeaseMessage) override {}
  void Close(StreamId, absl::Status) override {}
};

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_NO_OUTPUT_H_
