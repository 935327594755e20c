// Sharing: copiers that come late get their part of what is being done, a
// little at a time, and then everything stays where it is.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/session_rooms.h"
#include "tests/core/lease_world.h"

namespace crr {
namespace {

using test::LeaseWorld;

constexpr absl::Duration kTtl = absl::Seconds(10);

class LeaseBalanceTest : public ::testing::Test {
 protected:
  LeaseBalanceTest() {
    world_.options.rebalance_interval = kTtl;
    world_.options.no_progress = absl::Hours(1000);
    world_.Start();
  }

  StreamId Open(const std::string& copier, int64_t credit,
                const std::string& region = "") {
    HelloMessage hello = LeaseWorld::HelloOf(copier, credit);
    hello.region = region;
    streams_.push_back(world_.Open(hello));
    return streams_.back();
  }
  int64_t LeasesOf(const std::string& copier) {
    return world_.core->FindCopier(copier)->leases;
  }
  std::vector<RevokeMessage> Revokes(StreamId stream) {
    return world_.output.Of<RevokeMessage>(stream);
  }
  // Copiers live and give back what they are asked for, at once.
  void PassObeying(absl::Duration time) {
    const Ticks end = world_.clock.Now() + time;
    while (world_.clock.Now() < end) {
      world_.PassAlive(world_.core->tick_interval(), streams_);
      for (const StreamId stream : streams_) Obey(stream);
    }
  }
  void Obey(StreamId stream) {
    const std::vector<RevokeMessage> asked = Revokes(stream);
    for (size_t i = obeyed_[stream]; i < asked.size(); ++i) {
      EXPECT_EQ(asked[i].reason, "REBALANCE");
      world_.core->OnRelease(
          stream, {.lease = {asked[i].unit_id, asked[i].token, 0},
                   .reason = "REVOKED"});
      world_.store.Settle();
    }
    obeyed_[stream] = asked.size();
  }
  size_t Moves() {
    size_t moves = 0;
    for (const StreamId stream : streams_) moves += Revokes(stream).size();
    return moves;
  }

