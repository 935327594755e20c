// How a log reaches the holder of its lease: in order, without gaps, and never
// more than it gave credit for.

#include <gtest/gtest.h>

#include <deque>

#include "tests/core/lease_world.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::Applied;
using test::LeaseWorld;
using Result = CheckpointAckMessage::Result;

constexpr int64_t kCredit = 1 << 20;

class LeaseSegmentsTest : public ::testing::Test {
 protected:
  void Begin() {
    rule_ = world_.tables.AddActiveRule();
    stream_ = world_.Open("c1");
    number_ = world_.NumberOf(stream_);
  }
  // Logs `count` changes of `bytes` each in a commit of their own, that is a
  // segment, and tells the core.
  void Log(int count, int64_t bytes) {
    Batch batch = test::TestTables::BatchOf("photos", {});
    for (int i = 0; i < count; ++i) {
      batch.changes.push_back(
          {.bucket = "photos",
           .key = "k",
           .event_time = test::Epoch(),
           .encoded = std::string(static_cast<size_t>(bytes), 'x')});
    }
    const auto outcome = world_.tables.Try([&](Transaction& txn) {
      return AppendBatch(txn, batch, int64_t{1} << 40, test::Epoch());
    });
    ASSERT_TRUE(outcome.ok());
    world_.core->OnWork(outcome->events);
  }
  // Takes what the stream brought for the lease; fails on a gap. Returns the
  // last sequence number.
  int64_t Take(StreamId stream) {
    for (const SegmentMessage& message :
         world_.output.Of<SegmentMessage>(stream)) {
      EXPECT_EQ(message.unit_id, lease().unit_id);
      EXPECT_EQ(message.token, lease().token);
      EXPECT_EQ(message.segment.first_sequence, received_ + 1);
      received_ = message.segment.last_sequence;
      unsettled_.emplace_back(
          received_, static_cast<int64_t>(message.segment.changes.size()));
    }
    world_.output.Clear(stream);
    EXPECT_LE(Unsettled(), kCredit);
    return received_;
  }
  int64_t Unsettled() const {
    int64_t bytes = 0;
    for (const auto& [last, size] : unsettled_) bytes += size;
    return bytes;
  }
  void Settle(int64_t to) {
    const CheckpointAckMessage ack = world_.Report(
        stream_, Applied(lease().unit_id, lease().token, settled_, to));
    ASSERT_EQ(ack.result, Result::kRecorded);
    settled_ = to;
    while (!unsettled_.empty() && unsettled_.front().first <= to) {
      unsettled_.pop_front();
    }
  }
  const LeaseSpec& lease() {
    if (lease_.token == 0) lease_ = world_.LastGrant(stream_);
    return lease_;
  }
  void Reconnect() {
    world_.core->OnStreamClosed(stream_);
    stream_ = world_.Reopen("c1", number_,
                            {LeaseWorld::RefOf(lease(), received_)});
    ASSERT_TRUE(
        world_.output.Last<WelcomeMessage>(stream_).not_held.empty());
  }

  LeaseWorld world_;
  int64_t rule_ = 0;
  StreamId stream_ = 0;
  int64_t number_ = 0;
  LeaseSpec lease_;
  int64_t received_ = 0;
  int64_t settled_ = 0;
  std::deque<std::pair<int64_t, int64_t>> unsettled_;
};

TEST_F(LeaseSegmentsTest, TheGrantComesBeforeItsSegments) {
  Begin();
  Log(3, 10);
  world_.store.Settle();
  const auto& messages = world_.output.All(stream_);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<WelcomeMessage>(messages[0]));
  EXPECT_TRUE(std::holds_alternative<LeaseSpec>(messages[1]));
  EXPECT_TRUE(std::holds_alternative<SegmentMessage>(messages[2]));
}

TEST_F(LeaseSegmentsTest, EverythingComesInOrderWithoutGaps) {
  Begin();
  for (int i = 0; i < 200; ++i) {
    Log(1 + i % 7, 1000);
    if (i % 3 == 0) world_.store.Settle();
    if (i == 0) lease();
    if (i % 5 == 4) Settle(Take(stream_));
  }
  world_.store.Settle();
  while (settled_ < received_ || Take(stream_) > settled_) Settle(received_);
  EXPECT_EQ(received_,
            world_.tables.Number("SELECT next_sequence - 1 FROM rules"));
  EXPECT_EQ(world_.tables.Pending(rule_), 0);
}

