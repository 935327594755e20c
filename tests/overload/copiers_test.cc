// Copiers that take work and never read what they are sent.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/overload/flood.h"
#include "tests/overload/measure.h"
#include "tests/overload/real_server.h"
#include "tests/overload/swarm.h"
#include "tests/rpc/streams.h"

namespace crr::test {
namespace {

constexpr double kTtl = 2;
constexpr double kGrace = kTtl / 2;
// Copiers that go on as they should, with room for one lease each.
constexpr int kOthers = 4;

// Reads its grants, and then nothing more.
class DeafCopier {
 public:
  DeafCopier(const RealServer& server, const std::string& id, int leases)
      : stub_(v1::CopierService::NewStub(server.Connect())),
        stream_(stub_->Session(&context_)) {
    v1::SessionRequest request;
    v1::Hello& hello = *request.mutable_hello();
    hello.set_copier_id(id);
    hello.set_slots(1);
    hello.set_lease_credit(leases);
    hello.set_segment_credit_bytes(limits::kSegmentCreditBytesMax);
    stream_->Write(request);
    v1::SessionResponse response;
    for (int grants = 0; grants < leases && stream_->Read(&response);) {
      grants += response.has_grant() ? 1 : 0;
    }
  }
  ~DeafCopier() {
    context_.TryCancel();
    for (v1::SessionResponse response; stream_->Read(&response);) {
    }
    stream_->Finish();
  }

  // False when the server has ended the stream.
  bool Beat() {
    v1::SessionRequest request;
    request.mutable_heartbeat()->set_number(++beats_);
    return stream_->Write(request);
  }

 private:
  const std::unique_ptr<v1::CopierService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::SessionRequest, v1::SessionResponse>>
      stream_;
  int64_t beats_ = 0;
};

class DeafCopierTest : public ::testing::Test {
 protected:
  explicit DeafCopierTest(const std::string& ttl = "2s") : server_(ttl) {}

  // Active rules, each with so many batches of about 1 MiB in its log.
  void AddRules(int rules, int batches) {
    server_.SetStores();
    for (int i = 0; i < rules; ++i) {
      rules_.push_back(server_.AddRule(absl::StrCat("r", i)));
    }
    server_.Activate(rules);
    const auto changes = v1::ChangeService::NewStub(server_.Connect());
    for (int i = 0; i < rules; ++i) {
      const std::string bucket = absl::StrCat("r", i, "-src");
      auto request = MakeBatch(bucket, 1000, 900);
      const auto& batch = request.batch().changes();
      const std::vector<v1::Change> all(batch.begin(), batch.end());
      ScriptedPublisher publisher(*changes);
      ASSERT_TRUE(publisher.Hello("", absl::StrCat("buckets/", bucket)));
      for (int number = 1; number <= batches; ++number) {
        ASSERT_TRUE(publisher.Batch(number, all).has_value());
      }
    }
  }

  // Waits until another copier, which reads, has the leases; returns for
  // how long. `with_beat` is called with each of its heartbeats.
  double AwaitOther(Swarm& others, const std::function<void()>& with_beat) {
    const auto begun = std::chrono::steady_clock::now();
    const auto copiers = v1::CopierService::NewStub(server_.Connect());
    ScriptedCopier other(*copiers);
    v1::Hello hello = ScriptedCopier::MakeHello("other");
    hello.set_lease_credit(kRules);
    hello.set_segment_credit_bytes(limits::kSegmentCreditBytesMin);
    EXPECT_NE(other.Hello(hello), 0);
    std::atomic<bool> done{false};
    std::thread beats([&] {
      v1::SessionRequest beat;
      auto due = std::chrono::steady_clock::now();
      for (int64_t seen = 1; !done; ++seen) {
        most_ = std::max(most_, server_.resident_bytes());
        others.AwaitAnswered(seen);  // Some milliseconds each.
        if (std::chrono::steady_clock::now() < due) continue;
        due += std::chrono::milliseconds(static_cast<int>(kTtl * 1000 / 3));
        beat.mutable_heartbeat()->set_number(seen);
        other.Send(beat);
        with_beat();
      }
    });
    // But for what those beside it may have been given.
    for (int i = 0; i < kRules - kOthers; ++i) {
      other.AwaitGrant(v1::Lease::CHANGES);
    }
    done = true;
    beats.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         begun)
        .count();
  }

