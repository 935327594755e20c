#ifndef CRR_SERVER_DURABLE_LEASES_H_
#define CRR_SERVER_DURABLE_LEASES_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/core/lease_core.h"
#include "server/ledger_watch.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// LeaseStore over the database. `post` takes each answer, from a database
// thread, to the thread that drives the core. `ledgers` hears of the rules
// whose ledger was moved. Thread-compatible.
class DurableLeases final : public LeaseStore {
 public:
  using PostAnswer = std::function<void(std::function<void()>)>;

  DurableLeases(Database& database, PublisherHub& publishers,
                LedgerWatch& ledgers, const Clock& clock, PostAnswer post)
      : database_(database),
        publishers_(publishers),
        ledgers_(ledgers),
        clock_(clock),
        post_(std::move(post)) {}

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

 private:
  // The same as Posted, for what may have moved the ledger of the rule that
  // `rule_of` the value names; 0 for none.
  template <typename T, typename RuleOf>
  Database::Done<T> PostedMove(Answer<T> answer, RuleOf rule_of) const {
    return [&ledgers = ledgers_, rule_of,
            done = Posted(std::move(answer))](absl::StatusOr<T> value) {
      if (const int64_t uid = value.ok() ? rule_of(*value) : 0; uid != 0) {
        ledgers.Touch(uid);
      }
      done(std::move(value));
    };
  }
  template <typename T>
  Database::Done<T> Posted(Answer<T> answer) const {
    return [post = post_, answer = std::move(answer)](absl::StatusOr<T> value) {
      post([answer, value = std::move(value)]() mutable {
        answer(std::move(value));
      });
    };
  }

  Database& database_;
  PublisherHub& publishers_;
  LedgerWatch& ledgers_;
  const Clock& clock_;
  const PostAnswer post_;
  // Those that are not stored yet; lives as long as their answers may come.
  const std::shared_ptr<std::atomic<int>> notes_in_hand_ =
      std::make_shared<std::atomic<int>>(0);
};

}  // namespace crr

#endif  // CRR_SERVER_DURABLE_LEASES_H_
