#include "server/core/work_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

namespace crr {
namespace {

constexpr UnitKind kBackfill = UnitKind::kBackfill;
constexpr UnitKind kChanges = UnitKind::kChanges;

class WorkQueueTest : public ::testing::Test {
 protected:
  void Offer(int64_t unit, int64_t rule, UnitKind kind = kBackfill,
             int64_t max_leases = 0) {
    queue_.Offer(unit, rule, kind, max_leases, now_, now_);
  }
  // What is next is leased.
  std::optional<int64_t> Serve(int64_t rule_of_next) {
    const auto unit = queue_.Next(now_);
    if (unit) {
      queue_.Withdraw(*unit);
      queue_.CountLease(rule_of_next, +1);
    }
    return unit;
  }

  Ticks now_{1000};
  WorkQueue queue_;
};

TEST_F(WorkQueueTest, NothingOfferedNothingNext) {
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
  Offer(1, 1);
  EXPECT_EQ(queue_.Next(now_), 1);
  // It stays offered until it is withdrawn.
  EXPECT_EQ(queue_.Next(now_), 1);
  queue_.Withdraw(1);
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
}

// A rule's first lease comes before another's second, whatever their kinds.
TEST_F(WorkQueueTest, TheFloorComesBeforeASecondLease) {
  Offer(1, 1, UnitKind::kProbe);
  Offer(2, 1, UnitKind::kProbe);
  Offer(3, 2, kBackfill);
  EXPECT_EQ(Serve(1), 1);
  EXPECT_EQ(Serve(2), 3);
  EXPECT_EQ(Serve(1), 2);
}

TEST_F(WorkQueueTest, KindsHaveAnOrderAmongRulesAndWithinOne) {
  Offer(1, 1, kBackfill);
  Offer(2, 2, UnitKind::kInventory);
  Offer(3, 3, kChanges);
  Offer(4, 4, UnitKind::kProbe);
  EXPECT_EQ(Serve(4), 4);
  EXPECT_EQ(Serve(3), 3);
  EXPECT_EQ(Serve(2), 2);
  EXPECT_EQ(Serve(1), 1);

  Offer(11, 9, kBackfill);
  Offer(12, 9, UnitKind::kInventory);
  Offer(13, 9, kChanges);
  EXPECT_EQ(Serve(9), 13);
  EXPECT_EQ(Serve(9), 12);
  EXPECT_EQ(Serve(9), 11);
}

TEST_F(WorkQueueTest, FewestLeasesThenOldestServed) {
  queue_.CountLease(1, +1);
  queue_.CountLease(1, +1);
  queue_.CountLease(2, +1);  // Served later than rule 3 will have been.
  queue_.CountLease(3, +1);
  queue_.CountLease(2, -1);
  queue_.CountLease(2, +1);
  for (int64_t unit = 10; unit < 16; ++unit) Offer(unit, unit % 3 + 1);
  // Rules 2 and 3 have one lease each; 3 has waited longer.
  EXPECT_EQ(Serve(3), 11);
  EXPECT_EQ(Serve(2), 10);
  // All three have two: 1 has waited longest.
  EXPECT_EQ(Serve(1), 12);
  EXPECT_EQ(Serve(3), 14);
  EXPECT_EQ(Serve(2), 13);
}

TEST_F(WorkQueueTest, ARuleNeverHasMoreLeasesThanItsBound) {
  for (int64_t unit = 1; unit <= 4; ++unit) Offer(unit, 1, kBackfill, 2);
  EXPECT_EQ(Serve(1), 1);
  EXPECT_EQ(Serve(1), 2);
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
  queue_.CountLease(1, -1);
  EXPECT_EQ(Serve(1), 3);
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
}

TEST_F(WorkQueueTest, ADelayedOfferIsDueAtItsTimeAndNotBefore) {
  const Ticks due = now_ + absl::Seconds(1);
  queue_.Offer(1, 1, kBackfill, 0, due, now_);
  now_ = due + absl::Nanoseconds(-1);
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
  now_ = due;
  EXPECT_EQ(queue_.Next(now_), 1);
}

TEST_F(WorkQueueTest, ADelayedOfferCanBeWithdrawn) {
  queue_.Offer(1, 1, kBackfill, 0, now_ + absl::Seconds(1), now_);
  queue_.Withdraw(1);
  queue_.Withdraw(1);  // Nothing is there: nothing happens.
  now_ = now_ + absl::Seconds(2);
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
  Offer(1, 1);
  EXPECT_EQ(queue_.Next(now_), 1);
}

// The bound of a rule outlives the moment in which nothing of it is ready: an
// offer that only waits for its time is still an offer.
TEST_F(WorkQueueTest, TheBoundHoldsForDelayedOffers) {
  const Ticks due = now_ + absl::Seconds(1);
  Offer(1, 1, kBackfill, /*max_leases=*/1);
  queue_.Offer(2, 1, kBackfill, /*max_leases=*/1, due, now_);
  EXPECT_EQ(Serve(1), 1);
  now_ = due;
  EXPECT_EQ(queue_.Next(now_), std::nullopt);
  queue_.CountLease(1, -1);
  EXPECT_EQ(queue_.Next(now_), 2);
}

// A rule that comes back after everything of it was gone begins anew: its old
// bound is not remembered, and it stands behind those that wait.
TEST_F(WorkQueueTest, AnIdleRuleIsForgotten) {
  Offer(1, 1, kBackfill, /*max_leases=*/1);
  EXPECT_EQ(Serve(1), 1);
  EXPECT_EQ(queue_.LeasesOf(1), 1);
  queue_.CountLease(1, -1);
  EXPECT_EQ(queue_.LeasesOf(1), 0);
  Offer(2, 2);
  Offer(3, 1);
  Offer(4, 1);
  EXPECT_EQ(Serve(2), 2);
  EXPECT_EQ(Serve(1), 3);
  EXPECT_EQ(Serve(1), 4);
}

// What WorkQueue says that it does, done by looking at everything.
class NaiveQueue {
 public:
  struct Offer {
    int64_t rule;
    int priority;
    Ticks not_before;
  };

