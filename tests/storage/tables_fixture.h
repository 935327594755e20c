#ifndef CRR_TESTS_STORAGE_TABLES_FIXTURE_H_
#define CRR_TESTS_STORAGE_TABLES_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "storage/database.h"
#include "tests/storage/helpers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr::test {

inline absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

// A new database.
class TablesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open({.path = dir_ / "crr.db"});
    ASSERT_OK(database);
    database_ = *std::move(database);
  }
  // The answer of `body`, in a commit of its own.
  template <typename Body>
  auto Do(Body body) {
    return Write(*database_, body).value();
  }

  TempDir dir_;
  std::unique_ptr<Database> database_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_STORAGE_TABLES_FIXTURE_H_
