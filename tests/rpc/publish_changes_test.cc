#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

namespace crr {
namespace {

using grpc::StatusCode;
using test::AddsUp;
using test::MakeChange;
using test::RefusalOf;
using test::ScriptedPublisher;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kRule[] = "buckets/photos/rules/dr";
constexpr char kScope[] = "buckets/photos";

// photos in Hangzhou replicates keys in a/ and b/, ADD_CHANGE only, to
// photos-dr in Shanghai. music in Hangzhou has no rule.
class PublishChangesTest : public ::testing::Test {
 protected:
  explicit PublishChangesTest(TestServer::Options options = {})
      : server_(options) {
    server_.AddBucket("photos", test::kHangzhou);
    server_.AddBucket("photos-dr", test::kShanghai);
    server_.AddBucket("music", test::kHangzhou);
    auto request = test::RuleRequest("photos", "photos-dr");
    request.mutable_rule()->set_operations(v1::Rule::ADD_CHANGE);
    request.mutable_rule()->add_prefixes("a/");
    request.mutable_rule()->add_prefixes("b/");
    EXPECT_TRUE(server_.CreateRule(request).ok());
  }

  v1::RuleProgress::Live Live() {
    const v1::RuleProgress progress = server_.Progress(kRule);
    EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
    return progress.live();
  }

  TestServer server_;
};

TEST_F(PublishChangesTest, HelloBatchAckFinish) {
  ScriptedPublisher publisher(server_);
  ASSERT_EQ(publisher.Hello("p", kScope), 0);
  const auto ack = publisher.Batch(
      7, {MakeChange("photos", "a/1"), MakeChange("photos", "b/2")});
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 2);
  EXPECT_THAT(ack->filtered(), IsEmpty());
  EXPECT_TRUE(publisher.Finish().ok());
  EXPECT_EQ(Live().pending(), 2);
  EXPECT_EQ(Live().oldest_pending_key(), "a/1");
}

TEST_F(PublishChangesTest, ChangesThatNobodyWantsAreCountedByReason) {
  using Change = v1::Change;
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", "regions/oss-cn-hangzhou"));
  Change replica = MakeChange("photos", "a/1");
  replica.set_replica(true);
  const auto ack = publisher.Batch(
      1, {
             // Add/Change takes everything but deletions; delete markers, too.
             MakeChange("photos", "a/1", Change::PUT),
             MakeChange("photos", "a/1", Change::ACL),
             MakeChange("photos", "a/1", Change::TAGGING),
             MakeChange("photos", "a/1", Change::METADATA),
             MakeChange("photos", "a/1", Change::DELETE_MARKER),
             MakeChange("photos", "a/1", Change::DELETE),
             MakeChange("photos", "a/1", Change::DELETE_VERSION),
             MakeChange("photos", "a"),
             MakeChange("photos", "A/1"),
             MakeChange("photos", "c/a/"),
             replica,
             MakeChange("music", "a/1"),
             MakeChange("unregistered", "a/1"),
             // A destination is nobody's source.
             MakeChange("photos-dr", "a/1"),
         });
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 5);
  EXPECT_THAT(ack->filtered(),
              UnorderedElementsAre(Pair("OPERATIONS", 2), Pair("PREFIX", 3),
                                   Pair("REPLICA", 1), Pair("NO_RULE", 3)));
  const auto live = Live();
  EXPECT_EQ(live.published(), 11);
  EXPECT_EQ(live.pending(), 5);
  EXPECT_THAT(live.filtered(),
              UnorderedElementsAre(Pair("OPERATIONS", 2), Pair("PREFIX", 3),
                                   Pair("REPLICA", 1)));
}

TEST_F(PublishChangesTest, WithoutHistoryOnlyATimeOfItsOwnMakesAChangeTooOld) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", "regions/oss-cn-hangzhou"));
  const absl::Time created = server_.clock().WallNow();
  publisher.CompleteThrough(created - absl::Hours(1));
  const auto ack = publisher.Batch(
      1, {
             MakeChange("photos", "a/1"),
             MakeChange("photos", "a/2", v1::Change::PUT,
                        created - absl::Seconds(59)),
             MakeChange("photos", "a/3", v1::Change::PUT,
                        created - absl::Seconds(61)),
         });
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 2);
  EXPECT_THAT(ack->filtered(), ElementsAre(Pair("BEFORE_RULE", 1)));
  EXPECT_THAT(Live().filtered(), ElementsAre(Pair("BEFORE_RULE", 1)));
}

