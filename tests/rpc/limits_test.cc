#include "server/core/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/lease_converters.h"
#include "server/rpc/stream.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// Every bound of server/core/limits.h at its value and one beyond. Those that
// another test looks at are in this table; the last test here keeps it whole.
namespace crr {
namespace {

struct Elsewhere {
  const char* limit;
  const char* file;
  const char* test;
};

constexpr Elsewhere kElsewhere[] = {
    {"kWatchersMax", "rpc/watch_progress_test.cc", "ThereIsRoomForSoMany"},
    {"kQueueMax", "overload/queue_test.cc",
     "WritesAreRefusedAndAllElseIsServed"},
    {"kQueueBytesMax", "storage/database_test.cc",
     "TheBytesThatWaitAreBoundedToo"},
    {"kCheckpointsInHandMax", "overload/queue_test.cc",
     "ACopierHasSoManyCheckpointsInHand"},
    {"kCheckpointBytesInHandMax", "overload/queue_test.cc",
     "ACopierHasSoManyBytesInHand"},
    {"kPublishStreamsMax", "overload/publishers_test.cc",
     "SoManyStreamsAndNoMore"},
    {"kStreamOutboxBytesMax", "overload/copiers_test.cc",
     "ASilentOneLosesItsWorkAndCostsLittle"},
    {"kOutboxBytesMax", "overload/copiers_test.cc",
     "ManyOfThemCostLessThanTheSumOfTheirBounds"},
    {"kSegmentReadsMax", "core/lease_overload_test.cc", "SoManyReadsAtOnce"},
    {"kSessionStartsMax", "core/lease_overload_test.cc",
     "SoManySessionsStartAtOnce"},
    {"kSegmentsPerReadMax", "core/durable_leases_test.cc",
     "ALogOfSmallSegmentsIsReadInPieces"},
    {"kNotesInHandMax", "core/durable_leases_test.cc",
     "SoManyReportsWaitToBeStored"},
    {"kSessionsMax", "overload/sessions_test.cc", "SoManyAndNoMore"},
    {"kPublisherStallMax", "overload/stream_test.cc",
     "APeerThatDoesNotReadIsCutOff"},
    {"kPrefixesMax", "rpc/create_rule_test.cc",
     "EachReasonComesWithItsWholeForm"},
    {"kPrefixesMax", "rpc/create_rule_test.cc",
     "WhatIsJustWithinTheBoundsIsGood"},
    {"kPrefixBytesMax", "rpc/create_rule_test.cc",
     "EachReasonComesWithItsWholeForm"},
    {"kPrefixBytesMax", "rpc/create_rule_test.cc",
     "WhatIsJustWithinTheBoundsIsGood"},
    {"kKeyBytesMax", "rpc/publish_changes_test.cc", "AKeyMayHave1024Bytes"},
    {"kKeyBytesMax", "rpc/publish_changes_test.cc",
     "ABadChangeTakesTheWholeBatchWithIt"},
    {"kStoreRootBytesMax", "rpc/registry_test.cc",
     "ARootIsAPlainAbsolutePath"},
    {"kDefaultLeasesOfLimitedRule", "core/work_grant_test.cc",
     "LeasesShareTheBytesOfTheirRule"},
    {"kPageSizeDefault", "rpc/lists_test.cc",
     "PageSizesAreDefaultedAndBounded"},
    {"kPageBytesMax", "rpc/audit_test.cc", "APageOfLargeEventsIsShort"},
    {"kAuditPageSizeMax", "rpc/audit_test.cc", "APageHasSoManyEventsAtMost"},
    {"kWatchersMax", "rpc/watch_progress_test.cc", "SoManyMayWaitAndNoMore"},
    {"kSmallObjectBytes", "rpc/metrics_test.cc",
     "OnlySmallObjectsCountForTheirPromise"},
    {"kRuleSeriesMax", "rpc/metrics_test.cc",
     "NamedRulesAreThoseFurthestBehindAndBoundedInNumber"},
    {"kRequestMemory", "rpc/idempotency_test.cc", "TheMemoryLastsADay"},
    {"kAuditAge", "storage/audit_table_test.cc",
     "AnEventIsKeptForItsAgeAndNotLonger"},
    {"kAuditEventsMax", "storage/audit_table_test.cc",
     "SoManyEventsAreKeptAndNotMore"},
    {"kBatchChangesMax", "rpc/publish_changes_test.cc",
     "ABatchHas1000ChangesAtMost"},
    {"kBatchBytesMax", "rpc/publish_changes_test.cc",
     "ABatchHasOneMebibyteAtMost"},
    {"kClockSkewMax", "core/change_log_test.cc",
     "WithoutHistoryWhatIsOlderThanTheRuleIsFiltered"},
    {"kSegmentBytesMax", "core/change_log_test.cc", "ASegmentIsCutAtItsBound"},
    // With smaller values of the same bound: nobody fills 256 MiB for it.
    {"kRuleLogBytesMax", "core/resync_test.cc", "ALogMayBeFilledToItsBound"},
    {"kRuleLogBytesMax", "rpc/publish_changes_test.cc",
     "TheLogTakesItsBoundAndIsDroppedForTheNext"},
    {"kPartitionsMax", "core/partitions_test.cc", "ItGrowsToItsBound"},
    {"kHotPartitionBytes", "core/partitions_test.cc",
     "AHotRuleGrowsAndTheOldLogIsEmptiedFirst"},
    {"kFailedObjectsMax", "core/object_lane_test.cc", "TooManyAreNotTaken"},
    {"kFailuresPerCheckpointMax", "core/object_lane_test.cc",
     "SenselessFailuresAreRefused"},
    {"kUploadIdBytesMax", "core/object_lane_test.cc",
     "SenselessFailuresAreRefused"},
    {"kReadBytesPerSecondMin", "core/lease_objects_test.cc",
     "ALargeOneMayBeSilentForLong"},
    {"kObjectAttemptsMax", "core/object_lane_test.cc",
     "AfterTheLastAttemptItIsADeadLetter"},
    {"kObjectAttemptsMax", "rpc/failed_objects_test.cc",
     "FromTheLaneToADeadLetterAndBack"},
    {"kOutageMax", "core/object_lane_test.cc",
     "AnOutageOfTheStoreMayOutliveAllAttempts"},
    {"kLaneLossesMax", "core/object_lane_test.cc",
     "ALaneThatLosesItsCopiersIsWorkedOnSerially"},
    // The server tells it, the copier keeps it.
    {"kLargeObjectBytes", "rpc/failed_objects_test.cc",
     "FromTheLaneToADeadLetterAndBack"},
    {"kFailedObjectsPerCallMax", "core/object_lane_test.cc",
     "BulkGoesOnWhereTheLastCallEnded"},
    {"kVerificationSamplesMax", "core/verification_test.cc",
     "SamplesAreTheFirstByKey"},
    // The server tells it, the copier keeps it.
    {"kRangeObjects", "rpc/copier_service_test.cc",
     "HistoryFromTheProbeToOneHundredPercent"},
    {"kRangeObjects", "copier/runner_test.cc",
     "InventoryCutsRangesInsideThePrefixes"},
    {"kRangesPerCheckpointMax", "core/work_checkpoint_test.cc",
     "RangesOfOneReportAreBounded"},
    {"kSlotsMax", "rpc/copier_service_test.cc",
     "BadHellosAreRefusedFieldByField"},
    {"kSegmentCreditBytesMin", "rpc/copier_service_test.cc",
     "BadHellosAreRefusedFieldByField"},
    {"kPurgeStep", "core/work_closing_test.cc", "ManyUnitsGoInSteps"},
};

using test::Call;
using test::RefusalOf;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Text(size_t length) { return std::string(length, 'x'); }

class LimitsTest : public ::testing::Test {
 protected:
  explicit LimitsTest(TestServer::Options options = {}) : server_(options) {
    server_.AddBucket("photos", test::kHangzhou);
    server_.AddBucket("photos-dr", test::kShanghai);
  }

