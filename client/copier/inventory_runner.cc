#include "client/copier/inventory_runner.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "client/copier/checkpointer.h"
#include "client/copier/key_walk.h"
#include "client/copier/trouble_reporter.h"

namespace crr {
namespace {

class Inventory {
 public:
  Inventory(const RunnerContext& context, const LeaseEnds& ends)
      : link_(context.link),
        range_objects_(link_.lease().range_objects()),
        walk_(*ends.source, ends.rule.source_bucket,
              {link_.lease().prefixes().begin(),
               link_.lease().prefixes().end()},
              link_.lease().cursor().key(), /*until=*/""),
        checkpointer_(link_, context.clock, context.timing),
        troubles_(link_, context.clock, context.timing.trouble_interval),
        backoff_(context.timing.retry_base, context.timing.retry_cap) {}

  RunEnd Run() {
    if (range_objects_ < 1) {
      return RunEnd::Failed(WithReason(
          absl::InvalidArgumentError("the lease names no size of ranges"),
          "INVALID_LEASE"));
    }
    link_.Wait(absl::ZeroDuration());  // The first one never waits.
    for (;;) {
      if (link_.lost()) return RunEnd::Over();
      if (const auto reason = link_.draining()) {
        return RunEnd::Release(*reason);
      }
      const absl::StatusOr<std::vector<ObjectInfo>> objects = walk_.Next();
      if (!objects.ok()) {
        troubles_.Failed(walk_.position(), ++failures_, objects.status());
        // The loop looks at what ended the wait.
        link_.Wait(backoff_.Next());
        continue;
      }
      failures_ = 0;
      backoff_.Reset();
      for (const ObjectInfo& object : *objects) Add(object.key);
      if (walk_.done() && range_.objects() > 0) CutRange();
      if (walk_.done() || report_.ranges_size() > 0) {
        if (auto end = Report()) return *end;
      }
    }
  }

 private:
  void Add(const std::string& key) {
    range_.set_end(key);
    range_.set_objects(range_.objects() + 1);
    if (range_.objects() == range_objects_) CutRange();
  }

  void CutRange() { *report_.add_ranges() = std::exchange(range_, {}); }

  // The end of the run, if this was it.
  std::optional<RunEnd> Report() {
    *report_.mutable_to() = checkpointer_.cursor();
    if (report_.ranges_size() > 0) {
      report_.mutable_to()->set_key(
          report_.ranges(report_.ranges_size() - 1).end());
    }
    report_.set_complete(walk_.done());
    auto end = checkpointer_.Record(std::exchange(report_, {}));
    if (!end.has_value()) troubles_.Wiped();
    return end;
  }

  LeaseLink& link_;
  const int64_t range_objects_;
  KeyWalk walk_;
  Checkpointer checkpointer_;
  TroubleReporter troubles_;
  Backoff backoff_;
  int failures_ = 0;
  v1::Checkpoint::Range range_;  // Not full yet.
  v1::Checkpoint report_;        // Ranges that no checkpoint has told of.
};

}  // namespace

RunEnd RunInventory(const RunnerContext& context, const LeaseEnds& ends) {
  return Inventory(context, ends).Run();
}

}  // namespace crr
