#include "client/crrctl/progress_view.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>

#include <string>
#include <vector>

namespace crr {
namespace {

using ::google::protobuf::util::TimeUtil;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int64_t kSyncSeconds = 1'800'000'000;

// In step: history complete, nothing pending, synced up to kSyncSeconds.
v1::RuleProgress InStep() {
  v1::RuleProgress progress;
  progress.set_name("buckets/photos/rules/dr");
  progress.set_state(v1::Rule::ACTIVE);
  auto& historical = *progress.mutable_historical();
  historical.set_inventory_complete(true);
  historical.set_total_objects(5'000);
  historical.set_done_objects(5'000);
  historical.set_bytes(1 << 20);
  historical.set_fraction(1);
  auto& live = *progress.mutable_live();
  *live.mutable_last_sync_time() = TimeUtil::SecondsToTimestamp(kSyncSeconds);
  *live.mutable_lag() = TimeUtil::SecondsToDuration(2);
  live.set_pending(0);
  live.set_applied(7);
  (*live.mutable_filtered())["PREFIX"] = 3;
  (*live.mutable_filtered())["REPLICA"] = 1;
  return progress;
}

v1::RuleProgress HalfWay() {
  v1::RuleProgress progress = InStep();
  auto& historical = *progress.mutable_historical();
  historical.set_done_objects(2'100);
  historical.set_fraction(0.42);
  *historical.mutable_eta() = TimeUtil::SecondsToDuration(12);
  auto& live = *progress.mutable_live();
  live.clear_last_sync_time();
  live.clear_lag();
  live.set_last_sync_unknown_reason("HISTORICAL_OPEN");
  live.set_pending(3);
  live.set_oldest_pending_key("a/b");
  return progress;
}

TEST(ProgressLineTest, SaysHowFarItIs) {
  EXPECT_EQ(ProgressLine(HalfWay()),
            "historical 42.0% 2100/5000 live pending=3 "
            "last_sync=unknown(HISTORICAL_OPEN) applied=7 filtered=4 "
            "resync=0 failed=0 verification=- state=ACTIVE conditions=-");
  EXPECT_EQ(ProgressLine(InStep()),
            "historical 100.0% 5000/5000 live pending=0 "
            "last_sync=2027-01-15T08:00:00.000Z applied=7 filtered=4 "
            "resync=0 failed=0 verification=- state=ACTIVE conditions=-");
}

TEST(ProgressLineTest, SaysWhenThereIsNoHistory) {
  v1::RuleProgress progress = InStep();
  progress.clear_historical();
  EXPECT_THAT(ProgressLine(progress), StartsWith("historical off live "));
}

v1::Verification* AddVerification(v1::RuleProgress& progress) {
  v1::Verification* const verification = progress.mutable_verification();
  verification->set_compared(30'000);
  verification->set_equal(29'999);
  verification->set_score(29'999 / 30'000.0);
  (*verification->mutable_differences())["MISSING"] = 1;
  return verification;
}

TEST(ProgressLineTest, SaysWhatFailedAndWhatWasCompared) {
  v1::RuleProgress progress = InStep();
  progress.mutable_live()->set_resync(5);
  progress.mutable_live()->set_failed(2);
  v1::Verification* const verification = AddVerification(progress);
  EXPECT_THAT(ProgressLine(progress),
              HasSubstr(" resync=5 failed=2 verification=0.9999+ "));
  verification->mutable_end_time()->set_seconds(kSyncSeconds);
  EXPECT_THAT(ProgressLine(progress), HasSubstr(" verification=0.9999 "));
  verification->set_score(1);
  EXPECT_THAT(ProgressLine(progress), HasSubstr(" verification=1.0000 "));
  // Nothing is compared yet.
  verification->Clear();
  EXPECT_THAT(ProgressLine(progress), HasSubstr(" verification=-+ "));
}

TEST(ProgressLineTest, NamesConditions) {
  v1::RuleProgress progress = InStep();
  progress.add_conditions()->set_type("OBJECT_FAILING");
  progress.add_conditions()->set_type("RESYNC_NEEDED");
  EXPECT_THAT(ProgressLine(progress),
              HasSubstr(" conditions=OBJECT_FAILING,RESYNC_NEEDED"));
}

TEST(ProgressLineTest, AHundredPercentIsSaidOfWhatIsCompleteOnly) {
  v1::RuleProgress progress = InStep();
  progress.mutable_historical()->set_fraction(0.99999);
  EXPECT_THAT(ProgressLine(progress), StartsWith("historical 99.9% "));
  progress.mutable_historical()->set_fraction(1);
  progress.mutable_historical()->set_inventory_complete(false);
  EXPECT_THAT(ProgressLine(progress),
              StartsWith("historical 99.9% 5000/5000+ "));
}

TEST(ProgressFrameTest, HasABarTheRateAndTheTimeLeft) {
  const std::vector<std::string> lines = ProgressFrame(HalfWay(), 2'048.0, 80);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "buckets/photos/rules/dr  ACTIVE");
  EXPECT_EQ(lines[1],
            "historical [########------------]  42.0%  2100/5000  1.0 MiB  "
            "2.0 KiB/s  ETA 12s");
  EXPECT_EQ(lines[1].size(), 80u);
  EXPECT_EQ(ProgressFrame(HalfWay(), 2'048.0, 100)[2],
            "live       pending 3  lag unknown: HISTORICAL_OPEN  applied 7  "
            "filtered 4  oldest a/b");
}

TEST(ProgressFrameTest, TheBarFitsTheTerminal) {
  EXPECT_THAT(ProgressFrame(HalfWay(), 1.0, 40)[1],
              StartsWith("historical [####------] "));
  EXPECT_THAT(ProgressFrame(InStep(), 1.0, 400)[1],
              StartsWith("historical [" + std::string(40, '#') + "] "));
}

TEST(ProgressFrameTest, NeitherRateNorTimeLeftOnceComplete) {
  const std::vector<std::string> lines = ProgressFrame(InStep(), 2'048.0, 200);
  EXPECT_THAT(lines[1], HasSubstr("#] 100.0%  5000/5000  1.0 MiB"));
  EXPECT_THAT(lines[1], Not(HasSubstr("/s")));
  EXPECT_THAT(lines[2],
              HasSubstr("in step until 2027-01-15T08:00:00.000Z  lag 2s"));
}

TEST(ProgressFrameTest, AVerificationHasALine) {
  v1::RuleProgress progress = InStep();
  progress.mutable_live()->set_resync(5);
  progress.mutable_live()->set_failed(2);
  v1::Verification* const verification = AddVerification(progress);
  auto lines = ProgressFrame(progress, std::nullopt, 200);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[2], HasSubstr("  resync 5  failed 2"));
  EXPECT_EQ(lines[3],
            "verified   compared 30000  equal 29999  score 0.9999  MISSING 1  "
            "under way");
  verification->mutable_end_time()->set_seconds(kSyncSeconds);
  lines = ProgressFrame(progress, std::nullopt, 200);
  EXPECT_THAT(lines[3], HasSubstr("  2027-01-15T08:00:00.000Z"));
}

TEST(ProgressFrameTest, ConditionsHaveTheirRemedy) {
  v1::RuleProgress progress = InStep();
  v1::Rule::Condition& condition = *progress.add_conditions();
  condition.set_type("STORE_NOT_SET");
  condition.set_message("no store\x1b[2J");
  condition.set_remedy("set one");
  EXPECT_EQ(ProgressFrame(progress, std::nullopt, 200).back(),
            "! STORE_NOT_SET: no store\\x1b[2J (set one)");
}

TEST(ProgressFrameTest, NoLineIsLongerThanTheTerminal) {
  v1::RuleProgress progress = HalfWay();
  progress.mutable_live()->set_oldest_pending_key("文文文文文");
  for (size_t columns = 1; columns < 120; ++columns) {
    for (const std::string& line : ProgressFrame(progress, 1.0, columns)) {
      size_t width = 0;
      for (size_t i = 0; i < line.size(); ++i) {
        const auto byte = static_cast<unsigned char>(line[i]);
        width += byte < 0x80 ? 1 : byte >= 0xc0 ? 2 : 0;
      }
      EXPECT_LE(width, columns);
      // Never cut within a character: each takes three bytes here.
      size_t wide_bytes = 0;
      for (const char c : line) wide_bytes += (c & 0x80) != 0;
      EXPECT_EQ(wide_bytes % 3, 0u);
    }
  }
}

const absl::Time kSync = absl::FromUnixSeconds(kSyncSeconds);

TEST(IsSyncedTest, InStepSinceTheTimeAsked) {
  EXPECT_TRUE(IsSynced(InStep(), kSync - absl::Seconds(1)));
  EXPECT_TRUE(IsSynced(InStep(), kSync));
  EXPECT_FALSE(IsSynced(InStep(), kSync + absl::Nanoseconds(1)));
}

TEST(IsSyncedTest, WithoutHistoryOnlyTheLiveSideCounts) {
  v1::RuleProgress progress = InStep();
  progress.clear_historical();
  EXPECT_TRUE(IsSynced(progress, kSync));
}

TEST(IsSyncedTest, OpenHistoryIsNotInStep) {
  v1::RuleProgress progress = InStep();
  progress.mutable_historical()->set_fraction(0.9999);
  EXPECT_FALSE(IsSynced(progress, kSync));
  progress = InStep();
  progress.mutable_historical()->set_inventory_complete(false);
  EXPECT_FALSE(IsSynced(progress, kSync));
}

TEST(IsSyncedTest, PendingChangesAreNotInStep) {
  v1::RuleProgress progress = InStep();
  progress.mutable_live()->set_pending(1);
  EXPECT_FALSE(IsSynced(progress, kSync));
}

TEST(IsSyncedTest, AnUnknownTimeIsNotInStep) {
  v1::RuleProgress progress = InStep();
  progress.mutable_live()->clear_last_sync_time();
  EXPECT_FALSE(IsSynced(progress, absl::InfinitePast()));
}

TEST(RateMeterTest, NeedsTwoValues) {
  RateMeter meter;
  EXPECT_EQ(meter.Update(Ticks{0}, 100), std::nullopt);
  EXPECT_EQ(meter.Update(Ticks{0}, 200), std::nullopt);
  const auto rate = meter.Update(Ticks{0} + absl::Seconds(2), 400);
  ASSERT_TRUE(rate.has_value());
  EXPECT_DOUBLE_EQ(*rate, 100);
}

TEST(RateMeterTest, FollowsAChangeWithinSeconds) {
  RateMeter meter;
  Ticks now{0};
  int64_t value = 0;
  meter.Update(now, value);
  for (int i = 0; i < 10; ++i) {
    meter.Update(now = now + absl::Seconds(1), value += 1'000);
  }
  std::optional<double> rate;
  for (int i = 0; i < 15; ++i) {
    rate = meter.Update(now = now + absl::Seconds(1), value);
  }
  EXPECT_LT(*rate, 10);
}

}  // namespace
}  // namespace crr
