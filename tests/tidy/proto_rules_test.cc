#include "tests/tidy/proto_rules.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace crr::test {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

TEST(ProtoRulesTest, ContractKeepsThem) {
  std::ifstream in(CRR_PROTOSET, std::ios::binary);
  FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromIstream(&in)) << CRR_PROTOSET;
  DescriptorPool pool;
  int files = 0;
  for (const FileDescriptorProto& proto : set.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    ASSERT_NE(file, nullptr) << proto.name();
    if (file->package() != "crr.v1") continue;
    ++files;
    EXPECT_THAT(ProtoFindings(*file), IsEmpty()) << file->name();
  }
  EXPECT_GE(files, 10);
}

// A file in which everything is wrong, for it has no source info either.
constexpr char kBad[] = R"pb(
  name: "bad.proto"
  package: "crr.v1"
  syntax: "proto3"
  message_type {
    name: "Ask"
    field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  }
  message_type {
    name: "Answer"
    field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  }
  enum_type {
    name: "Colour"
    value { name: "RED" number: 0 }
  }
  service {
    name: "Asking"
    method { name: "Do" input_type: "crr.v1.Ask" output_type: "crr.v1.Answer" }
  }
)pb";

std::vector<std::string> Findings(const FileDescriptorProto& proto) {
  DescriptorPool pool;
  const FileDescriptor* file = pool.BuildFile(proto);
  return file == nullptr ? std::vector<std::string>{"does not build"}
                         : ProtoFindings(*file);
}

FileDescriptorProto Parse(const char* text) {
  FileDescriptorProto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto));
  return proto;
}

TEST(ProtoRulesTest, FindsEverythingThatIsWrong) {
  EXPECT_THAT(
      Findings(Parse(kBad)),
      UnorderedElementsAre(
          "crr.v1.Colour is not nested in the message that owns it",
          "crr.v1.Colour has no comment", "crr.v1.RED has no comment",
          "crr.v1.RED is zero but not named ..._UNSPECIFIED",
          "crr.v1.Ask has no comment", "crr.v1.Ask.id has no comment",
          "crr.v1.Answer has no comment", "crr.v1.Answer.id has no comment",
          "crr.v1.Asking has no comment", "crr.v1.Asking.Do has no comment",
          "crr.v1.Asking.Do does not list its errors",
          "crr.v1.Ask.id can be sent and has no field_behavior"));
}

TEST(ProtoRulesTest, CommentWithoutErrorsIsFound) {
  FileDescriptorProto proto = Parse(kBad);
  // The path of the first method of the first service.
  auto* location = proto.mutable_source_code_info()->add_location();
  for (const int step : {6, 0, 2, 0}) location->add_path(step);
  for (const int at : {0, 0, 0}) location->add_span(at);
  location->set_leading_comments(" Does it.\n");
  EXPECT_THAT(Findings(proto),
              Contains("crr.v1.Asking.Do does not list its errors"));
  EXPECT_THAT(Findings(proto),
              Not(Contains("crr.v1.Asking.Do has no comment")));
  location->set_leading_comments(" Does it.\n\n Errors:\n * `NOT_FOUND`.\n");
  EXPECT_THAT(Findings(proto),
              Not(Contains("crr.v1.Asking.Do does not list its errors")));
}

}  // namespace
}  // namespace crr::test
