#include "server/ledger_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/scraper.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// That a ledger which does not balance is found, by whom it was moved and when.
namespace crr {
namespace {

using test::Eventually;
using test::TestServer;

class LedgerWatchTest : public test::RuleWorld {
 protected:
  LedgerWatchTest()
      : RuleWorld(TestServer::Options{.metrics_listen = "127.0.0.1:0"}) {
    rule_ = StartRule("hz-1", "sh-1").name();
  }

  double Metric(const std::string& name) {
    return test::Scrape(server_.app().metrics_address()).at(name);
  }
  double Checked() { return Metric("crr_ledger_checked_total"); }
  double Imbalanced() { return Metric("crr_ledger_imbalanced"); }

  // Lets time go on until a check has been made after now.
  void AwaitCheck() {
    const double before = Checked();
    ASSERT_TRUE(Eventually([&] {
      server_.clock().Advance(absl::Milliseconds(200));
      copier_->Heartbeat();
      return Checked() > before;
    }));
  }
  // A fault, in the database of a server that is stopped.
  void Spoil(const std::string& sql) {
    auto connection = sqlite::Connection::Open(server_.database_path(), {});
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE((*connection)->ExecuteScript(sql).ok());
  }
  void RestartWith(const std::string& sql) {
    copier_.reset();
    server_.Stop();
    Spoil(sql);
    server_.Restart();
    Connect();
  }

  std::string rule_;
};

TEST_F(LedgerWatchTest, WhatIsTouchedIsCheckedAndNothingElse) {
  Publish("hz-1", {"a", "b"});
  AwaitCheck();
  EXPECT_EQ(Checked(), 1);
  EXPECT_EQ(Imbalanced(), 0);
  // Much later nothing has happened, and nothing was done.
  for (int i = 0; i < 200; ++i) {
    server_.clock().Advance(absl::Milliseconds(200));
    copier_->Heartbeat();
  }
  EXPECT_EQ(Checked(), 1);

  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::Checkpoint checkpoint = test::CheckpointOf(lease);
  checkpoint.mutable_to()->set_sequence(2);
  checkpoint.set_applied(1);
  *checkpoint.add_failed() = Failure("b", "NO_ACCESS", 1);
  EXPECT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  AwaitCheck();
  EXPECT_EQ(Checked(), 2);
  EXPECT_EQ(Metric("crr_failed_objects{state=\"RETRYING\"}"), 1);
  EXPECT_EQ(Metric("crr_failed_objects{state=\"DEAD\"}"), 0);
  copier_->FailObject(copier_->AwaitGrant(v1::Lease::OBJECT), "NO_ACCESS");
  AwaitCheck();
  EXPECT_EQ(Checked(), 3);
  EXPECT_EQ(Imbalanced(), 0);
}

TEST_F(LedgerWatchTest, AnImbalanceIsCountedUntilItIsMended) {
  Publish("hz-1", {"a"});
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 0);
  // One that was there when the server started, of a rule with a log.
  RestartWith("UPDATE rule_counters SET published = published + 1");
  ::testing::internal::CaptureStderr();
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 1);
  Publish("hz-1", {"b"});
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 1);
  const std::string log = ::testing::internal::GetCapturedStderr();
  const size_t line = log.find("ledger_imbalanced");
  ASSERT_NE(line, std::string::npos);
  EXPECT_NE(log.find(absl::StrCat("rule=", rule_), line), std::string::npos);
  EXPECT_NE(log.find("published 2, applied 0", line), std::string::npos);
  // It is said once.
  EXPECT_EQ(log.find("ledger_imbalanced", line + 1), std::string::npos);

  RestartWith("UPDATE rule_counters SET published = published - 1");
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 0);
}

