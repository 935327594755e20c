// How many changes a second the server logs durably, against how many rows a
// second its own database takes one commit each. Not a test:
//   publish_bench FOLDER
// FOLDER must exist; a database is made in it, and stays.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "crr/v1/bucket_service.grpc.pb.h"
#include "crr/v1/change_service.grpc.pb.h"
#include "crr/v1/replication_service.grpc.pb.h"
#include "server/app.h"
#include "storage/database.h"
#include "storage/server_table.h"

namespace crr {
namespace {

constexpr int kPublishers = 4;
constexpr int kChangesInBatch = 500;
constexpr absl::Duration kTime = absl::Seconds(5);

void Require(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.error_message().c_str());
  std::exit(1);
}

// A rule whose log nobody reads, so that only the door and the log are
// measured.
void MakeRule(const std::shared_ptr<grpc::Channel>& channel, int i) {
  const auto buckets = v1::BucketService::NewStub(channel);
  for (const char* end : {"a", "b"}) {
    v1::CreateBucketRequest request;
    request.set_bucket_id(absl::StrCat("bench-", end, i));
    request.mutable_bucket()->set_region(*end == 'a'
                                             ? "regions/oss-cn-hangzhou"
                                             : "regions/oss-cn-shanghai");
    request.mutable_bucket()->set_owner("bench");
    grpc::ClientContext context;
    v1::Bucket bucket;
    Require(buckets->CreateBucket(&context, request, &bucket));
  }
  v1::CreateRuleRequest request;
  request.set_parent(absl::StrCat("buckets/bench-a", i));
  request.mutable_rule()->set_destination_bucket(
      absl::StrCat("buckets/bench-b", i));
  request.mutable_rule()->set_operations(v1::Rule::ADD_DELETE_CHANGE);
  request.mutable_rule()->set_replicate_historical(false);
  grpc::ClientContext context;
  v1::Rule rule;
  Require(v1::ReplicationService::NewStub(channel)->CreateRule(&context,
                                                               request, &rule));
}

int64_t Publish(const std::shared_ptr<grpc::Channel>& channel, int i) {
  const auto stub = v1::ChangeService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->PublishChanges(&context);
  v1::PublishChangesRequest request;
  request.mutable_hello()->set_publisher_id(absl::StrCat("bench-", i));
  request.mutable_hello()->set_scope(absl::StrCat("buckets/bench-a", i));
  v1::PublishChangesResponse response;
  stream->Write(request);
  stream->Read(&response);
  const absl::Time end = absl::Now() + kTime;
  int64_t number = 0;
  while (absl::Now() < end) {
    auto& batch = *request.mutable_batch();
    batch.Clear();
    batch.set_number(++number);
    for (int j = 0; j < kChangesInBatch; ++j) {
      auto& change = *batch.add_changes();
      change.set_bucket(absl::StrCat("buckets/bench-a", i));
      change.set_key(absl::StrCat("photos/2026/11/", number, "/", j, ".jpg"));
      change.set_kind(v1::Change::PUT);
      change.set_size_bytes(123456);
    }
    if (!stream->Write(request) || !stream->Read(&response)) break;
  }
  request.mutable_finish();
  stream->Write(request);
  stream->WritesDone();
  while (stream->Read(&response)) {
  }
  Require(stream->Finish());
  return number * kChangesInBatch;
}

double RowsPerSecond(const std::string& path) {
  auto database = Database::Open({.path = path}).value();
  const absl::Time start = absl::Now();
  int64_t rows = 0;
  while (absl::Now() - start < kTime) {
    database
        ->WriteAndWait<int64_t>(
            [](Transaction& txn) -> absl::StatusOr<int64_t> {
              return TakeUnitId(txn);
            })
        .value();
    ++rows;
  }
  return static_cast<double>(rows) / absl::ToDoubleSeconds(absl::Now() - start);
}

int Main(const std::string& folder) {
  const double rows = RowsPerSecond(folder + "/baseline.db");
  auto app = App::Start({.database_path = folder + "/bench.db",
                         .lease = LeaseOptions::FromTtl(absl::Seconds(10)),
                         .rule_log_bytes_max = int64_t{1} << 40},
                        Clock::Real())
                 .value();
  const auto channel = grpc::CreateChannel(
      app->address(), grpc::InsecureChannelCredentials());
  for (int i = 0; i < kPublishers; ++i) MakeRule(channel, i);
  std::atomic<int64_t> changes = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kPublishers; ++i) {
    threads.emplace_back([&, i] { changes += Publish(channel, i); });
  }
  for (std::thread& thread : threads) thread.join();
  const double logged = static_cast<double>(changes) /
                        absl::ToDoubleSeconds(kTime);
  std::printf("one row a commit: %.0f rows/s; %d publishers: %.0f changes/s; "
              "ratio %.1f\n",
              rows, kPublishers, logged, logged / rows);
  app->Drain();
  return 0;
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: publish_bench FOLDER\n", stderr);
    return 2;
  }
  return crr::Main(argv[1]);
}
