#ifndef CRR_SERVER_DURABLE_LEASES_H_
#define CRR_SERVER_DURABLE_LEASES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/core/lease_core.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// LeaseStore over the database. `post` takes each answer, from a database
// thread, to the thread that drives the core. Thread-compatible.
class DurableLeases final : public LeaseStore {
 public:
  using PostAnswer = std::function<void(std::function<void()>)>;

  DurableLeases(Database& database, PublisherHub& publishers,
                const Clock& clock, PostAnswer post)
      : database_(database),
        publishers_(publishers),
        clock_(clock),
        post_(std::move(post)) {}

  void StartSession(const std::string& copier, const std::string& region,
                    std::optional<int64_t> known,
                    Answer<int64_t> answer) override;
  void ForgetSession(int64_t session_number) override;
  void Grant(int64_t unit_id, int64_t session_number,
             Answer<LeaseSpec> answer) override;
  void Apply(Checkpoint checkpoint, Answer<CheckpointOutcome> answer) override;
  void End(int64_t unit_id, int64_t token, std::string problem,
           Answer<WorkEvents> answer) override;
  void Note(int64_t unit_id, int64_t token, std::string message) override;
  void CloseRule(int64_t rule_uid, Answer<ClosingOutcome> answer) override;
  void ReadSegments(int64_t rule_uid, int64_t after, int64_t bytes_max,
                    Answer<std::vector<Segment>> answer) override;

 private:
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
  const Clock& clock_;
  const PostAnswer post_;
};

}  // namespace crr

#endif  // CRR_SERVER_DURABLE_LEASES_H_