TEST_F(PublishChangesTest, AddDeleteChangeTakesDeletionsToo) {
  server_.AddBucket("all", test::kHangzhou);
  server_.AddBucket("all-dr", test::kShanghai);
  const v1::Rule rule = server_.AddRule("all", "all-dr");
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("", "buckets/all"));
  std::vector<v1::Change> changes;
  for (int kind = v1::Change::PUT; kind <= v1::Change::DELETE_VERSION; ++kind) {
    changes.push_back(
        MakeChange("all", "k", static_cast<v1::Change::Kind>(kind)));
  }
  EXPECT_EQ(publisher.Batch(1, changes)->accepted(), 7);
}

TEST_F(PublishChangesTest, ChangesOutOfScopeAreNotTaken) {
  ScriptedPublisher of_music(server_);
  ASSERT_TRUE(of_music.Hello("music-gw", "buckets/music"));
  EXPECT_THAT(of_music.Batch(1, {MakeChange("photos", "a/1")})->filtered(),
              ElementsAre(Pair("OUT_OF_SCOPE", 1)));
  ScriptedPublisher of_shanghai(server_);
  ASSERT_TRUE(of_shanghai.Hello("sh", "regions/oss-cn-shanghai"));
  EXPECT_THAT(of_shanghai.Batch(1, {MakeChange("photos", "a/1")})->filtered(),
              ElementsAre(Pair("OUT_OF_SCOPE", 1)));
  EXPECT_EQ(Live().pending(), 0);
}

TEST_F(PublishChangesTest, ARuleThatClosesTakesNothing) {
  server_.SetStore(test::kHangzhou);
  server_.SetStore(test::kShanghai);
  test::ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  copier.AwaitGrant(v1::Lease::PROBE);
  ASSERT_TRUE(server_.DeleteRule(kRule).ok());
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  EXPECT_THAT(publisher.Batch(1, {MakeChange("photos", "a/1")})->filtered(),
              ElementsAre(Pair("NO_RULE", 1)));
}

TEST_F(PublishChangesTest, ZeroIsPrinted) {
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(
                  server_.Progress(kRule), &json)
                  .ok());
  for (const char* field :
       {"published", "pending", "applied", "collapsed", "resync", "failed"}) {
    EXPECT_THAT(json, ::testing::HasSubstr(
                          absl::StrCat("\"", field, "\":\"0\"")));
  }
  EXPECT_THAT(json, ::testing::Not(::testing::HasSubstr("historical")));
}

TEST_F(PublishChangesTest, ZeroOfHistoryIsPrintedToo) {
  server_.AddBucket("old", test::kHangzhou);
  server_.AddBucket("old-dr", test::kShanghai);
  auto request = test::RuleRequest("old", "old-dr");
  request.mutable_rule()->set_replicate_historical(true);
  ASSERT_TRUE(server_.CreateRule(request).ok());
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(
                  server_.Progress("buckets/old/rules/dr"), &json)
                  .ok());
  for (const char* printed :
       {"\"inventoryComplete\":false", "\"totalObjects\":\"0\"",
        "\"doneObjects\":\"0\"", "\"skipped\":\"0\"", "\"bytes\":\"0\"",
        "\"fraction\":0"}) {
    EXPECT_THAT(json, ::testing::HasSubstr(printed));
  }
}

// ------------------------------------------------------------ numbers, epochs

TEST_F(PublishChangesTest, ARepeatIsAcknowledgedAndNotTakenAgain) {
  const auto change = MakeChange("photos", "a/1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_EQ(publisher.Hello("p", kScope), 0);
    EXPECT_EQ(publisher.Batch(5, {change})->accepted(), 1);
    for (const int64_t repeat : {5, 4, 1}) {
      EXPECT_EQ(publisher.Batch(repeat, {change})->accepted(), 0) << repeat;
    }
  }
  // It is remembered, by the next server too.
  server_.Restart();
  ScriptedPublisher again(server_);
  EXPECT_EQ(again.Hello("p", kScope), 5);
  EXPECT_EQ(again.Batch(5, {change})->accepted(), 0);
  EXPECT_EQ(again.Batch(6, {change})->accepted(), 1);
  EXPECT_EQ(Live().published(), 2);
  EXPECT_EQ(Live().pending(), 2);
}

