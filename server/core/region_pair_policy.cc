#include "server/core/region_pair_policy.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace crr {
namespace {

using Kind = RegionPattern::Kind;

RegionPattern Any() { return {}; }
RegionPattern In(Area area) {
  return {Kind::kArea, absl::StrCat(static_cast<int>(area))};
}
RegionPattern Only(absl::string_view region) {
  return {Kind::kRegion, std::string(region)};
}
RegionPairEntry Allow(RegionPattern source, RegionPattern destination) {
  return {true, std::move(source), std::move(destination)};
}

bool Matches(const RegionPattern& pattern, const Region& region) {
  switch (pattern.kind) {
    case Kind::kAny:
      return true;
    case Kind::kArea:
      return pattern.value == absl::StrCat(static_cast<int>(region.area));
    case Kind::kRegion:
      return pattern.value == region.id;
  }
  return false;
}

}  // namespace

std::vector<std::string> PolicyProfiles() {
  return {"any-pair", "seed-2019", "seed-2020", "seeds-union"};
}

std::optional<RegionPairPolicy> PolicyOfProfile(absl::string_view profile) {
  const RegionPairEntry within_mainland =
      Allow(In(Area::kMainlandChina), In(Area::kMainlandChina));
  const RegionPairEntry from_hangzhou = Allow(Only("oss-cn-hangzhou"), Any());
  const RegionPairEntry from_sydney =
      Allow(Only("oss-ap-southeast-2"), In(Area::kOutsideMainlandChina));
  RegionPairPolicy policy{.profile = std::string(profile), .entries = {}};
  if (profile == "seed-2019") {
    policy.entries = {within_mainland};
  } else if (profile == "seed-2020") {
    policy.entries = {from_hangzhou, from_sydney};
  } else if (profile == "seeds-union") {
    policy.entries = {within_mainland, from_hangzhou, from_sydney};
  } else if (profile == "any-pair") {
    policy.entries = {Allow(Any(), Any())};
  } else {
    return std::nullopt;
  }
  return policy;
}

bool PolicyAllows(const RegionPairPolicy& policy, const Region& source,
                  const Region& destination) {
  for (const RegionPairEntry& entry : policy.entries) {
    if (Matches(entry.source, source) &&
        Matches(entry.destination, destination)) {
      return entry.allow;
    }
  }
  return false;
}

bool NeedsAcceleration(const Region& source, const Region& destination) {
  return (source.area == Area::kMainlandChina) !=
         (destination.area == Area::kMainlandChina);
}

}  // namespace crr