  void Judge(const char* what, double seconds, double seconds_max,
             int64_t before, const Swarm::Report& heard) {
    std::printf(
        "%s copier, %d logs of %d MB: server %.0f MiB before, %.0f MiB at "
        "most; its work was another's after %.1f s (at most %.1f s); slowest "
        "of %d heartbeats of others %.3f s\n",
        what, kRules, kBatches, MiB(before), MiB(most_), seconds, seconds_max,
        static_cast<int>(heard.answered), heard.slowest.count());
    // Its outbox, that of the other, and the reads under way, twice: as they
    // are read and as they are sent.
    EXPECT_LT(most_ - before, 8 * limits::kStreamOutboxBytesMax);
    EXPECT_LT(seconds, seconds_max);
    EXPECT_GT(heard.answered, 0);
    EXPECT_LT(heard.slowest.count(), 1);
    EXPECT_EQ(heard.ended, 0) << heard.last_end.error_message();
  }

  // Beyond these a log is split, and the rest is another unit's.
  static constexpr int kBatches = 5;
  const int kRules = AllFigures() ? 100 : 24;
  RealServer server_;
  std::vector<std::string> rules_;
  int64_t most_ = 0;
};

TEST_F(DeafCopierTest, ASilentOneLosesItsWorkAndCostsLittle) {
  AddRules(kRules, kBatches);
  const int64_t before = server_.resident_bytes();
  DeafCopier deaf(server_, "deaf", kRules);
  Swarm others(server_, {.sessions = kOthers,
                         .interval = std::chrono::milliseconds(40)});
  const double seconds = AwaitOther(others, [] {});
  Judge("silent", seconds, kTtl + kGrace + 1, before, others.TakeReport());
}

TEST_F(DeafCopierTest, OneThatSendsHeartbeatsLosesItsWorkToo) {
  AddRules(kRules, kBatches);
  const int64_t before = server_.resident_bytes();
  DeafCopier deaf(server_, "deaf", kRules);
  Swarm others(server_, {.sessions = kOthers,
                         .interval = std::chrono::milliseconds(40)});
  const double seconds = AwaitOther(others, [&] { deaf.Beat(); });
  // It is found out by the first heartbeat that comes a ttl after the write
  // that it did not take.
  Judge("beating", seconds, kTtl + kTtl / 3 + kTtl + kGrace + 1, before,
        others.TakeReport());
}

// Nobody loses anything while this lasts.
class ManyDeafCopiersTest : public DeafCopierTest {
 protected:
  ManyDeafCopiersTest() : DeafCopierTest("60s") {}
};

TEST_F(ManyDeafCopiersTest, ManyOfThemCostLessThanTheSumOfTheirBounds) {
  constexpr int64_t kCopiers = 40;
  static_assert(kCopiers * limits::kStreamOutboxBytesMax >
                2 * limits::kOutboxBytesMax);
  AddRules(kCopiers, kBatches);
  const int64_t before = server_.resident_bytes();
  std::vector<std::unique_ptr<DeafCopier>> deaf;
  for (int i = 0; i < kCopiers; ++i) {
    deaf.push_back(
        std::make_unique<DeafCopier>(server_, absl::StrCat("deaf-", i), 1));
  }
  for (int i = 0; i < 5000; ++i) {  // Until none of them is given more.
    server_.Progress(rules_.back());
    most_ = std::max(most_, server_.resident_bytes());
  }
  std::printf("%d deaf copiers: server %.0f MiB before, %.0f MiB at most\n",
              static_cast<int>(kCopiers), MiB(before), MiB(most_));
  EXPECT_LT(most_ - before, 2 * limits::kOutboxBytesMax);
}

}  // namespace
}  // namespace crr::test
