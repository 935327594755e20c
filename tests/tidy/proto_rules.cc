#include "tests/tidy/proto_rules.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/api/field_behavior.pb.h"

namespace crr::test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::SourceLocation;

class Checker {
 public:
  explicit Checker(const FileDescriptor& file) : file_(file) {}

  std::vector<std::string> Run() {
    for (int i = 0; i < file_.enum_type_count(); ++i) {
      Report(*file_.enum_type(i), "is not nested in the message that owns it");
      CheckEnum(*file_.enum_type(i));
    }
    for (int i = 0; i < file_.message_type_count(); ++i) {
      CheckMessage(*file_.message_type(i));
    }
    for (int i = 0; i < file_.service_count(); ++i) {
      CheckService(*file_.service(i));
    }
    return std::move(findings_);
  }

 private:
  template <typename D>
  void Report(const D& descriptor, absl::string_view what) {
    findings_.push_back(absl::StrCat(descriptor.full_name(), " ", what));
  }

  template <typename D>
  std::string Comment(const D& descriptor) {
    SourceLocation location;
    if (!descriptor.GetSourceLocation(&location)) return "";
    return location.leading_comments;
  }

  template <typename D>
  void CheckComment(const D& descriptor) {
    if (Comment(descriptor).empty()) Report(descriptor, "has no comment");
  }

  void CheckEnum(const EnumDescriptor& type) {
    CheckComment(type);
    for (int i = 0; i < type.value_count(); ++i) CheckComment(*type.value(i));
    if (!absl::EndsWith(type.value(0)->name(), "_UNSPECIFIED")) {
      Report(*type.value(0), "is zero but not named ..._UNSPECIFIED");
    }
  }

  void CheckMessage(const Descriptor& type) {
    if (type.options().map_entry()) return;
    CheckComment(type);
    for (int i = 0; i < type.field_count(); ++i) CheckComment(*type.field(i));
    for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
      CheckComment(*type.oneof_decl(i));
    }
    for (int i = 0; i < type.enum_type_count(); ++i) {
      CheckEnum(*type.enum_type(i));
    }
    for (int i = 0; i < type.nested_type_count(); ++i) {
      CheckMessage(*type.nested_type(i));
    }
  }

  void CheckService(const ServiceDescriptor& service) {
    CheckComment(service);
    for (int i = 0; i < service.method_count(); ++i) {
      const MethodDescriptor& method = *service.method(i);
      CheckComment(method);
      const std::string comment = Comment(method);
      if (!absl::StrContains(comment, "\n Errors:\n") &&
          !absl::StrContains(comment, "\n Ends with:\n")) {
        Report(method, "does not list its errors");
      }
      CheckSent(*method.input_type());
    }
  }

  void CheckSent(const Descriptor& type) {
    // Google's own messages have their own rules.
    if (type.file()->package() != file_.package()) return;
    if (!sent_.insert(&type).second) return;
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const auto& options = field.options();
      const int behaviors =
          options.ExtensionSize(google::api::field_behavior);
      bool output_only = false;
      for (int j = 0; j < behaviors; ++j) {
        output_only |= options.GetExtension(google::api::field_behavior, j) ==
                       google::api::OUTPUT_ONLY;
      }
      if (behaviors == 0) Report(field, "can be sent and has no field_behavior");
      if (!output_only && !field.is_map() &&
          field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        CheckSent(*field.message_type());
      }
    }
  }

  const FileDescriptor& file_;
  std::set<const Descriptor*> sent_;
  std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> ProtoFindings(const FileDescriptor& file) {
  return Checker(file).Run();
}

}  // namespace crr::test
