#include "client/copier/verify_runner.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/status_macros.h"
#include "client/copier/checkpointer.h"
#include "client/copier/copy_rule.h"
#include "client/copier/copy_window.h"
#include "client/copier/failure_reason.h"
#include "client/copier/key_walk.h"
#include "client/copier/low_water.h"
#include "client/copier/token_bucket.h"
#include "client/copier/trouble_reporter.h"

namespace crr {
namespace {

constexpr int kForeignKeysMax = 100;

// How the states of one key compare.
enum class Finding {
  kEqual,
  kLeftAlone,  // The rule does not say that they are to be equal.
  kForeign,    // A user's object at the destination, and none at the source.
  kMissing,
  kContent,
  kFacts,    // Equal bytes, and other facts or no mark.
  kExtra,    // A replica whose object was deleted at the source.
  kDamaged,  // The destination does not hold the bytes that it lists.
};

struct Difference {
  const char* reason;
  const char* message;
};

// Of a finding that is to be repaired.
Difference Describe(Finding finding) {
  switch (finding) {
    case Finding::kMissing:
      return {"MISSING", "there is no replica"};
    case Finding::kContent:
      return {"CONTENT", "the replica has other bytes"};
    case Finding::kFacts:
      return {"FACTS", "the replica has other metadata, tags, ACL or mark"};
    case Finding::kExtra:
      return {"EXTRA", "the source has no object for this replica"};
    default:
      return {"DAMAGED", "the replica's bytes are not what its store says"};
  }
}

class Verification {
 public:
  Verification(const RunnerContext& context, const LeaseEnds& ends)
      : link_(context.link),
        lease_(link_.lease()),
        clock_(context.clock),
        timing_(context.timing),
        rule_(ends.rule),
        source_(Walk(*rule_.source, rule_.source_bucket)),
        destination_(Walk(*rule_.destination, rule_.destination_bucket)),
        rate_(lease_.bytes_per_second(), clock_),
        checkpointer_(link_, clock_, timing_),
        troubles_(link_, clock_, timing_.trouble_interval),
        backoff_(timing_.retry_base, timing_.retry_cap),
        last_report_(clock_.Now()) {
    Clear();
  }

  RunEnd Run() {
    link_.Wait(absl::ZeroDuration());  // The first one never waits.
    for (;;) {
      if (link_.lost()) return RunEnd::Over();
      const auto draining = link_.draining();
      if (draining.has_value() && compared_ == 0) {
        return RunEnd::Release(*draining);
      }
      if (draining.has_value() || done_ || ReportIsDue()) {
        if (auto end = Report()) return *end;
        continue;
      }
      if (const absl::Status status = CompareNext(); status.ok()) {
        failures_ = 0;
        backoff_.Reset();
      } else {
        troubles_.Failed(source_.listed.empty() ? source_.walk.position()
                                                : source_.listed.front().key,
                         ++failures_, status);
        // The loop looks at what ended the wait.
        link_.Wait(backoff_.Next());
      }
    }
  }

 private:
  using Object = std::optional<ObjectInfo>;

  // One listing, and what of it is not compared yet.
  struct Side {
    KeyWalk walk;
    std::deque<ObjectInfo> listed;
  };

  Side Walk(ObjectStore& store, const std::string& bucket) const {
    return {
        .walk = KeyWalk(store, bucket,
                        {lease_.prefixes().begin(), lease_.prefixes().end()},
                        std::max(lease_.range_start(), lease_.cursor().key()),
                        lease_.range_end()),
        .listed = {}};
  }

  static absl::Status Fill(Side& side) {
    while (side.listed.empty() && !side.walk.done()) {
      CRR_ASSIGN_OR_RETURN(std::vector<ObjectInfo> objects, side.walk.Next());
      std::move(objects.begin(), objects.end(),
                std::back_inserter(side.listed));
    }
    return absl::OkStatus();
  }

  // The next key of either listing. After an error it is still the next.
  absl::Status CompareNext() {
    CRR_RETURN_IF_ERROR(Fill(source_));
    CRR_RETURN_IF_ERROR(Fill(destination_));
    const bool any_origin = !source_.listed.empty();
    const bool any_replica = !destination_.listed.empty();
    if (!any_origin && !any_replica) {
      done_ = true;
      return absl::OkStatus();
    }
    const bool take_origin =
        any_origin && (!any_replica || source_.listed.front().key <=
                                           destination_.listed.front().key);
    const bool take_replica =
        any_replica && (!any_origin || destination_.listed.front().key <=
                                           source_.listed.front().key);
    const Object origin =
        take_origin ? Object(source_.listed.front()) : std::nullopt;
    const Object replica =
        take_replica ? Object(destination_.listed.front()) : std::nullopt;
    const std::string& key = take_origin ? origin->key : replica->key;
    const int64_t size = take_origin ? origin->size : 0;

    const absl::StatusOr<Finding> finding = Look(key, origin, replica);
    if (finding.ok()) {
      Count(key, size, *finding);
    } else if (ScopeOf(finding.status()) == FailureScope::kObject &&
               failures_ + 1 >= kLaneFailures) {
      // One key that cannot be looked at does not hold up the others.
      Differs(key, size, ReasonOf(finding.status()),
              MessageOf(finding.status()));
    } else {
      return finding.status();
    }
    report_.mutable_to()->set_key(key);
    ++compared_;
    if (take_origin) source_.listed.pop_front();
    if (take_replica) destination_.listed.pop_front();
    return absl::OkStatus();
  }