TEST_F(PublishChangesTest, PublishersHaveTheirOwnNumbers) {
  ScriptedPublisher first(server_);
  ScriptedPublisher second(server_);
  ASSERT_EQ(first.Hello("p1", kScope), 0);
  ASSERT_EQ(second.Hello("p2", kScope), 0);
  EXPECT_EQ(first.Batch(5, {MakeChange("photos", "a/1")})->accepted(), 1);
  EXPECT_EQ(second.Batch(5, {MakeChange("photos", "a/1")})->accepted(), 1);
}

TEST_F(PublishChangesTest, AnUnnamedPublisherIsNotRemembered) {
  for (int round = 1; round <= 2; ++round) {
    ScriptedPublisher publisher(server_);
    EXPECT_EQ(publisher.Hello("", kScope), 0);
    EXPECT_EQ(publisher.Batch(1, {MakeChange("photos", "a/1")})->accepted(),
              1);
    EXPECT_EQ(publisher.Batch(1, {MakeChange("photos", "a/1")})->accepted(),
              1);
    EXPECT_EQ(Live().pending(), 2 * round);
  }
}

TEST_F(PublishChangesTest, AHigherEpochStartsAnewAndALowerOneIsRefused) {
  const auto change = MakeChange("photos", "a/1");
  {
    ScriptedPublisher publisher(server_);
    ASSERT_EQ(publisher.Hello("p", kScope, 3), 0);
    EXPECT_EQ(publisher.Batch(9, {change})->accepted(), 1);
  }
  {
    ScriptedPublisher publisher(server_);
    ASSERT_EQ(publisher.Hello("p", kScope, 4), 0);
    EXPECT_EQ(publisher.Batch(1, {change})->accepted(), 1);
  }
  ScriptedPublisher late(server_);
  EXPECT_EQ(late.Hello("p", kScope, 3), std::nullopt);
  EXPECT_REFUSED(late.End(), ABORTED, "SESSION_SUPERSEDED");
  ScriptedPublisher right(server_);
  EXPECT_EQ(right.Hello("p", kScope, 4), 1);
}

TEST_F(PublishChangesTest, AStreamOfTheEpochBeforeIsNotHeardAnyMore) {
  ScriptedPublisher old_one(server_);
  ASSERT_TRUE(old_one.Hello("p", kScope, 1));
  ScriptedPublisher new_one(server_);
  ASSERT_TRUE(new_one.Hello("p", kScope, 2));
  ScriptedPublisher::Request request;
  request.mutable_batch()->set_number(1);
  *request.mutable_batch()->add_changes() = MakeChange("photos", "a/1");
  old_one.Send(request);
  EXPECT_REFUSED(old_one.End(), ABORTED, "SESSION_SUPERSEDED");
  EXPECT_EQ(Live().published(), 0);
  EXPECT_EQ(new_one.Batch(1, {MakeChange("photos", "a/1")})->accepted(), 1);
}

TEST_F(PublishChangesTest, ASecondStreamTakesOver) {
  ScriptedPublisher first(server_);
  ASSERT_TRUE(first.Hello("p", kScope));
  ASSERT_TRUE(first.Batch(1, {MakeChange("photos", "a/1")}));
  ScriptedPublisher second(server_);
  EXPECT_EQ(second.Hello("p", kScope), 1);
  EXPECT_REFUSED(first.End(), ABORTED, "SESSION_SUPERSEDED");
  EXPECT_EQ(second.Batch(2, {MakeChange("photos", "a/2")})->accepted(), 1);
  EXPECT_TRUE(second.Finish().ok());
}

