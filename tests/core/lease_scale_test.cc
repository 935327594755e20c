// What a cell has at most (design §9): 10,000 sessions. What a grant, a release
// or a heartbeat costs must not grow with their number.

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/lease_core.h"
#include "tests/support/fake_clock.h"

namespace crr {
namespace {

constexpr int kSessions = 10'000;
constexpr int kLeasesOfEach = 4;

// Says yes to everything, and stores nothing.
class WillingStore final : public LeaseStore {
 public:
  void Settle() {
    while (!answers_.empty()) {
      const auto answer = std::move(answers_.front());
      answers_.pop_front();
      answer();
    }
  }
  void StartSession(const std::string&, const std::string&,
                    std::optional<int64_t>, Answer<int64_t> answer) override {
    Say(std::move(answer), ++last_);
  }
  void ForgetSession(int64_t) override {}
  void Grant(int64_t unit_id, int64_t, Answer<LeaseSpec> answer) override {
    Say(std::move(answer), LeaseSpec{.unit_id = unit_id, .token = ++last_});
  }
  void Apply(Checkpoint, Answer<CheckpointOutcome> answer) override {
    Say(std::move(answer), CheckpointOutcome{});
  }
  void End(int64_t, int64_t, LeaseEnd, Answer<WorkEvents> answer) override {
    Say(std::move(answer), WorkEvents{});
  }
  void Note(int64_t, int64_t, std::string) override {}
  void CloseRule(int64_t, Answer<ClosingOutcome> answer) override {
    Say(std::move(answer), ClosingOutcome{.gone = true});
  }
  void ResyncRule(int64_t, Answer<ResyncOutcome> answer) override {
    Say(std::move(answer), ResyncOutcome{.done = true});
  }
  void EndQuiet(Answer<bool> answer) override { Say(std::move(answer), true); }
  void ReadSegments(int64_t, int64_t, int64_t, int64_t,
                    Answer<std::vector<Segment>> answer) override {
    Say(std::move(answer), std::vector<Segment>{});
  }

 private:
  template <typename T>
  void Say(Answer<T> answer, T value) {
    answers_.push_back([answer = std::move(answer), value = std::move(value)] {
      answer(value);
    });
  }
  std::deque<std::function<void()>> answers_;
  int64_t last_ = 0;
};

// Remembers who was granted what.
class GrantOutput final : public LeaseOutput {
 public:
  void Send(StreamId stream, LeaseMessage message) override {
    if (const auto* lease = std::get_if<LeaseSpec>(&message)) {
      grants.push_back({stream, {lease->unit_id, lease->token, 0}});
    }
  }
  void Close(StreamId, absl::Status) override {}
  std::vector<std::pair<StreamId, LeaseRef>> grants;
};

// 80,000 grants; a walk over the sessions at each would look at 10,000.
TEST(LeaseScaleTest, TenThousandSessionsAreServedInSeconds) {
  test::FakeClock clock;
  WillingStore store;
  GrantOutput output;
  LeaseCore core(LeaseOptions::FromTtl(absl::Seconds(10)), clock, store,
                 output);
  const auto begin = std::chrono::steady_clock::now();
  for (StreamId stream = 1; stream <= kSessions; ++stream) {
    core.OnHello(stream, {.copier = absl::StrCat("c", stream),
                          .region = absl::StrCat("region-", stream % 20),
                          .lease_credit = kLeasesOfEach,
                          .segment_credit_bytes = 1 << 20});
  }
  store.Settle();
  WorkEvents events;
  for (int64_t unit = 1; unit <= kSessions * kLeasesOfEach; ++unit) {
    events.added.push_back(
        {.unit_id = unit,
         .rule_uid = unit % 1000,
         .kind = UnitKind::kBackfill,
         .source_region = absl::StrCat("region-", unit % 20),
         .destination_region = absl::StrCat("region-", unit % 30)});
  }
  core.OnWork(events);
  store.Settle();
  const auto granted = output.grants;
  EXPECT_EQ(granted.size(), static_cast<size_t>(kSessions * kLeasesOfEach));
  EXPECT_EQ(core.counts().leases, kSessions * kLeasesOfEach);
  for (int i = 0; i < 3; ++i) {
    clock.Advance(core.tick_interval());
    for (StreamId stream = 1; stream <= kSessions; ++stream) {
      core.OnHeartbeat(stream, i + 1);
    }
    core.Tick();
  }
  for (const auto& [stream, lease] : granted) {
    core.OnRelease(stream, {.lease = lease, .reason = "STOPPING"});
  }
  store.Settle();
  EXPECT_EQ(core.counts().grants, 2 * kSessions * kLeasesOfEach);
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", absl::StrCat(spent.count()));
  EXPECT_LT(spent.count(), 30);
}

}  // namespace
}  // namespace crr
