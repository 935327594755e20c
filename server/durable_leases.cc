#include "server/durable_leases.h"

#include <utility>
#include <variant>

#include "server/core/limits.h"
#include "server/core/work.h"
#include "storage/segment_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"

namespace crr {
namespace {

size_t BytesOf(const Checkpoint& checkpoint) {
  size_t bytes = sizeof(checkpoint);
  for (const Checkpoint::Range& range : checkpoint.ranges) {
    bytes += sizeof(range) + range.end.size();
  }
  for (const ObjectFailure& failed : checkpoint.failed) {
    bytes += sizeof(failed) + failed.key.size() + failed.message.size();
  }
  return bytes;
}

}  // namespace

void DurableLeases::StartSession(const std::string& copier,
                                 const std::string& region,
                                 std::optional<int64_t> known,
                                 Answer<int64_t> answer) {
  database_.Write<int64_t>(
      {},
      [copier, region, known, now = clock_.WallNow()](Transaction& txn) {
        return crr::StartSession(txn, copier, region, known, now);
      },
      Posted(std::move(answer)));
}

void DurableLeases::ForgetSession(int64_t session_number) {
  database_.Write<std::monostate>(
      {},
      [session_number](Transaction& txn) -> absl::StatusOr<std::monostate> {
        session_table::DeleteIdle(txn, session_number);
        return std::monostate{};
      },
      // A row that stays costs a few bytes and goes at the next restart.
      [](const absl::StatusOr<std::monostate>&) {});
}

void DurableLeases::Grant(int64_t unit_id, int64_t session_number,
                          Answer<LeaseSpec> answer) {
  database_.Write<LeaseSpec>(
      {},
      [unit_id, session_number, now = clock_.WallNow()](Transaction& txn) {
        return GrantUnit(txn, unit_id, session_number, now);
      },
      Posted(std::move(answer)));
}

void DurableLeases::Apply(Checkpoint checkpoint,
                          Answer<CheckpointOutcome> answer) {
  const size_t bytes = BytesOf(checkpoint);
  std::set<std::string> attached;
  if (checkpoint.probe) attached = publishers_.attached();
  database_.Write<CheckpointOutcome>(
      {.cancelled = nullptr, .bytes = bytes},
      [checkpoint = std::move(checkpoint), attached = std::move(attached),
       now = clock_.WallNow()](Transaction& txn) {
        return ApplyCheckpoint(txn, checkpoint, attached, now);
      },
      PostedMove(std::move(answer), [](const CheckpointOutcome& outcome) {
        return outcome.rule_uid;
      }));
}

void DurableLeases::End(int64_t unit_id, int64_t token, LeaseEnd end,
                        Answer<WorkEvents> answer) {
  struct Ended {
    int64_t rule_uid = 0;
    WorkEvents events;
  };
  database_.Write<Ended>(
      {},
      [unit_id, token, end = std::move(end),
       now = clock_.WallNow()](Transaction& txn) -> absl::StatusOr<Ended> {
        // An object's last attempt moves its changes to the dead letters.
        const auto unit = unit_table::Get(txn, unit_id);
        return Ended{.rule_uid = unit ? unit->rule_uid : 0,
                     .events = EndLease(txn, unit_id, token, end, now)};
      },
      [&ledgers = ledgers_,
       done = Posted(std::move(answer))](absl::StatusOr<Ended> ended) {
        if (!ended.ok()) return done(ended.status());
        if (ended->rule_uid != 0) ledgers.Touch(ended->rule_uid);
        done(std::move(ended->events));
      });
}

void DurableLeases::Note(int64_t unit_id, int64_t token, std::string message) {
  if (++*notes_in_hand_ > limits::kNotesInHandMax) {
    --*notes_in_hand_;
    return;
  }
  database_.Write<std::monostate>(
      {},
      [unit_id, token, message = std::move(message),
       now = clock_.WallNow()](
          Transaction& txn) -> absl::StatusOr<std::monostate> {
        NoteTrouble(txn, unit_id, token, message, now);
        return std::monostate{};
      },
      // A report that could not be stored comes again.
      [notes = notes_in_hand_](const absl::StatusOr<std::monostate>&) {
        --*notes;
      });
}

void DurableLeases::CloseRule(int64_t rule_uid,
                              Answer<ClosingOutcome> answer) {
  database_.Write<ClosingOutcome>(
      {}, [rule_uid](Transaction& txn) { return CloseStep(txn, rule_uid); },
      PostedMove(std::move(answer),
                 [rule_uid](const ClosingOutcome&) { return rule_uid; }));
}

void DurableLeases::ResyncRule(int64_t rule_uid,
                               Answer<ResyncOutcome> answer) {
  database_.Write<ResyncOutcome>(
      {},
      [rule_uid, now = clock_.WallNow()](Transaction& txn) {
        return ResyncStep(txn, rule_uid, now);
      },
      PostedMove(std::move(answer),
                 [rule_uid](const ResyncOutcome&) { return rule_uid; }));
}

void DurableLeases::EndQuiet(Answer<bool> answer) {
  database_.Write<bool>(
      {},
      [](Transaction& txn) -> absl::StatusOr<bool> {
        ClearRestored(txn);
        return true;
      },
      Posted(std::move(answer)));
}

void DurableLeases::ReadSegments(int64_t rule_uid, int64_t partition,
                                 int64_t after, int64_t bytes_max,
                                 Answer<std::vector<Segment>> answer) {
  database_.Read<std::vector<Segment>>(
      [rule_uid, partition, after, bytes_max](
          ReadTransaction& txn) -> absl::StatusOr<std::vector<Segment>> {
        return segment_table::Read(txn, rule_uid, partition, after, bytes_max,
                                   limits::kSegmentsPerReadMax);
      },
      Posted(std::move(answer)));
}

}  // namespace crr
