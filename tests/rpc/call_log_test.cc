#include <fcntl.h>
#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/rpc/raw_calls.h"
#include "tests/rpc/rule_world.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"
#include "tests/support/temp_dir.h"

// The log line of each call: one, at its end, that tells nothing of what was
// said.
namespace crr {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::ServiceDescriptor;
using test::Eventually;
using test::MakeChange;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

// Good for every kind of name there is, and in no other word.
constexpr char kMark[] = "zq7secretmark";

// A whole line as it must be, whatever callers say.
constexpr char kLine[] =
    "....-..-..T..:..:......Z info [a-z-]+ rpc method=[A-Za-z0-9./]+ "
    "code=[A-Z_]+ reason=[A-Z_\"]+ ms=[0-9]+[.][0-9][0-9][0-9] "
    "peer=[^ \"]+";

// Sends standard error to a file of its own.
class CapturedLog {
 public:
  CapturedLog() : path_(dir_ / "log"), stderr_(dup(STDERR_FILENO)) {
    const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    CRR_CHECK(file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    close(file);
  }
  ~CapturedLog() {
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
  }

  std::string Text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Lines with `text` in them.
  std::vector<std::string> Lines(const std::string& text) const {
    std::vector<std::string> lines;
    for (const absl::string_view line : absl::StrSplit(Text(), '\n')) {
      if (absl::StrContains(line, text)) lines.emplace_back(line);
    }
    return lines;
  }

 private:
  test::TempDir dir_;
  std::string path_;
  int stderr_;
};

class CallLogTest : public test::RuleWorld {
 protected:
  CallLogTest() : CallLogTest(TestServer::Options{}) {}
  explicit CallLogTest(TestServer::Options options)
      : test::RuleWorld(options) {}

  // The one line of a call of this method; fails unless it comes and has the
  // whole form. A cancelled call ends here before it ends there, where waiting
  // takes time to notice.
  std::string LineOf(const std::string& method) {
    const std::string wanted = absl::StrCat(" rpc method=", method, " ");
    EXPECT_TRUE(Eventually([&] {
      if (!log_.Lines(wanted).empty()) return true;
      server_.clock().Advance(absl::Milliseconds(100));
      return false;
    })) << method;
    const std::vector<std::string> lines = log_.Lines(wanted);
    EXPECT_THAT(lines, SizeIs(1));
    EXPECT_THAT(lines, Each(MatchesRegex(kLine)));
    return lines.empty() ? "" : lines[0];
  }

