#ifndef CRR_TESTS_CORE_MANUAL_STORE_H_
#define CRR_TESTS_CORE_MANUAL_STORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/core/lease_core.h"
#include "tests/core/test_tables.h"

namespace crr::test {

// The durable side of a LeaseCore, played by hand. What the core asks for runs
// its real body, but only in RunStep; and what it answers reaches the core only
// in Deliver. So a test can stand at any point between a request, its commit
// and its answer. Steps commit in the order in which they were asked for, and
// are answered in the order of their commits, as Database does it; reads come
// and go by themselves.
class ManualStore : public LeaseStore {
 public:
  enum class Kind {
    kStartSession,
    kForget,
    kGrant,
    kApply,
    kEnd,
    kNote,
    kClose,
    kResync,
    kEndQuiet,
    kOther
  };

  ManualStore(TestTables& tables, const Clock& clock)
      : tables_(tables), clock_(clock) {}

  // Publishers whose streams are open.
  std::set<std::string> attached;

  // Commits the next step; false when there is none.
  bool RunStep();
  // Gives the next answer; false when there is none.
  bool Deliver();
  // Runs and answers the next read; false when there is none.
  bool RunRead();
  // All of that, until the core asks for nothing more.
  void Settle();

  // The next `times` steps of the kind are refused without being run.
  void Refuse(Kind kind, absl::Status status, int times = 1) {
    for (int i = 0; i < times; ++i) refusals_[kind].push_back(status);
  }
  void ClearRefusals() { refusals_.clear(); }
  // The next read is refused.
  void RefuseRead(absl::Status status) { read_refusal_ = std::move(status); }

  // Puts a transaction of somebody else in line. `told`: gets its events.
  using Body = std::function<absl::StatusOr<WorkEvents>(Transaction&)>;
  void Submit(Body body, std::function<void(const WorkEvents&)> told);

  // The process ends: what was not committed never is, and nobody hears of
  // the rest.
  void Crash();

  // Steps of the kind that wait to be committed, or to be answered.
  int waiting(Kind kind) const;
  int unanswered(Kind kind) const;
  int reads() const { return static_cast<int>(reads_.size()); }

  // LeaseStore.
  void StartSession(const std::string& copier, const std::string& region,
                    std::optional<int64_t> known,
                    Answer<int64_t> answer) override;
  void ForgetSession(int64_t session_number) override;
  void Grant(int64_t unit_id, int64_t session_number,
             Answer<LeaseSpec> answer) override;
  void Apply(Checkpoint checkpoint, Answer<CheckpointOutcome> answer) override;
  void End(int64_t unit_id, int64_t token, LeaseEnd end,
           Answer<WorkEvents> answer) override;
  void Note(int64_t unit_id, int64_t token, std::string message) override;
  void CloseRule(int64_t rule_uid, Answer<ClosingOutcome> answer) override;
  void ResyncRule(int64_t rule_uid, Answer<ResyncOutcome> answer) override;
  void EndQuiet(Answer<bool> answer) override;
  void ReadSegments(int64_t rule_uid, int64_t partition, int64_t after,
                    int64_t bytes_max,
                    Answer<std::vector<Segment>> answer) override;

 protected:
  // For tests of what happens when this is done wrong.
  virtual absl::StatusOr<CheckpointOutcome> ApplyBody(
      Transaction& txn, const Checkpoint& checkpoint);

 private:
  struct Step {
    Kind kind;
    // Commits, unless refused, and returns the answer.
    std::function<std::function<void()>(std::optional<absl::Status> refusal)>
        run;
  };

  template <typename T>
  void Add(Kind kind, std::function<absl::StatusOr<T>(Transaction&)> body,
           Answer<T> answer) {
    steps_.push_back(
        {kind, [this, body = std::move(body), answer = std::move(answer)](
                   std::optional<absl::Status> refusal) {
           absl::StatusOr<T> result =
               refusal ? absl::StatusOr<T>(*refusal) : tables_.Try(body);
           return [answer, result = std::move(result)] { answer(result); };
         }});
  }

  TestTables& tables_;
  const Clock& clock_;
  std::deque<Step> steps_;
  std::deque<std::pair<Kind, std::function<void()>>> answers_;
  std::deque<std::function<void()>> reads_;
  std::map<Kind, std::deque<absl::Status>> refusals_;
  absl::Status read_refusal_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_CORE_MANUAL_STORE_H_
