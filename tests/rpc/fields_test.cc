#include <gmock/gmock.h>
#include <google/api/field_behavior.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "storage/sqlite/connection.h"
#include "tests/rpc/fields_rows.h"
#include "tests/rpc/raw_calls.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

// Every field of every call that is no stream of the client's: what is wrong
// with it is said by code, reason and field, and nothing is stored. The rows
// are in fields_*_rows.cc; a field that no row is about fails the last test.
namespace crr {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using google::protobuf::TextFormat;
using test::BadField;
using test::GoodCall;
using test::RefusalOf;
using test::TestServer;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

// -------------------------------------------------------------------- messages

// The RPCs by name.
const std::map<std::string, const MethodDescriptor*>& Methods() {
  static const auto& methods = *new std::map([] {
    std::map<std::string, const MethodDescriptor*> all;
    for (const char* service :
         {"crr.v1.RegionService", "crr.v1.BucketService",
          "crr.v1.ReplicationService", "crr.v1.AdminService"}) {
      const auto* const descriptor =
          DescriptorPool::generated_pool()->FindServiceByName(service);
      CRR_CHECK(descriptor != nullptr);
      for (int i = 0; i < descriptor->method_count(); ++i) {
        const MethodDescriptor* const method = descriptor->method(i);
        CRR_CHECK(all.emplace(method->name(), method).second);
      }
    }
    return all;
  }());
  return methods;
}

std::string PathOf(const MethodDescriptor& method) {
  return absl::StrCat("/", method.service()->full_name(), "/", method.name());
}

std::unique_ptr<Message> Parse(const Descriptor& type,
                               const std::string& text) {
  std::unique_ptr<Message> message(
      MessageFactory::generated_factory()->GetPrototype(&type)->New());
  CRR_CHECK(TextFormat::ParseFromString(text, message.get()));
  return message;
}

void Clear(Message& message, const std::string& path) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  Message* at = &message;
  for (size_t i = 0; i < parts.size(); ++i) {
    const FieldDescriptor* const field =
        at->GetDescriptor()->FindFieldByName(parts[i]);
    CRR_CHECK(field != nullptr);
    if (i + 1 == parts.size()) {
      at->GetReflection()->ClearField(at, field);
    } else {
      at = at->GetReflection()->MutableMessage(at, field);
    }
  }
}

// One change of a row, taken apart.
struct Change {
  explicit Change(const std::string& text) {
    if (text.front() == '-') {
      path = text.substr(1);
      return;
    }
    const size_t colon = text.find(": ");
    CRR_CHECK(colon != std::string::npos);
    path = text.substr(0, colon);
    value = text.substr(colon);
  }
  // The whole of it in text format; empty when it takes a field away.
  std::string text() const {
    if (value.empty()) return "";
    const std::vector<std::string> parts = absl::StrSplit(path, '.');
    return absl::StrCat(absl::StrJoin(parts, " { "), value,
                        std::string(parts.size() - 1, '}'));
  }
  std::string path;
  std::string value;
};

std::unique_ptr<Message> RequestOf(const BadField& row) {
  const Descriptor& type = *Methods().at(row.rpc)->input_type();
  std::unique_ptr<Message> request;
  for (const GoodCall& good : test::GoodCalls()) {
    if (good.rpc == row.rpc) request = Parse(type, good.request);
  }
  CRR_CHECK(request != nullptr);
  for (const std::string& text : row.changes) {
    const Change change(text);
    Clear(*request, change.path);
    request->MergeFrom(*Parse(type, change.text()));
  }
  return request;
}

// ----------------------------------------------------------------------- world

// What the good calls of fields_rows.cc need, and what stands in the way of the
// bad ones. Nothing happens in it by itself.
class FieldsTest : public ::testing::Test {
 protected:
  FieldsTest() : publisher_(server_), copier_(server_) {
    AddRegistry();
    AddRules();
    EXPECT_EQ(publisher_.Hello("gw", "buckets/photos"), 0);
    publisher_.CompleteThrough(server_.clock().WallNow());
    publisher_.Sync(1);
    test::ScriptedPublisher old(server_);
    EXPECT_EQ(old.Hello("old", "buckets/free"), 0);
    EXPECT_TRUE(old.Finish().ok());
    // The server hears a moment later that a stream is done with.
    EXPECT_TRUE(test::Eventually([&] {
      v1::ListPublishersResponse all;
      EXPECT_TRUE(test::Call(server_.admin(),
                             &v1::AdminService::Stub::ListPublishers,
                             v1::ListPublishersRequest(), &all)
                      .ok());
      return all.publishers_size() == 2 && !all.publishers(1).attached();
    }));
  }

