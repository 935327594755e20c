#ifndef CRR_SERVER_RPC_LEASE_CONVERTERS_H_
#define CRR_SERVER_RPC_LEASE_CONVERTERS_H_

#include <vector>

#include "crr/v1/copier_service.pb.h"
#include "server/core/lease_messages.h"
#include "server/core/lease_options.h"
#include "server/core/refusal.h"
#include "server/core/checkpoint.h"

namespace crr {

// Between the messages of a copier's stream and plain values.

HelloMessage FromProto(const v1::Hello& hello, std::vector<Violation>& found);
Checkpoint FromProto(const v1::Checkpoint& checkpoint);

// What a copier reports for people, cut to limits::kReportBytesMax at the border
// of a character.
std::string BoundedReport(const std::string& text);

v1::SessionResponse ToProto(const LeaseMessage& message,
                            const LeaseOptions& options);

// Whether it must not wait behind segments.
bool IsUrgent(const LeaseMessage& message);

}  // namespace crr

#endif  // CRR_SERVER_RPC_LEASE_CONVERTERS_H_
