#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/metric_page.h"
#include "tests/rpc/raw_calls.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/scraper.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// What Prometheus gets to see, over a real connection to the exposer.
namespace crr {
namespace {

using test::CheckpointOf;
using test::Connection;
using test::CountOf;
using test::Eventually;
using test::MakeChange;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::Series;
using test::TestServer;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAnyPort[] = "127.0.0.1:0";

std::string OfRule(const std::string& metric, const std::string& rule) {
  return absl::StrCat(metric, "{rule=\"", rule, "\"}");
}

// Seconds since the event time of the changes that these tests publish.
constexpr double kAge = 50;

class MetricsTest : public test::RuleWorld {
 protected:
  MetricsTest()
      : test::RuleWorld(TestServer::Options{.metrics_listen = kAnyPort}) {}
  ~MetricsTest() override {
    copier_.reset();
    // The exposer's listener ends when it looks up: every two seconds, or when
    // somebody comes.
    const std::string address = server_.app().metrics_address();
    std::thread visitor([&] {
      while (Connection(address).connected()) {
      }
    });
    server_.Stop();
    visitor.join();
  }

  Series Scrape() { return test::Scrape(server_.app().metrics_address()); }
  // One value; a failure when there is none.
  double Value(const std::string& name) {
    const Series series = Scrape();
    const auto found = series.find(name);
    EXPECT_TRUE(found != series.end()) << name;
    return found == series.end() ? -1 : found->second;
  }

  // A change that was made kAge seconds ago.
  v1::Change Aged(const std::string& bucket, const std::string& key,
                  int64_t size = 1) {
    v1::Change change =
        MakeChange(bucket, key, v1::Change::PUT,
                   server_.clock().WallNow() - absl::Seconds(kAge));
    change.set_size_bytes(size);
    return change;
  }
  void PublishChanges(const std::string& bucket,
                      const std::vector<v1::Change>& changes) {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", absl::StrCat("buckets/", bucket)));
    ASSERT_TRUE(publisher.Batch(1, changes));
    ASSERT_TRUE(publisher.Finish().ok());
  }
};

// ---------------------------------------------------------------- what it says

TEST_F(MetricsTest, WhatIsPublishedStandsInTheLogUntilItIsSettled) {
  const std::string rule =
      StartRule("hz-1", "sh-1", R"("prefixes":["a/"])").name();
  PublishChanges("hz-1", {Aged("hz-1", "a/1"), Aged("hz-1", "a/2"),
                          Aged("hz-1", "elsewhere")});
  Series series = Scrape();
  EXPECT_EQ(series.at("crr_published_changes_total{result=\"logged\"}"), 2);
  EXPECT_EQ(series.at("crr_published_changes_total{result=\"filtered\"}"), 1);
  EXPECT_EQ(series.at("crr_log_rules{rule_state=\"ACTIVE\"}"), 1);
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 2);
  const double bytes = series.at("crr_log_bytes{rule_state=\"ACTIVE\"}");
  EXPECT_GT(bytes, 0);
  EXPECT_EQ(series.at(OfRule("crr_rule_log_bytes", rule)), bytes);
  EXPECT_EQ(series.at("crr_rule_log_limit_bytes"), limits::kRuleLogBytesMax);
  EXPECT_EQ(series.at(OfRule("crr_rule_oldest_unfinished_seconds", rule)),
            kAge);
  EXPECT_EQ(series.at("crr_small_object_oldest_seconds"), kAge);

  v1::Checkpoint checkpoint =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::CHANGES));
  checkpoint.mutable_to()->set_sequence(checkpoint.from().sequence() + 2);
  checkpoint.set_applied(1);
  checkpoint.set_collapsed(1);
  checkpoint.set_bytes(1000);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  // Repeated, it settles nothing more.
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  series = Scrape();
  EXPECT_EQ(series.at("crr_settled_total{kind=\"CHANGES\"}"), 2);
  EXPECT_EQ(series.at("crr_copied_bytes_total{kind=\"CHANGES\"}"), 1000);
  for (const char* kind : {"BACKFILL", "OBJECT", "VERIFY"}) {
    EXPECT_EQ(
        series.at(absl::StrCat("crr_settled_total{kind=\"", kind, "\"}")), 0);
  }
  EXPECT_EQ(series.at("crr_waiting_units{kind=\"OBJECT\"}"), 0);
  EXPECT_EQ(series.at("crr_leases{kind=\"VERIFY\",state=\"held\"}"), 0);
  EXPECT_EQ(series.at("crr_log_rules{rule_state=\"ACTIVE\"}"), 0);
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 0);
  EXPECT_EQ(series.at("crr_log_bytes{rule_state=\"ACTIVE\"}"), 0);
  EXPECT_EQ(series.at("crr_small_object_oldest_seconds"), 0);
  EXPECT_EQ(CountOf(series, "crr_rule_oldest_unfinished_seconds"), 0);
  EXPECT_EQ(CountOf(series, "crr_rule_log_bytes"), 0);
}