  using Fill = std::function<void(v1::Rule&, int64_t)>;
  // That a rule filled with `max` is good, and one with one more refused, when
  // it is created and, if it can be, when it is changed.
  void ExpectBound(int64_t max, const Fill& fill, const std::string& violation,
                   bool can_change) {
    SCOPED_TRACE(violation);
    if (rule_.name().empty()) rule_ = server_.AddRule("photos", "photos-dr");
    for (const bool beyond : {false, true}) {
      auto create = test::RuleRequest("photos-dr", "photos");
      create.set_validate_only(true);
      fill(*create.mutable_rule(), max + (beyond ? 1 : 0));
      ExpectGood(server_.CreateRule(create), !beyond, violation);
      if (!can_change) continue;
      v1::UpdateRuleRequest update;
      update.mutable_rule()->set_name(rule_.name());
      fill(*update.mutable_rule(), max + (beyond ? 1 : 0));
      ExpectGood(Call(server_.rules(),
                      &v1::ReplicationService::Stub::UpdateRule, update),
                 !beyond, violation);
    }
  }
  static void ExpectGood(const grpc::Status& status, bool good,
                         const std::string& violation) {
    if (good) {
      EXPECT_TRUE(status.ok()) << RefusalOf(status);
    } else {
      EXPECT_THAT(RefusalOf(status).ReasonsAndFields(), ElementsAre(violation));
    }
  }
  grpc::Status UpdateRegion(const v1::UpdateRegionRequest& request) {
    return Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                request);
  }

