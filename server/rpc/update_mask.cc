#include "server/rpc/update_mask.h"

#include <google/api/field_behavior.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/limits.h"
#include "absl/strings/str_split.h"

namespace crr {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;
using google::protobuf::util::FieldMaskUtil;
using google::protobuf::util::MessageDifferencer;

bool Is(const FieldDescriptor& field, google::api::FieldBehavior behavior) {
  const auto& behaviors =
      field.options().GetRepeatedExtension(google::api::field_behavior);
  return std::find(behaviors.begin(), behaviors.end(), behavior) !=
         behaviors.end();
}

bool CanBeSet(const FieldDescriptor& field) {
  return !Is(field, google::api::IMMUTABLE) &&
         !Is(field, google::api::OUTPUT_ONLY);
}

UpdatePaths SettablePaths(const Descriptor& type) {
  UpdatePaths paths;
  for (int i = 0; i < type.field_count(); ++i) {
    if (CanBeSet(*type.field(i))) paths.insert(type.field(i)->name());
  }
  return paths;
}

UpdatePaths PresentPaths(const Message& given) {
  std::vector<const FieldDescriptor*> fields;
  given.GetReflection()->ListFields(given, &fields);
  UpdatePaths paths;
  for (const FieldDescriptor* field : fields) {
    if (CanBeSet(*field)) paths.insert(field->name());
  }
  return paths;
}

// The path of a field. FieldMaskUtil passes over parts that are empty, and so
// takes "" and "store." for paths.
bool IsPath(const Descriptor& type, const std::string& path) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  return std::find(parts.begin(), parts.end(), "") == parts.end() &&
         FieldMaskUtil::GetFieldDescriptors(&type, path, nullptr);
}

bool IsWhole(const FieldMask& mask) {
  return mask.paths().empty() ||
         (mask.paths_size() == 1 && mask.paths(0) == "*");
}

}  // namespace

UpdatePaths PathsToSet(const FieldMask& mask, const Message& given,
                       absl::string_view field, std::vector<Violation>& found) {
  const Descriptor& type = *given.GetDescriptor();
  const UpdatePaths settable = SettablePaths(type);
  if (IsWhole(mask)) {
    if (!mask.paths().empty()) return settable;
    UpdatePaths present = PresentPaths(given);
    if (present.empty()) {
      found.push_back({.reason = "REQUIRED_FIELD_MISSING",
                       .field = std::string(field),
                       .description = absl::StrCat(
                           "nothing is given to set; what can be set is ",
                           absl::StrJoin(settable, ", "))});
    }
    return present;
  }
  UpdatePaths paths;
  if (mask.paths_size() > limits::kMaskPathsMax) {
    found.push_back({.reason = "INVALID_UPDATE_MASK",
                     .field = "update_mask",
                     .description = absl::StrCat("at most ",
                                                 limits::kMaskPathsMax,
                                                 " paths")});
    return paths;
  }
  for (const std::string& path : UpdatePaths(mask.paths().begin(),
                                             mask.paths().end())) {
    const FieldDescriptor* const root =
        type.FindFieldByName(path.substr(0, path.find('.')));
    if (!IsPath(type, path)) {
      found.push_back({.reason = "INVALID_UPDATE_MASK",
                       .field = "update_mask",
                       .description =
                           absl::StrCat("it names a field that there is not, or "
                                        "`*` beside others; what can be set is ",
                                        absl::StrJoin(settable, ", "))});
    } else if (!CanBeSet(*root)) {
      found.push_back(
          {.reason = "IMMUTABLE_FIELD",
           .field = absl::StrCat(field, ".", root->name()),
           .description = absl::StrCat("`", path, "` cannot be changed")});
    } else {
      paths.insert(path);
    }
  }
  return paths;
}

bool Covers(const UpdatePaths& paths, absl::string_view path) {
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& given) {
    return given == path || absl::StartsWith(path, absl::StrCat(given, "."));
  });
}

void CheckImmutable(const FieldMask& mask, const Message& given,
                    const Message& present, absl::string_view field,
                    std::vector<Violation>& found) {
  if (!IsWhole(mask)) return;
  std::vector<const FieldDescriptor*> carried;
  given.GetReflection()->ListFields(given, &carried);
  for (const FieldDescriptor* immutable : carried) {
    if (!Is(*immutable, google::api::IMMUTABLE)) continue;
    MessageDifferencer differencer;
    // Such as prefixes, which have no order.
    differencer.set_repeated_field_comparison(MessageDifferencer::AS_SET);
    if (differencer.CompareWithFields(given, present, {immutable},
                                      {immutable})) {
      continue;
    }
    found.push_back(
        {.reason = "IMMUTABLE_FIELD",
         .field = absl::StrCat(field, ".", immutable->name()),
         .description =
             absl::StrCat("`", immutable->name(), "` cannot be changed")});
  }
}

}  // namespace crr
