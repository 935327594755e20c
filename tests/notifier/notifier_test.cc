#include "client/notifier/notifier.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <deque>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "client/store/local_store.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/notifier/fake_journal.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr {
namespace {

using test::FakeJournal;
using test::HasCode;

using Request = v1::PublishChangesRequest;
using Response = v1::PublishChangesResponse;
using Stream = grpc::ServerReaderWriter<Response, Request>;

grpc::Status Refusal(grpc::StatusCode code, const std::string& reason,
                     absl::Duration retry = absl::ZeroDuration()) {
  google::rpc::Status rich;
  rich.set_code(code);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  rich.add_details()->PackFrom(info);
  if (retry > absl::ZeroDuration()) {
    google::rpc::RetryInfo delay;
    delay.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(retry)));
    rich.add_details()->PackFrom(delay);
  }
  return grpc::Status(code, reason, rich.SerializeAsString());
}

// Both services that a notifier calls. Each stream follows the next script, or
// takes everything when there is none left.
class ScriptedServer final : public v1::ChangeService::Service {
 public:
  using Script = std::function<grpc::Status(Stream&)>;

  grpc::Status PublishChanges(grpc::ServerContext*, Stream* stream) override {
    Request hello;
    stream->Read(&hello);
    Script script = [this](Stream& s) { return Welcome(s), TakeAll(s); };
    {
      MutexLock lock(mu_);
      hellos_.push_back(hello.hello());
      changed_.NotifyAll();
      if (!scripts_.empty()) {
        script = std::move(scripts_.front());
        scripts_.pop_front();
      }
    }
    return script(*stream);
  }

  void Expect(Script script) {
    MutexLock lock(mu_);
    scripts_.push_back(std::move(script));
  }

  // Parts of scripts.
  void Welcome(Stream& stream) {
    Response response;
    {
      MutexLock lock(mu_);
      response.mutable_welcome()->set_last_number(last_number_);
    }
    stream.Write(response);
  }
  // Takes the next batch without a word.
  int64_t Take(Stream& stream) {
    Request request;
    while (stream.Read(&request) && !request.has_batch()) {
    }
    MutexLock lock(mu_);
    return TakeBatch(request.batch());
  }
  // Takes and acknowledges until `finish`.
  grpc::Status TakeAll(Stream& stream) {
    Request request;
    while (stream.Read(&request)) {
      MutexLock lock(mu_);
      if (request.has_batch()) {
        Response response;
        response.mutable_ack()->set_number(TakeBatch(request.batch()));
        stream.Write(response);
      } else if (request.has_complete_through()) {
        complete_at_ = taken_.size();
        changed_.NotifyAll();
      } else if (request.has_finish()) {
        finished_ = true;
        return grpc::Status::OK;
      }
    }
    return Refusal(grpc::INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }

  // What the tests ask.
  void AwaitTaken(size_t count) {
    MutexLock lock(mu_);
    while (taken_.size() < count) changed_.Wait(mu_);
  }
  void AwaitComplete(size_t count) {
    MutexLock lock(mu_);
    while (complete_at_ < count) changed_.Wait(mu_);
  }
  std::vector<std::string> taken() {
    MutexLock lock(mu_);
    return taken_;
  }
  std::vector<Request::Hello> hellos() {
    MutexLock lock(mu_);
    return hellos_;
  }
  bool finished() {
    MutexLock lock(mu_);
    return finished_;
  }

 private:
  int64_t TakeBatch(const Request::Batch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const auto& change : batch.changes()) taken_.push_back(change.key());
    last_number_ = batch.number();
    changed_.NotifyAll();
    return last_number_;
  }

  Mutex mu_;
  CondVar changed_;
  std::deque<Script> scripts_ ABSL_GUARDED_BY(mu_);
  std::vector<Request::Hello> hellos_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> taken_ ABSL_GUARDED_BY(mu_);
  int64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  size_t complete_at_ ABSL_GUARDED_BY(mu_) = 0;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

// Answers that the region has no store until `unset_answers` are used up.
class ScriptedRegions final : public v1::RegionService::Service {
 public:
  grpc::Status GetRegion(grpc::ServerContext*,
                         const v1::GetRegionRequest* request,
                         v1::Region* region) override {
    region->set_name(request->name());
    MutexLock lock(mu_);
    if (unset_answers_ > 0) {
      --unset_answers_;
    } else {
      region->mutable_store()->mutable_local()->set_root(roots_.front());
      if (roots_.size() > 1) roots_.pop_front();
    }
    return grpc::Status::OK;
  }
  void SetUnsetAnswers(int count) {
    MutexLock lock(mu_);
    unset_answers_ = count;
  }
  // One for each answer; the last stays.
  void SetRoots(std::deque<std::string> roots) {
    MutexLock lock(mu_);
    roots_ = std::move(roots);
  }
  int unset_answers() {
    MutexLock lock(mu_);
    return unset_answers_;
  }