  grpc::Status Call(const std::string& rpc, const std::string& request,
                    std::string* response = nullptr) {
    return test::CallWithBytes(server_.channel(), PathOf(*Methods().at(rpc)),
                               request, response);
  }

  // Everything that callers can see of what is stored. No two entries of a map
  // are in it, so that the same content has the same bytes.
  std::string Stored() {
    std::string all;
    for (const auto& [rpc, request] :
         {std::pair("ListRegions", "page_size: 1000"),
          std::pair("ListBuckets", "page_size: 1000"),
          std::pair("ListRules", R"(parent: "buckets/-" page_size: 1000)"),
          std::pair("ListPublishers", "page_size: 1000"),
          std::pair("ListAuditEvents", "page_size: 1000"),
          std::pair("GetRegionPairPolicy", "")}) {
      std::string answer;
      const grpc::Status status =
          Call(rpc,
               Parse(*Methods().at(rpc)->input_type(), request)
                   ->SerializeAsString(),
               &answer);
      EXPECT_TRUE(status.ok()) << rpc << RefusalOf(status);
      absl::StrAppend(&all, answer.size(), ":", answer);
    }
    return all;
  }

  // Another number once any other connection has changed any row.
  int64_t DataVersion() {
    const auto rows = database_->Query("PRAGMA data_version");
    CRR_CHECK(rows.ok());
    return rows->at(0).Int(0);
  }

  void ExpectRefused(const std::vector<BadField>& rows) {
    const std::string stored = Stored();
    const int64_t version = DataVersion();
    for (const BadField& row : rows) {
      SCOPED_TRACE(absl::StrCat(
          row.rpc, " ", absl::StrJoin(row.changes, ", ").substr(0, 300)));
      const auto refusal =
          RefusalOf(Call(row.rpc, RequestOf(row)->SerializeAsString()));
      EXPECT_THAT(refusal.flaws, IsEmpty()) << refusal;
      EXPECT_THAT(refusal.ReasonsAndFields(),
                  UnorderedElementsAreArray(row.violations))
          << refusal;
      EXPECT_EQ(refusal.code,
                test::CodeOfReason(row.violations[0].substr(
                    0, row.violations[0].find(' '))))
          << refusal;
      EXPECT_TRUE(Stored() == stored);
      EXPECT_EQ(DataVersion(), version);
    }
  }

  TestServer server_;

 private:
  void AddRegistry() {
    v1::CreateRegionRequest region;
    region.set_region_id("test-1");
    region.mutable_region()->set_area(v1::Region::MAINLAND_CHINA);
    region.set_request_id(test::kUsedRequestId);
    EXPECT_TRUE(test::Call(server_.regions(),
                           &v1::RegionService::Stub::CreateRegion, region)
                    .ok());
    v1::CreateBucketRequest bucket;
    bucket.set_bucket_id("photos");
    bucket.mutable_bucket()->set_region("regions/oss-cn-hangzhou");
    bucket.mutable_bucket()->set_owner("acme");
    bucket.set_request_id(test::kUsedRequestId);
    EXPECT_TRUE(test::Call(server_.buckets(),
                           &v1::BucketService::Stub::CreateBucket, bucket)
                    .ok());
    for (const char* id : {"alone", "free", "closing", "quiet", "starting"}) {
      server_.AddBucket(id, test::kHangzhou);
    }
    for (const char* id : {"photos-dr", "free-dr", "closing-dr", "quiet-dr"}) {
      server_.AddBucket(id, test::kShanghai);
    }
    for (const char* id : {"far-free", "starting-dr"}) {
      server_.AddBucket(id, test::kVirginia);
    }
    server_.SetStore(test::kHangzhou);
    server_.SetStore(test::kShanghai);
  }

