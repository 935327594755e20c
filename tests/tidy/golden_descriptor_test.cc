#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tidy/contract.h"

namespace crr::test {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string ReadAll(const char* file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

// With CRR_REFRESH_GOLDEN in the environment it writes additions down.
TEST(GoldenDescriptorTest, ContractIsAsCommitted) {
  FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(ReadAll(CRR_PROTOSET))) << CRR_PROTOSET;
  DescriptorPool pool;
  Contract now;
  for (const FileDescriptorProto& proto : set.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    ASSERT_NE(file, nullptr) << proto.name();
    if (file->package() == "crr.v1") AddToContract(*file, now);
  }
  ASSERT_GT(now.size(), 300u);

  ContractDiff diff = Compare(ParseContract(ReadAll(CRR_GOLDEN)), now);
  ASSERT_THAT(diff.breaks, IsEmpty())
      << "These break callers of crr.v1: take them back, or make a crr.v2. As "
         "long as there are no callers, delete "
      << CRR_GOLDEN << " and refresh it as after an addition.";
  if (std::getenv("CRR_REFRESH_GOLDEN") != nullptr) {
    std::ofstream(CRR_GOLDEN, std::ios::binary) << ToText(now);
    diff = Compare(ParseContract(ReadAll(CRR_GOLDEN)), now);
  }
  EXPECT_THAT(diff.additions, IsEmpty())
      << "The contract has grown. Note it for good, and commit it:\n"
         "  cmake --build --preset release --target refresh_golden";
}

constexpr char kBefore[] = R"pb(
  name: "shop.proto"
  package: "shop"
  syntax: "proto3"
  message_type {
    name: "Order"
    field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "lines" number: 12 type: TYPE_STRING label: LABEL_REPEATED }
    field {
      name: "paid"
      number: 3
      type: TYPE_BOOL
      label: LABEL_OPTIONAL
      proto3_optional: true
      oneof_index: 1
    }
    field {
      name: "card"
      number: 4
      type: TYPE_MESSAGE
      type_name: ".shop.Order.Card"
      label: LABEL_OPTIONAL
      oneof_index: 0
    }
    field {
      name: "labels"
      number: 5
      type: TYPE_MESSAGE
      type_name: ".shop.Order.LabelsEntry"
      label: LABEL_REPEATED
    }
    field {
      name: "state"
      number: 6
      type: TYPE_ENUM
      type_name: ".shop.Order.State"
      label: LABEL_OPTIONAL
    }
    oneof_decl { name: "means" }
    oneof_decl { name: "_paid" }
    nested_type { name: "Card" }
    nested_type {
      name: "LabelsEntry"
      field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "value" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
      options { map_entry: true }
    }
    enum_type {
      name: "State"
      value { name: "STATE_UNSPECIFIED" number: 0 }
      value { name: "OPEN" number: 1 }
      reserved_range { start: 2 end: 3 }
    }
    reserved_range { start: 7 end: 8 }
    reserved_range { start: 20 end: 31 }
    reserved_name: "price"
  }
  service {
    name: "Orders"
    method { name: "Get" input_type: ".shop.Order" output_type: ".shop.Order" }
    method {
      name: "Watch"
      input_type: ".shop.Order"
      output_type: ".shop.Order"
      server_streaming: true
    }
  }
)pb";

FileDescriptorProto Before() {
  FileDescriptorProto file;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kBefore, &file));
  return file;
}

Contract ContractOf(const FileDescriptorProto& proto) {
  DescriptorPool pool;
  Contract contract;
  const FileDescriptor* file = pool.BuildFile(proto);
  EXPECT_NE(file, nullptr);
  if (file != nullptr) AddToContract(*file, contract);
  return contract;
}

// The way from the contract to the golden file and back included.
ContractDiff DiffAfter(const std::function<void(FileDescriptorProto&)>& edit) {
  FileDescriptorProto now = Before();
  edit(now);
  return Compare(ParseContract(ToText(ContractOf(Before()))), ContractOf(now));
}

