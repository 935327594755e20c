#include "server/lease_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "server/publisher_hub.h"
#include "storage/database.h"
#include "tests/rpc/no_output.h"
#include "tests/rpc/test_server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

// Copiers that send nothing but heartbeats, each the next as soon as the last
// has been heard.
TEST(LeaseLoopTest, HeartbeatsWithoutEndKeepNeitherOthersNorTimeFromGoingOn) {
  test::TempDir dir;
  test::FakeClock clock;
  PublisherHub hub;
  test::NoOutput output;
  auto database = *Database::Open({.path = dir / "crr.db"});
  LeaseLoop loop(LeaseOptions::FromTtl(absl::Seconds(10)), clock, *database,
                 hub, output);
  ASSERT_OK(loop.Start());
  std::atomic<int64_t> heard = 0;
  std::function<void(LeaseCore&)> hear = [&](LeaseCore&) {
    ++heard;
    loop.PostUrgent(hear);
  };
  for (int i = 0; i < 100; ++i) loop.PostUrgent(hear);
  std::atomic<bool> was_called = false;
  loop.Post([&](LeaseCore&) { was_called = true; });
  EXPECT_TRUE(test::Eventually([&] { return was_called.load(); }));
  // A tick says how late it came.
  clock.Advance(absl::Hours(1));
  EXPECT_TRUE(test::Eventually([&] {
    return loop.TakeSnapshot().lag > absl::Minutes(59);
  }));
  const int64_t before = heard;
  EXPECT_TRUE(test::Eventually([&] { return heard > before; }));
  loop.Stop();
}

}  // namespace
}  // namespace crr
