// Callers that wait for progress and never read it.

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "tests/overload/flood.h"
#include "tests/overload/measure.h"
#include "tests/overload/real_server.h"
#include "tests/rpc/test_server.h"

namespace crr::test {
namespace {

class DeafWatcher final : public grpc::ClientReadReactor<v1::RuleProgress> {
 public:
  DeafWatcher(v1::ReplicationService::Stub& stub, const std::string& rule) {
    request_.set_name(rule);
    stub.async()->WatchRuleProgress(&context_, &request_, this);
    StartCall();
  }
  ~DeafWatcher() override {
    context_.TryCancel();
    done_.wait();
  }
  void OnDone(const grpc::Status&) override { done_.count_down(); }
  bool over() const { return done_.try_wait(); }

 private:
  grpc::ClientContext context_;
  v1::WatchRuleProgressRequest request_;
  std::latch done_{1};
};

TEST(DeafWatchersTest, EachCostsLittleAndOthersAreAnswered) {
  const int64_t kWatchers = AllFigures() ? 10'000 : 1'000;
  constexpr int64_t kBytesEach = 100'000;
  RealServer server("10s");
  server.SetStores();
  const std::string rule = server.AddRule("hot");
  const int64_t before = server.resident_bytes();
  std::vector<std::unique_ptr<v1::ReplicationService::Stub>> stubs;
  std::vector<std::unique_ptr<DeafWatcher>> watchers;
  for (int64_t i = 0; i < kWatchers; ++i) {
    if (i % 100 == 0) {
      stubs.push_back(v1::ReplicationService::NewStub(server.Connect()));
    }
    watchers.push_back(std::make_unique<DeafWatcher>(*stubs.back(), rule));
  }
  // There is something new to say all the time.
  Flood flood(server.Connect(), "", "hot-src", true);
  Slowest read;
  int64_t most = before;
  while (flood.acknowledged() < 300) {
    read.Time([&] { server.Progress(rule); });
    most = std::max(most, server.resident_bytes());
  }
  std::printf(
      "%d watchers: server %.0f MiB before, %.0f MiB at most; slowest "
      "of %d reads %.3f s\n",
      static_cast<int>(kWatchers), MiB(before), MiB(most), read.calls(),
      read.seconds());
  // Beside SQLite's cache and what the publisher takes.
  EXPECT_LT(most - before, (128 << 20) + kWatchers * kBytesEach);
  EXPECT_LT(read.seconds(), 5);
  for (const auto& watcher : watchers) EXPECT_FALSE(watcher->over());
}

}  // namespace
}  // namespace crr::test
