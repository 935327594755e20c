#include "tests/tidy/contract.h"

#include <google/protobuf/descriptor.pb.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace crr::test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Padded, so that numbers sort as numbers.
std::string Numbered(const std::string& owner, int number) {
  return absl::StrFormat("%s %3d", owner, number);
}

std::string TypeOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return field.message_type()->full_name();
    case FieldDescriptor::CPPTYPE_ENUM:
      return field.enum_type()->full_name();
    default:
      return field.type_name();
  }
}

std::string Describe(const FieldDescriptor& field) {
  std::string text;
  if (field.is_map()) {
    text = absl::StrCat("map<", TypeOf(*field.message_type()->map_key()), ", ",
                        TypeOf(*field.message_type()->map_value()), ">");
  } else {
    text = absl::StrCat(field.is_repeated()            ? "repeated "
                        : field.has_optional_keyword() ? "optional "
                                                       : "",
                        TypeOf(field));
  }
  absl::StrAppend(&text, " ", field.name());
  if (field.json_name() != field.camelcase_name()) {
    absl::StrAppend(&text, " (", field.json_name(), " in JSON)");
  }
  if (const auto* oneof = field.real_containing_oneof()) {
    absl::StrAppend(&text, " in oneof ", oneof->name());
  }
  return text;
}

// `end_offset`: by how much the end lies behind the last number.
template <typename DescriptorType, typename Proto>
void AddReserved(const DescriptorType& type, const Proto& proto, int end_offset,
                 Contract& contract) {
  for (const auto& range : proto.reserved_range()) {
    std::string numbers = Numbered(type.full_name(), range.start());
    const int last = range.end() - end_offset;
    if (last > range.start()) absl::StrAppend(&numbers, " to ", last);
    contract[numbers] = "reserved";
  }
  for (const std::string& name : proto.reserved_name()) {
    contract[absl::StrCat(type.full_name(), " \"", name, "\"")] = "reserved";
  }
}

void AddEnum(const EnumDescriptor& type, Contract& contract) {
  contract[type.full_name()] =
      absl::StrCat("enum in ", type.file()->name());
  for (int i = 0; i < type.value_count(); ++i) {
    contract[Numbered(type.full_name(), type.value(i)->number())] =
        type.value(i)->name();
  }
  EnumDescriptorProto proto;
  type.CopyTo(&proto);
  AddReserved(type, proto, /*end_offset=*/0, contract);
}

void AddMessage(const Descriptor& type, Contract& contract) {
  if (type.options().map_entry()) return;
  contract[type.full_name()] =
      absl::StrCat("message in ", type.file()->name());
  for (int i = 0; i < type.field_count(); ++i) {
    contract[Numbered(type.full_name(), type.field(i)->number())] =
        Describe(*type.field(i));
  }
  DescriptorProto proto;
  type.CopyTo(&proto);
  AddReserved(type, proto, /*end_offset=*/1, contract);
  for (int i = 0; i < type.enum_type_count(); ++i) {
    AddEnum(*type.enum_type(i), contract);
  }
  for (int i = 0; i < type.nested_type_count(); ++i) {
    AddMessage(*type.nested_type(i), contract);
  }
}

void AddService(const ServiceDescriptor& service, Contract& contract) {
  contract[service.full_name()] =
      absl::StrCat("service in ", service.file()->name());
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    contract[method.full_name()] = absl::StrCat(
        "rpc (", method.client_streaming() ? "stream " : "",
        method.input_type()->full_name(), ") returns (",
        method.server_streaming() ? "stream " : "",
        method.output_type()->full_name(), ")");
  }
}

}  // namespace

void AddToContract(const FileDescriptor& file, Contract& contract) {
  for (int i = 0; i < file.enum_type_count(); ++i) {
    AddEnum(*file.enum_type(i), contract);
  }
  for (int i = 0; i < file.message_type_count(); ++i) {
    AddMessage(*file.message_type(i), contract);
  }
  for (int i = 0; i < file.service_count(); ++i) {
    AddService(*file.service(i), contract);
  }
}

std::string ToText(const Contract& contract) {
  std::string text;
  for (const auto& [identity, what] : contract) {
    absl::StrAppend(&text, identity, ": ", what, "\n");
  }
  return text;
}

Contract ParseContract(absl::string_view text) {
  Contract contract;
  for (absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    contract.insert(
        std::pair<std::string, std::string>(
            absl::StrSplit(line, absl::MaxSplits(": ", 1))));
  }
  return contract;
}

ContractDiff Compare(const Contract& before, const Contract& now) {
  ContractDiff diff;
  for (const auto& [identity, what] : before) {
    const auto found = now.find(identity);
    if (found == now.end()) {
      diff.breaks.push_back(absl::StrCat(identity, ": ", what, ": is gone"));
    } else if (found->second != what) {
      diff.breaks.push_back(
          absl::StrCat(identity, ": ", what, ": is now ", found->second));
    }
  }
  for (const auto& [identity, what] : now) {
    if (before.count(identity) == 0) {
      diff.additions.push_back(absl::StrCat(identity, ": ", what));
    }
  }
  return diff;
}

}  // namespace crr::test