  // Rules dr of photos and of quiet are ACTIVE; that of closing stays CLOSING,
  // since the copier keeps a lease of it; that of starting stays STARTING,
  // since its destination's region has no store.
  void AddRules() {
    auto photos = test::RuleRequest("photos", "photos-dr");
    photos.mutable_rule()->add_prefixes("a/");
    photos.set_request_id(test::kUsedRequestId);
    EXPECT_TRUE(server_.CreateRule(photos).ok());
    server_.AddRule("quiet", "quiet-dr");
    const v1::Rule closing = server_.AddRule("closing", "closing-dr");
    server_.AddRule("starting", "starting-dr", R"("transfer":"ACCELERATED")");
    EXPECT_GT(copier_.Hello("copier-1"), 0);
    for (int i = 0; i < 3; ++i) {
      const v1::Lease probe = copier_.AwaitGrant(v1::Lease::PROBE);
      if (probe.rule() == closing.name()) continue;
      EXPECT_EQ(copier_.Commit(test::GoodProbe(probe)).result(),
                v1::CheckpointAck::RECORDED);
    }
    EXPECT_TRUE(server_.DeleteRule(closing.name()).ok());
    for (const auto& [source, state] :
         {std::pair("photos", v1::Rule::ACTIVE),
          std::pair("quiet", v1::Rule::ACTIVE),
          std::pair("closing", v1::Rule::CLOSING),
          std::pair("starting", v1::Rule::STARTING)}) {
      EXPECT_EQ(
          server_.GetRule(absl::StrCat("buckets/", source, "/rules/dr"))
              .state(),
          state)
          << source;
    }
  }

  test::ScriptedPublisher publisher_;
  test::ScriptedCopier copier_;
  const std::unique_ptr<sqlite::Connection> database_ =
      sqlite::Connection::Open(server_.database_path(), {.read_only = true})
          .value();
};

TEST_F(FieldsTest, TheGoodCallsAreGood) {
  for (const GoodCall& good : test::GoodCalls()) {
    SCOPED_TRACE(good.rpc);
    const MethodDescriptor& method = *Methods().at(good.rpc);
    const std::string request =
        Parse(*method.input_type(), good.request)->SerializeAsString();
    if (method.server_streaming()) {
      test::RawStream stream(server_.channel(), PathOf(method));
      stream.Send(request);
      EXPECT_TRUE(stream.Next().has_value());
    } else {
      const grpc::Status status = Call(good.rpc, request);
      EXPECT_TRUE(status.ok()) << RefusalOf(status);
    }
  }
}

TEST_F(FieldsTest, OfRegions) { ExpectRefused(test::RegionRows()); }
TEST_F(FieldsTest, OfBuckets) { ExpectRefused(test::BucketRows()); }
TEST_F(FieldsTest, OfRules) { ExpectRefused(test::ReplicationRows()); }
TEST_F(FieldsTest, OfOperators) { ExpectRefused(test::AdminRows()); }

// ---------------------------------------------------------------------- fields

// The fields that hold values, each by the way to it.
using Leaf = std::vector<const FieldDescriptor*>;

std::string PathOf(const Leaf& leaf) {
  return absl::StrJoin(leaf, ".",
                       [](std::string* out, const FieldDescriptor* field) {
                         out->append(field->name());
                       });
}

void FindLeaves(const Descriptor& type, Leaf& way, std::vector<Leaf>& found) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    way.push_back(field);
    if (field->message_type() == nullptr || field->is_map()) {
      found.push_back(way);
    } else {
      FindLeaves(*field->message_type(), way, found);
    }
    way.pop_back();
  }
}

std::vector<Leaf> LeavesOf(const Descriptor& type) {
  std::vector<Leaf> found;
  Leaf way;
  FindLeaves(type, way, found);
  return found;
}

// The wire form of a message that has this field only, with bytes that are no
// text. Appended to a request it is part of it.
std::string NoTextAt(const Leaf& leaf, size_t from = 0) {
  if (from == leaf.size()) return "\xff\xfe";
  const std::string inner = NoTextAt(leaf, from + 1);
  const int tag = leaf[from]->number() << 3 | 2;
  CRR_CHECK(tag < 128 && inner.size() < 128);
  return absl::StrCat(std::string(1, static_cast<char>(tag)),
                      std::string(1, static_cast<char>(inner.size())), inner);
}

