#include "client/copier/key_walk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace crr {
namespace {

constexpr int kPageObjects = 1'000;

}  // namespace

KeyWalk::KeyWalk(ObjectStore& store, std::string bucket,
                 std::vector<std::string> prefixes, std::string after,
                 std::string until)
    : store_(store),
      bucket_(std::move(bucket)),
      prefixes_(std::move(prefixes)),
      until_(std::move(until)),
      after_(std::move(after)) {
  if (prefixes_.empty()) prefixes_.emplace_back();
  std::sort(prefixes_.begin(), prefixes_.end());
}

absl::StatusOr<std::vector<ObjectInfo>> KeyWalk::Next() {
  const std::string& prefix = prefixes_[prefix_];
  CRR_ASSIGN_OR_RETURN(ListPage page,
                       store_.List(bucket_, {.prefix = prefix,
                                             .after = after_,
                                             .until = until_,
                                             .limit = kPageObjects}));
  if (page.objects.empty() && !page.complete) {
    return absl::InternalError(
        "the store lists nothing and says there is more");
  }
  absl::string_view last = after_;
  for (const ObjectInfo& object : page.objects) {
    if (object.key <= last || !absl::StartsWith(object.key, prefix) ||
        (!until_.empty() && object.key > until_)) {
      return absl::InternalError(absl::StrCat(
          "the store lists a key out of place, after \"", last, "\""));
    }
    last = object.key;
  }
  if (!page.objects.empty()) after_ = page.objects.back().key;
  if (page.complete) ++prefix_;
  return std::move(page.objects);
}

std::string KeyWalk::position() const {
  if (!after_.empty()) return after_;
  return prefixes_[0].empty() ? "*" : prefixes_[0];
}

}  // namespace crr
