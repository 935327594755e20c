#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"
#include "tests/support/status_matchers.h"

// What stands around the services: health, reflection, drain and the size of an
// answer. Bytes that are no message: malformed_test.cc.
namespace crr {
namespace {

using grpc::StatusCode;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using test::Call;
using test::HasCode;
using test::RefusalOf;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;

const std::vector<std::string>& Services() {
  static const auto& services = *new std::vector<std::string>{
      "crr.v1.RegionService", "crr.v1.BucketService",
      "crr.v1.ReplicationService", "crr.v1.ChangeService",
      "crr.v1.CopierService"};
  return services;
}

class ServerEdgeTest : public ::testing::Test {
 protected:
  explicit ServerEdgeTest(TestServer::Options options = {})
      : server_(options) {}
  TestServer server_;
};

class ConnectedServerTest : public ServerEdgeTest {
 protected:
  ConnectedServerTest() : ServerEdgeTest({.over_tcp = true}) {}
};

// --------------------------------------------------------------------- health

TEST_F(ServerEdgeTest, EachServiceIsServing) {
  const auto health = Health::NewStub(server_.channel());
  std::vector<std::string> names = Services();
  names.push_back("");
  for (const std::string& name : names) {
    HealthCheckRequest request;
    request.set_service(name);
    HealthCheckResponse response;
    ASSERT_TRUE(Call(*health, &Health::Stub::Check, request, &response).ok())
        << name;
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING) << name;
  }
  HealthCheckRequest request;
  request.set_service("crr.v1.NoSuchService");
  EXPECT_EQ(Call(*health, &Health::Stub::Check, request).error_code(),
            StatusCode::NOT_FOUND);
}

// ----------------------------------------------------------------- reflection

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// The length-delimited fields with this number. Debian has no header for the
// reflection messages, and these few numbers never change.
std::vector<std::string> Fields(const std::string& bytes, int number) {
  UnknownFieldSet fields;
  EXPECT_TRUE(fields.ParseFromString(bytes));
  std::vector<std::string> found;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    if (field.number() == number &&
        field.type() == UnknownField::TYPE_LENGTH_DELIMITED) {
      found.push_back(field.length_delimited());
    }
  }
  return found;
}

// One question to grpc.reflection.v1alpha: a ServerReflectionRequest with one
// string field; the ServerReflectionResponse.
std::string AskReflection(const std::shared_ptr<grpc::Channel>& channel,
                          int field, const std::string& value) {
  UnknownFieldSet question;
  question.AddLengthDelimited(field, value);
  std::string bytes;
  EXPECT_TRUE(question.SerializeToString(&bytes));
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  test::SetPatience(context);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  EXPECT_TRUE(wait());
  const grpc::Slice slice(bytes);
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  EXPECT_TRUE(wait());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  EXPECT_TRUE(wait());
  grpc::Slice whole;
  EXPECT_TRUE(answer.DumpToSingleSlice(&whole).ok());
  call->WritesDone(nullptr);
  wait();
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  EXPECT_TRUE(status.ok());
  return {reinterpret_cast<const char*>(whole.begin()), whole.size()};
}

TEST_F(ServerEdgeTest, WhatReflectionListsItCanDescribe) {
  constexpr int kAskFileOfSymbol = 4;
  constexpr int kAskServices = 7;
  constexpr int kFiles = 4;
  constexpr int kServices = 6;
  std::set<std::string> listed;
  for (const std::string& services : Fields(
           AskReflection(server_.channel(), kAskServices, ""), kServices)) {
    for (const std::string& service : Fields(services, 1)) {
      for (const std::string& name : Fields(service, 1)) listed.insert(name);
    }
  }
  for (const std::string& service : Services()) {
    EXPECT_TRUE(listed.contains(service)) << service;
  }
  EXPECT_TRUE(listed.contains("grpc.health.v1.Health"));
  for (const std::string& service : listed) {
    bool described = false;
    for (const std::string& files :
         Fields(AskReflection(server_.channel(), kAskFileOfSymbol, service),
                kFiles)) {
      for (const std::string& file : Fields(files, 1)) {
        google::protobuf::FileDescriptorProto descriptor;
        ASSERT_TRUE(descriptor.ParseFromString(file));
        for (const auto& of_file : descriptor.service()) {
          described = described || descriptor.package() + "." +
                                           of_file.name() ==
                                       service;
        }
      }
    }
    EXPECT_TRUE(described) << service;
  }
}

