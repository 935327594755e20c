#include "client/copier/changes_runner.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/copier/change_queue.h"
#include "client/copier/failure_reason.h"
#include "crr/v1/change.pb.h"

namespace crr {
namespace {

absl::Status Malformed(absl::string_view what) {
  return WithReason(absl::InternalError(what), "MALFORMED_SEGMENT");
}

class ChangesLane final : public CopyLane {
 public:
  ChangesLane(const RunnerContext& context, const LeaseEnds& ends)
      : CopyLane(context, ends.rule),
        rule_create_time_(context.link.lease().rule_create_time()),
        window_entries_(context.timing.window_entries),
        isolate_first_(context.link.lease().isolate_first()),
        received_(context.link.lease().cursor().sequence()),
        queue_(received_) {}

 protected:
  absl::Status Receive(const std::vector<v1::Segment>& segments) override {
    for (const v1::Segment& segment : segments) {
      CRR_RETURN_IF_ERROR(Take(segment));
    }
    return absl::OkStatus();
  }

  void StartMore(CopyWindow& window) override {
    // Changes that wait fold into one look, so all that fit are queued first.
    while (!arrived_.empty() && queue_.open() < window_entries_) {
      const Arrived& next = arrived_.front();
      queue_.Add(next.sequence, next.key, next.reason);
      arrived_.pop_front();
    }
    while (window.CanStart()) {
      const auto work = queue_.Next();
      if (!work.has_value()) return;
      if (std::exchange(isolate_first_, false)) {
        queue_.Settle(work->key, CopierLost());
        return;
      }
      window.Start(work->key, work->reason);
    }
  }

  void Settle(const CopyWindow::Done& done) override {
    queue_.Settle(done.key, done.result);
  }

  int64_t Unreported() const override { return queue_.ready(); }
  bool Finished() const override { return false; }

  v1::Checkpoint TakeInterval() override {
    const LowWater<int64_t>::Interval interval = queue_.Take();
    v1::Checkpoint checkpoint = CheckpointOf(interval.counts);
    checkpoint.mutable_to()->set_sequence(interval.to);
    return checkpoint;
  }

  absl::Duration NextDue() const override { return absl::InfiniteDuration(); }

 private:
  struct Arrived {
    int64_t sequence;
    std::string key;
    CopyReason reason;
  };

  // A deletion of before the rule is none of the rule's: what users have at
  // the destination is not there to go with it. Clocks that differ are given
  // no margin: in doubt nothing of a user's is deleted.
  CopyReason CopyReasonOf(const v1::Change& change) const {
    const bool before_rule =
        change.has_event_time() && change.event_time() < rule_create_time_;
    return change.kind() == v1::Change::DELETE && !before_rule
               ? CopyReason::kDelete
               : CopyReason::kOtherChange;
  }

  absl::Status Take(const v1::Segment& segment) {
    v1::ChangeBatch batch;
    if (!batch.ParseFromString(segment.changes()) ||
        segment.first_sequence() + batch.changes_size() !=
            segment.last_sequence() + 1) {
      return Malformed("a segment does not hold the changes that it says");
    }
    // A gap would be changes that nobody ever looks at.
    if (segment.first_sequence() > received_ + 1) {
      return Malformed(absl::StrCat("changes ", received_ + 1, " to ",
                                    segment.first_sequence() - 1,
                                    " were left out"));
    }
    int64_t sequence = segment.first_sequence();
    for (v1::Change& change : *batch.mutable_changes()) {
      if (sequence > received_) {
        arrived_.push_back(
            {sequence, std::move(*change.mutable_key()), CopyReasonOf(change)});
      }
      ++sequence;
    }
    received_ = std::max(received_, segment.last_sequence());
    return absl::OkStatus();
  }

  // Long ago when the server does not tell.
  const google::protobuf::Timestamp rule_create_time_;
  const size_t window_entries_;
  bool isolate_first_;
  int64_t received_;
  // Bounded by the credit that the copier gave the server.
  std::deque<Arrived> arrived_;
  ChangeQueue queue_;
};

}  // namespace

RunEnd RunChanges(const RunnerContext& context, const LeaseEnds& ends) {
  return ChangesLane(context, ends).Run();
}

}  // namespace crr
