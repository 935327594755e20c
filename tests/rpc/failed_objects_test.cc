#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// Objects that leave their lane, as copiers and operators see them.
namespace crr {
namespace {

using test::Call;
using test::CheckpointOf;
using test::FromJson;
using test::MakeChange;
using test::RefusalOf;
using test::ScriptedPublisher;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

using Rules = v1::ReplicationService::Stub;

class FailedObjectsTest : public test::RuleWorld {
 protected:
  // Failing objects are granted again at once.
  FailedObjectsTest() : RuleWorld({.object_retry_base = absl::ZeroDuration()}) {
    EXPECT_EQ(publisher_.Hello("gw", "buckets/hz-1"), 0);
  }

  // A rule whose log has a change of each of these keys, and its lease. All of
  // them were written now; all before ten seconds from now is published.
  v1::Lease StartLog(const std::vector<std::string>& keys) {
    rule_ = StartRule("hz-1", "sh-1").name();
    written_ = server_.clock().WallNow();
    Add(keys);
    published_ = written_ + absl::Seconds(10);
    server_.clock().Advance(absl::Seconds(10));
    copier_->Heartbeat();
    publisher_.CompleteThrough(published_);
    publisher_.Sync(++batches_);
    return copier_->AwaitGrant(v1::Lease::CHANGES);
  }
  void Add(const std::vector<std::string>& keys) {
    std::vector<v1::Change> changes;
    for (const std::string& key : keys) {
      changes.push_back(MakeChange("hz-1", key, v1::Change::PUT, written_));
    }
    ASSERT_TRUE(publisher_.Batch(++batches_, changes));
  }
  // Everything up to `sequence` is settled by leaving the lane.
  v1::CheckpointAck SendApart(v1::Lease& lease, int64_t sequence,
                              const std::vector<v1::ObjectFailure>& failed) {
    v1::Checkpoint checkpoint = CheckpointOf(lease);
    checkpoint.mutable_to()->set_sequence(sequence);
    for (const v1::ObjectFailure& failure : failed) {
      *checkpoint.add_failed() = failure;
    }
    lease.mutable_cursor()->set_sequence(sequence);
    return copier_->Commit(checkpoint);
  }
  // Takes all attempts of the object whose lease comes next, which has used
  // some.
  void UseUpAttempts(const std::string& reason, int64_t used = 0) {
    for (int64_t i = used; i < limits::kObjectAttemptsMax; ++i) {
      copier_->FailObject(copier_->AwaitGrant(v1::Lease::OBJECT), reason,
                          "the bucket says 403");
    }
  }

  v1::RetryFailedObjectsResponse Retry(const std::string& selection) {
    v1::RetryFailedObjectsResponse response;
    const grpc::Status status =
        Call(server_.rules(), &Rules::RetryFailedObjects,
             FromJson<v1::RetryFailedObjectsRequest>(absl::StrCat(
                 R"({"name":")", rule_, R"(","selection":{)", selection, "}}")),
             &response);
    EXPECT_TRUE(status.ok()) << RefusalOf(status);
    return response;
  }
  v1::SkipFailedObjectsResponse Skip(const std::string& selection) {
    v1::SkipFailedObjectsResponse response;
    const grpc::Status status =
        Call(server_.rules(), &Rules::SkipFailedObjects,
             FromJson<v1::SkipFailedObjectsRequest>(absl::StrCat(
                 R"({"name":")", rule_, R"(","selection":{)", selection, "}}")),
             &response);
    EXPECT_TRUE(status.ok()) << RefusalOf(status);
    return response;
  }
  std::vector<std::string> Keys(const std::string& request) {
    std::vector<std::string> keys;
    for (const auto& object :
         FailedObjects(FromJson<v1::ListFailedObjectsRequest>(
             absl::StrCat(R"({"parent":")", rule_, "\"", request, "}")))) {
      keys.push_back(object.key());
    }
    return keys;
  }
  v1::RuleProgress::Live Live() { return Progress(rule_).live(); }
  absl::Time SyncTime() {
    const google::protobuf::Timestamp time = Live().last_sync_time();
    return absl::FromUnixSeconds(time.seconds()) +
           absl::Nanoseconds(time.nanos());
  }