  CapturedLog log_;
};

class CallLogOverTcpTest : public CallLogTest {
 protected:
  CallLogOverTcpTest() : CallLogTest({.over_tcp = true}) {}
};

constexpr char kGetRule[] = "crr.v1.ReplicationService/GetRule";
constexpr char kWaitForSync[] = "crr.v1.ReplicationService/WaitForSync";
constexpr char kWatch[] = "crr.v1.ReplicationService/WatchRuleProgress";
constexpr char kPublish[] = "crr.v1.ChangeService/PublishChanges";
constexpr char kSession[] = "crr.v1.CopierService/Session";

// ---------------------------------------------------------------------- unary

TEST_F(CallLogTest, AnAnswer) {
  const std::string rule = server_.AddRule("hz-1", "sh-1").name();
  server_.GetRule(rule);
  EXPECT_THAT(LineOf(kGetRule),
              HasSubstr(" code=OK reason=\"\" ms=0.000 peer="));
}

TEST_F(CallLogTest, ARefusalWithItsReason) {
  v1::Rule rule;
  ASSERT_FALSE(server_.GetRule("buckets/hz-1/rules/none", &rule).ok());
  EXPECT_THAT(LineOf(kGetRule),
              HasSubstr(" code=NOT_FOUND reason=RULE_NOT_FOUND ms="));
}

TEST_F(CallLogOverTcpTest, ThePeerIsAnAddress) {
  v1::Rule rule;
  server_.GetRule("buckets/hz-1/rules/none", &rule);
  EXPECT_THAT(LineOf(kGetRule),
              ::testing::ContainsRegex("peer=ipv4:127[.]0[.]0[.]1:[0-9]+$"));
}

TEST_F(CallLogTest, BytesThatAreNoMessage) {
  ASSERT_EQ(test::CallWithBytes(server_.channel(), absl::StrCat("/", kGetRule),
                                "\xff")
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(LineOf(kGetRule), HasSubstr(" code=UNIMPLEMENTED "));
}

// A rule that is never in sync: its publisher does not say how far it is.
class WaitingCallTest : public CallLogTest {
 protected:
  WaitingCallTest() : publisher_(server_) {
    publisher_.Hello("gw-1", "buckets/hz-1");
    rule_ = StartRule("hz-1", "sh-1").name();
    request_.set_name(rule_);
    request_.mutable_time()->set_seconds(
        absl::ToUnixSeconds(server_.clock().WallNow()));
  }

  ScriptedPublisher publisher_;
  std::string rule_;
  v1::WaitForSyncRequest request_;
};

TEST_F(WaitingCallTest, ADeadlineThatPassed) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(50));
  v1::RuleProgress progress;
  ASSERT_EQ(
      server_.rules().WaitForSync(&context, request_, &progress).error_code(),
      grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(LineOf(kWaitForSync),
              HasSubstr(" code=DEADLINE_EXCEEDED reason=\"\" "));
}

TEST_F(WaitingCallTest, ACallThatWasGivenUp) {
  // Until one had arrived before it was given up; there is no line of others.
  EXPECT_TRUE(Eventually([&] {
    grpc::ClientContext context;
    test::SetPatience(context);
    std::thread call([&] {
      v1::RuleProgress progress;
      EXPECT_EQ(server_.rules()
                    .WaitForSync(&context, request_, &progress)
                    .error_code(),
                grpc::StatusCode::CANCELLED);
    });
    server_.GetRule(rule_);
    context.TryCancel();
    call.join();
    server_.clock().Advance(absl::Seconds(1));
    server_.GetRule(rule_);
    return !log_.Lines(kWaitForSync).empty();
  }));
  for (const std::string& line : log_.Lines(kWaitForSync)) {
    EXPECT_THAT(line, MatchesRegex(kLine));
    EXPECT_THAT(line, HasSubstr(" code=CANCELLED reason=\"\" "));
  }
}

// -------------------------------------------------------------------- streams

TEST_F(CallLogTest, AStreamThatEndsInOrder) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("", "buckets/hz-1"));
  ASSERT_TRUE(publisher.Batch(1, {MakeChange("hz-1", "a")}));
  EXPECT_THAT(log_.Lines(kPublish), IsEmpty());
  ASSERT_TRUE(publisher.Finish().ok());
  EXPECT_THAT(LineOf(kPublish), HasSubstr(" code=OK reason=\"\" "));
}

TEST_F(CallLogTest, AStreamThatIsRefused) {
  ScriptedPublisher publisher(server_);
  ASSERT_FALSE(publisher.Hello("", "buckets/none"));
  EXPECT_THAT(LineOf(kPublish),
              HasSubstr(" code=NOT_FOUND reason=BUCKET_NOT_FOUND "));
}

TEST_F(CallLogTest, AStreamThatEndsBeforeItsEnd) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("", "buckets/hz-1"));
  ASSERT_FALSE(publisher.BreakOff().ok());
  EXPECT_THAT(LineOf(kPublish),
              HasSubstr(" code=INVALID_ARGUMENT reason=MALFORMED_MESSAGE "));
}

TEST_F(CallLogTest, AStreamThatIsGivenUp) {
  {
    ScriptedPublisher publisher(server_);
    ASSERT_TRUE(publisher.Hello("", "buckets/hz-1"));
  }
  EXPECT_THAT(LineOf(kPublish), HasSubstr(" code=CANCELLED reason=\"\" "));
}

TEST_F(CallLogTest, AStreamWhoseDeadlinePassed) {
  v1::WatchRuleProgressRequest request;
  request.set_name(server_.AddRule("hz-1", "sh-1").name());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(200));
  const auto stream = server_.rules().WatchRuleProgress(&context, request);
  v1::RuleProgress progress;
  while (stream->Read(&progress)) {
  }
  ASSERT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(LineOf(kWatch), HasSubstr(" code=DEADLINE_EXCEEDED "));
}

