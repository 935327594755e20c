// What many copiers at once may ask of the database: a bounded part, each in
// its turn, and all of them get it.

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;
using Kind = test::ManualStore::Kind;

TEST(LeaseOverloadTest, SoManySessionsStartAtOnce) {
  LeaseWorld world;
  constexpr int kCopiers = limits::kSessionStartsMax + 3;
  std::vector<StreamId> streams;
  for (int i = 0; i < kCopiers; ++i) {
    streams.push_back(world.Say(LeaseWorld::HelloOf(absl::StrCat("c", i))));
  }
  EXPECT_EQ(world.store.waiting(Kind::kStartSession),
            limits::kSessionStartsMax);
  // One that goes before its turn costs nothing.
  world.core->OnStreamClosed(streams.back());
  streams.pop_back();
  world.store.Settle();
  for (const StreamId stream : streams) {
    EXPECT_NE(world.NumberOf(stream), 0);
  }
  EXPECT_EQ(world.core->counts().sessions, kCopiers - 1);
}

TEST(LeaseOverloadTest, SoManyReadsAtOnce) {
  LeaseWorld world;
  constexpr int kRules = limits::kSegmentReadsMax + 5;
  for (int i = 0; i < kRules; ++i) {
    world.AddRuleWithChanges(1, {.source = absl::StrCat("b", i),
                                 .destination = absl::StrCat("b", i, "-dr")});
  }
  const StreamId stream = world.Say(LeaseWorld::HelloOf("c1", kRules));
  while (world.store.RunStep() || world.store.Deliver()) {
  }
  EXPECT_EQ(world.Grants(stream).size(), static_cast<size_t>(kRules));
  EXPECT_EQ(world.store.reads(), limits::kSegmentReadsMax);
  world.store.Settle();
  EXPECT_EQ(world.output.Of<SegmentMessage>(stream).size(),
            static_cast<size_t>(kRules));
}

}  // namespace
}  // namespace crr