 private:
  Mutex mu_;
  int unset_answers_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<std::string> roots_ ABSL_GUARDED_BY(mu_) = {"/data/hz"};
};

// Hands every opener the same journal.
class SharedJournal final : public ChangeJournal {
 public:
  explicit SharedJournal(ChangeJournal& journal) : journal_(journal) {}
  int64_t epoch() const override { return journal_.epoch(); }
  absl::StatusOr<std::vector<JournalEntry>> Read(int64_t position,
                                                 int limit) override {
    return journal_.Read(position, limit);
  }
  absl::StatusOr<Sample> TakeSample() override {
    return journal_.TakeSample();
  }
  void Wait(absl::Duration timeout) override { journal_.Wait(timeout); }
  void Wake() override { journal_.Wake(); }

 private:
  ChangeJournal& journal_;
};

class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&changes_);
    builder.RegisterService(&regions_);
    server_ = builder.BuildAndStart();
    const auto channel = server_->InProcessChannel({});
    changes_stub_ = v1::ChangeService::NewStub(channel);
    regions_stub_ = v1::RegionService::NewStub(channel);
    notifier_ = std::make_unique<Notifier>(
        Notifier::Options{.id = "n1", .region = "oss-cn-hangzhou"},
        *regions_stub_, *changes_stub_,
        [this](const v1::Store& store) {
          opened_.push_back(store.local().root());
          return open_journal_();
        },
        Clock::Real(), [this] { ready_.count_down(); });
  }
  ~NotifierTest() override {
    if (running_.joinable()) notifier_->Stop();
  }

  void Start() {
    running_ = std::jthread([this] { result_ = notifier_->Run(); });
  }
  absl::Status Stop() {
    notifier_->Stop();
    running_.join();
    return result_;
  }

  FakeJournal journal_{Clock::Real()};
  std::function<absl::StatusOr<std::unique_ptr<ChangeJournal>>()>
      open_journal_ = [this] {
        return std::make_unique<SharedJournal>(journal_);
      };
  ScriptedServer changes_;
  ScriptedRegions regions_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ChangeService::Stub> changes_stub_;
  std::unique_ptr<v1::RegionService::Stub> regions_stub_;
  std::latch ready_{1};
  std::unique_ptr<Notifier> notifier_;
  absl::Status result_;
  std::vector<std::string> opened_;  // To be read once it has stopped.
  std::jthread running_;
};

TEST_F(NotifierTest, PublishesWhatIsThereAndWhatComes) {
  journal_.Put("a");
  Start();
  ready_.wait();
  changes_.AwaitTaken(1);
  journal_.Put("b");
  changes_.AwaitComplete(2);
  EXPECT_OK(Stop());
  EXPECT_EQ(changes_.taken(), (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(changes_.hellos().size(), 1u);
  const Request::Hello hello = changes_.hellos().front();
  EXPECT_EQ(hello.publisher_id(), "n1");
  EXPECT_EQ(hello.scope(), "regions/oss-cn-hangzhou");
  EXPECT_EQ(hello.epoch(), journal_.epoch());
}

TEST_F(NotifierTest, PublishesALocalStoreWhileItIsWrittenTo) {
  constexpr int kWriters = 4;
  constexpr int kKeys = 25;
  const test::TempDir dir;
  const auto store = LocalStore::Open(dir / "hz", {.create = true}).value();
  ASSERT_OK(store->EnsureBucket("photos", BucketVersioning::kUnversioned));
  open_journal_ = [&store] { return store->OpenJournal(); };
  Start();
  ready_.wait();
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&store, writer] {
        for (int i = 0; i < kKeys; ++i) {
          const auto object =
              store->Write("photos", absl::StrCat(writer, "/", i)).value();
          CRR_CHECK(
              object->Commit(ObjectFacts(), std::nullopt, std::nullopt).ok());
        }
      });
    }
  }
  changes_.AwaitComplete(kWriters * kKeys);
  EXPECT_OK(Stop());
  const std::vector<std::string> taken = changes_.taken();
  EXPECT_EQ(taken.size(), size_t{kWriters * kKeys});
  EXPECT_EQ(std::set<std::string>(taken.begin(), taken.end()).size(),
            taken.size());
}

