#include "storage/sqlite/connection.h"

#include <gtest/gtest.h>

#include <filesystem>

#include <cstdint>
#include <limits>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace crr::sqlite {
namespace {

using test::HasCode;

class SqliteConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto connection = Connection::Open(dir_ / "a.db", {});
    ASSERT_OK(connection);
    connection_ = *std::move(connection);
    ASSERT_OK(connection_->ExecuteScript(
        "CREATE TABLE t (i INTEGER, t TEXT, b BLOB) STRICT;"));
  }
  test::TempDir dir_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(SqliteConnectionTest, EveryValueComesBackAsItWas) {
  const std::string all_bytes = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
    return bytes;
  }();
  for (const int64_t i : {int64_t{0}, int64_t{-1},
                          std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max()}) {
    for (const std::string& text :
         {std::string(), std::string("caf\xc3\xa9"), std::string("a\0b", 3)}) {
      for (const std::string& blob : {std::string(), all_bytes}) {
        ASSERT_OK(connection_->Execute("DELETE FROM t"));
        ASSERT_OK(connection_->Execute("INSERT INTO t VALUES ($1, $2, $3)",
                                       {Int(i), Text(text), Bytes(blob)}));
        const auto rows = connection_->Query("SELECT i, t, b FROM t");
        ASSERT_OK(rows);
        ASSERT_EQ(rows->size(), 1u);
        EXPECT_EQ((*rows)[0].Int(0), i);
        EXPECT_EQ((*rows)[0].Text(1), text);
        EXPECT_EQ((*rows)[0].Bytes(2), blob);
      }
    }
  }
}

TEST_F(SqliteConnectionTest, NullIsNotEmpty) {
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES ($1, $2, $3)",
                                 {Null(), Text(""), Bytes("")}));
  const auto rows = connection_->Query("SELECT i, t, b FROM t");
  ASSERT_OK(rows);
  EXPECT_TRUE((*rows)[0].IsNull(0));
  EXPECT_FALSE((*rows)[0].IsNull(1));
  EXPECT_FALSE((*rows)[0].IsNull(2));
}

TEST_F(SqliteConnectionTest, ParametersBindByNumberNotByAppearance) {
  const auto rows = connection_->Query(
      "SELECT $3, $1, $2, $1, $10, $4, $5, $6, $7, $8, $9",
      {Int(1), Int(2), Int(3), Int(4), Int(5), Int(6), Int(7), Int(8), Int(9),
       Int(10)});
  ASSERT_OK(rows);
  const int64_t expected[] = {3, 1, 2, 1, 10, 4, 5, 6, 7, 8, 9};
  for (size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ((*rows)[0].Int(i), expected[i]) << i;
  }
}

TEST_F(SqliteConnectionTest, AParameterThatIsNotThereIsAnError) {
  EXPECT_THAT(connection_->Query("SELECT $1", {Int(1), Int(2)}),
              HasCode(absl::StatusCode::kInternal));
}

// A cached statement keeps nothing of the call before.
TEST_F(SqliteConnectionTest, ArgumentsDoNotOutliveTheirCall) {
  ASSERT_OK(connection_->Query("SELECT $1", {Int(7)}));
  const auto rows = connection_->Query("SELECT $1");
  ASSERT_OK(rows);
  EXPECT_TRUE((*rows)[0].IsNull(0));
}

TEST_F(SqliteConnectionTest, ExecuteCountsTheRowsOfItsOwnStatement) {
  EXPECT_EQ(*connection_->Execute("INSERT INTO t (i) VALUES (1), (2), (3)"), 3);
  EXPECT_EQ(*connection_->Execute("UPDATE t SET i = i + 1 WHERE i > 1"), 2);
  EXPECT_EQ(*connection_->Execute("UPDATE t SET i = 0 WHERE i > 99"), 0);
  EXPECT_EQ(*connection_->Execute("CREATE TABLE u (i INTEGER) STRICT"), 0);
  EXPECT_EQ(*connection_->Execute("DELETE FROM t WHERE i = 1"), 1);
  EXPECT_EQ(*connection_->Execute("INSERT INTO t (i) VALUES (3) "
                                  "ON CONFLICT DO NOTHING"),
            1);
}

TEST_F(SqliteConnectionTest, AStatementAfterAnErrorWorks) {
  ASSERT_OK(connection_->ExecuteScript("CREATE UNIQUE INDEX x ON t (i);"));
  const char sql[] = "INSERT INTO t (i) VALUES ($1)";
  ASSERT_OK(connection_->Execute(sql, {Int(1)}));
  EXPECT_THAT(connection_->Execute(sql, {Int(1)}),
              HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(connection_->Execute(sql, {Text("x")}),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(connection_->Execute(sql, {Int(2)}));
  EXPECT_FALSE(connection_->InTransaction());
}

TEST_F(SqliteConnectionTest, ALockOfAnotherConnectionIsUnavailable) {
  auto other = Connection::Open(
      dir_ / "a.db", {.busy_timeout = absl::Milliseconds(1)});
  ASSERT_OK(other);
  ASSERT_OK(connection_->ExecuteScript("BEGIN IMMEDIATE;"));
  EXPECT_THAT((*other)->ExecuteScript("BEGIN IMMEDIATE;"),
              HasCode(absl::StatusCode::kUnavailable));
  ASSERT_OK(connection_->ExecuteScript("COMMIT;"));
  EXPECT_OK((*other)->ExecuteScript("BEGIN IMMEDIATE; COMMIT;"));
}

TEST_F(SqliteConnectionTest, AReaderKeepsTheLogFromBeingEmptied) {
  ASSERT_OK(connection_->ExecuteScript(
      "PRAGMA journal_mode = WAL; CREATE TABLE log (i INTEGER) STRICT;"));
  auto reader = Connection::Open(dir_ / "a.db", {.read_only = true});
  ASSERT_OK(reader);
  ASSERT_OK((*reader)->ExecuteScript("BEGIN; SELECT * FROM log;"));
  EXPECT_THAT(connection_->Checkpoint(absl::Milliseconds(1)),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_GT(std::filesystem::file_size(dir_ / "a.db-wal"), 0u);
  ASSERT_OK((*reader)->ExecuteScript("COMMIT"));
  EXPECT_OK(connection_->Checkpoint(absl::Milliseconds(1)));
  EXPECT_EQ(std::filesystem::file_size(dir_ / "a.db-wal"), 0u);
}

TEST_F(SqliteConnectionTest, ForeignKeysAreOn) {
  ASSERT_OK(connection_->ExecuteScript(
      "CREATE TABLE p (i INTEGER PRIMARY KEY) STRICT;"
      "CREATE TABLE c (i INTEGER REFERENCES p (i)) STRICT;"));
  EXPECT_THAT(connection_->Execute("INSERT INTO c VALUES (1)"),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace crr::sqlite