// ---------------------------------------------------------------------- drain

TEST_F(ConnectedServerTest, DrainSaysSoAndEndsStreams) {
  const auto health = Health::NewStub(server_.channel());
  grpc::ClientContext watch_context;
  test::SetPatience(watch_context);
  HealthCheckRequest watch_request;
  watch_request.set_service("crr.v1.ReplicationService");
  const auto watch = health->Watch(&watch_context, watch_request);
  HealthCheckResponse seen;
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::SERVING);

  ScriptedCopier copier(server_);
  ASSERT_GT(copier.Hello("copier-1"), 0);
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", "regions/oss-cn-hangzhou"));

  std::thread drain([&] { server_.app().Drain(); });
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::NOT_SERVING);
  watch_context.TryCancel();
  for (const grpc::Status& status : {copier.End(), publisher.End()}) {
    EXPECT_REFUSED(status, UNAVAILABLE, "DRAINING");
    EXPECT_EQ(RefusalOf(status).retry_delay, absl::Seconds(1));
  }
  drain.join();
}

// A client that has not said hello yet holds nothing up either.
TEST_F(ConnectedServerTest, DrainEndsStreamsThatHaveSaidNothing) {
  ScriptedCopier copier(server_);
  ScriptedPublisher publisher(server_);
  // Streams of one connection are taken in their order, so once this answers
  // both are open.
  ScriptedCopier last(server_);
  ASSERT_GT(last.Hello("copier-2"), 0);
  const absl::Time begun = absl::Now();
  std::thread drain([&] { server_.app().Drain(); });
  EXPECT_REFUSED(publisher.End(), UNAVAILABLE, "DRAINING");
  EXPECT_REFUSED(copier.End(), UNAVAILABLE, "DRAINING");
  drain.join();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
}

// Not in-process: there gRPC 1.51 crashes on a call that begins while the
// server stops.
TEST_F(ConnectedServerTest, WhatWasAcknowledgedBeforeTheDrainIsThereAfterIt) {
  std::vector<std::thread> threads;
  std::vector<std::string> acknowledged[8];
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        v1::CreateBucketRequest request;
        request.set_bucket_id(absl::StrCat("bucket-", t, "-", i));
        request.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
        request.mutable_bucket()->set_owner("acme");
        const grpc::Status status =
            Call(server_.buckets(), &v1::BucketService::Stub::CreateBucket,
                 request);
        if (!status.ok()) {
          // gRPC 1.51 itself cancels a call that comes in the very moment of
          // the stop.
          EXPECT_TRUE(status.error_code() == StatusCode::UNAVAILABLE ||
                      status.error_code() == StatusCode::CANCELLED)
              << RefusalOf(status);
          return;
        }
        acknowledged[t].push_back(request.bucket_id());
      }
    });
  }
  ASSERT_TRUE(test::Eventually([&] {
    v1::ListBucketsResponse response;
    static_cast<void>(Call(server_.buckets(),
                           &v1::BucketService::Stub::ListBuckets,
                           v1::ListBucketsRequest(), &response));
    return response.buckets_size() > 50;
  }));
  server_.app().Drain();
  for (std::thread& thread : threads) thread.join();
  server_.Restart();
  for (const auto& ids : acknowledged) {
    EXPECT_GT(ids.size(), 0u);
    for (const std::string& id : ids) {
      v1::GetBucketRequest request;
      request.set_name("buckets/" + id);
      EXPECT_TRUE(Call(server_.buckets(),
                       &v1::BucketService::Stub::GetBucket, request)
                      .ok())
          << id;
    }
  }
}

