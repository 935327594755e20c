#include "client/copier/trouble_reporter.h"

#include <string>

#include "client/copier/failure_reason.h"

namespace crr {

void TroubleReporter::Failed(absl::string_view key, int failures,
                             const absl::Status& status) {
  const Ticks now = clock_.Now();
  if (failures < 2 || now < next_) return;
  next_ = now + interval_;
  v1::Trouble trouble;
  trouble.set_key(std::string(key));
  trouble.set_reason(ReasonOf(status));
  trouble.set_message(MessageOf(status));
  link_.Send(std::move(trouble));
}

}  // namespace crr
