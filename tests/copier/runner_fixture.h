#ifndef CRR_TESTS_COPIER_RUNNER_FIXTURE_H_
#define CRR_TESTS_COPIER_RUNNER_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/copier/run_lease.h"
#include "client/store/fault_store.h"
#include "client/store/memory_store.h"
#include "crr/v1/change.pb.h"
#include "tests/copier/checkpoint_model.h"
#include "tests/copier/fake_session.h"
#include "tests/support/status_matchers.h"

namespace crr::test {

inline constexpr char kSource[] = "photos";
inline constexpr char kDestination[] = "photos-dr";

// Two memory stores, by the region's name.
class TwoStores final : public StoreAccess {
 public:
  TwoStores() {
    source_identity =
        source_base.EnsureBucket(kSource, BucketVersioning::kUnversioned)
            ->identity;
    destination_identity =
        destination_base
            .EnsureBucket(kDestination, BucketVersioning::kUnversioned)
            ->identity;
  }

  absl::StatusOr<std::shared_ptr<ObjectStore>> Open(
      const v1::Lease::Endpoint& endpoint) override {
    if (endpoint.region() == "regions/x") return open_source;
    if (endpoint.region() == "regions/y") return open_destination;
    return absl::UnavailableError("no such disk");
  }
  absl::StatusOr<BucketInfo> PrepareBucket(
      const v1::Lease::Endpoint& endpoint) override {
    const auto store = Open(endpoint);
    if (!store.ok()) return store.status();
    return (*store)->GetBucket(endpoint.bucket().substr(8));
  }

  MemoryStore source_base;
  MemoryStore destination_base;
  std::string source_identity;
  std::string destination_identity;
  const std::shared_ptr<FaultStore> source =
      std::make_shared<FaultStore>(source_base);
  const std::shared_ptr<FaultStore> destination =
      std::make_shared<FaultStore>(destination_base);
  // What is opened: the above, unless a test has put others there.
  std::shared_ptr<ObjectStore> open_source = source;
  std::shared_ptr<ObjectStore> open_destination = destination;
};

// Runs the runner of `lease_`, with the test as its server.
class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    lease_.set_unit(5);
    lease_.set_token(77);
    lease_.set_rule("buckets/photos/rules/dr");
    lease_.mutable_source()->set_bucket("buckets/photos");
    lease_.mutable_source()->set_region("regions/x");
    lease_.mutable_source()->set_identity(stores_.source_identity);
    lease_.mutable_destination()->set_bucket("buckets/photos-dr");
    lease_.mutable_destination()->set_region("regions/y");
    lease_.mutable_destination()->set_identity(stores_.destination_identity);
    lease_.set_operations(v1::Rule::ADD_DELETE_CHANGE);
    lease_.set_range_objects(10'000);
    timing_.checkpoint_interval = absl::Milliseconds(5);
    timing_.retry_base = absl::Milliseconds(2);
    timing_.retry_cap = absl::Milliseconds(10);
  }
  ~RunnerTest() override {
    // A test that failed half-way must not leave its runner waiting.
    if (session_ != nullptr) session_->link().Lose();
  }

  // Starts the runner of `lease_`, last renewed by what was sent at `sent`.
  FakeSession& Start(v1::Lease::Kind kind, Ticks sent = Clock::Real().Now()) {
    lease_.set_kind(kind);
    session_ = std::make_unique<FakeSession>(lease_, sent);
    end_ = std::async(std::launch::async, [this] {
      return RunLease({session_->link(), pool_, Clock::Real(), timing_},
                      stores_);
    });
    return *session_;
  }
  RunEnd End() { return end_.get(); }