  TestServer server_;
  v1::Rule rule_;
};

// ----------------------------------------------------------------------- rules

TEST_F(LimitsTest, WhatARuleMayTake) {
  ExpectBound(
      limits::kRuleLeasesMax,
      [](v1::Rule& rule, int64_t n) {
        rule.mutable_limits()->set_max_leases(static_cast<int32_t>(n));
      },
      "INVALID_LIMITS rule.limits.max_leases", /*can_change=*/true);
  ExpectBound(
      limits::kRuleBytesPerSecondMax,
      [](v1::Rule& rule, int64_t n) {
        rule.mutable_limits()->set_max_bytes_per_second(n);
      },
      "INVALID_LIMITS rule.limits.max_bytes_per_second", /*can_change=*/true);
}

TEST_F(LimitsTest, LabelsOfARule) {
  constexpr char kViolation[] = "INVALID_LABELS rule.labels";
  ExpectBound(
      limits::kLabelsMax,
      [](v1::Rule& rule, int64_t n) {
        for (int i = 0; i < n; ++i) {
          (*rule.mutable_labels())[absl::StrCat("key-", i)] = "value";
        }
      },
      kViolation, /*can_change=*/true);
  ExpectBound(
      limits::kLabelKeyBytesMax,
      [](v1::Rule& rule, int64_t n) {
        (*rule.mutable_labels())[Text(static_cast<size_t>(n))] = "value";
      },
      kViolation, /*can_change=*/true);
  ExpectBound(
      limits::kLabelValueBytesMax,
      [](v1::Rule& rule, int64_t n) {
        (*rule.mutable_labels())["key"] = Text(static_cast<size_t>(n));
      },
      kViolation, /*can_change=*/true);
}

TEST_F(LimitsTest, KeyOfEncryptedReplicas) {
  ExpectBound(
      limits::kKmsKeyBytesMax,
      [](v1::Rule& rule, int64_t n) {
        rule.mutable_sse_kms()->set_replicate(true);
        rule.mutable_sse_kms()->set_replica_kms_key(
            Text(static_cast<size_t>(n)));
      },
      "INVALID_NAME rule.sse_kms.replica_kms_key", /*can_change=*/false);
}

// -------------------------------------------------------------------- registry

TEST_F(LimitsTest, OwnerOfABucket) {
  for (const size_t more : {0, 1}) {
    v1::CreateBucketRequest request;
    request.set_bucket_id("other");
    request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
    request.mutable_bucket()->set_owner(Text(limits::kOwnerBytesMax + more));
    request.set_validate_only(true);
    ExpectGood(Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                    request),
               more == 0, "INVALID_NAME bucket.owner");
  }
}