// ---------------------------------------------------------------------- start

class StartTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<App>> Start(const std::string& listen,
                                             bool allow_plaintext = false) {
    return App::Start({.listen = listen,
                       .allow_plaintext = allow_plaintext,
                       .database_path = dir_ / "crr.db",
                       .lease = LeaseOptions::FromTtl(absl::Seconds(10))},
                      clock_);
  }
  test::TempDir dir_;
  test::FakeClock clock_;
};

TEST_F(StartTest, PlaintextStaysOnThisMachineUnlessAllowed) {
  // A name that begins like a loopback address is not one.
  for (const char* listen :
       {"0.0.0.0:0", "[::]:0", ":0", "10.0.0.1:0", "127.example.invalid:0",
        "127.0.0.1.example.invalid:0", "localhost.example.invalid:0"}) {
    EXPECT_THAT(Start(listen), HasCode(absl::StatusCode::kInvalidArgument))
        << listen;
  }
  for (const char* listen : {"127.0.0.1:0", "127.1.2.3:0", "localhost:0"}) {
    const auto app = Start(listen);
    ASSERT_OK(app);
    EXPECT_THAT((*app)->address(),
                ::testing::Not(::testing::EndsWith(":0")));
  }
  EXPECT_OK(Start("0.0.0.0:0", /*allow_plaintext=*/true));
}

TEST_F(StartTest, MetricsStayOnThisMachineUnlessAllowed) {
  const auto start = [&](const std::string& metrics_listen,
                         bool allow_plaintext) {
    return App::Start({.allow_plaintext = allow_plaintext,
                       .metrics_listen = metrics_listen,
                       .database_path = dir_ / "crr.db",
                       .lease = LeaseOptions::FromTtl(absl::Seconds(10))},
                      clock_);
  };
  for (const char* listen :
       {"9464", ":0", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
        "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:0,127.0.0.1:0",
        "0.0.0.0:0"}) {
    EXPECT_THAT(start(listen, false),
                HasCode(absl::StatusCode::kInvalidArgument))
        << listen;
  }
  for (const auto& [listen, allow] : {std::pair("127.0.0.1:0", false),
                                      std::pair("0.0.0.0:0", true)}) {
    const auto app = start(listen, allow);
    ASSERT_OK(app);
    EXPECT_THAT((*app)->metrics_address(),
                ::testing::Not(::testing::EndsWith(":0")));
    EXPECT_FALSE((*app)->metrics_address().empty());
  }
}

