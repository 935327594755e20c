#ifndef CRR_CLIENT_CRRCTL_TABLE_H_
#define CRR_CLIENT_CRRCTL_TABLE_H_

#include <string>
#include <vector>

namespace crr {

// Rows as lines whose columns stand below each other, two spaces apart; the
// last one is as long as it is. Requires: rows of one length, at least one row.
std::string Table(const std::vector<std::vector<std::string>>& rows);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_TABLE_H_