TEST_F(MetricsTest, EveryTermOfTheLedgerIsShownAndTheyAddUp) {
  const std::string rule =
      StartRule("hz-1", "sh-1", R"("prefixes":["a/"])").name();
  PublishChanges("hz-1", {Aged("hz-1", "a/1"), Aged("hz-1", "a/2"),
                          Aged("hz-1", "a/2"), Aged("hz-1", "a/3"),
                          Aged("hz-1", "a/4"), Aged("hz-1", "elsewhere")});
  v1::Checkpoint checkpoint =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::CHANGES));
  checkpoint.mutable_to()->set_sequence(checkpoint.from().sequence() + 4);
  checkpoint.set_applied(1);
  checkpoint.set_collapsed(1);
  v1::ObjectFailure& failure = *checkpoint.add_failed();
  failure.set_key("a/2");
  failure.set_reason("NO_ACCESS");
  failure.set_changes(2);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);

  const auto term = [](const Series& series, const char* name,
                       const char* reason = "") {
    return series.at(absl::StrCat("crr_ledger_changes_total{term=\"", name,
                                  "\",reason=\"", reason, "\"}"));
  };
  Series series = Scrape();
  EXPECT_EQ(term(series, "published"), 6);
  EXPECT_EQ(term(series, "applied"), 1);
  EXPECT_EQ(term(series, "collapsed"), 1);
  EXPECT_EQ(term(series, "resync"), 0);
  EXPECT_EQ(term(series, "filtered", "PREFIX"), 1);
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 1);
  EXPECT_EQ(series.at("crr_failed_object_changes{state=\"RETRYING\"}"), 2);
  EXPECT_EQ(series.at("crr_failed_object_changes{state=\"DEAD\"}"), 0);

  // They are of all rules that there ever were, and of all times.
  ASSERT_TRUE(server_.DeleteRule(rule).ok());
  copier_.reset();
  server_.Stop();
  server_.Restart();
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Seconds(1));
    series = Scrape();
    return series.contains(
        "crr_ledger_changes_total{term=\"filtered\",reason=\"RULE_CLOSED\"}");
  }));
  EXPECT_EQ(term(series, "filtered", "RULE_CLOSED"), 3);
  EXPECT_EQ(term(series, "published"), 6);
  EXPECT_EQ(series.at("crr_failed_object_changes{state=\"RETRYING\"}"), 0);
}

TEST_F(MetricsTest, OnlySmallObjectsCountForTheirPromise) {
  StartRule("hz-1", "sh-1");
  PublishChanges("hz-1",
                 {Aged("hz-1", "giant", limits::kSmallObjectBytes + 1)});
  EXPECT_EQ(Value("crr_small_object_oldest_seconds"), 0);
  server_.clock().Advance(absl::Seconds(1));
  PublishChanges("hz-1", {Aged("hz-1", "small", limits::kSmallObjectBytes)});
  EXPECT_EQ(Value("crr_small_object_oldest_seconds"), kAge);
}

TEST_F(MetricsTest, AChangeWithoutATimeHasNoAge) {
  const std::string rule = StartRule("hz-1", "sh-1").name();
  PublishChanges("hz-1", {MakeChange("hz-1", "a")});
  const Series series = Scrape();
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 1);
  EXPECT_EQ(series.at("crr_small_object_oldest_seconds"), 0);
  EXPECT_EQ(CountOf(series, "crr_rule_oldest_unfinished_seconds"), 0);
  EXPECT_EQ(CountOf(series, "crr_rule_log_bytes"), 1);
}