TEST_F(CallLogTest, DrainEndsEachStreamWithALine) {
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello("gw-1", "buckets/hz-1"));
  std::thread drain([&] { server_.app().Drain(); });
  EXPECT_EQ(publisher.End().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(copier_->End().error_code(), grpc::StatusCode::UNAVAILABLE);
  drain.join();
  for (const char* method : {kPublish, kSession}) {
    EXPECT_THAT(LineOf(method),
                HasSubstr(" code=UNAVAILABLE reason=DRAINING "));
  }
}

// ------------------------------------------------------------- what it is not

TEST_F(CallLogTest, HealthChecksAreNotLogged) {
  const auto health = grpc::health::v1::Health::NewStub(server_.channel());
  for (const char* service : {"", "crr.v1.BucketService", "none"}) {
    grpc::ClientContext context;
    test::SetPatience(context);
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    EXPECT_EQ(health->Check(&context, request, &response).ok(),
              std::string(service) != "none");
  }
  v1::Rule rule;
  server_.GetRule("buckets/hz-1/rules/none", &rule);
  LineOf(kGetRule);
  EXPECT_THAT(log_.Text(), Not(HasSubstr("grpc.health")));
}

TEST_F(CallLogOverTcpTest, ManyCallsAtOnceHaveALineEach) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      v1::Rule rule;
      for (int call = 0; call < kCalls; ++call) {
        server_.GetRule("buckets/hz-1/rules/none", &rule);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = log_.Lines(kGetRule);
  EXPECT_THAT(lines, SizeIs(kThreads * kCalls));
  EXPECT_THAT(lines, Each(MatchesRegex(kLine)));
}

// Callers choose the method that they ask for.
void ForgeLines(TestServer& server, CapturedLog& log) {
  const std::string forged =
      "2026-01-01T00:00:00.000Z info crr-server rpc method=forged code=OK";
  const std::vector<std::string> methods = {
      absl::StrCat("/crr.v1.BucketService/GetBucket\n", forged),
      absl::StrCat("/x\r\n", forged),
      absl::StrCat("/crr.v1.BucketService/GetBucket code=OK ", kMark),
      absl::StrCat("/\x1b[31m", kMark),
      absl::StrCat("/\xc2\x85", forged),
      absl::StrCat("/", std::string(4000, 'x')),
  };
  for (const std::string& method : methods) {
    EXPECT_FALSE(test::CallWithBytes(server.channel(), method, "").ok());
  }
  EXPECT_THAT(log.Text(), Not(HasSubstr("forged")));
  EXPECT_THAT(log.Text(), Not(HasSubstr(kMark)));
  EXPECT_THAT(log.Text(), Not(HasSubstr("xxxx")));
  for (const std::string& line : log.Lines("Z info ")) {
    EXPECT_THAT(line, MatchesRegex(kLine));
  }
  // Those that gRPC itself did not turn away.
  EXPECT_THAT(log.Lines("rpc method=unknown code=UNIMPLEMENTED "),
              Not(IsEmpty()));
}

TEST_F(CallLogTest, NobodyForgesALine) { ForgeLines(server_, log_); }

TEST_F(CallLogOverTcpTest, NobodyForgesALine) { ForgeLines(server_, log_); }

// Puts the mark into every field of the message that can hold it.
void Mark(Message& message, int depth = 0) {
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = message.GetDescriptor()->field(i);
    // The first of alternatives, so that the others do not clear it.
    if (field->real_containing_oneof() != nullptr &&
        reflection.HasOneof(message, field->real_containing_oneof())) {
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (field->is_repeated()) {
        reflection.AddString(&message, field, kMark);
      } else {
        reflection.SetString(&message, field, kMark);
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
               depth < 4) {
      Mark(field->is_repeated() ? *reflection.AddMessage(&message, field)
                                : *reflection.MutableMessage(&message, field),
           depth + 1);
    }
  }
}

