#include "storage/migrator.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/migrations.h"

namespace crr {
namespace {

// "crrS": tells our files from other programs' (PRAGMA application_id).
constexpr int64_t kApplicationId = 0x63727253;

}  // namespace

int SchemaVersion() { return static_cast<int>(kMigrations.size()); }

absl::Status CheckOurs(sqlite::Connection& connection) {
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows version_row,
                       connection.Query("PRAGMA user_version"));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows id_row,
                       connection.Query("PRAGMA application_id"));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows tables,
                       connection.Query("SELECT count(*) FROM sqlite_schema"));
  const int64_t version = version_row.at(0).Int(0);
  const bool is_new = tables.at(0).Int(0) == 0 && version == 0;
  if (!is_new && id_row.at(0).Int(0) != kApplicationId) {
    return absl::FailedPreconditionError("the database is not one of crr");
  }
  if (version > SchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", version, "; this crr knows up to ",
        SchemaVersion(), ": use the newer crr that wrote it"));
  }
  return absl::OkStatus();
}

absl::Status Migrate(sqlite::Connection& connection) {
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows version_row,
                       connection.Query("PRAGMA user_version"));
  for (int64_t next = version_row.at(0).Int(0); next < SchemaVersion(); ++next) {
    const absl::Status done = connection.ExecuteScript(absl::StrCat(
        "BEGIN IMMEDIATE;", kMigrations[static_cast<size_t>(next)],
        "PRAGMA application_id = ", kApplicationId,
        "; PRAGMA user_version = ", next + 1, "; COMMIT;"));
    if (!done.ok()) {
      return absl::Status(
          done.code(), absl::StrCat("to schema version ", next + 1, ": ",
                                    done.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace crr