  ScriptedPublisher publisher_{server_};
  int64_t batches_ = 0;
  std::string rule_;
  absl::Time written_;
  absl::Time published_;
};

TEST_F(FailedObjectsTest, FromTheLaneToADeadLetterAndBack) {
  v1::Lease lane = StartLog({"bad", "good", "bad"});
  EXPECT_EQ(lane.large_object_bytes(), limits::kLargeObjectBytes);
  v1::Checkpoint checkpoint = CheckpointOf(lane);
  checkpoint.mutable_to()->set_sequence(3);
  checkpoint.set_applied(1);
  *checkpoint.add_failed() = Failure("bad", "NO_ACCESS", 2);
  checkpoint.mutable_failed(0)->set_size_bytes(17);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Live().applied(), 1);
  EXPECT_EQ(Live().pending(), 2);
  EXPECT_EQ(SyncTime(), written_);

  v1::Lease object = copier_->AwaitGrant(v1::Lease::OBJECT);
  EXPECT_EQ(object.object().key(), "bad");
  EXPECT_FALSE(object.object().has_upload());
  for (int64_t i = 1; i < limits::kObjectAttemptsMax; ++i) {
    copier_->FailObject(object, "DATA_LOSS", "a part is gone");
    const auto all = FailedObjects(rule_);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].state(), v1::FailedObject::RETRYING);
    EXPECT_EQ(all[0].attempts(), i);
    const v1::Lease next = copier_->AwaitGrant(v1::Lease::OBJECT);
    EXPECT_GT(next.token(), object.token());
    object = next;
  }
  EXPECT_EQ(Live().failed(), 0);
  EXPECT_FALSE(Says(rule_, "OBJECTS_FAILED"));
  copier_->FailObject(object, "DATA_LOSS", "a part is gone");

  // A dead letter: nobody works on it, and it holds last_sync_time.
  const auto dead = FailedObjects(rule_);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].key(), "bad");
  EXPECT_EQ(dead[0].state(), v1::FailedObject::DEAD);
  EXPECT_EQ(dead[0].reason(), "DATA_LOSS");
  EXPECT_EQ(dead[0].message(), "a part is gone");
  EXPECT_EQ(dead[0].attempts(), limits::kObjectAttemptsMax);
  EXPECT_EQ(dead[0].changes(), 2);
  EXPECT_EQ(dead[0].size_bytes(), 17);
  EXPECT_FALSE(dead[0].historical());
  EXPECT_FALSE(dead[0].repair());
  EXPECT_EQ(dead[0].first_failure_time().seconds(),
            absl::ToUnixSeconds(server_.clock().WallNow()));
  EXPECT_EQ(Live().failed(), 2);
  EXPECT_EQ(Live().pending(), 0);
  EXPECT_TRUE(Says(rule_, "OBJECTS_FAILED"));
  EXPECT_EQ(SyncTime(), written_);
  copier_->Heartbeat();
  EXPECT_EQ(copier_->stray_grants(), 0);

  EXPECT_EQ(Retry(R"("keys":["bad"])").objects(), 1);
  EXPECT_EQ(Live().failed(), 0);
  EXPECT_EQ(Live().pending(), 2);
  EXPECT_FALSE(Says(rule_, "OBJECTS_FAILED"));
  const v1::Lease again = copier_->AwaitGrant(v1::Lease::OBJECT);
  EXPECT_EQ(again.object().key(), "bad");
  ASSERT_EQ(FinishObject(again).result(), v1::CheckpointAck::RECORDED);
  // One look settled both changes.
  EXPECT_EQ(Live().applied(), 2);
  EXPECT_EQ(Live().collapsed(), 1);
  EXPECT_EQ(Live().pending(), 0);
  EXPECT_EQ(SyncTime(), published_);
  EXPECT_THAT(FailedObjects(rule_), IsEmpty());

  const auto audit = AuditOf(rule_);
  ASSERT_FALSE(audit.empty());
  EXPECT_EQ(audit[0].method(), "crr.v1.ReplicationService/RetryFailedObjects");
  EXPECT_THAT(audit[0].after(), HasSubstr(R"("keys":["bad"])"));
  EXPECT_THAT(audit[0].after(), HasSubstr(R"("objects":"1")"));
}