TEST_F(MetricsTest, ARuleThatCannotStartYetFallsBehind) {
  server_.AddBucket("us-1", test::kVirginia);
  const std::string rule =
      server_.AddRule("hz-1", "us-1", R"("transfer":"ACCELERATED")").name();
  PublishChanges("hz-1", {Aged("hz-1", "a")});
  const Series series = Scrape();
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"STARTING\"}"), 1);
  EXPECT_EQ(series.at(OfRule("crr_rule_oldest_unfinished_seconds", rule)),
            kAge);
  EXPECT_EQ(CountOf(series, "crr_rule_lag_seconds"), 0);
}

TEST_F(MetricsTest, APausedRuleIsNeitherLateNorWork) {
  const std::string rule = StartRule("hz-1", "sh-1").name();
  ASSERT_TRUE(Pause(rule).ok());
  PublishChanges("hz-1", {Aged("hz-1", "a")});
  Series series = Scrape();
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"PAUSED\"}"), 1);
  EXPECT_EQ(series.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 0);
  EXPECT_EQ(series.at("crr_small_object_oldest_seconds"), 0);
  EXPECT_EQ(CountOf(series, "crr_rule_oldest_unfinished_seconds"), 0);
  // Its log can fill up all the same.
  EXPECT_GT(series.at(OfRule("crr_rule_log_bytes", rule)), 0);

  // Nor is it work when it was so before.
  copier_.reset();
  ASSERT_TRUE(Resume(rule).ok());
  EXPECT_EQ(Value("crr_waiting_units{kind=\"CHANGES\"}"), 1);
  EXPECT_EQ(Value("crr_desired_copiers"), 1);
  ASSERT_TRUE(Pause(rule).ok());
  series = Scrape();
  EXPECT_EQ(series.at("crr_waiting_units{kind=\"CHANGES\"}"), 0);
  EXPECT_EQ(series.at("crr_desired_copiers"), 0);
}

TEST_F(MetricsTest, LagIsKnownWhereThePublisherSaysHowFarItIs) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw-1", "buckets/hz-1"));
  const std::string rule = StartRule("hz-1", "sh-1").name();
  ASSERT_TRUE(publisher.Batch(1, {Aged("hz-1", "a")}));
  Series series = Scrape();
  EXPECT_EQ(CountOf(series, "crr_rule_lag_seconds"), 0);
  EXPECT_EQ(series.at("crr_complete_through_lag_seconds"), 0);
  EXPECT_EQ(series.at("crr_publishers{state=\"attached\"}"), 1);
  EXPECT_EQ(series.at("crr_publishers{state=\"detached\"}"), 0);

  publisher.CompleteThrough(server_.clock().WallNow() - absl::Seconds(500));
  publisher.Sync(2);
  series = Scrape();
  EXPECT_EQ(series.at("crr_complete_through_lag_seconds"), 500);
  EXPECT_EQ(series.at(OfRule("crr_rule_lag_seconds", rule)), 500);
  EXPECT_EQ(series.at(OfRule("crr_rule_oldest_unfinished_seconds", rule)),
            kAge);

  publisher.CompleteThrough(server_.clock().WallNow());
  publisher.Sync(3);
  ASSERT_TRUE(publisher.Finish().ok());
  ASSERT_TRUE(Eventually(
      [&] { return Value("crr_publishers{state=\"detached\"}") == 1; }));
  server_.clock().Advance(absl::Seconds(60));
  series = Scrape();
  EXPECT_EQ(series.at("crr_publishers{state=\"attached\"}"), 0);
  EXPECT_EQ(series.at("crr_complete_through_lag_seconds"), 60);
  EXPECT_EQ(series.at(OfRule("crr_rule_lag_seconds", rule)), kAge + 60);
}

