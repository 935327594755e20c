#include "client/copier/backfill_runner.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "client/copier/change_queue.h"
#include "client/copier/key_walk.h"
#include "client/copier/low_water.h"

namespace crr {
namespace {

class BackfillLane final : public CopyLane {
 public:
  BackfillLane(const RunnerContext& context, const LeaseEnds& ends)
      : CopyLane(context, ends.rule),
        lease_(context.link.lease()),
        clock_(context.clock),
        window_entries_(context.timing.window_entries),
        isolate_first_(lease_.isolate_first()),
        begin_(std::max(lease_.range_start(), lease_.cursor().key())),
        walk_(*ends.source, ends.rule.source_bucket,
              {lease_.prefixes().begin(), lease_.prefixes().end()}, begin_,
              lease_.range_end()),
        low_water_(begin_),
        backoff_(context.timing.retry_base, context.timing.retry_cap),
        list_at_(context.clock.Now()) {}

 protected:
  absl::Status Receive(const std::vector<v1::Segment>&) override {
    return absl::OkStatus();
  }

  void StartMore(CopyWindow& window) override {
    while (window.CanStart() && low_water_.open() < window_entries_) {
      if (listed_.empty() && !ListMore()) return;
      if (listed_.empty()) continue;
      const std::string key = std::move(listed_.front());
      listed_.pop_front();
      low_water_.Begin(key);
      if (std::exchange(isolate_first_, false)) {
        low_water_.Settle(key, CountsOf(key, CopierLost()));
        return;
      }
      window.Start(key, CopyReason::kBackfill);
    }
  }

  void Settle(const CopyWindow::Done& done) override {
    low_water_.Settle(done.key, CountsOf(done.key, done.result));
  }

  int64_t Unreported() const override { return low_water_.ready(); }

  bool Finished() const override {
    return walk_.done() && listed_.empty() && low_water_.open() == 0;
  }

  v1::Checkpoint TakeInterval() override {
    const LowWater<std::string>::Interval interval = low_water_.Take();
    v1::Checkpoint checkpoint = CheckpointOf(interval.counts);
    const bool complete = Finished() && low_water_.ready() == 0;
    checkpoint.set_complete(complete);
    checkpoint.mutable_to()->set_key(
        complete && !lease_.range_end().empty() ? lease_.range_end()
        : interval.to == begin_                 ? lease_.cursor().key()
                                                : interval.to);
    return checkpoint;
  }

  absl::Duration NextDue() const override {
    return failures_ > 0 ? list_at_ - clock_.Now() : absl::InfiniteDuration();
  }

 private:
  // False when there is nothing more, or nothing for now.
  bool ListMore() {
    if (walk_.done() || clock_.Now() < list_at_) return false;
    absl::StatusOr<std::vector<ObjectInfo>> objects = walk_.Next();
    if (!objects.ok()) {
      troubles().Failed(walk_.position(), ++failures_, objects.status());
      list_at_ = clock_.Now() + backoff_.Next();
      return false;
    }
    failures_ = 0;
    backoff_.Reset();
    for (ObjectInfo& object : *objects) {
      listed_.push_back(std::move(object.key));
    }
    return true;
  }

  const v1::Lease& lease_;
  const Clock& clock_;
  const size_t window_entries_;
  bool isolate_first_;
  const std::string begin_;  // Keys above this are still to be done.
  KeyWalk walk_;
  std::deque<std::string> listed_;  // Not started yet.
  LowWater<std::string> low_water_;
  Backoff backoff_;
  int failures_ = 0;  // Of the listing, in a row.
  Ticks list_at_;     // Not before this.
};

}  // namespace

RunEnd RunBackfill(const RunnerContext& context, const LeaseEnds& ends) {
  return BackfillLane(context, ends).Run();
}

}  // namespace crr