TEST(ContractTest, IsWrittenALineEach) {
  EXPECT_EQ(ToText(ContractOf(Before())),
            "shop.Order: message in shop.proto\n"
            "shop.Order   1: string id\n"
            "shop.Order   3: optional bool paid\n"
            "shop.Order   4: shop.Order.Card card in oneof means\n"
            "shop.Order   5: map<string, int64> labels\n"
            "shop.Order   6: shop.Order.State state\n"
            "shop.Order   7: reserved\n"
            "shop.Order  12: repeated string lines\n"
            "shop.Order  20 to 30: reserved\n"
            "shop.Order \"price\": reserved\n"
            "shop.Order.Card: message in shop.proto\n"
            "shop.Order.State: enum in shop.proto\n"
            "shop.Order.State   0: STATE_UNSPECIFIED\n"
            "shop.Order.State   1: OPEN\n"
            "shop.Order.State   2 to 3: reserved\n"
            "shop.Orders: service in shop.proto\n"
            "shop.Orders.Get: rpc (shop.Order) returns (shop.Order)\n"
            "shop.Orders.Watch: rpc (shop.Order) returns (stream "
            "shop.Order)\n");
}

TEST(ContractTest, WhatIsTheSameIsNoBreak) {
  const ContractDiff diff = DiffAfter([](FileDescriptorProto& file) {
    auto& fields = *file.mutable_message_type(0)->mutable_field();
    fields.SwapElements(0, 1);
    fields[0].mutable_options()->set_deprecated(true);
  });
  EXPECT_THAT(diff.breaks, IsEmpty());
  EXPECT_THAT(diff.additions, IsEmpty());
}

TEST(ContractTest, WhatIsNewIsAnAdditionAndNoBreak) {
  const ContractDiff diff = DiffAfter([](FileDescriptorProto& file) {
    auto* field = file.mutable_message_type(0)->add_field();
    *field = file.message_type(0).field(0);
    field->set_name("note");
    field->set_number(8);
    auto* value =
        file.mutable_message_type(0)->mutable_enum_type(0)->add_value();
    value->set_name("DONE");
    value->set_number(4);
    auto* method = file.mutable_service(0)->add_method();
    *method = file.service(0).method(0);
    method->set_name("Cancel");
  });
  EXPECT_THAT(diff.breaks, IsEmpty());
  EXPECT_THAT(diff.additions,
              ElementsAre("shop.Order   8: string note",
                          "shop.Order.State   4: DONE",
                          "shop.Orders.Cancel: rpc (shop.Order) returns "
                          "(shop.Order)"));
}

TEST(ContractTest, RenamedMessageBreaksWhatUsesItToo) {
  const ContractDiff diff = DiffAfter([](FileDescriptorProto& file) {
    auto& order = *file.mutable_message_type(0);
    order.mutable_nested_type(0)->set_name("Coupon");
    order.mutable_field(3)->set_type_name(".shop.Order.Coupon");
  });
  EXPECT_THAT(diff.breaks,
              ElementsAre("shop.Order   4: shop.Order.Card card in oneof "
                          "means: is now shop.Order.Coupon card in oneof means",
                          "shop.Order.Card: message in shop.proto: is gone"));
}

TEST(ContractTest, AnotherFileIsABreakForThoseThatIncludeIt) {
  const ContractDiff diff = DiffAfter(
      [](FileDescriptorProto& file) { file.set_name("orders.proto"); });
  EXPECT_THAT(diff.breaks, Contains("shop.Orders: service in shop.proto: is "
                                    "now service in orders.proto"));
}

struct Planted {
  const char* name;
  std::function<void(FileDescriptorProto&)> edit;
  const char* found;
};

class PlantedBreakTest : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedBreakTest, IsNamed) {
  EXPECT_THAT(DiffAfter(GetParam().edit).breaks,
              ElementsAre(GetParam().found));
}

