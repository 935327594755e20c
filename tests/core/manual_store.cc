#include "tests/core/manual_store.h"

#include <algorithm>

#include "storage/segment_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"

namespace crr::test {

bool ManualStore::RunStep() {
  if (steps_.empty()) return false;
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  std::optional<absl::Status> refusal;
  if (auto& refusals = refusals_[step.kind]; !refusals.empty()) {
    refusal = refusals.front();
    refusals.pop_front();
  }
  answers_.emplace_back(step.kind, step.run(refusal));
  return true;
}

bool ManualStore::Deliver() {
  if (answers_.empty()) return false;
  const auto answer = std::move(answers_.front().second);
  answers_.pop_front();
  answer();
  return true;
}

bool ManualStore::RunRead() {
  if (reads_.empty()) return false;
  const auto read = std::move(reads_.front());
  reads_.pop_front();
  read();
  return true;
}

void ManualStore::Settle() {
  while (RunStep() || Deliver() || RunRead()) {
  }
}

void ManualStore::Submit(Body body,
                         std::function<void(const WorkEvents&)> told) {
  Add<WorkEvents>(Kind::kOther, std::move(body),
                  [told = std::move(told)](
                      const absl::StatusOr<WorkEvents>& events) {
                    if (events.ok()) told(*events);
                  });
}

void ManualStore::Crash() {
  steps_.clear();
  answers_.clear();
  reads_.clear();
}

int ManualStore::waiting(Kind kind) const {
  return static_cast<int>(
      std::count_if(steps_.begin(), steps_.end(),
                    [&](const Step& step) { return step.kind == kind; }));
}

int ManualStore::unanswered(Kind kind) const {
  return static_cast<int>(
      std::count_if(answers_.begin(), answers_.end(),
                    [&](const auto& answer) { return answer.first == kind; }));
}

void ManualStore::StartSession(const std::string& copier,
                               const std::string& region,
                               std::optional<int64_t> known,
                               Answer<int64_t> answer) {
  Add<int64_t>(
      Kind::kStartSession,
      [=, now = clock_.WallNow()](Transaction& txn) {
        return crr::StartSession(txn, copier, region, known, now);
      },
      std::move(answer));
}

void ManualStore::ForgetSession(int64_t session_number) {
  Add<WorkEvents>(
      Kind::kForget,
      [session_number](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        session_table::DeleteIdle(txn, session_number);
        return WorkEvents{};
      },
      [](const absl::StatusOr<WorkEvents>&) {});
}

void ManualStore::Grant(int64_t unit_id, int64_t session_number,
                        Answer<LeaseSpec> answer) {
  Add<LeaseSpec>(
      Kind::kGrant,
      [unit_id, session_number, now = clock_.WallNow()](Transaction& txn) {
        return GrantUnit(txn, unit_id, session_number, now);
      },
      std::move(answer));
}

absl::StatusOr<CheckpointOutcome> ManualStore::ApplyBody(
    Transaction& txn, const Checkpoint& checkpoint) {
  return ApplyCheckpoint(txn, checkpoint, attached, clock_.WallNow());
}

void ManualStore::Apply(Checkpoint checkpoint,
                        Answer<CheckpointOutcome> answer) {
  Add<CheckpointOutcome>(
      Kind::kApply,
      [this, checkpoint = std::move(checkpoint)](Transaction& txn) {
        return ApplyBody(txn, checkpoint);
      },
      std::move(answer));
}

void ManualStore::End(int64_t unit_id, int64_t token, LeaseEnd end,
                      Answer<WorkEvents> answer) {
  Add<WorkEvents>(
      Kind::kEnd,
      [unit_id, token, end = std::move(end),
       now = clock_.WallNow()](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        return EndLease(txn, unit_id, token, end, now);
      },
      std::move(answer));
}

void ManualStore::Note(int64_t unit_id, int64_t token, std::string message) {
  Add<WorkEvents>(
      Kind::kNote,
      [unit_id, token, message = std::move(message),
       now = clock_.WallNow()](Transaction& txn) -> absl::StatusOr<WorkEvents> {
        NoteTrouble(txn, unit_id, token, message, now);
        return WorkEvents{};
      },
      [](const absl::StatusOr<WorkEvents>&) {});
}

void ManualStore::CloseRule(int64_t rule_uid, Answer<ClosingOutcome> answer) {
  Add<ClosingOutcome>(
      Kind::kClose,
      [rule_uid](Transaction& txn) { return CloseStep(txn, rule_uid); },
      std::move(answer));
}

void ManualStore::ResyncRule(int64_t rule_uid, Answer<ResyncOutcome> answer) {
  Add<ResyncOutcome>(
      Kind::kResync,
      [rule_uid, now = clock_.WallNow()](Transaction& txn) {
        return ResyncStep(txn, rule_uid, now);
      },
      std::move(answer));
}

void ManualStore::EndQuiet(Answer<bool> answer) {
  Add<bool>(
      Kind::kEndQuiet,
      [](Transaction& txn) -> absl::StatusOr<bool> {
        ClearRestored(txn);
        return true;
      },
      std::move(answer));
}

void ManualStore::ReadSegments(int64_t rule_uid, int64_t partition,
                               int64_t after, int64_t bytes_max,
                               Answer<std::vector<Segment>> answer) {
  reads_.push_back([this, rule_uid, partition, after, bytes_max,
                    answer = std::move(answer)] {
    if (!read_refusal_.ok()) {
      answer(std::exchange(read_refusal_, absl::OkStatus()));
      return;
    }
    answer(tables_.Do([&](Transaction& txn) {
      return segment_table::Read(txn, rule_uid, partition, after, bytes_max);
    }));
  });
}

}  // namespace crr::test