// Calls any method with one message and metadata in which secrets travel.
void CallWithSecrets(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  test::SetPatience(context);
  context.AddMetadata("authorization", absl::StrCat("Bearer ", kMark));
  context.AddMetadata("cookie", absl::StrCat("session=", kMark));
  context.AddMetadata("x-request-id", kMark);
  context.AddMetadata("x-secret-bin", kMark);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(bytes);
  const auto call = stub.PrepareUnaryCall(&context, method,
                                          grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
}

TEST_F(CallLogOverTcpTest, NothingThatWasSaidIsInIt) {
  // Refused: every string of every request is the mark, one alternative of a
  // stream's message after the other.
  std::vector<std::string> called;
  for (const char* name :
       {"crr.v1.AdminService", "crr.v1.BucketService", "crr.v1.ChangeService",
        "crr.v1.CopierService", "crr.v1.RegionService",
        "crr.v1.ReplicationService"}) {
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const Descriptor* const type = service->method(i)->input_type();
      const int alternatives = type->real_oneof_decl_count() == 0
                                   ? 1
                                   : type->oneof_decl(0)->field_count();
      const std::string method =
          absl::StrCat(name, "/", service->method(i)->name());
      for (int a = 0; a < alternatives; ++a) {
        std::unique_ptr<Message> message(
            google::protobuf::MessageFactory::generated_factory()
                ->GetPrototype(type)
                ->New());
        if (type->real_oneof_decl_count() > 0) {
          message->GetReflection()->MutableMessage(
              message.get(), type->oneof_decl(0)->field(a));
          Mark(*message->GetReflection()->MutableMessage(
              message.get(), type->oneof_decl(0)->field(a)));
        }
        Mark(*message);
        CallWithSecrets(server_.channel(), absl::StrCat("/", method),
                        message->SerializeAsString());
        called.push_back(method);
      }
    }
  }
  for (const std::string& method : called) {
    EXPECT_TRUE(Eventually([&] {
      return static_cast<ptrdiff_t>(
                 log_.Lines(absl::StrCat("method=", method, " ")).size()) ==
             std::count(called.begin(), called.end(), method);
    })) << method;
  }

  // Accepted: the mark as a bucket, owner, label, prefix, key, etag, version,
  // store, and in what a copier reports.
  const std::string source = absl::StrCat(kMark, "-1");
  server_.AddBucket(source, test::kHangzhou, v1::Bucket::UNVERSIONED, kMark);
  server_.AddBucket(absl::StrCat(kMark, "-2"), test::kShanghai,
                    v1::Bucket::UNVERSIONED, kMark);
  ScriptedPublisher publisher(server_);
  ASSERT_TRUE(publisher.Hello(kMark, absl::StrCat("buckets/", source)));
  const v1::Rule rule =
      StartRule(source, absl::StrCat(kMark, "-2"),
                absl::StrCat(R"("labels":{")", kMark, R"(":")", kMark,
                             R"("},"prefixes":[")", kMark, R"("])"));
  v1::Change change = MakeChange(source, absl::StrCat(kMark, "/key"));
  change.set_etag(kMark);
  change.set_version_id(kMark);
  ASSERT_TRUE(publisher.Batch(1, {change}));
  ASSERT_TRUE(publisher.Finish().ok());
  const v1::Lease lease = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::SessionRequest trouble;
  trouble.mutable_trouble()->set_unit(lease.unit());
  trouble.mutable_trouble()->set_token(lease.token());
  trouble.mutable_trouble()->set_key(kMark);
  trouble.mutable_trouble()->set_reason(kMark);
  trouble.mutable_trouble()->set_message(kMark);
  copier_->Send(trouble);
  copier_->Release(lease, kMark);
  ASSERT_TRUE(copier_->Finish().ok());
  ASSERT_TRUE(
      UpdateRegion(absl::StrCat(R"({"region":{"name":"regions/)", test::kSydney,
                                R"(","displayName":")", kMark,
                                R"(","credentials":")", kMark,
                                R"(","store":{"local":{"root":"/)", kMark,
                                R"("}}},"updateMask":)"
                                R"("displayName,credentials,store"})"))
          .ok());
  server_.Stop();

  EXPECT_THAT(log_.Text(), Not(HasSubstr(kMark)));
  for (const std::string& line : log_.Lines("Z info ")) {
    EXPECT_THAT(line, MatchesRegex(kLine));
  }
  EXPECT_THAT(log_.Lines("Z warning "), IsEmpty());
  EXPECT_THAT(log_.Lines("Z error "), IsEmpty());
}

}  // namespace
}  // namespace crr
