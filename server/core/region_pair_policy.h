#ifndef CRR_SERVER_CORE_REGION_PAIR_POLICY_H_
#define CRR_SERVER_CORE_REGION_PAIR_POLICY_H_

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/region_table.h"

namespace crr {

// The profile that a new database begins with.
inline constexpr char kDefaultPolicyProfile[] = "seeds-union";

// Names of the built-in profiles: seed-2019 (mainland China with itself),
// seed-2020 (Hangzhou to anywhere, Sydney to anywhere outside of mainland
// China), seeds-union (both), any-pair.
std::vector<std::string> PolicyProfiles();

// A built-in profile; nullopt for another name.
std::optional<RegionPairPolicy> PolicyOfProfile(absl::string_view profile);

// Whether the first entry that matches allows the pair. A region never pairs
// with itself; that is checked elsewhere and has a reason of its own.
bool PolicyAllows(const RegionPairPolicy& policy, const Region& source,
                  const Region& destination);

// Whether a pair must use transfer acceleration; another pair must not. The
// same under every policy (seed 2; semantics.md §3.2).
bool NeedsAcceleration(const Region& source, const Region& destination);

}  // namespace crr

#endif  // CRR_SERVER_CORE_REGION_PAIR_POLICY_H_