  // Records every checkpoint until `enough` of them; troubles are passed over.
  CheckpointModel Record(
      const std::function<bool(const CheckpointModel&)>& enough) {
    CheckpointModel sum(session_->link().lease());
    while (!enough(sum)) {
      const v1::SessionRequest message = session_->Next();
      if (message.message_case() == v1::SessionRequest::MESSAGE_NOT_SET) {
        ADD_FAILURE() << "the runner says nothing more";
        return sum;
      }
      if (!message.has_checkpoint()) continue;
      sum.Take(message.checkpoint());
      session_->Record(message.checkpoint());
    }
    return sum;
  }
  CheckpointModel RecordAll() {
    return Record([](const CheckpointModel& sum) { return sum.complete; });
  }
  CheckpointModel RecordChanges(int64_t last) {
    return Record([&](const CheckpointModel& sum) {
      return sum.cursor().sequence() >= last;
    });
  }

  void Put(const std::string& key, const std::string& bytes) {
    auto writer = stores_.source_base.Write(kSource, key);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Append(bytes));
    ASSERT_OK((*writer)->Commit({}, std::nullopt, std::nullopt));
  }
  // At the destination, as a user would.
  void PutForeign(const std::string& key, const std::string& bytes) {
    auto writer = stores_.destination_base.Write(kDestination, key);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Append(bytes));
    ASSERT_OK((*writer)->Commit({}, std::nullopt, std::nullopt));
  }
  void Delete(const std::string& key) {
    ASSERT_OK(stores_.source_base.Delete(kSource, key, std::nullopt));
  }
  std::map<std::string, std::string> Replicas() {
    std::map<std::string, std::string> all;
    const auto page = stores_.destination_base.List(kDestination, {});
    for (const ObjectInfo& object : page->objects) {
      all[object.key] = stores_.destination_base.Read(kDestination, object.key)
                            .value()
                            ->Read(1 << 30)
                            .value();
    }
    return all;
  }

  struct Entry {
    std::string key;
    v1::Change::Kind kind = v1::Change::PUT;
    std::optional<int64_t> seconds = {};  // Of its event time.
  };
  static v1::Segment Segment(int64_t first, const std::vector<Entry>& entries) {
    v1::ChangeBatch batch;
    for (const Entry& entry : entries) {
      v1::Change& change = *batch.add_changes();
      change.set_bucket("buckets/photos");
      change.set_key(entry.key);
      change.set_kind(entry.kind);
      if (entry.seconds.has_value()) {
        change.mutable_event_time()->set_seconds(*entry.seconds);
      }
    }
    v1::Segment segment;
    segment.set_unit(5);
    segment.set_token(77);
    segment.set_first_sequence(first);
    segment.set_last_sequence(first + static_cast<int64_t>(entries.size()) - 1);
    segment.set_changes(batch.SerializeAsString());
    return segment;
  }
  // Records checkpoints until one reaches `sequence`; their sum.
  v1::Checkpoint RecordUpTo(int64_t sequence) {
    v1::Checkpoint sum;
    for (int64_t cursor = lease_.cursor().sequence(); cursor < sequence;) {
      const v1::Checkpoint checkpoint = session_->NextCheckpoint();
      EXPECT_EQ(checkpoint.from().sequence(), cursor);
      int64_t entries = checkpoint.applied() + checkpoint.collapsed();
      for (const auto& [reason, n] : checkpoint.filtered()) {
        entries += n;
        (*sum.mutable_filtered())[reason] += n;
      }
      EXPECT_EQ(entries, checkpoint.to().sequence() - cursor);
      if (checkpoint.to().sequence() <= cursor) return sum;
      cursor = checkpoint.to().sequence();
      sum.set_applied(sum.applied() + checkpoint.applied());
      sum.set_collapsed(sum.collapsed() + checkpoint.collapsed());
      sum.set_bytes(sum.bytes() + checkpoint.bytes());
      session_->Record(checkpoint);
    }
    return sum;
  }

  v1::Lease lease_;
  RunnerTiming timing_;
  TwoStores stores_;
  SlotPool pool_{4};
  std::unique_ptr<FakeSession> session_;
  std::future<RunEnd> end_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_COPIER_RUNNER_FIXTURE_H_