// gRPC 1.51 hands no message to the service then: see malformed_test.cc.
TEST_F(FieldsTest, TextThatIsNotUtf8IsMalformed) {
  const std::string stored = Stored();
  const int64_t version = DataVersion();
  int fields = 0;
  for (const GoodCall& good : test::GoodCalls()) {
    const Descriptor& type = *Methods().at(good.rpc)->input_type();
    const std::string request = Parse(type, good.request)->SerializeAsString();
    std::vector<Leaf> texts;
    for (const Leaf& leaf : LeavesOf(type)) {
      if (leaf.back()->is_map()) {
        for (const FieldDescriptor* half :
             {leaf.back()->message_type()->map_key(),
              leaf.back()->message_type()->map_value()}) {
          texts.push_back(leaf);
          texts.back().push_back(half);
        }
      } else {
        texts.push_back(leaf);
      }
    }
    for (const Leaf& text : texts) {
      if (text.back()->type() != FieldDescriptor::TYPE_STRING) continue;
      SCOPED_TRACE(absl::StrCat(good.rpc, " ", PathOf(text)));
      EXPECT_EQ(Call(good.rpc, request + NoTextAt(text)).error_code(),
                grpc::StatusCode::UNIMPLEMENTED);
      EXPECT_TRUE(Stored() == stored);
      EXPECT_EQ(DataVersion(), version);
      ++fields;
    }
  }
  EXPECT_GT(fields, 50);
}

// ----------------------------------------------------------------- all of them

// Fields in which nothing can be wrong, by RPC and path.
const std::map<std::string, std::string>& Exceptions() {
  static const auto& exceptions = *new std::map<std::string, std::string>{
      {"CreateRegion validate_only", "either is good"},
      {"CreateBucket validate_only", "either is good"},
      {"CreateBucket bucket.transfer_acceleration", "either is good"},
      {"CreateRule validate_only", "either is good"},
      {"VerifyRule read_bytes", "either is good"},
      {"UpdateRegionPairPolicy region_pair_policy.entries.allow",
       "either is good"},
      {"ListAuditEvents subject", "it only selects: unknown ones have none"},
  };
  return exceptions;
}

bool IsOutputOnly(const Leaf& leaf) {
  return std::any_of(
      leaf.begin(), leaf.end(), [](const FieldDescriptor* field) {
        const auto& behaviors = field->options().GetRepeatedExtension(
            google::api::field_behavior);
        return std::find(behaviors.begin(), behaviors.end(),
                         google::api::OUTPUT_ONLY) != behaviors.end();
      });
}

void FindSet(const Message& message, const std::string& prefix,
             std::set<std::string>& paths) {
  std::vector<const FieldDescriptor*> fields;
  const auto& reflection = *message.GetReflection();
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    paths.insert(path);
    if (field->message_type() == nullptr || field->is_map()) continue;
    if (!field->is_repeated()) {
      FindSet(reflection.GetMessage(message, field), path + ".", paths);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      FindSet(reflection.GetRepeatedMessage(message, field, i), path + ".",
              paths);
    }
  }
}

// Adds the fields that a row changes and that are refused for it, by their own
// names or by that of a message that they are in.
void FindCovered(const BadField& row, std::set<std::string>& covered) {
  std::set<std::string> changed;
  for (const std::string& text : row.changes) {
    const Change change(text);
    changed.insert(change.path);
    FindSet(*Parse(*Methods().at(row.rpc)->input_type(), change.text()), "",
            changed);
  }
  for (const std::string& violation : row.violations) {
    std::string refused = violation.substr(violation.find(' ') + 1);
    for (size_t at; (at = refused.find('[')) != std::string::npos;) {
      refused.erase(at, refused.find(']', at) - at + 1);
    }
    for (const std::string& path : changed) {
      if (path == refused || absl::StartsWith(path, refused + ".")) {
        covered.insert(absl::StrCat(row.rpc, " ", path));
      }
    }
  }
}

TEST(FieldsOfAllCallsTest, EachHasARow) {
  std::set<std::string> covered;
  for (const auto& rows : {test::RegionRows(), test::BucketRows(),
                           test::ReplicationRows(), test::AdminRows()}) {
    for (const BadField& row : rows) FindCovered(row, covered);
  }
  std::set<std::string> used;
  for (const auto& [rpc, method] : Methods()) {
    for (const Leaf& leaf : LeavesOf(*method->input_type())) {
      const std::string field = absl::StrCat(rpc, " ", PathOf(leaf));
      if (Exceptions().contains(field)) {
        used.insert(field);
        EXPECT_FALSE(covered.contains(field)) << field << " has a row";
      } else if (!IsOutputOnly(leaf)) {
        EXPECT_TRUE(covered.contains(field)) << field << " has no row";
      }
    }
  }
  EXPECT_EQ(used.size(), Exceptions().size());
  std::set<std::string> good;
  for (const GoodCall& call : test::GoodCalls()) good.insert(call.rpc);
  for (const auto& [rpc, method] : Methods()) {
    EXPECT_TRUE(good.contains(rpc)) << rpc << " has no good call";
  }
}

}  // namespace
}  // namespace crr