TEST_F(PublishChangesTest, UnnamedStreamsLiveSideBySide) {
  ScriptedPublisher first(server_);
  ScriptedPublisher second(server_);
  ASSERT_TRUE(first.Hello("", kScope));
  ASSERT_TRUE(second.Hello("", kScope));
  EXPECT_TRUE(first.Batch(1, {MakeChange("photos", "a/1")}));
  EXPECT_TRUE(second.Batch(1, {MakeChange("photos", "a/1")}));
}

// ------------------------------------------------------------------- refusals

struct BadHello {
  const char* json;
  StatusCode code;
  const char* reason;
  const char* field;
};

TEST_F(PublishChangesTest, BadHellosAreRefused) {
  for (const BadHello& c : {
           BadHello{R"({"publisherId":"p"})", StatusCode::INVALID_ARGUMENT,
                    "REQUIRED_FIELD_MISSING", "hello.scope"},
           BadHello{R"({"publisherId":"P","scope":"buckets/photos"})",
                    StatusCode::INVALID_ARGUMENT, "INVALID_NAME",
                    "hello.publisher_id"},
           BadHello{R"({"publisherId":"p","scope":"photos"})",
                    StatusCode::INVALID_ARGUMENT, "INVALID_NAME",
                    "hello.scope"},
           BadHello{R"({"publisherId":"p","scope":"buckets/-"})",
                    StatusCode::INVALID_ARGUMENT, "INVALID_NAME",
                    "hello.scope"},
           BadHello{R"({"publisherId":"p","scope":"buckets/photos",
                        "epoch":"-1"})",
                    StatusCode::INVALID_ARGUMENT, "INVALID_NAME",
                    "hello.epoch"},
           BadHello{R"({"publisherId":"p","scope":"buckets/nowhere"})",
                    StatusCode::NOT_FOUND, "BUCKET_NOT_FOUND", "hello.scope"},
           BadHello{R"({"publisherId":"p","scope":"regions/nowhere"})",
                    StatusCode::NOT_FOUND, "REGION_NOT_FOUND", "hello.scope"},
       }) {
    SCOPED_TRACE(c.json);
    ScriptedPublisher publisher(server_);
    ScriptedPublisher::Request request;
    *request.mutable_hello() =
        test::FromJson<ScriptedPublisher::Request::Hello>(c.json);
    publisher.Send(request);
    const auto refusal = RefusalOf(publisher.End());
    EXPECT_EQ(refusal.code, c.code) << refusal;
    EXPECT_THAT(refusal.flaws, IsEmpty()) << refusal;
    ASSERT_EQ(refusal.violations.size(), 1u);
    EXPECT_EQ(refusal.violations[0].reason(), c.reason);
    EXPECT_EQ(refusal.violations[0].field(), c.field);
  }
}

TEST_F(PublishChangesTest, ABadChangeTakesTheWholeBatchWithIt) {
  const auto with_key = [](const std::string& key) {
    return MakeChange("photos", key);
  };
  v1::Change no_kind = MakeChange("photos", "a/1");
  no_kind.clear_kind();
  v1::Change unknown_kind = MakeChange("photos", "a/1");
  unknown_kind.set_kind(static_cast<v1::Change::Kind>(99));
  v1::Change no_bucket = MakeChange("photos", "a/1");
  no_bucket.clear_bucket();
  v1::Change bad_bucket = MakeChange("photos", "a/1");
  bad_bucket.set_bucket("photos");
  v1::Change long_version = MakeChange("photos", "a/1");
  long_version.set_version_id(std::string(513, 'v'));
  struct Case {
    v1::Change change;
    const char* reason;
    const char* field;
  };
  for (const Case& c : {
           Case{with_key(""), "INVALID_KEY", "key"},
           Case{with_key(std::string(1025, 'a')), "INVALID_KEY", "key"},
           Case{with_key(std::string("a\0b", 3)), "INVALID_KEY", "key"},
           Case{no_kind, "REQUIRED_FIELD_MISSING", "kind"},
           Case{unknown_kind, "INVALID_NAME", "kind"},
           Case{no_bucket, "REQUIRED_FIELD_MISSING", "bucket"},
           Case{bad_bucket, "INVALID_NAME", "bucket"},
           Case{long_version, "INVALID_NAME", "version_id"},
       }) {
    SCOPED_TRACE(c.reason);
    ScriptedPublisher publisher(server_);
    ASSERT_EQ(publisher.Hello("p", kScope), 0);
    EXPECT_FALSE(publisher.Batch(1, {with_key("a/1"), c.change}).has_value());
    const auto refusal = RefusalOf(publisher.End());
    EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT) << refusal;
    EXPECT_THAT(refusal.flaws, IsEmpty()) << refusal;
    EXPECT_THAT(refusal.ReasonsAndFields(),
                ElementsAre(absl::StrCat(c.reason, " batch.changes[1].",
                                         c.field)));
    EXPECT_EQ(Live().published(), 0);
  }
}