TEST_F(StartTest, ATakenPortIsSaidAndLeavesTheDatabaseFree) {
  TestServer other;
  const std::string address = other.app().address();
  EXPECT_THAT(Start(address), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_OK(Start("127.0.0.1:0"));
}

TEST_F(StartTest, ASecondServerOnTheDatabaseIsRefused) {
  const auto first = Start("127.0.0.1:0");
  ASSERT_OK(first);
  EXPECT_THAT(Start("127.0.0.1:0"),
              HasCode(absl::StatusCode::kFailedPrecondition));
  (*first)->Drain();
  EXPECT_OK(Start("127.0.0.1:0"));
}

TEST_F(StartTest, LeaseTimesThatCannotWorkAreRefused) {
  for (const absl::Duration ttl :
       {absl::ZeroDuration(), absl::Milliseconds(999), absl::Seconds(-10)}) {
    EXPECT_THAT(App::Start({.database_path = dir_ / "crr.db",
                            .lease = LeaseOptions::FromTtl(ttl)},
                           clock_),
                HasCode(absl::StatusCode::kInvalidArgument));
  }
}

// -------------------------------------------------------- the size of refusals

// Over a real connection: gRPC clients take 8 KiB of metadata by default, and
// the details of a status are metadata.
class RefusalSizeTest : public ConnectedServerTest {};

TEST_F(RefusalSizeTest, TheLongestRefusalOfARuleArrives) {
  // Names as long as they may be, and everything wrong that can be wrong.
  const auto name = [](char letter) { return std::string(63, letter); };
  server_.AddBucket(name('a'), test::kHangzhou, v1::Bucket::SUSPENDED);
  server_.AddBucket(name('b'), test::kHangzhou);
  server_.AddBucket(name('c'), test::kShanghai);
  server_.AddBucket(name('d'), test::kVirginia);
  ASSERT_TRUE(
      server_
          .CreateRule(test::RuleRequest(name('b'), name('c'), name('r')))
          .ok());
  auto request = test::RuleRequest(name('c'), name('a'), name('r'));
  v1::Rule& rule = *request.mutable_rule();
  request.set_rule_id("-");
  request.set_request_id("x");
  rule.set_source_bucket("x");
  rule.set_transfer(static_cast<v1::Rule::Transfer>(7));
  rule.set_operations(v1::Rule::OPERATIONS_UNSPECIFIED);
  rule.clear_replicate_historical();
  for (int i = 0; i < 5; ++i) rule.add_prefixes("");
  rule.mutable_sse_kms()->set_replicate(true);
  rule.mutable_limits()->set_max_leases(-1);
  rule.mutable_limits()->set_max_bytes_per_second(-1);
  (*rule.mutable_labels())[""] = "";
  const grpc::Status status = server_.CreateRule(request);
  EXPECT_REFUSED(status, INVALID_ARGUMENT, "INVALID_RULE_ID");
  EXPECT_GE(RefusalOf(status).violations.size(), 15u);
}

TEST_F(RefusalSizeTest, TheLongestRefusalOfABatchArrives) {
  server_.AddBucket("photos", test::kHangzhou);
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("p", "buckets/photos"));
  v1::Change bad;
  bad.set_bucket("x");
  bad.set_version_id(std::string(513, 'v'));
  EXPECT_FALSE(publisher.Batch(1, std::vector<v1::Change>(1000, bad)));
  EXPECT_REFUSED(publisher.End(), INVALID_ARGUMENT, "INVALID_NAME");
}

TEST_F(RefusalSizeTest, ARefusalDoesNotGrowWithTheRequest) {
  v1::UpdateRegionRequest request;
  request.mutable_region()->set_name("regions/oss-cn-hangzhou");
  request.mutable_region()->mutable_store()->mutable_local()->set_root("/x");
  for (int i = 0; i < 1000; ++i) {
    request.mutable_update_mask()->add_paths(absl::StrCat("field", i));
  }
  EXPECT_REFUSED(
      Call(server_.regions(), &v1::RegionService::Stub::UpdateRegion, request),
      INVALID_ARGUMENT, "INVALID_UPDATE_MASK");
}

TEST_F(RefusalSizeTest, TheLongestRefusalOfAStateArrives) {
  const auto name = [](char letter) { return std::string(63, letter); };
  server_.AddBucket(name('a'), test::kVirginia);
  server_.AddBucket(name('b'), test::kHangzhou);
  server_.AddBucket(name('c'), test::kShanghai);
  server_.AddBucket(name('d'), test::kHangzhou);
  server_.AddBucket(name('e'), test::kShanghai);
  ASSERT_TRUE(
      server_
          .CreateRule(test::RuleRequest(name('b'), name('c'), name('r')))
          .ok());
  ASSERT_TRUE(
      server_
          .CreateRule(test::RuleRequest(name('d'), name('e'), name('r')))
          .ok());
  const grpc::Status status = server_.CreateRule(
      test::RuleRequest(name('b'), name('e'), name('r')));
  EXPECT_REFUSED(status, ALREADY_EXISTS, "RULE_ALREADY_EXISTS");
  EXPECT_EQ(RefusalOf(status).violations.size(), 3u);
}

}  // namespace
}  // namespace crr