TEST_F(MetricsTest, LeasesAreCountedFromGrantToFence) {
  const Series before = Scrape();
  EXPECT_EQ(before.at("crr_copiers"), 1);
  EXPECT_EQ(before.at("crr_desired_copiers"), 0);
  EXPECT_EQ(before.at("crr_lease_grants_total"), 0);
  StartRule("hz-1", "sh-1");
  PublishChanges("hz-1", {Aged("hz-1", "a")});
  v1::Checkpoint checkpoint =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::CHANGES));
  const Series held = Scrape();
  EXPECT_EQ(held.at("crr_leases{kind=\"CHANGES\",state=\"held\"}"), 1);
  EXPECT_EQ(held.at("crr_leases{kind=\"PROBE\",state=\"held\"}"), 0);
  EXPECT_EQ(held.at("crr_waiting_units{kind=\"CHANGES\"}"), 0);
  EXPECT_EQ(held.at("crr_lease_grants_total"), 2);
  EXPECT_EQ(held.at("crr_desired_copiers"), 1);

  // It keeps its stream and says nothing more; steps below what the server
  // would take for a stall of its own.
  ScriptedCopier other(server_);
  ASSERT_GT(other.Hello("copier-2"), 0);
  EXPECT_EQ(Value("crr_copiers"), 2);
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(100));
    other.Heartbeat();
    return Value("crr_lease_expiries_total") == 1;
  }));
  other.AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(Value("crr_fenced_checkpoints_total"), 0);
  checkpoint.mutable_to()->set_sequence(checkpoint.from().sequence() + 1);
  checkpoint.set_applied(1);
  checkpoint.set_bytes(7);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::FENCED);
  const Series after = Scrape();
  EXPECT_EQ(after.at("crr_fenced_checkpoints_total"), 1);
  EXPECT_EQ(after.at("crr_lease_grants_total"), 3);
  EXPECT_EQ(after.at("crr_settled_total{kind=\"CHANGES\"}"), 0);
  EXPECT_EQ(after.at("crr_copied_bytes_total{kind=\"CHANGES\"}"), 0);
  EXPECT_EQ(after.at("crr_log_changes{rule_state=\"ACTIVE\"}"), 1);
}

TEST_F(MetricsTest, DesiredCopiersFollowWhatRulesMayUse) {
  // Nobody of them can be granted: no copier is there.
  copier_.reset();
  for (int i = 0; i < 40; ++i) {
    server_.AddBucket(absl::StrCat("a-", i), test::kHangzhou);
    server_.AddBucket(absl::StrCat("b-", i), test::kShanghai);
    server_.AddRule(absl::StrCat("a-", i), absl::StrCat("b-", i));
  }
  Series series = Scrape();
  EXPECT_EQ(series.at("crr_waiting_units{kind=\"PROBE\"}"), 40);
  EXPECT_EQ(series.at("crr_desired_copiers"), 2);  // Of 32 leases each.

  ScriptedCopier small(server_);
  v1::Hello hello = ScriptedCopier::MakeHello("small");
  hello.set_lease_credit(4);
  ASSERT_GT(small.Hello(hello), 0);
  ASSERT_TRUE(Eventually([&] { return Value("crr_copiers") == 1; }));
  EXPECT_EQ(Value("crr_desired_copiers"), 10);
}

TEST_F(MetricsTest, ARuleAsksForNoMoreLeasesThanItMayHave) {
  auto request = test::RuleRequest("hz-1", "sh-1");
  request.mutable_rule()->set_replicate_historical(true);
  request.mutable_rule()->mutable_limits()->set_max_leases(2);
  ASSERT_TRUE(server_.CreateRule(request).ok());
  ASSERT_EQ(
      copier_->Commit(test::GoodProbe(copier_->AwaitGrant(v1::Lease::PROBE)))
          .result(),
      v1::CheckpointAck::RECORDED);
  v1::Checkpoint inventory =
      CheckpointOf(copier_->AwaitGrant(v1::Lease::INVENTORY));
  inventory.set_complete(true);
  for (int i = 0; i < 100; ++i) {
    auto& range = *inventory.add_ranges();
    range.set_end(absl::StrCat("key-", 1000 + i));
    range.set_objects(1);
  }
  inventory.mutable_to()->set_key("key-1099");
  ASSERT_EQ(copier_->Commit(inventory).result(), v1::CheckpointAck::RECORDED);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  copier_->AwaitGrant(v1::Lease::BACKFILL);
  const Series series = Scrape();
  EXPECT_EQ(series.at("crr_leases{kind=\"BACKFILL\",state=\"held\"}"), 2);
  EXPECT_EQ(series.at("crr_waiting_units{kind=\"BACKFILL\"}"), 98);
  EXPECT_EQ(series.at("crr_desired_copiers"), 1);
}

