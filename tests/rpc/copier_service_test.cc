#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// The lease protocol as a copier sees it on the wire.
namespace crr {
namespace {

using test::AddsUp;
using test::CheckpointOf;
using test::ConditionTypes;
using test::Eventually;
using test::GoodProbe;
using test::MakeChange;
using test::RefusalOf;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kRule[] = "buckets/photos/rules/dr";

class CopierServiceTest : public ::testing::Test {
 protected:
  explicit CopierServiceTest(TestServer::Options options = {})
      : server_(options) {
    server_.AddBucket("photos", test::kHangzhou);
    server_.AddBucket("photos-dr", test::kShanghai);
    server_.SetStore(test::kHangzhou);
    server_.SetStore(test::kShanghai);
  }

  void AddRule(bool historical) {
    auto request = test::RuleRequest("photos", "photos-dr");
    request.mutable_rule()->set_replicate_historical(historical);
    request.mutable_rule()->add_prefixes("a/");
    ASSERT_TRUE(server_.CreateRule(request).ok());
  }

  void Activate(ScriptedCopier& copier) {
    const v1::Lease probe = copier.AwaitGrant(v1::Lease::PROBE);
    ASSERT_EQ(copier.Commit(GoodProbe(probe)).result(),
              v1::CheckpointAck::RECORDED);
  }

  // A rule with this many changes in its log, ACTIVE, and its lease.
  v1::Lease StartChanges(ScriptedCopier& copier, int count) {
    AddRule(/*historical=*/false);
    Publish(count);
    EXPECT_GT(copier.Hello("copier-1"), 0);
    Activate(copier);
    return copier.AwaitGrant(v1::Lease::CHANGES);
  }

  // One batch of changes to a/1, a/2 and so on.
  void Publish(int count) {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", "buckets/photos"));
    std::vector<v1::Change> changes;
    for (int i = 1; i <= count; ++i) {
      changes.push_back(MakeChange("photos", absl::StrCat("a/", i)));
    }
    ASSERT_TRUE(publisher.Batch(1, changes));
    ASSERT_TRUE(publisher.Finish().ok());
  }

  // Lets time go on, in steps so small that the server does not take them for
  // stalls of its own, until a message of this kind has come. The copier keeps
  // its session meanwhile.
  void PassTimeUntil(ScriptedCopier& copier,
                     ScriptedCopier::Response::MessageCase wanted) {
    ASSERT_TRUE(Eventually([&] {
      server_.clock().Advance(absl::Milliseconds(50));
      copier.Heartbeat();
      return copier.unread(wanted) > 0;
    }));
  }

  v1::RuleProgress Progress() {
    const v1::RuleProgress progress = server_.Progress(kRule);
    EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
    return progress;
  }

