#include "server/durable_leases.h"

#include <utility>
#include <variant>

#include "server/core/work.h"
#include "storage/segment_table.h"
#include "storage/session_table.h"

namespace crr {
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
  database_.Write<CheckpointOutcome>(
      {},
      [checkpoint = std::move(checkpoint), attached = publishers_.attached(),
       now = clock_.WallNow()](Transaction& txn) {
        return ApplyCheckpoint(txn, checkpoint, attached, now);
      },
      Posted(std::move(answer)));
}

void DurableLeases::End(int64_t unit_id, int64_t token, std::string problem,
                        Answer<WorkEvents> answer) {
  database_.Write<WorkEvents>(
      {},
      [unit_id, token, problem = std::move(problem),
       now = clock_.WallNow()](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        return EndLease(txn, unit_id, token, problem, now);
      },
      Posted(std::move(answer)));
}

void DurableLeases::Note(int64_t unit_id, int64_t token, std::string message) {
  database_.Write<std::monostate>(
      {},
      [unit_id, token, message = std::move(message),
       now = clock_.WallNow()](
          Transaction& txn) -> absl::StatusOr<std::monostate> {
        NoteTrouble(txn, unit_id, token, message, now);
        return std::monostate{};
      },
      // A report that could not be stored comes again.
      [](const absl::StatusOr<std::monostate>&) {});
}

void DurableLeases::CloseRule(int64_t rule_uid,
                              Answer<ClosingOutcome> answer) {
  database_.Write<ClosingOutcome>(
      {}, [rule_uid](Transaction& txn) { return CloseStep(txn, rule_uid); },
      Posted(std::move(answer)));
}

void DurableLeases::ReadSegments(int64_t rule_uid, int64_t after,
                                 int64_t bytes_max,
                                 Answer<std::vector<Segment>> answer) {
  database_.Read<std::vector<Segment>>(
      [rule_uid, after, bytes_max](
          ReadTransaction& txn) -> absl::StatusOr<std::vector<Segment>> {
        return segment_table::Read(txn, rule_uid, 0, after, bytes_max);
      },
      Posted(std::move(answer)));
}

}  // namespace crr