TEST_F(FailedObjectsTest, ASkippedDeadLetterIsFilteredAndHoldsNothingBack) {
  v1::Lease lane = StartLog({"bad", "bad", "slow"});
  ASSERT_EQ(SendApart(lane, 2, {Failure("bad", "NO_ACCESS", 2)}).result(),
            v1::CheckpointAck::RECORDED);
  UseUpAttempts("NO_ACCESS");
  ASSERT_EQ(SendApart(lane, 3, {Failure("slow", "LARGE", 1)}).result(),
            v1::CheckpointAck::RECORDED);
  const v1::Lease slow = copier_->AwaitGrant(v1::Lease::OBJECT);

  EXPECT_EQ(Skip(R"("reason":"DATA_LOSS")").objects(), 0);
  EXPECT_EQ(Skip(R"("keys":["slow"])").objects(), 0);  // A copier has it.
  const auto skipped = Skip(R"("all":true)");
  EXPECT_EQ(skipped.objects(), 1);
  EXPECT_FALSE(skipped.more());
  EXPECT_THAT(Live().filtered(), ElementsAre(Pair("SKIPPED", 2)));
  EXPECT_EQ(Live().failed(), 0);
  EXPECT_EQ(Live().pending(), 1);
  EXPECT_FALSE(Says(rule_, "OBJECTS_FAILED"));
  EXPECT_EQ(FinishObject(slow).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(SyncTime(), published_);

  // What did nothing is not told.
  const auto audit = AuditOf(rule_);
  ASSERT_EQ(audit.size(), 2u);
  EXPECT_EQ(audit[0].method(), "crr.v1.ReplicationService/SkipFailedObjects");
  EXPECT_EQ(audit[1].method(), "crr.v1.ReplicationService/CreateRule");

  // A later change of it is as any other.
  Add({"bad"});
  EXPECT_EQ(Live().pending(), 1);
  EXPECT_EQ(Apply(lane, 4).result(), v1::CheckpointAck::RECORDED);
}

TEST_F(FailedObjectsTest, WhatComesMeanwhileIsFoldedInAndWorkedOnAgain) {
  v1::Lease lane = StartLog({"bad"});
  ASSERT_EQ(SendApart(lane, 1, {Failure("bad", "CHANGED", 1)}).result(),
            v1::CheckpointAck::RECORDED);
  const v1::Lease first = copier_->AwaitGrant(v1::Lease::OBJECT);
  Add({"bad", "bad"});
  v1::ObjectFailure more = Failure("bad", "CHANGED", 2);
  more.set_deletion(true);
  ASSERT_EQ(SendApart(lane, 3, {more}).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(FailedObjects(rule_).at(0).changes(), 3);
  EXPECT_EQ(copier_->stray_grants(), 0);

  // What the first lease saw may be older than the later changes.
  EXPECT_EQ(FinishObject(first).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Live().pending(), 3);
  const v1::Lease second = copier_->AwaitGrant(v1::Lease::OBJECT);
  EXPECT_EQ(second.unit(), first.unit());
  EXPECT_GT(second.token(), first.token());
  EXPECT_TRUE(second.object().deletion());
  EXPECT_EQ(FinishObject(second).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Live().pending(), 0);
  EXPECT_EQ(Live().applied(), 1);
  EXPECT_EQ(Live().collapsed(), 2);
}

TEST_F(FailedObjectsTest, AnUploadGoesOnWithAnotherLease) {
  v1::Lease lane = StartLog({"giant"});
  ASSERT_EQ(SendApart(lane, 1, {Failure("giant", "LARGE", 1)}).result(),
            v1::CheckpointAck::RECORDED);
  const v1::Lease first = copier_->AwaitGrant(v1::Lease::OBJECT);
  v1::Checkpoint checkpoint = CheckpointOf(first);
  checkpoint.mutable_upload()->set_id("upload-1");
  checkpoint.mutable_upload()->set_source_etag("etag-1");
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  checkpoint.mutable_to()->set_sequence(3);
  checkpoint.set_bytes(3 << 20);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  copier_->FailObject(first, "UNAVAILABLE");
  const v1::Lease second = copier_->AwaitGrant(v1::Lease::OBJECT);
  EXPECT_EQ(second.cursor().sequence(), 3);
  EXPECT_EQ(second.object().upload().id(), "upload-1");
  EXPECT_EQ(second.object().upload().source_etag(), "etag-1");
  // Only what went without progress is an attempt.
  EXPECT_EQ(FailedObjects(rule_).at(0).attempts(), 0);
  EXPECT_EQ(FinishObject(second).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Live().applied(), 1);
}

TEST_F(FailedObjectsTest, HistoryIsNotWholeWhileAnObjectIsApart) {
  rule_ = StartRule("hz-1", "sh-1", R"("replicateHistorical":true)").name();
  v1::Checkpoint listed =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
  listed.mutable_to()->set_key("m");
  listed.set_complete(true);
  listed.add_ranges()->set_end("m");
  listed.mutable_ranges(0)->set_objects(4);
  ASSERT_EQ(copier_->Commit(listed).result(), v1::CheckpointAck::RECORDED);
  v1::Checkpoint copied =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::BACKFILL));
  copied.mutable_to()->set_key("m");
  copied.set_complete(true);
  copied.set_applied(2);
  *copied.add_failed() = Failure("bad", "NO_ACCESS");
  *copied.add_failed() = Failure("worse", "NO_ACCESS");
  ASSERT_EQ(copier_->Commit(copied).result(), v1::CheckpointAck::RECORDED);

  const auto historical = [&] { return Progress(rule_).historical(); };
  EXPECT_EQ(historical().total_objects(), 4);
  EXPECT_EQ(historical().done_objects(), 2);
  EXPECT_EQ(historical().failed(), 2);
  EXPECT_LT(historical().fraction(), 1);
  EXPECT_EQ(Live().last_sync_unknown_reason(), "HISTORICAL_OPEN");
  // "bad" is done; "worse" becomes a dead letter, and is given up.
  const v1::Lease bad = copier_->AwaitGrant(v1::Lease::OBJECT);
  v1::Lease worse = copier_->AwaitGrant(v1::Lease::OBJECT);
  EXPECT_EQ(FinishObject(bad).result(), v1::CheckpointAck::RECORDED);
  EXPECT_EQ(historical().done_objects(), 3);
  for (int64_t i = 1; i < limits::kObjectAttemptsMax; ++i) {
    copier_->FailObject(worse, "NO_ACCESS");
    worse = copier_->AwaitGrant(v1::Lease::OBJECT);
  }
  copier_->FailObject(worse, "NO_ACCESS");
  const auto dead = FailedObjects(rule_);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].state(), v1::FailedObject::DEAD);
  EXPECT_TRUE(dead[0].historical());
  EXPECT_EQ(historical().failed(), 1);
  EXPECT_LT(historical().fraction(), 1);
  EXPECT_EQ(Skip(R"("prefix":"wor")").objects(), 1);
  EXPECT_EQ(historical().failed(), 0);
  EXPECT_EQ(historical().done_objects(), 4);
  EXPECT_EQ(historical().skipped(), 1);
  EXPECT_EQ(historical().fraction(), 1);
}

