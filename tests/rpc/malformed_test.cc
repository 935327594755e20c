#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/rpc/raw_calls.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// Bytes that are no message, on every call. What gRPC 1.51 makes of them is
// pinned: another version may answer better, and then we want to know. Text
// that is not UTF-8, field by field: fields_test.cc.
namespace crr {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;
using grpc::StatusCode;
using test::CallWithBytes;
using test::MakeChange;
using test::RawStream;
using test::ScriptedCopier;
using test::ScriptedPublisher;
using test::TestServer;

constexpr char kPublish[] = "/crr.v1.ChangeService/PublishChanges";
constexpr char kSession[] = "/crr.v1.CopierService/Session";
constexpr char kScope[] = "buckets/photos";
constexpr char kRule[] = "buckets/photos/rules/dr";

// Each of them no message of any type, with why.
std::vector<std::pair<std::string, std::string>> NoMessages() {
  return {
      {"a tag without an end", "\xff\xff\xff\xff not a message"},
      {"field 0", std::string("\0\0", 2)},
      {"a string that is cut short", "\x0a\x7f" "abc"},
      {"a varint of eleven bytes", "\x08" + std::string(11, '\xff')},
      {"a group that does not end", "\x0b"},
      {"the end of a group that did not begin", "\x0c"},
      {"a wire type that there is not", "\x0f"},
      {"a good field before a bad one",
       std::string("\x0a\x03" "abc") + "\x12\x7f"},
  };
}

std::vector<std::string> CallsOf(bool client_streams) {
  std::vector<std::string> methods;
  for (const char* name :
       {"crr.v1.RegionService", "crr.v1.BucketService",
        "crr.v1.ReplicationService", "crr.v1.AdminService",
        "crr.v1.ChangeService", "crr.v1.CopierService"}) {
    const auto* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    CRR_CHECK(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      if (method.client_streaming() != client_streams) continue;
      methods.push_back(absl::StrCat("/", name, "/", method.name()));
    }
  }
  return methods;
}

class MalformedTest : public ::testing::Test {
 protected:
  MalformedTest() {
    server_.AddBucket("photos", test::kHangzhou);
    server_.AddBucket("photos-dr", test::kShanghai);
    server_.AddRule("photos", "photos-dr");
  }
  // Another number once the server has changed any row.
  int64_t DataVersion() {
    const auto rows = database_->Query("PRAGMA data_version");
    CRR_CHECK(rows.ok());
    return rows->at(0).Int(0);
  }
  // The server is none the worse.
  void ExpectServes() {
    EXPECT_EQ(server_.GetRule(kRule).name(), kRule);
    ScriptedPublisher publisher(server_);
    EXPECT_TRUE(publisher.Hello("", kScope));
    EXPECT_TRUE(publisher.Finish().ok());
    ScriptedCopier copier(server_);
    EXPECT_GT(copier.Hello("copier-1"), 0);
    EXPECT_TRUE(copier.Finish().ok());
  }
  v1::RuleProgress::Live Live() { return server_.Progress(kRule).live(); }

  static std::string HelloOfPublisher() {
    v1::PublishChangesRequest request;
    request.mutable_hello()->set_publisher_id("p");
    request.mutable_hello()->set_scope(kScope);
    return request.SerializeAsString();
  }
  static std::string HelloOfCopier() {
    v1::SessionRequest request;
    *request.mutable_hello() = ScriptedCopier::MakeHello("copier-1");
    return request.SerializeAsString();
  }
  static std::string BatchOf(int64_t number, const std::string& key) {
    v1::PublishChangesRequest request;
    request.mutable_batch()->set_number(number);
    *request.mutable_batch()->add_changes() = MakeChange("photos", key);
    return request.SerializeAsString();
  }