  LeaseWorld world_;
  std::vector<StreamId> streams_;
  std::map<StreamId, size_t> obeyed_;
};

TEST_F(LeaseBalanceTest, OneThatJoinsLateGetsItsPartAndThenNothingMoves) {
  const StreamId first = Open("first", 10);
  world_.AddRuleWithRanges(8);
  Open("second", 10);
  EXPECT_EQ(LeasesOf("second"), 0);
  PassObeying(kTtl + absl::Seconds(1));
  ASSERT_EQ(Revokes(first).size(), 1u);
  EXPECT_EQ(Revokes(first)[0].reason, "REBALANCE");
  EXPECT_EQ(Revokes(first)[0].deadline, kTtl);
  EXPECT_EQ(LeasesOf("second"), 1);
  PassObeying(4 * kTtl);
  EXPECT_EQ(LeasesOf("first"), 4);
  EXPECT_EQ(LeasesOf("second"), 4);
  EXPECT_EQ(Moves(), 4u);
  PassObeying(100 * kTtl);
  EXPECT_EQ(Moves(), 4u);
}

// At most a tenth at once.
TEST_F(LeaseBalanceTest, AManyLoadedOneIsAskedForATenth) {
  const StreamId first = Open("first", 100);
  world_.AddRuleWithRanges(40);
  Open("second", 100);
  PassObeying(kTtl + absl::Seconds(1));
  EXPECT_EQ(Revokes(first).size(), 4u);
  PassObeying(10 * kTtl);
  EXPECT_GE(LeasesOf("second"), 18);
  EXPECT_EQ(LeasesOf("first") + LeasesOf("second"), 40);
  const size_t moves = Moves();
  PassObeying(50 * kTtl);
  EXPECT_EQ(Moves(), moves);
}

// Whatever the credits are, it comes to rest, near the mean.
TEST_F(LeaseBalanceTest, UnequalCreditsComeToRest) {
  Open("large", 64);
  world_.AddRuleWithRanges(60);
  Open("small", 4);
  Open("middle", 16);
  Open("one", 1);
  PassObeying(60 * kTtl);
  const size_t moves = Moves();
  PassObeying(100 * kTtl);
  EXPECT_EQ(Moves(), moves);
  // 60 of 85; it ends when nobody is above the band any more.
  EXPECT_LE(static_cast<double>(LeasesOf("large")) / 64, 1.1 * 60 / 85);
  EXPECT_GE(static_cast<double>(LeasesOf("middle")) / 16, 0.5);
  EXPECT_GE(static_cast<double>(LeasesOf("small")) / 4, 0.5);
}

// Nor when a rule's bound has other units of it wait for what is given back.
TEST_F(LeaseBalanceTest, ABoundedRuleComesToRestToo) {
  Open("large", 64);
  world_.AddRuleWithRanges(30, {.max_leases = 10});
  EXPECT_EQ(LeasesOf("large"), 10);
  Open("small", 8);
  PassObeying(30 * kTtl);
  const size_t moves = Moves();
  EXPECT_GE(moves, 1u);
  PassObeying(100 * kTtl);
  EXPECT_EQ(Moves(), moves);
  EXPECT_EQ(LeasesOf("large") + LeasesOf("small"), 10);
  EXPECT_EQ(LeasesOf("small"), 1);
}

// One lease goes to and fro between two for ever, where nothing forbids it.
TEST_F(LeaseBalanceTest, NothingIsSwapped) {
  Open("first", 10);
  world_.AddRuleWithRanges(1);
  Open("second", 10);
  PassObeying(20 * kTtl);
  EXPECT_EQ(Moves(), 0u);
  EXPECT_EQ(LeasesOf("first"), 1);
}

// What was asked for goes first.
TEST_F(LeaseBalanceTest, ADeafCopierIsAskedOnce) {
  const StreamId first = Open("first", 10);
  world_.AddRuleWithRanges(8);
  Open("second", 10);
  world_.PassAlive(2 * kTtl, streams_);
  EXPECT_EQ(Revokes(first).size(), 1u);
  // The deadline, a term without renewal, and the next look after that.
  world_.PassAlive(world_.options.ttl + world_.term() + kTtl, streams_);
  EXPECT_EQ(world_.core->counts().expiries, 1);
  EXPECT_EQ(Revokes(first).size(), 2u);
  EXPECT_EQ(LeasesOf("second"), 1);
}

TEST_F(LeaseBalanceTest, WhatDoesNotLastIsLeftAlone) {
  for (int i = 0; i < 4; ++i) {
    world_.tables.AddRule(
        {.source = absl::StrCat("src-", i),
         .destination = absl::StrCat("dst-", i)});
  }
  world_.options.linger = absl::Hours(1);
  world_.Start();
  const StreamId first = Open("first", 10);
  world_.AddRuleWithChanges(1);
  const LeaseSpec log = world_.LastGrant(first);
  ASSERT_EQ(log.kind, UnitKind::kChanges);
  EXPECT_EQ(LeasesOf("first"), 5);
  world_.Report(first, test::Applied(log.unit_id, log.token, 0, 1));
  Open("second", 10);
  // Four probes, and a log with nothing in it.
  world_.PassAlive(3 * kTtl, streams_);
  EXPECT_TRUE(Revokes(first).empty());
  world_.Publish("photos", 1);
  world_.PassAlive(kTtl, streams_);
  ASSERT_EQ(Revokes(first).size(), 1u);
  EXPECT_EQ(Revokes(first)[0].unit_id, log.unit_id);
}

// A copier in the regions of the work keeps it from one that is in none.
TEST_F(LeaseBalanceTest, NothingMovesAway) {
  const StreamId near = Open("near", 10, test::kHangzhou);
  world_.AddRuleWithRanges(8);
  const StreamId far = Open("far", 10, "oss-us-east-1");
  PassObeying(5 * kTtl);
  EXPECT_TRUE(Revokes(near).empty());
  Open("beside", 10, test::kBeijing);
  PassObeying(10 * kTtl);
  EXPECT_GE(LeasesOf("beside"), 3);
  EXPECT_TRUE(Revokes(far).empty());
  EXPECT_EQ(LeasesOf("far"), 0);
}

TEST_F(LeaseBalanceTest, ADrainingOrGoneCopierGetsNothing) {
  const StreamId first = Open("first", 10);
  world_.AddRuleWithRanges(8);
  const StreamId second = Open("second", 10);
  world_.core->DrainSession(world_.NumberOf(second));
  world_.PassAlive(3 * kTtl, {first, second});
  EXPECT_TRUE(Revokes(first).empty());
  world_.core->OnStreamClosed(Open("third", 10));
  world_.PassAlive(3 * kTtl, {first, second});
  EXPECT_TRUE(Revokes(first).empty());
}

// ---------------------------------------------------------------- SessionRooms

TEST(SessionRoomsTest, TheOneLoadedLeastWithItInTheRegionFirst) {
  SessionRooms rooms;
  EXPECT_FALSE(rooms.Find("a", "b").has_value());
  rooms.Put(1, {.region = "", .credit = 10, .units = 0});
  rooms.Put(2, {.region = "a", .credit = 4, .units = 3});
  rooms.Put(3, {.region = "b", .credit = 4, .units = 2});
  rooms.Put(4, {.region = "c", .credit = 100, .units = 0});
  EXPECT_EQ(rooms.Find("a", "b")->session, 3);
  EXPECT_TRUE(rooms.Find("a", "b")->near);
  EXPECT_EQ(rooms.Find("a", "a")->session, 2);
  EXPECT_EQ(rooms.Find("d", "")->session, 4);
  EXPECT_FALSE(rooms.Find("d", "")->near);
  rooms.Remove(4);
  rooms.Remove(4);
  EXPECT_EQ(rooms.Find("c", "d")->session, 1);
  rooms.Put(1, {.region = "c", .credit = 10, .units = 9});
  EXPECT_EQ(rooms.Find("d", "d")->session, 3);
  EXPECT_EQ(rooms.Find("d", "c")->session, 1);
  // Of equals the newest.
  rooms.Put(5, {.region = "b", .credit = 4, .units = 2});
  EXPECT_EQ(rooms.Find("b", "b")->session, 5);
}

}  // namespace
}  // namespace crr