  TestServer server_;
};

// ---------------------------------------------------------------------- hello

TEST_F(CopierServiceTest, WelcomeTellsTheTermsOfLeases) {
  ScriptedCopier copier(server_);
  v1::SessionRequest request;
  *request.mutable_hello() = ScriptedCopier::MakeHello("copier-1");
  request.mutable_hello()->set_region("regions/oss-cn-hangzhou");
  copier.Send(request);
  const auto response = copier.Await(ScriptedCopier::Response::kWelcome);
  ASSERT_TRUE(response.has_value());
  const v1::Welcome& welcome = response->welcome();
  EXPECT_GT(welcome.session_number(), 0);
  // Design §6, for the ttl of 10 s.
  EXPECT_EQ(welcome.ttl().seconds(), 10);
  EXPECT_EQ(welcome.heartbeat_interval().seconds(), 3);
  EXPECT_EQ(welcome.margin().seconds(), 2);
  EXPECT_EQ(welcome.commit_bound().seconds(), 2);
  EXPECT_EQ(welcome.commit_bound().nanos(), 500'000'000);
  EXPECT_THAT(welcome.not_held(), IsEmpty());
  EXPECT_TRUE(copier.Finish().ok());
}

TEST_F(CopierServiceTest, SessionNumbersRiseAcrossCopiersAndRestarts) {
  int64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    for (const char* name : {"copier-1", "copier-2"}) {
      ScriptedCopier copier(server_);
      const int64_t number = copier.Hello(name);
      EXPECT_GT(number, last);
      last = number;
      EXPECT_TRUE(copier.Finish().ok());
    }
    server_.Restart();
  }
}

TEST_F(CopierServiceTest, BadHellosAreRefusedFieldByField) {
  struct Case {
    std::string json;
    std::vector<std::string> violations;
  };
  const std::string good =
      R"("slots":1,"leaseCredit":1,"segmentCreditBytes":"1048576")";
  for (const Case& c : {
           Case{absl::StrCat("{", good, "}"),
                {"REQUIRED_FIELD_MISSING hello.copier_id"}},
           Case{absl::StrCat(R"({"copierId":"Copier",)", good, "}"),
                {"INVALID_NAME hello.copier_id"}},
           Case{absl::StrCat(R"({"copierId":"c","region":"hangzhou",)", good,
                             "}"),
                {"INVALID_NAME hello.region"}},
           Case{R"({"copierId":"c"})",
                {"REQUIRED_FIELD_MISSING hello.slots",
                 "REQUIRED_FIELD_MISSING hello.lease_credit",
                 "REQUIRED_FIELD_MISSING hello.segment_credit_bytes"}},
           Case{R"({"copierId":"c","slots":1025,"leaseCredit":1025,
                    "segmentCreditBytes":"1048575"})",
                {"INVALID_LIMITS hello.slots",
                 "INVALID_LIMITS hello.lease_credit",
                 "INVALID_LIMITS hello.segment_credit_bytes"}},
           Case{R"({"copierId":"c","slots":-1,"leaseCredit":-1,
                    "segmentCreditBytes":"-1"})",
                {"INVALID_LIMITS hello.slots",
                 "INVALID_LIMITS hello.lease_credit",
                 "INVALID_LIMITS hello.segment_credit_bytes"}},
       }) {
    SCOPED_TRACE(c.json);
    ScriptedCopier copier(server_);
    EXPECT_EQ(copier.Hello(test::FromJson<v1::Hello>(c.json)), 0);
    const auto refusal = RefusalOf(copier.End());
    EXPECT_EQ(refusal.code, grpc::StatusCode::INVALID_ARGUMENT) << refusal;
    EXPECT_THAT(refusal.flaws, IsEmpty()) << refusal;
    EXPECT_EQ(refusal.ReasonsAndFields(), c.violations);
  }
  // The bounds themselves are good.
  for (const char* json :
       {R"({"copierId":"c","slots":1,"leaseCredit":1,
            "segmentCreditBytes":"1048576"})",
        R"({"copierId":"d","slots":1024,"leaseCredit":1024,
            "segmentCreditBytes":"9223372036854775807"})"}) {
    ScriptedCopier copier(server_);
    EXPECT_GT(copier.Hello(test::FromJson<v1::Hello>(json)), 0) << json;
  }
}