TEST_F(LeaseSegmentsTest, NoMoreIsSentThanThereIsCredit) {
  Begin();
  for (int i = 0; i < 20; ++i) Log(1, 200'000);
  world_.store.Settle();
  lease();
  for (int round = 0; round < 20 && settled_ < 20; ++round) {
    Take(stream_);
    ASSERT_GT(received_, settled_);
    Settle(settled_ + 1);
  }
  EXPECT_EQ(settled_, 20);
}

// Exactly the credit fits; the next byte waits.
TEST_F(LeaseSegmentsTest, CreditIsUsedToTheLastByte) {
  Begin();
  for (int i = 0; i < 4; ++i) Log(1, kCredit / 4);
  Log(1, 1);
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 4);
  Settle(1);
  EXPECT_EQ(Take(stream_), 5);
}

TEST_F(LeaseSegmentsTest, ANewStreamGoesOnAfterWhatWasReceived) {
  Begin();
  for (int i = 0; i < 5; ++i) Log(2, 10);
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 10);
  Settle(3);
  // Two more segments are on their way when the stream breaks.
  Log(2, 10);
  Log(2, 10);
  world_.store.Settle();
  world_.output.Clear(stream_);
  Reconnect();
  EXPECT_EQ(Take(stream_), 14);
  Settle(14);
}

// The copier settled more than the server had heard of, or holds less than the
// cursor says: what is settled is never sent again.
TEST_F(LeaseSegmentsTest, WhatIsSettledIsNotSentAgain) {
  Begin();
  for (int i = 0; i < 5; ++i) Log(2, 10);
  world_.store.Settle();
  lease();
  Take(stream_);
  Settle(6);
  world_.core->OnStreamClosed(stream_);
  const StreamId again = world_.Reopen(
      "c1", number_, {LeaseWorld::RefOf(lease(), /*received=*/2)});
  const auto segments = world_.output.Of<SegmentMessage>(again);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].segment.first_sequence, 7);
}

// What the copier holds unsettled is still in its memory after it came back.
TEST_F(LeaseSegmentsTest, ANewStreamBringsNoNewCredit) {
  Begin();
  for (int i = 0; i < 20; ++i) Log(1, kCredit / 4);
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 4);
  Settle(1);
  EXPECT_EQ(Take(stream_), 5);
  for (int i = 0; i < 3; ++i) {
    Reconnect();
    EXPECT_EQ(Take(stream_), 5);
  }
  Settle(5);
  EXPECT_EQ(Take(stream_), 9);
}

TEST_F(LeaseSegmentsTest, AReadThatFailedIsRepeated) {
  Begin();
  Log(1, 10);
  world_.store.RefuseRead(absl::UnavailableError("not now"));
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 0);
  world_.Pass(world_.core->tick_interval());
  EXPECT_EQ(Take(stream_), 1);
}

// The answer to a read that was made for the stream before is not for the one
// that came since.
TEST_F(LeaseSegmentsTest, AReadOfAnEarlierStreamIsDropped) {
  Begin();
  Log(2, 10);
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 2);
  Log(2, 10);
  while (world_.store.RunStep() || world_.store.Deliver()) {
  }
  ASSERT_EQ(world_.store.reads(), 1);
  world_.core->OnStreamClosed(stream_);
  HelloMessage hello = LeaseWorld::HelloOf("c1");
  hello.session_number = number_;
  hello.held = {LeaseWorld::RefOf(lease(), received_)};
  stream_ = world_.Say(hello);
  EXPECT_EQ(world_.store.reads(), 2);
  world_.store.Settle();
  EXPECT_EQ(Take(stream_), 4);
}

TEST_F(LeaseSegmentsTest, ALeaseThatIsAskedForBackGetsNoMore) {
  Begin();
  Log(1, 10);
  world_.store.Settle();
  lease();
  EXPECT_EQ(Take(stream_), 1);
  Settle(1);
  world_.PassAlive(world_.options.linger + absl::Seconds(1), {stream_});
  ASSERT_EQ(world_.output.Of<RevokeMessage>(stream_).size(), 1u);
  Log(1, 10);
  world_.store.Settle();
  EXPECT_TRUE(world_.output.Of<SegmentMessage>(stream_).empty());
}

// Each lease has its own credit, and one that stands still holds up no other.
TEST_F(LeaseSegmentsTest, LogsFlowSideBySide) {
  Begin();
  world_.tables.AddActiveRule({.source = "films", .destination = "films-dr"});
  for (int i = 0; i < 8; ++i) Log(1, kCredit / 4);
  Batch batch = test::TestTables::BatchOf("films", {"f"});
  const auto outcome = world_.tables.Try([&](Transaction& txn) {
    return AppendBatch(txn, batch, int64_t{1} << 40, test::Epoch());
  });
  world_.core->OnWork(outcome->events);
  world_.store.Settle();
  int64_t of_films = 0;
  for (const SegmentMessage& message :
       world_.output.Of<SegmentMessage>(stream_)) {
    of_films += message.segment.changes == "f\n" ? 1 : 0;
  }
  EXPECT_EQ(of_films, 1);
}

}  // namespace
}  // namespace crr
