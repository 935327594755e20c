#ifndef CRR_TESTS_STORAGE_GOLDEN_H_
#define CRR_TESTS_STORAGE_GOLDEN_H_

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "storage/sqlite/connection.h"

namespace crr::test {

// Makes a database of an old schema version at `path`, from golden/v{version}.
// Requires: CRR_GOLDEN_DIR is defined.
inline void MakeGolden(int version, const std::string& path) {
  std::ifstream file(absl::StrCat(CRR_GOLDEN_DIR, "/v", version, ".sql"));
  const std::string sql{std::istreambuf_iterator<char>(file), {}};
  CRR_CHECK(!sql.empty() && "a schema version has no golden file");
  auto connection = sqlite::Connection::Open(path, {});
  CRR_CHECK(connection.ok());
  CRR_CHECK((*connection)->ExecuteScript(sql).ok());
}

}  // namespace crr::test

#endif  // CRR_TESTS_STORAGE_GOLDEN_H_