TEST_F(CopierServiceTest, MessagesOutOfTurnAreMalformed) {
  v1::SessionRequest heartbeat;
  heartbeat.mutable_heartbeat()->set_number(1);
  v1::SessionRequest checkpoint;
  checkpoint.mutable_checkpoint()->set_unit(1);
  v1::SessionRequest release;
  release.mutable_release()->set_unit(1);
  v1::SessionRequest trouble;
  trouble.mutable_trouble()->set_unit(1);
  for (const auto& first :
       {heartbeat, checkpoint, release, trouble, v1::SessionRequest()}) {
    SCOPED_TRACE(first.DebugString());
    ScriptedCopier copier(server_);
    copier.Send(first);
    EXPECT_REFUSED(copier.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }
  ScriptedCopier twice(server_);
  ASSERT_GT(twice.Hello("copier-1"), 0);
  EXPECT_EQ(twice.Hello("copier-1"), 0);
  EXPECT_REFUSED(twice.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  ScriptedCopier broken(server_);
  ASSERT_GT(broken.Hello("copier-1"), 0);
  EXPECT_REFUSED(broken.BreakOff(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
}

// ------------------------------------------------------------------- sessions

TEST_F(CopierServiceTest, ASecondSessionSupersedesTheFirst) {
  ScriptedCopier first(server_);
  const int64_t old_number = first.Hello("copier-1");
  ScriptedCopier second(server_);
  EXPECT_GT(second.Hello("copier-1"), old_number);
  EXPECT_REFUSED(first.End(), ABORTED, "SESSION_SUPERSEDED");
  // Whoever comes back with the old number is told so.
  ScriptedCopier late(server_);
  v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
  hello.set_session_number(old_number);
  EXPECT_EQ(late.Hello(hello), 0);
  EXPECT_REFUSED(late.End(), ABORTED, "SESSION_SUPERSEDED");
  second.Heartbeat();
}

TEST_F(CopierServiceTest, ASessionGoesOnOverANewStreamWithWhatItHolds) {
  v1::Lease lease;
  int64_t number = 0;
  {
    ScriptedCopier copier(server_);
    AddRule(/*historical=*/false);
    number = copier.Hello("copier-1");
    lease = copier.AwaitGrant(v1::Lease::PROBE);
  }
  ScriptedCopier copier(server_);
  v1::SessionRequest request;
  *request.mutable_hello() = ScriptedCopier::MakeHello("copier-1");
  request.mutable_hello()->set_session_number(number);
  for (const int64_t unit : {lease.unit(), lease.unit() + 100}) {
    auto& held = *request.mutable_hello()->add_held();
    held.set_unit(unit);
    held.set_token(lease.token());
  }
  copier.Send(request);
  const auto response = copier.Await(ScriptedCopier::Response::kWelcome);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->welcome().session_number(), number);
  ASSERT_EQ(response->welcome().not_held_size(), 1);
  EXPECT_EQ(response->welcome().not_held(0).unit(), lease.unit() + 100);
  EXPECT_EQ(copier.Commit(GoodProbe(lease)).result(),
            v1::CheckpointAck::RECORDED);
}

TEST_F(CopierServiceTest, ALeaseTellsWhenItsRuleWasCreated) {
  ScriptedCopier copier(server_);
  const v1::Lease lease = StartChanges(copier, 1);
  EXPECT_EQ(lease.rule_create_time().SerializeAsString(),
            server_.GetRule(lease.rule()).create_time().SerializeAsString());
  EXPECT_FALSE(lease.has_changed_since());
}

TEST_F(CopierServiceTest, AHeartbeatRenewsAndIsAnswered) {
  ScriptedCopier copier(server_);
  const v1::Lease lease = StartChanges(copier, 1);
  // Far beyond one ttl + grace, in steps that are none of the server's stalls.
  for (int i = 0; i < 20; ++i) {
    server_.clock().Advance(absl::Milliseconds(900));
    EXPECT_THAT(copier.Heartbeat().not_renewed(), IsEmpty());
  }
  v1::Checkpoint done = CheckpointOf(lease);
  done.mutable_to()->set_sequence(1);
  done.set_applied(1);
  EXPECT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
}

TEST_F(CopierServiceTest, ASilentCopierLosesItsWorkToAnother) {
  ScriptedCopier silent(server_);
  const v1::Lease lost = StartChanges(silent, 3);
  ScriptedCopier other(server_);
  ASSERT_GT(other.Hello("copier-2"), 0);
  PassTimeUntil(other, ScriptedCopier::Response::kGrant);
  const v1::Lease found = other.AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(found.unit(), lost.unit());
  EXPECT_GT(found.token(), lost.token());
  // The old holder wakes up: its checkpoint changes nothing.
  v1::Checkpoint late = CheckpointOf(lost);
  late.mutable_to()->set_sequence(3);
  late.set_applied(3);
  EXPECT_EQ(silent.Commit(late).result(), v1::CheckpointAck::FENCED);
  EXPECT_EQ(Progress().live().applied(), 0);
  EXPECT_EQ(Progress().live().pending(), 3);
  // And is told at its next heartbeat.
  const auto ack = silent.Heartbeat();
  ASSERT_EQ(ack.not_renewed_size(), 1);
  EXPECT_EQ(ack.not_renewed(0).unit(), lost.unit());
  EXPECT_EQ(ack.not_renewed(0).token(), lost.token());
}

// A session that lives long without work is as good as a new one, whoever
// comes meanwhile.
TEST_F(CopierServiceTest, AnIdleSessionGetsWorkAfterTwoDays) {
  ScriptedCopier idle(server_);
  ASSERT_GT(idle.Hello("copier-1"), 0);
  server_.clock().StepWall(absl::Hours(48));
  {
    ScriptedCopier other(server_);
    ASSERT_GT(other.Hello("copier-2"), 0);
    ASSERT_TRUE(other.Finish().ok());
  }
  idle.Heartbeat();
  AddRule(/*historical=*/false);
  EXPECT_EQ(idle.AwaitGrant(v1::Lease::PROBE).rule(), kRule);
}

// -------------------------------------------------------------- the whole way

TEST_F(CopierServiceTest, HistoryFromTheProbeToOneHundredPercent) {
  AddRule(/*historical=*/true);
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  Activate(copier);
  const auto historical = [&] { return Progress().historical(); };
  EXPECT_EQ(historical().fraction(), 0);
  EXPECT_FALSE(historical().inventory_complete());

  const v1::Lease inventory = copier.AwaitGrant(v1::Lease::INVENTORY);
  EXPECT_EQ(inventory.rule(), kRule);
  EXPECT_THAT(inventory.prefixes(), ElementsAre("a/"));
  EXPECT_EQ(inventory.operations(), v1::Rule::ADD_DELETE_CHANGE);
  EXPECT_EQ(inventory.range_objects(), 10'000);
  EXPECT_EQ(inventory.source().identity(), "source-id");
  EXPECT_EQ(inventory.destination().identity(), "destination-id");
  v1::Checkpoint listed = CheckpointOf(inventory);
  const auto add_range = [&](const std::string& end, int64_t objects) {
    auto& range = *listed.add_ranges();
    range.set_end(end);
    range.set_objects(objects);
  };
  add_range("a/2", 2);
  add_range("a/5", 3);
  listed.mutable_to()->set_key("a/5");
  EXPECT_EQ(copier.Commit(listed).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(historical().total_objects(), 5);
  EXPECT_FALSE(historical().inventory_complete());

  // The same again: told so, and counted once.
  const auto again = copier.Commit(listed);
  EXPECT_EQ(again.result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(again.cursor().key(), "a/5");
  EXPECT_EQ(historical().total_objects(), 5);

  listed = CheckpointOf(inventory);
  listed.mutable_from()->set_key("a/5");
  add_range("a/9", 4);
  listed.mutable_to()->set_key("a/9");
  listed.set_complete(true);
  const auto complete = copier.Commit(listed);
  EXPECT_EQ(complete.result(), v1::CheckpointAck::RECORDED);
  EXPECT_TRUE(complete.complete());
  EXPECT_EQ(historical().total_objects(), 9);
  EXPECT_TRUE(historical().inventory_complete());
  EXPECT_EQ(historical().fraction(), 0);

  // Three ranges, contiguous. Fewer or more objects are met than were listed.
  std::vector<std::pair<std::string, std::string>> ranges;
  const int64_t met[] = {2, 1, 5};
  double last = 0;
  for (int i = 0; i < 3; ++i) {
    const v1::Lease range = copier.AwaitGrant(v1::Lease::BACKFILL);
    ranges.emplace_back(range.range_start(), range.range_end());
    EXPECT_EQ(range.cursor().key(), range.range_start());
    v1::Checkpoint copied = CheckpointOf(range);
    copied.mutable_to()->set_key(range.range_end());
    copied.set_complete(true);
    copied.set_applied(met[i] - 1);
    (*copied.mutable_filtered())["REPLICA"] = 1;
    copied.set_bytes(100);
    EXPECT_EQ(copier.Commit(copied).result(), v1::CheckpointAck::RECORDED);
    const double fraction = historical().fraction();
    EXPECT_GE(fraction, last);
    EXPECT_EQ(fraction == 1, i == 2) << fraction;
    last = fraction;
  }
  std::sort(ranges.begin(), ranges.end());
  EXPECT_THAT(ranges, ElementsAre(std::pair("", "a/2"), std::pair("a/2", "a/5"),
                                  std::pair("a/5", "a/9")));
  EXPECT_EQ(historical().done_objects(), 8);
  EXPECT_EQ(historical().total_objects(), 8);
  EXPECT_EQ(historical().skipped(), 3);
  EXPECT_EQ(historical().bytes(), 300);
  EXPECT_EQ(historical().fraction(), 1);
  EXPECT_FALSE(historical().has_eta());
  EXPECT_EQ(copier.stray_grants(), 0);
}

TEST_F(CopierServiceTest, AnEmptySourceIsAtOneHundredPercentAtOnce) {
  AddRule(/*historical=*/true);
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  Activate(copier);
  v1::Checkpoint listed =
      CheckpointOf(copier.AwaitGrant(v1::Lease::INVENTORY));
  listed.set_complete(true);
  EXPECT_EQ(copier.Commit(listed).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Progress().historical().fraction(), 1);
  EXPECT_EQ(Progress().historical().total_objects(), 0);
}

TEST_F(CopierServiceTest, ChangesComeInSegmentsAndAreSettledOnce) {
  ScriptedCopier copier(server_);
  const v1::Lease lease = StartChanges(copier, 5);
  EXPECT_EQ(lease.cursor().sequence(), 0);
  const auto response = copier.Await(ScriptedCopier::Response::kSegment);
  ASSERT_TRUE(response.has_value());
  const v1::Segment& segment = response->segment();
  EXPECT_EQ(segment.unit(), lease.unit());
  EXPECT_EQ(segment.token(), lease.token());
  EXPECT_EQ(segment.first_sequence(), 1);
  EXPECT_EQ(segment.last_sequence(), 5);
  v1::ChangeBatch changes;
  ASSERT_TRUE(changes.ParseFromString(segment.changes()));
  ASSERT_EQ(changes.changes_size(), 5);
  EXPECT_EQ(changes.changes(0).key(), "a/1");
  EXPECT_EQ(changes.changes(4).key(), "a/5");

  v1::Checkpoint done = CheckpointOf(lease);
  done.mutable_to()->set_sequence(3);
  done.set_applied(1);
  done.set_collapsed(1);
  (*done.mutable_filtered())["REPLICA"] = 1;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto ack = copier.Commit(done);
    EXPECT_EQ(ack.result(), v1::CheckpointAck::RECORDED);
    EXPECT_EQ(ack.cursor().sequence(), 3);
    EXPECT_FALSE(ack.complete());
    const auto live = Progress().live();
    EXPECT_EQ(live.applied(), 1);
    EXPECT_EQ(live.collapsed(), 1);
    EXPECT_EQ(live.filtered().at("REPLICA"), 1);
    EXPECT_EQ(live.pending(), 2);
    EXPECT_EQ(live.oldest_pending_key(), "a/4");
  }

  // What is published meanwhile follows by itself.
  Publish(2);
  const auto next = copier.Await(ScriptedCopier::Response::kSegment);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->segment().first_sequence(), 6);
  EXPECT_EQ(next->segment().last_sequence(), 7);
  *done.mutable_from() = done.to();
  done.mutable_to()->set_sequence(7);
  done.set_applied(2);
  EXPECT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Progress().live().pending(), 0);
}

// "An idle rule has no segments, no unit, no lease, and costs nothing."
TEST_F(CopierServiceTest, AnIdleRuleGivesItsLeaseBackAndWakesAgain) {
  ScriptedCopier copier(server_);
  v1::Lease lease = StartChanges(copier, 3);
  for (int round = 0; round < 2; ++round) {
    const int64_t end = lease.cursor().sequence() + 3;
    v1::Checkpoint done = CheckpointOf(lease);
    done.mutable_to()->set_sequence(end);
    done.set_applied(3);
    ASSERT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
    PassTimeUntil(copier, ScriptedCopier::Response::kRevoke);
    const auto revoke = copier.Await(ScriptedCopier::Response::kRevoke);
    ASSERT_TRUE(revoke.has_value());
    EXPECT_EQ(revoke->revoke().reason(), "LOG_EMPTY");
    copier.Release(lease, "REVOKED");
    EXPECT_EQ(Progress().live().pending(), 0);
    Publish(3);
    const v1::Lease next = copier.AwaitGrant(v1::Lease::CHANGES);
    EXPECT_EQ(next.cursor().sequence(), end);
    EXPECT_GT(next.token(), lease.token());
    EXPECT_EQ(Progress().live().pending(), 3);
    lease = next;
  }
}

TEST_F(CopierServiceTest, AnotherCursorIsAnsweredWithTheStoredOne) {
  ScriptedCopier copier(server_);
  const v1::Lease lease = StartChanges(copier, 5);
  v1::Checkpoint done = CheckpointOf(lease);
  done.mutable_to()->set_sequence(2);
  done.set_applied(2);
  ASSERT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
  // From a cursor that is not the stored one, to one that is not either.
  for (const auto& [from, to] : {std::pair(0, 3), std::pair(1, 4),
                                 std::pair(3, 5)}) {
    done.mutable_from()->set_sequence(from);
    done.mutable_to()->set_sequence(to);
    done.set_applied(to - from);
    const auto ack = copier.Commit(done);
    EXPECT_EQ(ack.result(), v1::CheckpointAck::CURSOR_DIFFERS);
    EXPECT_EQ(ack.cursor().sequence(), 2);
  }
  EXPECT_EQ(Progress().live().applied(), 2);
}

TEST_F(CopierServiceTest, AnOldTokenIsFencedAndChangesNothing) {
  ScriptedCopier copier(server_);
  const v1::Lease first = StartChanges(copier, 5);
  copier.Release(first);
  const v1::Lease second = copier.AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(second.unit(), first.unit());
  EXPECT_GT(second.token(), first.token());
  v1::Checkpoint late = CheckpointOf(first);
  late.mutable_to()->set_sequence(5);
  late.set_applied(5);
  EXPECT_EQ(copier.Commit(late).result(), v1::CheckpointAck::FENCED);
  late.set_token(second.token() + 1);
  EXPECT_EQ(copier.Commit(late).result(), v1::CheckpointAck::FENCED);
  late.set_unit(second.unit() + 1000);
  EXPECT_EQ(copier.Commit(late).result(), v1::CheckpointAck::FENCED);
  EXPECT_EQ(Progress().live().pending(), 5);
}

TEST_F(CopierServiceTest, TokensRiseAcrossRestarts) {
  int64_t last = 0;
  {
    ScriptedCopier copier(server_);
    const v1::Lease lease = StartChanges(copier, 1);
    last = lease.token();
    copier.Release(lease);
  }
  for (int round = 0; round < 2; ++round) {
    server_.Restart();
    ScriptedCopier copier(server_);
    ASSERT_GT(copier.Hello(absl::StrCat("new-", round)), 0);
    PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
    const v1::Lease lease = copier.AwaitGrant(v1::Lease::CHANGES);
    EXPECT_GT(lease.token(), last);
    last = lease.token();
  }
}

TEST_F(CopierServiceTest, ACheckpointThatMakesNoSenseEndsTheStream) {
  ScriptedCopier starter(server_);
  const v1::Lease first = StartChanges(starter, 5);
  ASSERT_TRUE(starter.Finish().ok());
  const auto cp = [&](const std::string& json) {
    return test::FromJson<v1::Checkpoint>(json);
  };
  int number = 0;
  for (const v1::Checkpoint& senseless : {
           // The counts must add up to the interval.
           cp(R"({"to":{"sequence":"3"},"applied":"2"})"),
           cp(R"({"to":{"sequence":"3"},"applied":"4"})"),
           cp(R"({"to":{"sequence":"3"},"applied":"4","collapsed":"-1"})"),
           cp(R"({"to":{"sequence":"2"},"filtered":{"X":"-1","Y":"3"}})"),
           // Never back, never complete, never what was not logged.
           cp(R"({"from":{"sequence":"3"},"to":{"sequence":"2"},
                  "applied":"-1"})"),
           cp(R"({"to":{"sequence":"5"},"applied":"5","complete":true})"),
           cp(R"({"to":{"sequence":"6"},"applied":"6"})"),
           cp(R"({"to":{"sequence":"3"},"applied":"3","bytes":"-1"})"),
           // Counts that add up only when they wrap around.
           cp(R"({"to":{"sequence":"3"},"applied":"9223372036854775807",
                  "collapsed":"9223372036854775807","filtered":{"X":"5"}})"),
           // Objects apart count for their changes, each once, with a reason.
           cp(R"({"to":{"sequence":"3"},"applied":"2",
                  "failed":[{"key":"a/1","reason":"X"}]})"),
           cp(R"({"to":{"sequence":"3"},"applied":"2",
                  "failed":[{"key":"a/1","changes":"1"}]})"),
           cp(R"({"to":{"sequence":"3"},"applied":"1",
                  "failed":[{"key":"a/1","reason":"X","changes":"1"},
                            {"key":"a/1","reason":"Y","changes":"1"}]})"),
       }) {
    SCOPED_TRACE(senseless.DebugString());
    // A new copier each time; the lease comes to it once the last has gone.
    ScriptedCopier copier(server_);
    ASSERT_GT(copier.Hello(absl::StrCat("copier-", 10 + number++)), 0);
    PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
    const v1::Lease lease = copier.AwaitGrant(v1::Lease::CHANGES);
    v1::Checkpoint checkpoint = senseless;
    checkpoint.set_unit(lease.unit());
    checkpoint.set_token(lease.token());
    copier.Commit(checkpoint);
    EXPECT_REFUSED(copier.Finish(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
    EXPECT_EQ(Progress().live().pending(), 5);
  }
}

TEST_F(CopierServiceTest, SenselessHistoryEndsTheStream) {
  AddRule(/*historical=*/true);
  const auto refuse = [&](v1::Lease::Kind kind, const std::string& json) {
    SCOPED_TRACE(json);
    ScriptedCopier copier(server_);
    static int number = 0;
    ASSERT_GT(copier.Hello(absl::StrCat("copier-", ++number)), 0);
    PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
    const v1::Lease lease = copier.AwaitGrant(kind);
    auto checkpoint = test::FromJson<v1::Checkpoint>(json);
    checkpoint.set_unit(lease.unit());
    checkpoint.set_token(lease.token());
    copier.Commit(checkpoint);
    EXPECT_REFUSED(copier.Finish(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  };
  refuse(v1::Lease::PROBE, R"({"complete":true})");
  refuse(v1::Lease::PROBE, R"({"probe":{}})");
  {
    ScriptedCopier copier(server_);
    ASSERT_GT(copier.Hello("good-1"), 0);
    PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
    Activate(copier);
    copier.Release(copier.AwaitGrant(v1::Lease::INVENTORY));
  }
  for (const char* json :
       {// An end that is no range's, ranges that do not rise, an empty one.
        R"({"to":{"key":"b"},"ranges":[{"end":"a","objects":"1"}]})",
        R"({"to":{"key":"a"}})",
        R"({"to":{"key":"a"},"ranges":[{"end":"b","objects":"1"},
                                       {"end":"a","objects":"1"}]})",
        R"({"to":{"key":"b"},"ranges":[{"end":"a","objects":"0"},
                                       {"end":"b","objects":"1"}]})",
        // An inventory settles nothing.
        R"({"to":{"key":"a"},"applied":"1",
            "ranges":[{"end":"a","objects":"1"}]})"}) {
    refuse(v1::Lease::INVENTORY, json);
  }
  EXPECT_EQ(Progress().historical().total_objects(), 0);
}