TEST_F(LimitsTest, TextOfARegion) {
  for (const size_t more : {0, 1}) {
    v1::UpdateRegionRequest request;
    request.mutable_region()->set_name("regions/oss-cn-hangzhou");
    request.mutable_region()->set_display_name(
        Text(limits::kDisplayNameBytesMax + more));
    ExpectGood(UpdateRegion(request), more == 0,
               "INVALID_NAME region.display_name");
    request.mutable_region()->clear_display_name();
    request.mutable_region()->set_credentials(
        Text(limits::kCredentialsBytesMax + more));
    ExpectGood(UpdateRegion(request), more == 0,
               "INVALID_NAME region.credentials");
  }
}

TEST_F(LimitsTest, EntriesOfThePolicy) {
  for (const int more : {1, 0}) {
    v1::UpdateRegionPairPolicyRequest request;
    for (int i = 0; i < limits::kPolicyEntriesMax + more; ++i) {
      request.mutable_region_pair_policy()->add_entries()->set_allow(i % 2 ==
                                                                     0);
    }
    v1::RegionPairPolicy policy;
    ExpectGood(Call(server_.regions(),
                    &v1::RegionService::Stub::UpdateRegionPairPolicy, request,
                    &policy),
               more == 0, "INVALID_POLICY region_pair_policy.entries");
    EXPECT_EQ(policy.entries_size(),
              more == 0 ? limits::kPolicyEntriesMax : 0);
  }
}

// ----------------------------------------------------------------------- lists

TEST_F(LimitsTest, BytesOfAFilter) {
  for (const size_t more : {0, 1}) {
    v1::ListRulesRequest request;
    request.set_parent("buckets/-");
    request.set_filter("state = ACTIVE");
    request.mutable_filter()->resize(limits::kFilterBytesMax + more, ' ');
    ExpectGood(Call(server_.rules(), &v1::ReplicationService::Stub::ListRules,
                    request),
               more == 0, "INVALID_FILTER filter");
  }
}

// -------------------------------------------------------------- failed objects

TEST_F(LimitsTest, SelectionOfFailedObjects) {
  const std::string rule = server_.AddRule("photos", "photos-dr").name();
  for (const size_t more : {0, 1}) {
    v1::ListFailedObjectsRequest keys;
    for (size_t i = 0; i < limits::kSelectionKeysMax + more; ++i) {
      keys.mutable_selection()->add_keys(absl::StrCat("key-", i));
    }
    v1::ListFailedObjectsRequest prefix;
    prefix.mutable_selection()->set_prefix(Text(limits::kKeyBytesMax + more));
    v1::ListFailedObjectsRequest reason;
    reason.mutable_selection()->set_reason(
        std::string(limits::kReasonBytesMax + more, 'X'));
    for (auto& [request, violation] :
         {std::pair(keys, "INVALID_KEY selection.keys"),
          std::pair(prefix, "INVALID_KEY selection.prefix"),
          std::pair(reason, "INVALID_NAME selection.reason")}) {
      v1::ListFailedObjectsRequest list = request;
      list.set_parent(rule);
      ExpectGood(Call(server_.rules(),
                      &v1::ReplicationService::Stub::ListFailedObjects, list),
                 more == 0, violation);
    }
  }
}

// -------------------------------------------------------------------- refusals

TEST_F(LimitsTest, ViolationsOfARefusal) {
  for (const size_t more : {0, 1}) {
    v1::UpdateRegionRequest request;
    request.mutable_region()->set_name("regions/oss-cn-hangzhou");
    const size_t wrong = limits::kViolationsMax + more;
    for (size_t i = 0; i < wrong; ++i) {
      request.mutable_update_mask()->add_paths(absl::StrCat("path-", i));
    }
    const auto refusal = RefusalOf(UpdateRegion(request));
    EXPECT_EQ(refusal.reason, "INVALID_UPDATE_MASK");
    EXPECT_EQ(refusal.violations.size(), limits::kViolationsMax);
    // What is not shown is counted.
    EXPECT_THAT(refusal.message, HasSubstr(absl::StrCat("and ", wrong - 1)));
  }
}