TEST_F(PublishChangesTest, AKeyMayHave1024Bytes) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  const std::string key = "a/" + std::string(1022, 'x');
  EXPECT_EQ(publisher.Batch(1, {MakeChange("photos", key)})->accepted(), 1);
  EXPECT_EQ(Live().oldest_pending_key(), key);
}

// What protobuf cannot parse shows as the end of the stream.
TEST_F(PublishChangesTest, AKeyThatIsNoTextIsMalformed) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  EXPECT_FALSE(
      publisher.Batch(1, {MakeChange("photos", "a/\xff\xfe")}).has_value());
  EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  EXPECT_EQ(Live().published(), 0);
}

TEST_F(PublishChangesTest, ABatchHas1000ChangesAtMost) {
  const std::vector<v1::Change> changes(1001, MakeChange("photos", "a/1"));
  {
    ScriptedPublisher publisher(server_);
    ASSERT_EQ(publisher.Hello("p", kScope), 0);
    EXPECT_FALSE(publisher.Batch(1, changes).has_value());
    EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }
  ScriptedPublisher publisher(server_);
  ASSERT_EQ(publisher.Hello("p", kScope), 0);
  EXPECT_EQ(publisher.Batch(1, {changes.begin(), changes.end() - 1})
                ->accepted(),
            1000);
  EXPECT_EQ(Live().pending(), 1000);
}

TEST_F(PublishChangesTest, ABatchHasOneMebibyteAtMost) {
  std::vector<v1::Change> changes(
      999, MakeChange("photos", "a/" + std::string(1020, 'x')));
  ScriptedPublisher::Request request;
  request.mutable_batch()->set_number(1);
  request.mutable_batch()->mutable_changes()->Assign(changes.begin(),
                                                     changes.end());
  // Padded to the byte with version ids.
  const size_t room = (1 << 20) - request.batch().ByteSizeLong();
  constexpr size_t kFieldHead = 3;  // Tag and a length of two bytes.
  constexpr size_t kFull = 300;
  for (size_t i = 0; i < room / (kFull + kFieldHead); ++i) {
    request.mutable_batch()->mutable_changes(static_cast<int>(i))
        ->set_version_id(std::string(kFull, 'v'));
  }
  while (request.batch().ByteSizeLong() < (1 << 20)) {
    request.mutable_batch()->mutable_changes(998)->mutable_version_id()->append(
        "v");
  }
  ASSERT_EQ(request.batch().ByteSizeLong(), 1u << 20);
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  publisher.Send(request);
  ASSERT_TRUE(publisher.Next().has_value());
  EXPECT_EQ(Live().pending(), 999);
  request.mutable_batch()->set_number(2);
  request.mutable_batch()->mutable_changes(998)->mutable_version_id()->append(
      "v");
  publisher.Send(request);
  EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  EXPECT_EQ(Live().pending(), 999);
}

TEST_F(PublishChangesTest, ANumberIsAboveZero) {
  for (const int64_t number : {0, -1}) {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("p", kScope));
    EXPECT_FALSE(publisher.Batch(number, {MakeChange("photos", "a/1")}));
    EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT,
                   "REQUIRED_FIELD_MISSING");
  }
}