// ------------------------------------------------------------------- selecting

TEST_F(FailedObjectsTest, OnlyThoseThatFitAllThatIsSet) {
  v1::Lease lane = StartLog({"a/1", "a/2", "b/1", "b/2"});
  ASSERT_EQ(SendApart(lane, 2,
                      {Failure("a/1", "NO_ACCESS", 1),
                       Failure("a/2", "DATA_LOSS", 1)})
                .result(),
            v1::CheckpointAck::RECORDED);
  for (int i = 0; i < 2; ++i) copier_->AwaitGrant(v1::Lease::OBJECT);
  server_.clock().Advance(absl::Seconds(5));
  copier_->Heartbeat();
  ASSERT_EQ(SendApart(lane, 4,
                      {Failure("b/1", "NO_ACCESS", 1),
                       Failure("b/2", "NO_ACCESS", 1)})
                .result(),
            v1::CheckpointAck::RECORDED);
  // b/1 becomes a dead letter; the others stay in the copier's hands.
  for (int i = 0; i < 2; ++i) {
    const v1::Lease lease = copier_->AwaitGrant(v1::Lease::OBJECT);
    if (lease.object().key() == "b/1") copier_->FailObject(lease, "NO_ACCESS");
  }
  UseUpAttempts("NO_ACCESS", /*used=*/1);

  EXPECT_THAT(Keys(""), ElementsAre("a/1", "a/2", "b/1", "b/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"all":true})"),
              ElementsAre("a/1", "a/2", "b/1", "b/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"prefix":"a/"})"),
              ElementsAre("a/1", "a/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"reason":"NO_ACCESS"})"),
              ElementsAre("a/1", "b/1", "b/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"keys":["b/2","a/1","b/2","none"]})"),
              ElementsAre("a/1", "b/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"minAge":"5s"})"),
              ElementsAre("a/1", "a/2"));
  EXPECT_THAT(Keys(R"(,"selection":{"minAge":"5.000001s"})"), IsEmpty());
  EXPECT_THAT(Keys(R"(,"selection":{"reason":"NO_ACCESS","minAge":"5s"})"),
              ElementsAre("a/1"));
  EXPECT_THAT(Keys(R"(,"state":"DEAD")"), ElementsAre("b/1"));
  EXPECT_THAT(Keys(R"(,"state":"RETRYING","selection":{"prefix":"b/"})"),
              ElementsAre("b/2"));
  // By pages, in order, and only for the query that they are of.
  auto request = FromJson<v1::ListFailedObjectsRequest>(
      absl::StrCat(R"({"parent":")", rule_,
                   R"(","pageSize":2,"selection":{"reason":"NO_ACCESS"}})"));
  v1::ListFailedObjectsResponse page;
  const auto list = [&] {
    return Call(server_.rules(), &Rules::ListFailedObjects, request, &page);
  };
  ASSERT_TRUE(list().ok());
  EXPECT_EQ(page.failed_objects_size(), 2);
  ASSERT_FALSE(page.next_page_token().empty());
  request.set_page_token(page.next_page_token());
  for (const char* json :
       {R"({"selection":{"prefix":"b"}})", R"({"state":"RETRYING"})"}) {
    const auto same = request;
    request.MergeFrom(FromJson<v1::ListFailedObjectsRequest>(json));
    EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
    request = same;
  }
  ASSERT_TRUE(list().ok());
  ASSERT_EQ(page.failed_objects_size(), 1);
  EXPECT_EQ(page.failed_objects(0).key(), "b/2");
  EXPECT_TRUE(page.next_page_token().empty());

  // What a copier holds, or what was not tried yet, is left as it is.
  EXPECT_EQ(Retry(R"("minAge":"0s")").objects(), 1);
  EXPECT_EQ(copier_->AwaitGrant(v1::Lease::OBJECT).object().key(), "b/1");
}

