#ifndef CRR_SERVER_CORE_REGION_CATALOGUE_H_
#define CRR_SERVER_CORE_REGION_CATALOGUE_H_

#include <vector>

#include "absl/time/time.h"
#include "storage/region_table.h"

namespace crr {

// OSS's public regions with their areas (semantics.md §3): what a new database
// begins with.
std::vector<Region> OssRegions(absl::Time now);

}  // namespace crr

#endif  // CRR_SERVER_CORE_REGION_CATALOGUE_H_