TEST_F(PublishChangesTest, MessagesOutOfTurnAreMalformed) {
  ScriptedPublisher::Request batch;
  batch.mutable_batch()->set_number(1);
  *batch.mutable_batch()->add_changes() = MakeChange("photos", "a/1");
  ScriptedPublisher::Request complete;
  complete.mutable_complete_through()->mutable_time()->set_seconds(1);
  for (const auto& first : {batch, complete, ScriptedPublisher::Request()}) {
    ScriptedPublisher publisher(server_);
    publisher.Send(first);
    EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }
  ScriptedPublisher twice(server_);
  ASSERT_TRUE(twice.Hello("p", kScope));
  EXPECT_FALSE(twice.Hello("p", kScope).has_value());
  EXPECT_REFUSED(twice.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  ScriptedPublisher empty(server_);
  ASSERT_TRUE(empty.Hello("p", kScope));
  empty.Send(ScriptedPublisher::Request());
  EXPECT_REFUSED(empty.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  EXPECT_EQ(Live().published(), 0);
}

TEST_F(PublishChangesTest, AnEndWithoutFinishIsMalformedButTakesNothingBack) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  ASSERT_TRUE(publisher.Batch(1, {MakeChange("photos", "a/1")}));
  EXPECT_REFUSED(publisher.BreakOff(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  EXPECT_EQ(Live().pending(), 1);
  ScriptedPublisher silent(server_);
  EXPECT_REFUSED(silent.BreakOff(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
}

// A time that no Timestamp can have would come back in last_sync_time, where
// JSON cannot show it.
TEST_F(PublishChangesTest, ATimeThatIsNoneIsRefused) {
  struct Case {
    int64_t seconds;
    int32_t nanos;
  };
  for (const Case& c :
       {Case{int64_t{1} << 60, 0}, Case{-(int64_t{1} << 60), 0},
        Case{253'402'300'800, 0}, Case{0, 1'000'000'000}, Case{0, -1}}) {
    SCOPED_TRACE(absl::StrCat(c.seconds, ".", c.nanos));
    v1::Change change = MakeChange("photos", "a/1");
    change.mutable_event_time()->set_seconds(c.seconds);
    change.mutable_event_time()->set_nanos(c.nanos);
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", kScope));
    EXPECT_FALSE(publisher.Batch(1, {change}).has_value());
    EXPECT_EQ(publisher.Finish().error_code(), StatusCode::INVALID_ARGUMENT);

    ScriptedPublisher other(server_);
    ASSERT_TRUE(other.Hello("p", kScope));
    ScriptedPublisher::Request request;
    auto& time = *request.mutable_complete_through()->mutable_time();
    time.set_seconds(c.seconds);
    time.set_nanos(c.nanos);
    other.Send(request);
    EXPECT_EQ(other.Finish().error_code(), StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(PublishChangesTest, CompleteThroughNeedsATime) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  ScriptedPublisher::Request request;
  request.mutable_complete_through();
  publisher.Send(request);
  EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING");
}

// ---------------------------------------------------------------- a full log

class FullLogTest : public PublishChangesTest {
 protected:
  FullLogTest() : PublishChangesTest({.rule_log_bytes_max = 2000}) {
    server_.AddBucket("music-dr", test::kShanghai);
    server_.AddRule("music", "music-dr");
  }
};

// Nobody is pushed back for it: what comes after is log_overflow_test.cc.
TEST_F(FullLogTest, AFullLogIsDroppedAndOtherRulesAreNoneTheWorse) {
  const auto full = MakeChange("photos", "a/" + std::string(500, 'x'));
  ScriptedPublisher publisher(server_);
  ASSERT_EQ(publisher.Hello("p", "regions/oss-cn-hangzhou"), 0);
  ASSERT_TRUE(publisher.Batch(1, {full, full, full}));
  const auto ack = publisher.Batch(
      2, {MakeChange("music", "m"), MakeChange("photos", "c/filtered"), full,
          MakeChange("music", "m")});
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted(), 3);
  EXPECT_THAT(ack->filtered(), ElementsAre(Pair("PREFIX", 1)));
  EXPECT_TRUE(test::Eventually([&] { return Live().resync() == 4; }));
  EXPECT_EQ(Live().published(), 5);
  EXPECT_EQ(Live().pending(), 0);
  EXPECT_EQ(
      server_.Progress("buckets/music/rules/dr").live().pending(), 2);
  // The next ones, too.
  EXPECT_EQ(publisher.Batch(3, {full})->accepted(), 1);
  EXPECT_EQ(Live().resync(), 5);
  EXPECT_TRUE(publisher.Finish().ok());
}

// What one such change costs in the log: the record of a ChangeBatch.
int64_t RecordBytes(const v1::Change& change) {
  v1::ChangeBatch record;
  *record.add_changes() = change;
  return static_cast<int64_t>(record.ByteSizeLong());
}

class LogBoundTest : public PublishChangesTest {
 protected:
  static constexpr int kRecords = 5;
  static v1::Change OneChange() { return MakeChange("photos", "a/1"); }
  LogBoundTest()
      : PublishChangesTest(
            {.rule_log_bytes_max = kRecords * RecordBytes(OneChange())}) {}
};

TEST_F(LogBoundTest, TheLogTakesItsBoundAndIsDroppedForTheNext) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", kScope));
  for (int i = 1; i <= kRecords; ++i) {
    EXPECT_EQ(publisher.Batch(i, {OneChange()})->accepted(), 1) << i;
  }
  // What is only filtered needs no room.
  ASSERT_TRUE(publisher.Batch(10, {MakeChange("photos", "c/1")}));
  EXPECT_EQ(Live().pending(), kRecords);
  EXPECT_EQ(Live().resync(), 0);
  EXPECT_EQ(publisher.Batch(11, {OneChange()})->accepted(), 1);
  EXPECT_TRUE(test::Eventually(
      [&] { return Live().resync() == kRecords + 1; }));
  EXPECT_EQ(Live().pending(), 0);
}

// ------------------------------------------------------------- under pressure

TEST_F(PublishChangesTest, ManyPublishersLoseAndRepeatNothing) {
  constexpr int kPublishers = 8;
  constexpr int kBatches = 50;
  std::vector<std::thread> threads;
  std::atomic<bool> over = false;
  // The sum holds at all times, not only in the end.
  std::thread watcher([&] {
    while (!over) Live();
  });
  for (int p = 0; p < kPublishers; ++p) {
    threads.emplace_back([&, p] {
      int64_t next = 1;
      // Broken off and taken up again, with the last batch repeated.
      while (next <= kBatches) {
        ScriptedPublisher publisher(server_);
        const auto last = publisher.Hello(absl::StrCat("p", p), kScope);
        ASSERT_TRUE(last.has_value());
        ASSERT_EQ(*last, next - 1);
        if (next > 1) {
          EXPECT_EQ(publisher.Batch(next - 1, {MakeChange("photos", "a/1")})
                        ->accepted(),
                    0);
        }
        for (int i = 0; i < 7 && next <= kBatches; ++i, ++next) {
          ASSERT_TRUE(publisher.Batch(next, {MakeChange("photos", "a/1"),
                                             MakeChange("photos", "c/1"),
                                             MakeChange("photos", "b/1")}));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  over = true;
  watcher.join();
  const auto live = Live();
  EXPECT_EQ(live.published(), 3 * kPublishers * kBatches);
  EXPECT_EQ(live.pending(), 2 * kPublishers * kBatches);
}

// Broken off while a batch is on its way, so that nobody knows whether it was
// taken, and sent again by the next stream, which may overtake it.
TEST_F(PublishChangesTest, ABatchOfUnknownFateIsTakenOnce) {
  constexpr int64_t kBatches = 100;
  for (int64_t number = 1; number <= kBatches; ++number) {
    ScriptedPublisher::Request request;
    request.mutable_batch()->set_number(number);
    *request.mutable_batch()->add_changes() = MakeChange("photos", "a/1");
    {
      ScriptedPublisher broken(server_);
      ASSERT_TRUE(broken.Hello("p", kScope));
      broken.Send(request);
    }
    ScriptedPublisher publisher(server_);
    const auto last = publisher.Hello("p", kScope);
    ASSERT_TRUE(last.has_value());
    EXPECT_TRUE(*last == number || *last == number - 1) << *last;
    ASSERT_TRUE(publisher.Batch(number, {MakeChange("photos", "a/1")}));
  }
  EXPECT_EQ(Live().published(), kBatches);
}

}  // namespace
}  // namespace crr