// ---------------------------------------------------------------------- probe

TEST_F(CopierServiceTest, AFailedProbeIsShownAndTriedAgain) {
  AddRule(/*historical=*/false);
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  const v1::Lease first = copier.AwaitGrant(v1::Lease::PROBE);
  v1::Checkpoint failed = GoodProbe(first);
  failed.mutable_probe()->mutable_destination()->clear_identity();
  failed.mutable_probe()->mutable_destination()->set_problem("no such folder");
  EXPECT_EQ(copier.Commit(failed).result(), v1::CheckpointAck::RECORDED);
  const v1::Rule rule = server_.GetRule(kRule);
  EXPECT_EQ(rule.state(), v1::Rule::STARTING);
  ASSERT_THAT(ConditionTypes(rule), ElementsAre("PROBE_FAILED"));
  EXPECT_THAT(rule.conditions(0).message(),
              ::testing::HasSubstr("no such folder"));
  EXPECT_THAT(rule.conditions(0).message(),
              ::testing::HasSubstr("buckets/photos-dr"));
  EXPECT_FALSE(rule.conditions(0).remedy().empty());

  PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
  const v1::Lease second = copier.AwaitGrant(v1::Lease::PROBE);
  EXPECT_GT(second.token(), first.token());
  EXPECT_EQ(copier.Commit(GoodProbe(second)).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::ACTIVE);
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)), IsEmpty());
}

