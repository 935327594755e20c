// As many copiers as a large fleet has.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/overload/flood.h"
#include "tests/overload/measure.h"
#include "tests/overload/real_server.h"
#include "tests/overload/swarm.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

namespace crr::test {
namespace {

void TakeAllFiles() {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
}

TEST(ManySessionsTest, SoManyAndNoMore) {
  constexpr size_t kBeyond = 5;
  TakeAllFiles();
  RealServer server("30s");
  Swarm copiers(server, {.sessions = limits::kSessionsMax + kBeyond,
                         .interval = std::chrono::seconds(10)});
  EXPECT_FALSE(copiers.AwaitWelcomed(std::chrono::seconds(15)));
  const Swarm::Report report = copiers.TakeReport();
  EXPECT_EQ(report.welcomed, limits::kSessionsMax);
  EXPECT_GE(report.ended, static_cast<int64_t>(kBeyond));
  EXPECT_REFUSED(report.last_end, UNAVAILABLE, "OVERLOADED");
  EXPECT_TRUE(RefusalOf(report.last_end).retry_delay.has_value());
}

TEST(ManySessionsTest, AllAreHeardWhilePublishersPublish) {
  TakeAllFiles();
  const size_t kSessions = AllFigures() ? 10'000 : 1'000;
  constexpr double kTtl = 10;
  // What a copier bears: it sends at a third, and stops a fifth before the end.
  constexpr double kAnswerMax = kTtl - kTtl / 3 - kTtl / 5;

  RealServer server("10s");
  server.SetStores();
  const std::string rule = server.AddRule("hot");
  const int64_t before = server.resident_bytes();

  Swarm copiers(server, {.sessions = kSessions,
                         .interval = std::chrono::milliseconds(3333)});
  const double arrived = SecondsOf(
      [&] { ASSERT_TRUE(copiers.AwaitWelcomed(std::chrono::seconds(60))); });
  const int64_t with_sessions = server.resident_bytes();

  // Nobody but the copiers: three heartbeats each.
  const auto three_each = [&](auto meanwhile) {
    Swarm::Report all;
    while (all.answered < 3 * static_cast<int64_t>(kSessions)) {
      meanwhile();
      copiers.AwaitAnswered(static_cast<int64_t>(kSessions) / 20);
      const Swarm::Report report = copiers.TakeReport();
      all.answered += report.answered;
      all.ended += report.ended;
      all.slowest = std::max(all.slowest, report.slowest);
      if (report.ended > 0) all.last_end = report.last_end;
    }
    return all;
  };
  Slowest read;
  copiers.TakeReport();
  const double cpu = server.cpu_seconds();
  Swarm::Report alone;
  const double alone_seconds = SecondsOf([&] { alone = three_each([] {}); });
  const double cpu_share = (server.cpu_seconds() - cpu) / alone_seconds;

  Swarm::Report beside;
  {
    Flood one(server.Connect(), "one", "hot-src", true);
    Flood other(server.Connect(), "", "hot-src", true);
    beside = three_each([&] { read.Time([&] { server.Progress(rule); }); });
    EXPECT_GT(one.acknowledged() + other.acknowledged(), 0);
  }
  const int64_t most = server.resident_bytes();

  server.KillAndRestart();
  copiers.TakeReport();
  const double back = SecondsOf([&] {
    // Those that have not seen it yet count as welcome still.
    while (copiers.TakeReport().welcomes <
           2 * static_cast<int64_t>(kSessions)) {
      read.Time([&] { server.Progress(rule); });
      ASSERT_LT(read.seconds(), 60);
    }
  });
  ASSERT_TRUE(copiers.AwaitWelcomed(std::chrono::seconds(60)));
  Swarm::Report again =
      three_each([&] { read.Time([&] { server.Progress(rule); }); });

  std::printf(
      "%zu sessions: all welcome after %.2f s; %.1f kB each (server %.0f -> "
      "%.0f MiB, %.0f MiB with publishers); %.1f %% of a core; slowest "
      "heartbeat %.3f s alone, %.3f s beside publishers, %.3f s after a "
      "restart, when all were back after %.2f s; slowest of %d reads %.3f s\n",
      kSessions, arrived,
      static_cast<double>(with_sessions - before) / 1000 /
          static_cast<double>(kSessions),
      MiB(before), MiB(with_sessions), MiB(most), 100 * cpu_share,
      alone.slowest.count(), beside.slowest.count(), again.slowest.count(),
      back, read.calls(), read.seconds());
  for (Swarm::Report* report : {&alone, &beside, &again}) {
    EXPECT_EQ(report->ended, 0) << report->last_end.error_message();
    EXPECT_LT(report->slowest.count(), kAnswerMax);
  }
  EXPECT_EQ(again.renumbered, 0);
  // Client and server share the machine.
  EXPECT_LT(arrived, 30);
  EXPECT_LT(back, 30);
  EXPECT_LT(read.seconds(), 5);
  EXPECT_LT(with_sessions - before, static_cast<int64_t>(kSessions) * 100'000);
}

}  // namespace
}  // namespace crr::test