TEST_F(MetricsTest, NamedRulesAreThoseFurthestBehindAndBoundedInNumber) {
  copier_.reset();
  const int rules = limits::kRuleSeriesMax + 3;
  for (int i = 0; i < rules; ++i) {
    const std::string source = absl::StrCat("a-", i);
    server_.AddBucket(source, test::kHangzhou);
    server_.AddBucket(absl::StrCat("b-", i), test::kShanghai);
    server_.AddRule(source, absl::StrCat("b-", i));
  }
  // The later the rule, the older its change and the longer its log.
  for (int i = 0; i < rules; ++i) {
    const std::string source = absl::StrCat("a-", i);
    PublishChanges(
        source,
        {MakeChange(source, std::string(static_cast<size_t>(i) + 1, 'k'),
                    v1::Change::PUT,
                    server_.clock().WallNow() - absl::Milliseconds(i + 1))});
  }
  const Series series = Scrape();
  EXPECT_EQ(series.at("crr_log_rules{rule_state=\"STARTING\"}"), rules);
  for (const char* metric :
       {"crr_rule_oldest_unfinished_seconds", "crr_rule_log_bytes"}) {
    SCOPED_TRACE(metric);
    EXPECT_EQ(CountOf(series, absl::StrCat(metric, "{")),
              limits::kRuleSeriesMax);
    const auto has = [&](int i) {
      return series.contains(
          OfRule(metric, absl::StrCat("buckets/a-", i, "/rules/dr")));
    };
    EXPECT_TRUE(has(rules - 1));
    EXPECT_TRUE(has(3));
    EXPECT_FALSE(has(2));
    EXPECT_FALSE(has(0));
  }
}

TEST_F(MetricsTest, CallsAreCountedByMethodAndCode) {
  v1::Rule rule;
  ASSERT_FALSE(server_.GetRule("buckets/hz-1/rules/none", &rule).ok());
  ASSERT_FALSE(server_.GetRule("buckets/hz-1/rules/none", &rule).ok());
  PublishChanges("hz-1", {Aged("hz-1", "a")});
  const std::string get = "method=\"crr.v1.ReplicationService/GetRule\"";
  const std::string publish = "method=\"crr.v1.ChangeService/PublishChanges\"";
  const Series series = Scrape();
  EXPECT_EQ(
      series.at(absl::StrCat("crr_rpcs_total{", get, ",code=\"NOT_FOUND\"}")),
      2);
  EXPECT_EQ(
      series.at(absl::StrCat("crr_rpcs_total{", publish, ",code=\"OK\"}")), 1);
  const std::string seconds = "crr_rpc_duration_seconds";
  EXPECT_EQ(series.at(absl::StrCat(seconds, "_count{", get, "}")), 2);
  // The test's clock stands still.
  EXPECT_EQ(series.at(absl::StrCat(seconds, "_sum{", get, "}")), 0);
  EXPECT_EQ(
      series.at(absl::StrCat(seconds, "_bucket{", get, ",le=\"0.0005\"}")), 2);
  EXPECT_EQ(series.at(absl::StrCat(seconds, "_bucket{", get, ",le=\"+Inf\"}")),
            2);
  // A stream's length says nothing of the server.
  EXPECT_FALSE(series.contains(absl::StrCat(seconds, "_count{", publish, "}")));
}

TEST_F(MetricsTest, CallersCannotMakeSeries) {
  for (const char* method :
       {"/crr.v1.BucketService/Forged1", "/crr.v1.Forged2/Get", "/Forged3",
        "/crr.v1.BucketService/GetBucket/Forged4",
        "/grpc.health.v1.Health/Forged5"}) {
    EXPECT_EQ(test::CallWithBytes(server_.channel(), method, "").error_code(),
              grpc::StatusCode::UNIMPLEMENTED)
        << method;
  }
  const Series series = Scrape();
  EXPECT_EQ(series.at("crr_rpcs_total{method=\"unknown\","
                      "code=\"UNIMPLEMENTED\"}"),
            5);
  for (const auto& [name, value] : series) {
    EXPECT_THAT(name, Not(HasSubstr("Forged")));
  }
}