TEST_F(CopierServiceTest, ABucketThatIsNotAsRegisteredDoesNotStart) {
  AddRule(/*historical=*/false);
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  v1::Checkpoint probe = GoodProbe(copier.AwaitGrant(v1::Lease::PROBE));
  probe.mutable_probe()->mutable_source()->set_versioning(v1::Bucket::ENABLED);
  EXPECT_EQ(copier.Commit(probe).result(), v1::CheckpointAck::RECORDED);
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)),
              ElementsAre("PROBE_FAILED"));
}

// Where history ends and live begins (design §4).
TEST_F(CopierServiceTest, HistoryWaitsForEveryPublisher) {
  AddRule(/*historical=*/true);
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", "buckets/photos"));
  }
  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  EXPECT_EQ(
      copier.Commit(GoodProbe(copier.AwaitGrant(v1::Lease::PROBE))).result(),
      v1::CheckpointAck::RECORDED);
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)),
              ElementsAre("PUBLISHER_DETACHED"));
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", "buckets/photos"));
  PassTimeUntil(copier, ScriptedCopier::Response::kGrant);
  Activate(copier);
  EXPECT_EQ(copier.AwaitGrant(v1::Lease::INVENTORY).rule(), kRule);
}

// -------------------------------------------------------------------- trouble