TEST_F(FailedObjectsTest, APausedRuleTriesAgainOnceItGoesOn) {
  v1::Lease lane = StartLog({"bad"});
  ASSERT_EQ(SendApart(lane, 1, {Failure("bad", "NO_ACCESS", 1)}).result(),
            v1::CheckpointAck::RECORDED);
  UseUpAttempts("NO_ACCESS");
  ASSERT_TRUE(Pause(rule_).ok());
  EXPECT_EQ(Retry(R"("all":true)").objects(), 1);
  copier_->Heartbeat();
  EXPECT_EQ(copier_->stray_grants(), 0);
  ASSERT_TRUE(Resume(rule_).ok());
  EXPECT_EQ(FinishObject(copier_->AwaitGrant(v1::Lease::OBJECT)).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(Live().pending(), 0);
}

TEST_F(FailedObjectsTest, DeadLettersOutliveARestartAndGoWithTheirRule) {
  v1::Lease lane = StartLog({"bad"});
  ASSERT_EQ(SendApart(lane, 1, {Failure("bad", "NO_ACCESS", 1)}).result(),
            v1::CheckpointAck::RECORDED);
  UseUpAttempts("NO_ACCESS");
  copier_->Release(lane);
  Restart();
  EXPECT_THAT(Keys(R"(,"state":"DEAD")"), ElementsAre("bad"));
  EXPECT_EQ(Live().failed(), 1);
  ASSERT_TRUE(server_.DeleteRule(rule_).ok());
  EXPECT_TRUE(Gone(rule_));
}

}  // namespace
}  // namespace crr