FieldDescriptorProto& Field(FileDescriptorProto& file, int index) {
  return *file.mutable_message_type(0)->mutable_field(index);
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedBreakTest,
    ::testing::Values(
        Planted{"FieldRemoved",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)->mutable_field()->DeleteSubrange(
                      0, 1);
                },
                "shop.Order   1: string id: is gone"},
        Planted{"FieldRemovedAndReserved",
                [](FileDescriptorProto& file) {
                  auto& order = *file.mutable_message_type(0);
                  order.mutable_field()->DeleteSubrange(0, 1);
                  auto* range = order.add_reserved_range();
                  range->set_start(1);
                  range->set_end(2);
                },
                "shop.Order   1: string id: is now reserved"},
        Planted{"FieldRenumbered",
                [](FileDescriptorProto& file) { Field(file, 0).set_number(9); },
                "shop.Order   1: string id: is gone"},
        Planted{"FieldRenamed",
                [](FileDescriptorProto& file) {
                  Field(file, 0).set_name("no");
                },
                "shop.Order   1: string id: is now string no"},
        Planted{"JsonNameChanged",
                [](FileDescriptorProto& file) {
                  Field(file, 0).set_json_name("no");
                },
                "shop.Order   1: string id: is now string id (no in JSON)"},
        Planted{"TypeChanged",
                [](FileDescriptorProto& file) {
                  Field(file, 0).set_type(FieldDescriptorProto::TYPE_BYTES);
                },
                "shop.Order   1: string id: is now bytes id"},
        Planted{"MapValueChanged",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)
                      ->mutable_nested_type(1)
                      ->mutable_field(1)
                      ->set_type(FieldDescriptorProto::TYPE_BOOL);
                },
                "shop.Order   5: map<string, int64> labels: is now "
                "map<string, bool> labels"},
        Planted{"LabelChanged",
                [](FileDescriptorProto& file) {
                  Field(file, 1).set_label(
                      FieldDescriptorProto::LABEL_OPTIONAL);
                },
                "shop.Order  12: repeated string lines: is now string lines"},
        Planted{"PresenceLost",
                [](FileDescriptorProto& file) {
                  Field(file, 2).clear_proto3_optional();
                  Field(file, 2).clear_oneof_index();
                  file.mutable_message_type(0)
                      ->mutable_oneof_decl()
                      ->RemoveLast();
                },
                "shop.Order   3: optional bool paid: is now bool paid"},
        Planted{"MovedIntoOneof",
                [](FileDescriptorProto& file) {
                  // Members of a oneof stand side by side.
                  file.mutable_message_type(0)->mutable_field()->SwapElements(
                      0, 2);
                  Field(file, 2).set_oneof_index(0);
                },
                "shop.Order   1: string id: is now string id in oneof means"},
        Planted{"EnumValueRemoved",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)
                      ->mutable_enum_type(0)
                      ->mutable_value()
                      ->RemoveLast();
                },
                "shop.Order.State   1: OPEN: is gone"},
        Planted{"EnumValueRenamed",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)
                      ->mutable_enum_type(0)
                      ->mutable_value(1)
                      ->set_name("BEGUN");
                },
                "shop.Order.State   1: OPEN: is now BEGUN"},
        Planted{"ReservedNumberUsed",
                [](FileDescriptorProto& file) {
                  auto& order = *file.mutable_message_type(0);
                  order.mutable_reserved_range()->DeleteSubrange(0, 1);
                  auto* field = order.add_field();
                  *field = order.field(0);
                  field->set_name("note");
                  field->set_number(7);
                },
                "shop.Order   7: reserved: is now string note"},
        Planted{"ReservedRangeFreed",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)
                      ->mutable_reserved_range()
                      ->RemoveLast();
                },
                "shop.Order  20 to 30: reserved: is gone"},
        Planted{"ReservedNameFreed",
                [](FileDescriptorProto& file) {
                  file.mutable_message_type(0)->clear_reserved_name();
                },
                "shop.Order \"price\": reserved: is gone"},
        Planted{"MethodRemoved",
                [](FileDescriptorProto& file) {
                  file.mutable_service(0)->mutable_method()->RemoveLast();
                },
                "shop.Orders.Watch: rpc (shop.Order) returns (stream "
                "shop.Order): is gone"},
        Planted{"StreamingChanged",
                [](FileDescriptorProto& file) {
                  file.mutable_service(0)->mutable_method(0)
                      ->set_client_streaming(true);
                },
                "shop.Orders.Get: rpc (shop.Order) returns (shop.Order): is "
                "now rpc (stream shop.Order) returns (shop.Order)"},
        Planted{"AnswerChanged",
                [](FileDescriptorProto& file) {
                  file.mutable_service(0)->mutable_method(0)->set_output_type(
                      ".shop.Order.Card");
                },
                "shop.Orders.Get: rpc (shop.Order) returns (shop.Order): is "
                "now rpc (shop.Order) returns (shop.Order.Card)"}),
    [](const auto& planted) { return planted.param.name; });

}  // namespace
}  // namespace crr::test