TEST_F(CopierServiceTest, TroubleIsShownUntilThereIsProgress) {
  ScriptedCopier copier(server_);
  const v1::Lease lease = StartChanges(copier, 2);
  v1::SessionRequest request;
  request.mutable_trouble()->set_unit(lease.unit());
  request.mutable_trouble()->set_token(lease.token());
  request.mutable_trouble()->set_key("a/1");
  request.mutable_trouble()->set_reason("DESTINATION_FULL");
  // Cut at a character's border: the answer must stay text.
  std::string message;
  for (int i = 0; i < 600; ++i) message += "\xe2\x82\xac";
  request.mutable_trouble()->set_message(message);
  copier.Send(request);
  v1::Rule rule;
  ASSERT_TRUE(Eventually([&] {
    rule = server_.GetRule(kRule);
    return rule.conditions_size() > 0;
  }));
  EXPECT_EQ(rule.conditions(0).type(), "OBJECT_FAILING");
  EXPECT_THAT(rule.conditions(0).message(),
              ::testing::HasSubstr("a/1: DESTINATION_FULL"));
  // A report under a token that is over says nothing.
  request.mutable_trouble()->set_token(lease.token() - 1);
  request.mutable_trouble()->set_reason("STALE");
  copier.Send(request);
  copier.Heartbeat();
  EXPECT_THAT(server_.GetRule(kRule).conditions(0).message(),
              ::testing::Not(::testing::HasSubstr("STALE")));

  v1::Checkpoint done = CheckpointOf(lease);
  done.mutable_to()->set_sequence(1);
  done.set_applied(1);
  ASSERT_EQ(copier.Commit(done).result(), v1::CheckpointAck::RECORDED);
  EXPECT_THAT(ConditionTypes(server_.GetRule(kRule)), IsEmpty());
}

}  // namespace
}  // namespace crr