// Only who is attached is told that a region's store was replaced; it may have
// been just before.
TEST_F(NotifierTest, AStoreThatWasReplacedBeforeTheWelcomeIsNotPublished) {
  regions_.SetRoots({"/data/old", "/data/new"});
  journal_.Put("a");
  bool said_anything = false;
  changes_.Expect([&](Stream& stream) {
    changes_.Welcome(stream);
    Request request;
    said_anything = stream.Read(&request);
    return grpc::Status(grpc::UNAVAILABLE, "gone");
  });
  Start();
  changes_.AwaitComplete(1);
  EXPECT_OK(Stop());
  EXPECT_FALSE(said_anything);
  EXPECT_EQ(opened_, (std::vector<std::string>{"/data/old", "/data/new"}));
  EXPECT_EQ(changes_.hellos().size(), 2u);
}

TEST_F(NotifierTest, StopFinishesTheStreamInOrder) {
  Start();
  ready_.wait();
  EXPECT_OK(Stop());
  EXPECT_TRUE(changes_.finished());
}

TEST_F(NotifierTest, AFullLogIsTriedAgainAfterTheDelayThatTheServerNames) {
  constexpr absl::Duration kDelay = absl::Milliseconds(150);
  journal_.Put("a");
  journal_.Put("b");
  Ticks refused;
  changes_.Expect([&](Stream& stream) {
    changes_.Welcome(stream);
    Request batch;
    stream.Read(&batch);
    refused = Clock::Real().Now();
    return Refusal(grpc::RESOURCE_EXHAUSTED, "STORAGE_FULL", kDelay);
  });
  Start();
  changes_.AwaitComplete(2);
  EXPECT_GE(Clock::Real().Now() - refused, kDelay);
  EXPECT_OK(Stop());
  EXPECT_EQ(changes_.taken(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(NotifierTest, ABatchWhoseAcknowledgementWasLostIsNotRepeated) {
  journal_.Put("a");
  changes_.Expect([&](Stream& stream) {
    changes_.Welcome(stream);
    changes_.Take(stream);
    return grpc::Status(grpc::UNAVAILABLE, "gone");
  });
  Start();
  changes_.AwaitTaken(1);
  journal_.Put("b");
  changes_.AwaitComplete(2);
  EXPECT_OK(Stop());
  EXPECT_EQ(changes_.taken(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(NotifierTest, AServerThatAnswersNonsenseIsLeftAndTriedAgain) {
  journal_.Put("a");
  changes_.Expect([&](Stream& stream) {
    changes_.Welcome(stream);
    Response response;
    response.mutable_ack()->set_number(1'000);
    stream.Write(response);
    return changes_.TakeAll(stream);
  });
  Start();
  changes_.AwaitComplete(1);
  EXPECT_OK(Stop());
  EXPECT_EQ(changes_.hellos().size(), 2u);
}

TEST_F(NotifierTest, BeingSupersededEndsIt) {
  changes_.Expect([](Stream&) {
    return Refusal(grpc::ABORTED, "SESSION_SUPERSEDED");
  });
  Start();
  running_.join();
  EXPECT_THAT(result_, HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(changes_.hellos().size(), 1u);
}

TEST_F(NotifierTest, WaitsUntilTheRegionHasAStore) {
  regions_.SetUnsetAnswers(2);
  Start();
  ready_.wait();
  EXPECT_EQ(regions_.unset_answers(), 0);
  EXPECT_OK(Stop());
}

TEST_F(NotifierTest, StopsWhileItWaits) {
  regions_.SetUnsetAnswers(1'000'000);
  Start();
  EXPECT_OK(Stop());
  EXPECT_TRUE(changes_.hellos().empty());
}

}  // namespace
}  // namespace crr