// Over a real connection: the bound is gRPC's to keep.
class ConnectedLimitsTest : public LimitsTest {
 protected:
  ConnectedLimitsTest() : LimitsTest({.over_tcp = true}) {}
};

TEST_F(ConnectedLimitsTest, BytesOfAMessage) {
  v1::ListRulesRequest request;
  request.set_parent("buckets/-");
  request.set_page_token(Text(limits::kMessageBytesMax / 2));
  request.mutable_page_token()->append(
      Text(static_cast<size_t>(limits::kMessageBytesMax) -
           request.ByteSizeLong()));
  // The length of the token takes a byte more now.
  while (request.ByteSizeLong() > limits::kMessageBytesMax) {
    request.mutable_page_token()->pop_back();
  }
  ASSERT_EQ(request.ByteSizeLong(), size_t{limits::kMessageBytesMax});
  const auto list = [&] {
    return Call(server_.rules(), &v1::ReplicationService::Stub::ListRules,
                request);
  };
  EXPECT_REFUSED(list(), INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
  request.mutable_page_token()->push_back('x');
  EXPECT_EQ(list().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// --------------------------------------------------------------------- changes

TEST_F(LimitsTest, TextOfAChange) {
  for (const size_t more : {0, 1}) {
    v1::Change version = test::MakeChange("photos", "a");
    version.set_version_id(Text(limits::kVersionIdBytesMax + more));
    v1::Change etag = test::MakeChange("photos", "a");
    etag.set_etag(Text(limits::kEtagBytesMax + more));
    for (const auto& [change, field] :
         {std::pair(version, "version_id"), std::pair(etag, "etag")}) {
      ScriptedPublisher publisher(server_);
      ASSERT_TRUE(publisher.Hello("", "buckets/photos"));
      EXPECT_EQ(publisher.Batch(1, {change}).has_value(), more == 0);
      ExpectGood(publisher.Finish(), more == 0,
                 absl::StrCat("INVALID_NAME batch.changes[0].", field));
    }
  }
}

// --------------------------------------------------------------------- copiers

TEST_F(LimitsTest, LeasesOfAHello) {
  for (const int more : {0, 1}) {
    ScriptedCopier copier(server_);
    v1::SessionRequest request;
    *request.mutable_hello() = ScriptedCopier::MakeHello("copier-1");
    for (int i = 1; i <= limits::kLeaseCreditMax + more; ++i) {
      request.mutable_hello()->add_held()->set_unit(i);
    }
    copier.Send(request);
    const auto answer = copier.Await(ScriptedCopier::Response::kWelcome);
    ASSERT_EQ(answer.has_value(), more == 0);
    if (answer) {
      EXPECT_EQ(answer->welcome().not_held_size(), limits::kLeaseCreditMax);
    }
    ExpectGood(copier.Finish(), more == 0, "MALFORMED_MESSAGE hello.held");
  }
}

TEST(LimitsOfValuesTest, CreditForSegments) {
  constexpr int64_t kMax = limits::kSegmentCreditBytesMax;
  for (const int64_t asked : {kMax - 1, kMax, kMax + 1}) {
    v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
    hello.set_segment_credit_bytes(asked);
    std::vector<Violation> found;
    EXPECT_EQ(FromProto(hello, found).segment_credit_bytes,
              std::min(asked, kMax));
    EXPECT_TRUE(found.empty());
  }
}

TEST(LimitsOfValuesTest, TextThatCopiersReport) {
  const std::string full = Text(limits::kReportBytesMax);
  EXPECT_EQ(BoundedReport(full), full);
  EXPECT_EQ(BoundedReport(full + "x"), full);
  // A letter is not cut in two.
  const std::string letter = "\xe2\x82\xac";
  for (const size_t inside : {1, 2}) {
    const std::string before = Text(limits::kReportBytesMax - inside);
    EXPECT_EQ(BoundedReport(before + letter), before);
  }
  const std::string before = Text(limits::kReportBytesMax - letter.size());
  EXPECT_EQ(BoundedReport(before + letter + "x"), before + letter);
}

// Answers one message with many, and then ends.
class FloodStream final
    : public Stream<v1::SessionRequest, v1::SessionResponse> {
 public:
  FloodStream(grpc::CallbackServerContext* context, size_t answers,
              std::latch& sent)
      : Stream(context, absl::Minutes(1)), answers_(answers), sent_(sent) {}

 private:
  void OnStart() override {}
  void OnMessage(const v1::SessionRequest&) override {
    for (size_t i = 0; i < answers_; ++i) {
      Send(v1::SessionResponse(), /*urgent=*/i % 2 == 0);
    }
    Close(absl::OkStatus());
    sent_.count_down();
  }
  void OnEnd() override {}

  const size_t answers_;
  std::latch& sent_;
};

class FloodService final : public v1::CopierService::CallbackService {
 public:
  explicit FloodService(size_t answers) : answers_(answers) {}
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override {
    return FloodStream::Make<FloodStream>(context, answers_, sent);
  }
  std::latch sent{1};

 private:
  const size_t answers_;
};

// One is on its way, and so many wait behind it.
TEST(LimitsOfStreamsTest, MessagesThatWait) {
  constexpr size_t kUnread = limits::kStreamOutboxMax + 1;
  for (const size_t more : {0, 1}) {
    FloodService service(kUnread + more);
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    const auto stub = v1::CopierService::NewStub(
        server->InProcessChannel(grpc::ChannelArguments()));
    grpc::ClientContext context;
    test::SetPatience(context);
    const auto stream = stub->Session(&context);
    ASSERT_TRUE(stream->Write(v1::SessionRequest()));
    service.sent.wait();
    size_t read = 0;
    for (v1::SessionResponse response; stream->Read(&response);) ++read;
    const grpc::Status status = stream->Finish();
    if (more == 0) {
      EXPECT_TRUE(status.ok()) << RefusalOf(status);
      EXPECT_EQ(read, kUnread);
    } else {
      EXPECT_REFUSED(status, UNAVAILABLE, "OVERLOADED");
      EXPECT_EQ(read, 1u);
    }
  }
}

// ------------------------------------------------- what answers hold at most

class AnswersTest : public ::testing::Test {
 protected:
  v1::UpdateRegionPairPolicyRequest LargePolicy(int entries, bool last_allows) {
    v1::UpdateRegionPairPolicyRequest request;
    for (int i = 0; i < entries; ++i) {
      auto& entry = *request.mutable_region_pair_policy()->add_entries();
      entry.set_allow(i + 1 < entries || last_allows);
      entry.mutable_source()->set_region("regions/oss-cn-hangzhou");
      entry.mutable_destination()->set_region("regions/oss-ap-southeast-2");
    }
    return request;
  }
  grpc::Status Update(const v1::UpdateRegionPairPolicyRequest& request) {
    return test::Call(server_.regions(),
                      &v1::RegionService::Stub::UpdateRegionPairPolicy,
                      request);
  }

  test::TestServer server_{{.over_tcp = true}};
};

TEST_F(AnswersTest, PagesEndByBytesAndMissNothing) {
  constexpr int kChanges = 40;
  for (int i = 0; i < kChanges; ++i) {
    ASSERT_TRUE(Update(LargePolicy(limits::kPolicyEntriesMax, i % 2 == 0)).ok());
  }
  int seen = 0;
  int pages = 0;
  v1::ListAuditEventsRequest request;
  do {
    v1::ListAuditEventsResponse page;
    ASSERT_TRUE(test::Call(server_.admin(),
                           &v1::AdminService::Stub::ListAuditEvents, request,
                           &page)
                    .ok());
    // The last one may go beyond the bound.
    EXPECT_LT(page.ByteSizeLong(), limits::kPageBytesMax + (512 << 10));
    seen += page.audit_events_size();
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, kChanges);
  EXPECT_GT(pages, 2);
}

TEST_F(AnswersTest, AuditEventsOfAPage) {
  for (int i = 0; i <= limits::kAuditPageSizeMax; ++i) {
    ASSERT_TRUE(Update(LargePolicy(1, i % 2 == 0)).ok());
  }
  v1::ListAuditEventsRequest request;
  request.set_page_size(limits::kPageSizeMax);
  v1::ListAuditEventsResponse page;
  ASSERT_TRUE(test::Call(server_.admin(),
                         &v1::AdminService::Stub::ListAuditEvents, request,
                         &page)
                  .ok());
  EXPECT_EQ(page.audit_events_size(), limits::kAuditPageSizeMax);
  EXPECT_FALSE(page.next_page_token().empty());
}

// What a client does not take it does not see at all.
TEST_F(AnswersTest, ARefusalArrivesHoweverMuchThereIsToSay) {
  v1::UpdateRegionPairPolicyRequest request = LargePolicy(0, true);
  for (int i = 0; i < 100; ++i) {
    auto& entry = *request.mutable_region_pair_policy()->add_entries();
    entry.set_allow(true);
    entry.mutable_source()->set_region(
        absl::StrCat("regions/", std::string(59, 'x'), 1000 + i));
  }
  const grpc::Status status = Update(request);
  EXPECT_REFUSED(status, NOT_FOUND, "REGION_NOT_FOUND");
  EXPECT_LE(status.error_details().size(), limits::kRefusalBytesMax);
  EXPECT_THAT(status.error_message(), HasSubstr("and 99 more"));
}

TEST_F(AnswersTest, PathsOfAMask) {
  v1::UpdateRegionRequest request;
  request.mutable_region()->set_name("regions/oss-cn-hangzhou");
  request.mutable_region()->set_display_name("Hangzhou");
  const auto update = [&] {
    return test::Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion,
                      request);
  };
  for (int i = 0; i < limits::kMaskPathsMax; ++i) {
    request.mutable_update_mask()->add_paths("display_name");
  }
  EXPECT_TRUE(update().ok());
  request.mutable_update_mask()->add_paths("display_name");
  EXPECT_REFUSED(update(), INVALID_ARGUMENT, "INVALID_UPDATE_MASK");
}

// A few bytes that unpack to a lot.
TEST_F(AnswersTest, CompressedMessagesAreNotTaken) {
  grpc::ClientContext context;
  test::SetPatience(context);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetRuleRequest request;
  request.set_name(std::string(1 << 20, 'x'));
  v1::Rule rule;
  EXPECT_EQ(server_.rules().GetRule(&context, request, &rule).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

// ----------------------------------------------------------------- all of them

std::string ReadAll(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(absl::StrCat(CRR_SOURCE_DIR, "/", file)).rdbuf();
  return text.str();
}

TEST(AllLimitsTest, EachIsTested) {
  const std::string header = ReadAll("server/core/limits.h");
  const std::string here = ReadAll("tests/rpc/limits_test.cc");
  std::set<std::string> named;
  for (const Elsewhere& other : kElsewhere) {
    EXPECT_THAT(ReadAll(absl::StrCat("tests/", other.file)),
                HasSubstr(absl::StrCat(", ", other.test, ")")))
        << "does not test " << other.limit;
    named.insert(other.limit);
  }
  const std::regex constant(R"(\b(k[A-Z]\w*) =)");
  int limits = 0;
  for (std::sregex_iterator found(header.begin(), header.end(), constant), end;
       found != end; ++found) {
    const std::string name = (*found)[1];
    EXPECT_TRUE(named.contains(name) ||
                absl::StrContains(here, absl::StrCat("limits::", name)))
        << name << " is tested nowhere";
    ++limits;
  }
  EXPECT_GT(limits, 30);
}

}  // namespace
}  // namespace crr