  TestServer server_;
  const std::unique_ptr<sqlite::Connection> database_ =
      sqlite::Connection::Open(server_.database_path(), {.read_only = true})
          .value();
};

// ----------------------------------------------------------------- one message

// The service is not asked at all: its callback API has no way to say more.
TEST_F(MalformedTest, OneThatIsNoMessageIsUnimplemented) {
  const int64_t version = DataVersion();
  const auto calls = CallsOf(/*client_streams=*/false);
  EXPECT_EQ(calls.size(), 34u);
  for (const std::string& method : calls) {
    for (const auto& [what, bytes] : NoMessages()) {
      EXPECT_EQ(CallWithBytes(server_.channel(), method, bytes).error_code(),
                StatusCode::UNIMPLEMENTED)
          << method << ": " << what;
    }
  }
  EXPECT_EQ(DataVersion(), version);
  ExpectServes();
}

TEST_F(MalformedTest, AnUnknownMethodIsUnimplemented) {
  for (const char* method :
       {"/crr.v1.ReplicationService/NoSuchMethod",
        "/crr.v1.NoSuchService/GetRule", "/crr.v2.ReplicationService/GetRule",
        "/", "GetRule"}) {
    EXPECT_EQ(CallWithBytes(server_.channel(), method, "").error_code(),
              StatusCode::UNIMPLEMENTED)
        << method;
  }
  ExpectServes();
}

// What a newer client says more is passed over, not refused.
TEST_F(MalformedTest, FieldsThatAreNotKnownYetArePassedOver) {
  v1::GetRuleRequest request;
  request.set_name(kRule);
  // Field 1,000, a string; and field 1 in a form that it does not have.
  for (const std::string& more :
       {std::string("\xc2\x3e\x03" "abc"), std::string("\x08\x01")}) {
    std::string answer;
    const grpc::Status status =
        CallWithBytes(server_.channel(), "/crr.v1.ReplicationService/GetRule",
                      request.SerializeAsString() + more, &answer);
    EXPECT_TRUE(status.ok()) << test::RefusalOf(status);
    v1::Rule rule;
    EXPECT_TRUE(rule.ParseFromString(answer));
    EXPECT_EQ(rule.name(), kRule);
  }
}

// --------------------------------------------------------------------- streams

// gRPC 1.51 shows such a message as the end of the stream, and an end without
// `finish` is malformed (design §3).
TEST_F(MalformedTest, OnStreamsItIsTheEndBeforeHello) {
  const int64_t version = DataVersion();
  EXPECT_THAT(CallsOf(/*client_streams=*/true),
              ::testing::ElementsAre(kPublish, kSession));
  for (const char* method : {kPublish, kSession}) {
    for (const auto& [what, bytes] : NoMessages()) {
      SCOPED_TRACE(absl::StrCat(method, ": ", what));
      RawStream stream(server_.channel(), method);
      stream.Send(bytes);
      EXPECT_REFUSED(stream.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
    }
  }
  EXPECT_EQ(DataVersion(), version);
  ExpectServes();
}

TEST_F(MalformedTest, OnPublishChangesItTakesNothingBackAndNothingMore) {
  int64_t number = 0;
  for (const auto& [what, bytes] : NoMessages()) {
    SCOPED_TRACE(what);
    RawStream stream(server_.channel(), kPublish);
    stream.Send(HelloOfPublisher());
    v1::PublishChangesResponse response;
    ASSERT_TRUE(response.ParseFromString(stream.Next().value_or("\xff")));
    EXPECT_EQ(response.welcome().last_number(), number);
    stream.Send(BatchOf(++number, "a/1"));
    ASSERT_TRUE(response.ParseFromString(stream.Next().value_or("\xff")));
    EXPECT_EQ(response.ack().number(), number);
    stream.Send(bytes);
    // Good, but too late.
    stream.Send(BatchOf(number + 1, "a/2"));
    EXPECT_REFUSED(stream.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
    EXPECT_EQ(Live().pending(), number);
  }
  ExpectServes();
}

TEST_F(MalformedTest, OnPublishChangesTextThatIsNotUtf8IsMalformed) {
  ScriptedPublisher::Request hello;
  hello.mutable_hello()->set_scope("buckets/\xff\xfe");
  ScriptedPublisher::Request version;
  version.mutable_batch()->set_number(1);
  *version.mutable_batch()->add_changes() = MakeChange("photos", "a/1");
  ScriptedPublisher::Request etag = version;
  version.mutable_batch()->mutable_changes(0)->set_version_id("\xc0\x80");
  etag.mutable_batch()->mutable_changes(0)->set_etag("\xed\xa0\x80");
  const int64_t stored = DataVersion();
  for (const auto& request : {hello, version, etag}) {
    RawStream stream(server_.channel(), kPublish);
    if (!request.has_hello()) {
      v1::PublishChangesRequest unnamed;
      unnamed.mutable_hello()->set_scope(kScope);
      stream.Send(unnamed.SerializeAsString());
      EXPECT_TRUE(stream.Next().has_value());
    }
    stream.Send(request.SerializeAsString());
    EXPECT_REFUSED(stream.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }
  EXPECT_EQ(DataVersion(), stored);
  EXPECT_EQ(Live().published(), 0);
}

TEST_F(MalformedTest, OnSessionsItEndsTheStreamAndKeepsTheLeases) {
  server_.SetStore(test::kHangzhou);
  server_.SetStore(test::kShanghai);
  int64_t session = 0;
  v1::Lease lease;
  for (const auto& [what, bytes] : NoMessages()) {
    SCOPED_TRACE(what);
    RawStream stream(server_.channel(), kSession);
    v1::SessionRequest hello;
    ASSERT_TRUE(hello.ParseFromString(HelloOfCopier()));
    if (session != 0) {
      hello.mutable_hello()->set_session_number(session);
      hello.mutable_hello()->add_held()->set_unit(lease.unit());
      hello.mutable_hello()->mutable_held(0)->set_token(lease.token());
    }
    stream.Send(hello.SerializeAsString());
    v1::SessionResponse response;
    ASSERT_TRUE(response.ParseFromString(stream.Next().value_or("\xff")));
    ASSERT_TRUE(response.has_welcome());
    // The lease of the first round outlives every broken stream.
    EXPECT_EQ(response.welcome().not_held_size(), 0);
    if (session == 0) {
      session = response.welcome().session_number();
      ASSERT_TRUE(response.ParseFromString(stream.Next().value_or("\xff")));
      lease = response.grant();
      EXPECT_EQ(lease.kind(), v1::Lease::PROBE);
    }
    EXPECT_EQ(response.has_welcome()
                  ? response.welcome().session_number()
                  : session,
              session);
    stream.Send(bytes);
    EXPECT_REFUSED(stream.End(), INVALID_ARGUMENT, "MALFORMED_MESSAGE");
  }
  // The copier that comes back in order goes on with it.
  ScriptedCopier copier(server_);
  v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
  hello.set_session_number(session);
  hello.add_held()->set_unit(lease.unit());
  hello.mutable_held(0)->set_token(lease.token());
  EXPECT_EQ(copier.Hello(hello), session);
  EXPECT_EQ(copier.Commit(test::GoodProbe(lease)).result(),
            v1::CheckpointAck::RECORDED);
  EXPECT_EQ(server_.GetRule(kRule).state(), v1::Rule::ACTIVE);
}

}  // namespace
}  // namespace crr