TEST_F(MetricsTest, CommitsAreCountedWithTheSizeOfTheirGroups) {
  const Series before = Scrape();
  server_.AddBucket("one-more", test::kHangzhou);
  const Series after = Scrape();
  EXPECT_GT(before.at("crr_commit_group_size_count"), 0);
  EXPECT_EQ(after.at("crr_commit_group_size_count"),
            before.at("crr_commit_group_size_count") + 1);
  EXPECT_EQ(after.at("crr_commit_group_size_sum"),
            before.at("crr_commit_group_size_sum") + 1);
  EXPECT_EQ(after.at("crr_commit_group_size_bucket{le=\"+Inf\"}"),
            after.at("crr_commit_group_size_bucket{le=\"512\"}"));
  EXPECT_EQ(after.at("crr_writer_queue_length"), 0);
  EXPECT_GT(after.at("crr_writer_queue_limit"), 0);
}

TEST_F(MetricsTest, ProcessAndDiskAreShown) {
  const Series series = Scrape();
  EXPECT_EQ(series.at("process_start_time_seconds"),
            absl::ToUnixSeconds(server_.clock().WallNow()));
  EXPECT_GT(series.at("process_cpu_seconds_total"), 0);
  EXPECT_GT(series.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(series.at("process_open_fds"), 3);
  EXPECT_GE(series.at("process_max_fds"), series.at("process_open_fds"));
  EXPECT_GT(series.at("crr_database_bytes{file=\"database\"}"), 0);
  EXPECT_GT(series.at("crr_database_bytes{file=\"wal\"}"), 0);
  EXPECT_GT(series.at("crr_database_disk_available_bytes"), 0);
  EXPECT_GE(series.at("crr_database_disk_size_bytes"),
            series.at("crr_database_disk_available_bytes"));
  EXPECT_EQ(CountOf(series, "crr_build_info{version="), 1);
}

TEST(MetricPageTest, BucketsAreCumulativeAndHoldTheirBounds) {
  Histogram histogram({1, 2});
  for (const double value : {0.5, 1.0, 1.5, 2.0, 2.5}) histogram.Add(value);
  MetricPage page;
  page.BeginHistogram("h", "help");
  page.Value(histogram);
  const auto families = page.Take();
  ASSERT_EQ(families.size(), 1u);
  const auto& shown = families[0].metric.at(0).histogram;
  EXPECT_EQ(shown.sample_count, 5u);
  EXPECT_EQ(shown.sample_sum, 7.5);
  ASSERT_EQ(shown.bucket.size(), 2u);
  EXPECT_EQ(shown.bucket[0].cumulative_count, 2u);
  EXPECT_EQ(shown.bucket[1].cumulative_count, 4u);
  EXPECT_EQ(shown.bucket[1].upper_bound, 2);
}

// ---------------------------------------------------------- how it is served

TEST(MetricsAddressTest, NoneIsServedUnlessAskedFor) {
  TestServer server;
  EXPECT_EQ(server.app().metrics_address(), "");
}

TEST(MetricsAddressTest, ATakenPortDoesNotStopTheServer) {
  TestServer first({.metrics_listen = kAnyPort});
  const std::string taken = first.app().metrics_address();
  ::testing::internal::CaptureStderr();
  TestServer second({.metrics_listen = taken});
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(second.app().metrics_address(), "");
  EXPECT_THAT(log,
              HasSubstr(absl::StrCat("metrics_unavailable listen=", taken)));
  second.AddBucket("photos", test::kHangzhou);
  EXPECT_GT(test::Scrape(taken).size(), 0u);
}

TEST_F(MetricsTest, SilentClientsDoNotKeepAScraperOut) {
  const std::string address = server_.app().metrics_address();
  Connection first(address);
  Connection second(address);
  Connection third(address);
  ASSERT_TRUE(first.connected() && second.connected() && third.connected());
  EXPECT_EQ(Value("crr_copiers"), 1);
  // What is no request at all does not hurt either.
  Connection fourth(address);
  fourth.Ask("\x16\x03\x01 not HTTP\r\n\r\n");
  EXPECT_EQ(Value("crr_copiers"), 1);
}

TEST_F(MetricsTest, DrainDoesNotWaitForAScraper) {
  const std::string address = server_.app().metrics_address();
  Connection silent(address);
  ASSERT_TRUE(silent.connected());
  EXPECT_EQ(Value("crr_copiers"), 1);
  copier_.reset();
  const auto begun = std::chrono::steady_clock::now();
  server_.app().Drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  EXPECT_FALSE(Connection(address).connected());
}

}  // namespace
}  // namespace crr