  // `origin` and `replica` as listed.
  absl::StatusOr<Finding> Look(const std::string& key, const Object& origin,
                               const Object& replica) {
    // What an absence is worth the listing does not tell; it does not matter
    // where nothing is ever deleted.
    if (origin.has_value() || rule_.operations == Operations::kAddChange) {
      CRR_ASSIGN_OR_RETURN(const Finding listed,
                           Compare(key, {.object = origin}, replica));
      if (listed == Finding::kEqual || listed == Finding::kLeftAlone) {
        return listed;
      }
    }
    CRR_ASSIGN_OR_RETURN(
        const KeyState replica_now,
        rule_.destination->Head(rule_.destination_bucket, key));
    CRR_ASSIGN_OR_RETURN(const KeyState origin_now,
                         rule_.source->Head(rule_.source_bucket, key));
    return Compare(key, origin_now, replica_now.object);
  }

  absl::StatusOr<Finding> Compare(const std::string& key,
                                  const KeyState& origin_state,
                                  const Object& replica) {
    const Object& origin = origin_state.object;
    if (!origin.has_value()) {
      if (!replica.has_value()) return Finding::kEqual;
      if (!IsOurs(rule_, *replica)) return Finding::kForeign;
      return rule_.operations == Operations::kAddDeleteChange &&
                     IsDeletion(rule_, origin_state)
                 ? Finding::kExtra
                 : Finding::kLeftAlone;
    }
    // A stamp is the time of the user's last operation on the object.
    if (!FilterReasonOf(rule_, *origin).empty() ||
        absl::FromUnixMicros(origin->stamp) < rule_.changed_since) {
      return Finding::kLeftAlone;
    }
    if (!replica.has_value()) return Finding::kMissing;
    if (!SameContent(rule_, *origin, *replica)) return Finding::kContent;
    if (!IsOurs(rule_, *replica) ||
        replica->facts != ReplicaFacts(rule_, *origin)) {
      return Finding::kFacts;
    }
    if (!lease_.read_bytes()) return Finding::kEqual;
    CRR_ASSIGN_OR_RETURN(const bool intact, IsIntact(key, *origin));
    return intact ? Finding::kEqual : Finding::kDamaged;
  }

  absl::StatusOr<bool> IsIntact(const std::string& key,
                                const ObjectInfo& origin) {
    CRR_RETURN_IF_ERROR(link_.Pause(rate_.Take(origin.size)));
    const absl::StatusOr<Proof> proof =
        rule_.destination->Prove(rule_.destination_bucket, key);
    if (absl::IsDataLoss(proof.status()) || absl::IsNotFound(proof.status())) {
      return false;
    }
    CRR_RETURN_IF_ERROR(proof.status());
    return proof->size == origin.size &&
           (!EtagsCompare(rule_) || proof->etag == origin.etag);
  }

  void Count(const std::string& key, int64_t size, Finding finding) {
    v1::Checkpoint::Compared& compared = *report_.mutable_compared();
    if (finding == Finding::kEqual || finding == Finding::kLeftAlone) {
      compared.set_equal(compared.equal() + 1);
    } else if (finding == Finding::kForeign) {
      compared.set_foreign(compared.foreign() + 1);
      if (compared.foreign_keys_size() < kForeignKeysMax) {
        compared.add_foreign_keys(key);
      }
    } else {
      const Difference difference = Describe(finding);
      Differs(key, size, difference.reason, difference.message);
    }
  }

  void Differs(const std::string& key, int64_t size, std::string reason,
               std::string message) {
    v1::ObjectFailure& failed = *report_.add_failed();
    failed.set_key(key);
    failed.set_reason(std::move(reason));
    failed.set_message(std::move(message));
    failed.set_size_bytes(size);
  }

  bool ReportIsDue() const {
    return compared_ >= timing_.checkpoint_entries ||
           report_.failed_size() >= static_cast<int>(kFailuresPerInterval) ||
           (compared_ > 0 &&
            clock_.Now() - last_report_ >= timing_.checkpoint_interval);
  }

  // The end of the run, if this was it.
  std::optional<RunEnd> Report() {
    if (done_ && !lease_.range_end().empty()) {
      report_.mutable_to()->set_key(lease_.range_end());
    }
    report_.set_complete(done_);
    auto end = checkpointer_.Record(std::move(report_));
    if (end.has_value()) return end;
    Clear();
    troubles_.Wiped();
    last_report_ = clock_.Now();
    return std::nullopt;
  }

  void Clear() {
    report_ = {};
    *report_.mutable_to() = checkpointer_.cursor();
    report_.mutable_compared();
    compared_ = 0;
  }

  LeaseLink& link_;
  const v1::Lease& lease_;
  const Clock& clock_;
  const RunnerTiming& timing_;
  const CopyRule& rule_;
  Side source_;
  Side destination_;
  bool done_ = false;  // Both listings are at their end, and all is compared.
  TokenBucket rate_;
  Checkpointer checkpointer_;
  TroubleReporter troubles_;
  Backoff backoff_;
  int failures_ = 0;  // Of listings or of looks at one key, in a row.
  Ticks last_report_;
  v1::Checkpoint report_;  // What no checkpoint has told of.
  int64_t compared_ = 0;   // Keys in it.
};

}  // namespace

RunEnd RunVerify(const RunnerContext& context, const LeaseEnds& ends) {
  return Verification(context, ends).Run();
}

}  // namespace crr
