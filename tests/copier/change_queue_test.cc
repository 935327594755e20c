#include "client/copier/change_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace crr {
namespace {

CopyResult Result(CopyResult::Outcome outcome) {
  return {.outcome = outcome, .bytes = 0, .filter_reason = "R"};
}
const CopyResult kCopied = Result(CopyResult::Outcome::kCopied);

TEST(ChangeQueueTest, ChangesThatWaitForOneKeyFoldIntoTheLast) {
  ChangeQueue queue(0);
  queue.Add(1, "k", CopyReason::kOtherChange);
  queue.Add(2, "other", CopyReason::kOtherChange);
  queue.Add(3, "k", CopyReason::kDelete);
  const auto work = queue.Next();
  ASSERT_TRUE(work.has_value());
  EXPECT_EQ(work->key, "k");
  EXPECT_EQ(work->reason, CopyReason::kDelete);
  EXPECT_EQ(queue.Next()->key, "other");
  EXPECT_FALSE(queue.Next().has_value());

  queue.Settle("k", kCopied);
  auto interval = queue.Take();
  EXPECT_EQ(interval.to, 1);
  EXPECT_EQ(interval.counts, (Counts{.collapsed = 1}));
  queue.Settle("other", kCopied);
  interval = queue.Take();
  EXPECT_EQ(interval.to, 3);
  EXPECT_EQ(interval.counts, (Counts{.applied = 2}));
}

TEST(ChangeQueueTest, CollapsedChangesDoNotCountBeforeTheLastIsSettled) {
  ChangeQueue queue(0);
  queue.Add(1, "k", CopyReason::kOtherChange);
  queue.Add(2, "k", CopyReason::kOtherChange);
  queue.Next();
  EXPECT_EQ(queue.ready(), 0);
  EXPECT_EQ(queue.Take().to, 0);
}

TEST(ChangeQueueTest, AChangeOfAKeyInWorkIsLookedAtAgainAfterwards) {
  ChangeQueue queue(0);
  queue.Add(1, "k", CopyReason::kOtherChange);
  ASSERT_TRUE(queue.Next().has_value());
  queue.Add(2, "k", CopyReason::kDelete);
  EXPECT_FALSE(queue.Next().has_value()) << "one key, two looks at once";
  queue.Settle("k", kCopied);
  const auto again = queue.Next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->reason, CopyReason::kDelete);
  queue.Settle("k", kCopied);
  EXPECT_EQ(queue.Take().counts, (Counts{.applied = 2}));
  EXPECT_EQ(queue.open(), 0u);
}

TEST(ChangeQueueTest, AFilteredKeyCountsByItsReason) {
  ChangeQueue queue(0);
  queue.Add(1, "k", CopyReason::kOtherChange);
  queue.Add(2, "k", CopyReason::kOtherChange);
  queue.Next();
  queue.Settle("k", Result(CopyResult::Outcome::kFiltered));
  EXPECT_EQ(queue.Take().counts,
            (Counts{.collapsed = 1, .filtered = {{"R", 1}}}));
}

TEST(ChangeQueueTest, AFailedKeyTakesAlongWhatCameForItSince) {
  ChangeQueue queue(0);
  queue.Add(1, "k", CopyReason::kOtherChange);
  queue.Add(2, "k", CopyReason::kOtherChange);
  queue.Next();
  queue.Add(3, "other", CopyReason::kOtherChange);
  queue.Add(4, "k", CopyReason::kDelete);
  queue.Settle("k", absl::DataLossError("gone"));
  const auto first = queue.Take();
  EXPECT_EQ(first.to, 2);
  ASSERT_EQ(first.counts.failed.size(), 1u);
  EXPECT_EQ(first.counts.failed.at("k").entries, 2);
  EXPECT_FALSE(first.counts.failed.at("k").deletion);
  EXPECT_EQ(first.counts.failed.at("k").reason, "CONTENT_DAMAGED");

  EXPECT_EQ(queue.Next()->key, "other");
  EXPECT_FALSE(queue.Next().has_value());
  queue.Add(5, "k", CopyReason::kOtherChange);
  EXPECT_EQ(queue.Next()->key, "k");
  queue.Settle("other", kCopied);
  const auto second = queue.Take();
  EXPECT_EQ(second.to, 4);
  EXPECT_EQ(second.counts.applied, 1);
  EXPECT_EQ(second.counts.failed.at("k").entries, 1);
  EXPECT_TRUE(second.counts.failed.at("k").deletion);
}

// Whatever the order: every interval's counts add up to its length, nothing
// counts twice, and a change is below the mark only when a look that began
// after it was added has been settled.
TEST(ChangeQueueTest, CountsAddUpInAnyOrder) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    ChangeQueue queue(0);
    std::vector<std::string> key_of{""};
    std::map<std::string, int64_t> covered;  // Highest settled per key.
    std::map<std::string, int64_t> in_work;  // Highest at the start of a look.
    int64_t cursor = 0;
    while (cursor < 100) {
      switch (random() % 4) {
        case 0:
          if (key_of.size() <= 100) {
            const std::string key(1, static_cast<char>('a' + random() % 7));
            queue.Add(static_cast<int64_t>(key_of.size()), key,
                      CopyReason::kOtherChange);
            key_of.push_back(key);
          }
          break;
        case 1:
          if (const auto work = queue.Next()) {
            ASSERT_FALSE(in_work.contains(work->key));
            for (size_t i = 1; i < key_of.size(); ++i) {
              if (key_of[i] == work->key) {
                in_work[work->key] = static_cast<int64_t>(i);
              }
            }
          }
          break;
        case 2:
          if (!in_work.empty()) {
            auto it = in_work.begin();
            std::advance(it, random() % in_work.size());
            if (random() % 4 == 0) {
              queue.Settle(it->first, absl::DataLossError("gone"));
              for (size_t i = 1; i < key_of.size(); ++i) {
                if (key_of[i] == it->first) it->second = static_cast<int>(i);
              }
            } else {
              queue.Settle(it->first, kCopied);
            }
            covered[it->first] = it->second;
            in_work.erase(it);
          }
          break;
        default: {
          const auto interval = queue.Take();
          ASSERT_EQ(interval.from, cursor);
          ASSERT_EQ(interval.counts.entries(), interval.to - interval.from);
          for (int64_t i = interval.from + 1; i <= interval.to; ++i) {
            ASSERT_GE(covered[key_of[static_cast<size_t>(i)]], i);
          }
          cursor = interval.to;
        }
      }
    }
    EXPECT_EQ(queue.open(), 0u);
  }
}

}  // namespace
}  // namespace crr