// Nothing of the rule is pending that would have it looked at again.
TEST_F(LedgerWatchTest, AnImbalanceOutlivesARestart) {
  RestartWith("UPDATE rule_counters SET published = published + 3");
  EXPECT_EQ(Imbalanced(), 0);  // Not known yet: nothing touched the rule.
  Publish("hz-1", {"a"});
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 1);
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::Checkpoint checkpoint = test::CheckpointOf(lease);
  checkpoint.mutable_to()->set_sequence(1);
  checkpoint.set_applied(1);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  AwaitCheck();
  RestartWith("SELECT 1");
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 1);
  RestartWith("UPDATE rule_counters SET published = published - 3");
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 0);
}

TEST_F(LedgerWatchTest, DeadLettersAreCountedTwice) {
  Publish("hz-1", {"a"});
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::Checkpoint checkpoint = test::CheckpointOf(lease);
  checkpoint.mutable_to()->set_sequence(1);
  *checkpoint.add_failed() = Failure("a", "NO_ACCESS", 1);
  ASSERT_EQ(copier_->Commit(checkpoint).result(), v1::CheckpointAck::RECORDED);
  // The rule has nothing logged any more; the object stands in a row of its
  // own, which says one change more than was ever published.
  RestartWith("UPDATE object_work SET changes = 2");
  AwaitCheck();
  EXPECT_EQ(Imbalanced(), 1);
  // A rule that is gone is no trouble.
  ASSERT_TRUE(server_.DeleteRule(rule_).ok());
  copier_.reset();
  Connect();
  ASSERT_TRUE(Eventually([&] {
    server_.clock().Advance(absl::Milliseconds(200));
    copier_->Heartbeat();
    return Imbalanced() == 0;
  }));
}

TEST_F(LedgerWatchTest, ARuleThatIsComparedWholeIsCounted) {
  EXPECT_EQ(Metric("crr_rules_resync"), 0);
  RestartWith(
      "UPDATE rules SET resync = 1, resync_floor_us = 1800000000000000");
  copier_->AwaitGrant(v1::Lease::INVENTORY);
  EXPECT_EQ(Metric("crr_rules_resync"), 1);
}

// Without a server: how many share a transaction, and what a stop waits for.
TEST(LedgerWatchAloneTest, ManyRulesGoInBoundedReadsAndAStopWaits) {
  test::TempDir dir;
  test::FakeClock clock;
  const auto database = *Database::Open({.path = dir / "crr.db"});
  LedgerWatch watch(*database, clock);
  ASSERT_TRUE(watch.Load().ok());
  constexpr auto kRules = static_cast<int64_t>(LedgerWatch::kRulesPerRead) + 1;
  for (int64_t uid = 1; uid <= kRules; ++uid) {
    watch.Touch(uid);
    watch.Touch(uid);
  }
  clock.Advance(LedgerWatch::kInterval);
  for (const int64_t checked : {kRules - 1, kRules}) {
    watch.Tick();
    ASSERT_TRUE(Eventually([&] { return watch.counts().checked == checked; }));
  }
  // Not before its time.
  watch.Touch(1);
  clock.Advance(LedgerWatch::kInterval - absl::Nanoseconds(1));
  watch.Tick();
  watch.Stop();
  EXPECT_EQ(watch.counts().checked, kRules);
  EXPECT_EQ(watch.counts().imbalanced, 0);
}

TEST(LedgerWatchAloneTest, AStoppedOneBeginsNothing) {
  test::TempDir dir;
  test::FakeClock clock;
  const auto database = *Database::Open({.path = dir / "crr.db"});
  LedgerWatch watch(*database, clock);
  watch.Touch(1);
  clock.Advance(LedgerWatch::kInterval);
  watch.Tick();
  watch.Stop();
  EXPECT_EQ(watch.counts().checked, 1);
  watch.Touch(2);
  clock.Advance(LedgerWatch::kInterval);
  watch.Tick();
  watch.Stop();
  EXPECT_EQ(watch.counts().checked, 1);
}

}  // namespace
}  // namespace crr