  std::map<int64_t, Offer> offers;
  std::map<int64_t, int64_t> leases;
  std::map<int64_t, int64_t> max_leases;
  // Absent for a rule that was idle since it was served.
  std::map<int64_t, int64_t> served;

  void Forget() {
    for (auto it = max_leases.begin(); it != max_leases.end();) {
      const int64_t rule = it->first;
      const bool idle =
          leases[rule] == 0 &&
          std::none_of(offers.begin(), offers.end(), [&](const auto& offer) {
            return offer.second.rule == rule;
          });
      if (idle) served.erase(rule);
      it = idle ? max_leases.erase(it) : std::next(it);
    }
  }

  int64_t OffersOf(int64_t rule) const {
    return std::count_if(offers.begin(), offers.end(), [&](const auto& offer) {
      return offer.second.rule == rule;
    });
  }

  // Whether `unit` may be served now: nothing is better by what is known.
  bool MayBeNext(std::optional<int64_t> unit, Ticks now) {
    using Score = std::tuple<bool, int, int64_t>;
    std::map<int64_t, int> best_of_rule;
    for (const auto& [id, offer] : offers) {
      const int64_t max = max_leases[offer.rule];
      if (offer.not_before > now) continue;
      if (max != 0 && leases[offer.rule] >= max) continue;
      const auto [it, is_new] =
          best_of_rule.emplace(offer.rule, offer.priority);
      it->second = std::min(it->second, offer.priority);
    }
    if (!unit) return best_of_rule.empty();
    const auto found = offers.find(*unit);
    if (found == offers.end()) return false;
    const int64_t rule = found->second.rule;
    const auto score = [&](int64_t r) {
      return Score(leases[r] > 0, best_of_rule.at(r), leases[r]);
    };
    if (found->second.not_before > now || !best_of_rule.contains(rule) ||
        best_of_rule.at(rule) != found->second.priority) {
      return false;
    }
    return std::none_of(
        best_of_rule.begin(), best_of_rule.end(), [&](const auto& other) {
          if (score(other.first) != score(rule)) {
            return score(other.first) < score(rule);
          }
          return served.contains(other.first) && served.contains(rule) &&
                 served.at(other.first) < served.at(rule);
        });
  }
};

TEST(WorkQueueModelTest, AgreesWithANaiveModel) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](int64_t from, int64_t to) {
      return std::uniform_int_distribution<int64_t>(from, to)(random);
    };
    WorkQueue queue;
    NaiveQueue naive;
    Ticks now{0};
    int64_t next_unit = 1;
    int64_t turn = 0;
    std::vector<std::pair<int64_t, int64_t>> leased;  // (unit, rule)
    const auto bound_of = [](int64_t rule) { return rule % 4; };
    const auto offer = [&](int64_t unit, int64_t rule) {
      const auto kind = static_cast<UnitKind>(pick(1, 4));
      const Ticks when = now + absl::Seconds(std::max<int64_t>(0, pick(-5, 5)));
      const std::map<UnitKind, int> priorities = {{UnitKind::kProbe, 0},
                                                  {UnitKind::kChanges, 1},
                                                  {UnitKind::kInventory, 2},
                                                  {UnitKind::kBackfill, 3}};
      queue.Offer(unit, rule, kind, bound_of(rule), when, now);
      naive.offers[unit] = {rule, priorities.at(kind), when};
      naive.max_leases[rule] = bound_of(rule);
    };
    for (int step = 0; step < 400; ++step) {
      switch (pick(0, 4)) {
        case 0:
          offer(next_unit++, pick(1, 6));
          break;
        case 1:
          if (!naive.offers.empty()) {
            auto it = naive.offers.begin();
            std::advance(it, pick(0, static_cast<int64_t>(
                                         naive.offers.size()) - 1));
            queue.Withdraw(it->first);
            naive.offers.erase(it);
          }
          break;
        case 2:
          now = now + absl::Milliseconds(pick(0, 1500));
          break;
        case 3:  // A lease ends, and its unit is offered again or not.
          if (!leased.empty()) {
            const auto [unit, rule] = leased.back();
            leased.pop_back();
            if (pick(0, 1) == 0) offer(unit, rule);
            queue.CountLease(rule, -1);
            --naive.leases[rule];
          }
          break;
        case 4:  // What is next is leased.
          if (const auto unit = queue.Next(now)) {
            ASSERT_TRUE(naive.MayBeNext(unit, now)) << "unit " << *unit;
            const int64_t rule = naive.offers.at(*unit).rule;
            queue.Withdraw(*unit);
            queue.CountLease(rule, +1);
            naive.offers.erase(*unit);
            ++naive.leases[rule];
            naive.max_leases[rule] = bound_of(rule);
            naive.served[rule] = ++turn;
            leased.insert(leased.begin(), {*unit, rule});
          }
          break;
      }
      naive.Forget();
      const auto next = queue.Next(now);
      ASSERT_TRUE(naive.MayBeNext(next, now))
          << "step " << step << ": unit " << next.value_or(0);
      int64_t wanted = 0;
      for (int64_t rule = 1; rule <= 6; ++rule) {
        const int64_t leases = naive.leases[rule];
        ASSERT_EQ(queue.LeasesOf(rule), leases);
        const int64_t units = leases + naive.OffersOf(rule);
        wanted += bound_of(rule) == 0
                      ? units
                      : std::min(units, std::max(leases, bound_of(rule)));
      }
      ASSERT_EQ(queue.wanted(), wanted) << "step " << step;
      int64_t waiting = 0;
      for (const auto& [kind, count] : queue.waiting()) {
        ASSERT_GE(count, 0);
        waiting += count;
      }
      ASSERT_EQ(waiting, static_cast<int64_t>(naive.offers.size()));
    }
  }
}

}  // namespace
}  // namespace crr
