#include "tests/sweep/stored_state.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "crr/v1/change.pb.h"
#include "crr/v1/region_pair_policy.pb.h"
#include "crr/v1/rule.pb.h"
#include "server/core/region_pair_policy.h"
#include "storage/region_table.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"
#include "tests/rpc/test_server.h"
#include "tests/sweep/callers.h"

namespace crr::test {
namespace {

// Each finds rows that break the invariant it is named after.
const std::pair<const char*, const char*> kInvariants[] = {
    {"a pairing is symmetric (I1)",
     "SELECT bucket FROM pairings p WHERE NOT EXISTS (SELECT 1 FROM pairings q "
     "WHERE q.bucket = p.peer AND q.peer = p.bucket)"},
    {"a pairing stands with a rule only (I1)",
     "SELECT bucket FROM pairings p WHERE NOT EXISTS (SELECT 1 FROM rules r "
     "WHERE (r.source = p.bucket AND r.destination = p.peer) "
     "OR (r.source = p.peer AND r.destination = p.bucket))"},
    {"a bucket has one partner over all rules (I1)",
     "SELECT bucket FROM (SELECT source AS bucket, destination AS peer "
     "FROM rules UNION SELECT destination, source FROM rules) "
     "GROUP BY bucket HAVING count(*) > 1"},
    {"the regions of a rule differ (I2)",
     "SELECT r.source FROM rules r JOIN buckets s ON s.bucket = r.source "
     "JOIN buckets d ON d.bucket = r.destination WHERE s.region = d.region"},
    {"acceleration is used over the border and only there (I2)",
     "SELECT r.source FROM rules r JOIN buckets s ON s.bucket = r.source "
     "JOIN buckets d ON d.bucket = r.destination "
     "JOIN regions sr ON sr.region = s.region "
     "JOIN regions dr ON dr.region = d.region "
     "WHERE (sr.area <> dr.area) <> (r.transfer = 2) "
     "OR (r.transfer = 2 AND d.acceleration = 0)"},
    {"the buckets of a rule have one versioning (I3)",
     "SELECT r.source FROM rules r JOIN buckets s ON s.bucket = r.source "
     "JOIN buckets d ON d.bucket = r.destination "
     "WHERE s.versioning <> d.versioning OR s.versioning = 2"},
    {"published = applied + collapsed + filtered + resync + pending + failed "
     "(I4)",
     "WITH terms (rule_uid, changes) AS ("
     "SELECT rule_uid, applied + collapsed + resync + failed - published "
     "FROM rule_counters UNION ALL "
     "SELECT rule_uid, changes FROM rule_filtered UNION ALL "
     "SELECT rule_uid, changes FROM object_work "
     "WHERE unit_id IS NOT NULL UNION ALL "
     "SELECT rule_uid, min(last_sequence - first_sequence + 1, "
     "last_sequence - coalesce((SELECT cursor_sequence FROM work_units u "
     "WHERE u.rule_uid = s.rule_uid AND u.kind = 4 "
     "AND u.partition = s.partition), 0)) FROM change_segments s) "
     "SELECT rule_uid FROM terms GROUP BY rule_uid HAVING sum(changes) <> 0"},
    {"logged is what stands in segments above the cursors (I4)",
     "SELECT rule_uid FROM rule_counters c WHERE logged <> "
     "(SELECT coalesce(sum(min(last_sequence - first_sequence + 1, "
     "last_sequence - coalesce((SELECT cursor_sequence FROM work_units u "
     "WHERE u.rule_uid = s.rule_uid AND u.kind = 4 "
     "AND u.partition = s.partition), 0))), 0) FROM change_segments s "
     "WHERE s.rule_uid = c.rule_uid)"},
    {"failed is what dead letters stand for (I4)",
     "SELECT rule_uid FROM rule_counters c WHERE failed <> "
     "(SELECT coalesce(sum(changes), 0) FROM object_work o "
     "WHERE o.rule_uid = c.rule_uid AND o.unit_id IS NULL)"},
    {"no ledger was found imbalanced (I4)",
     "SELECT rule_uid FROM rule_counters WHERE imbalanced = 1"},
    {"historical objects are done, or somebody is to bring them (I4)",
     "SELECT rule_uid FROM rule_counters c "
     "WHERE historical_total - historical_done <> "
     "(SELECT coalesce(sum(listed - visited), 0) FROM work_units u "
     "WHERE u.rule_uid = c.rule_uid AND u.kind = 3) + "
     "(SELECT coalesce(sum(historical), 0) FROM object_work o "
     "WHERE o.rule_uid = c.rule_uid)"},
    {"an object has its unit, and a unit its object",
     "SELECT unit_id FROM object_work o WHERE unit_id IS NOT NULL "
     "AND NOT EXISTS (SELECT 1 FROM work_units u WHERE u.kind = 5 "
     "AND u.unit_id = o.unit_id AND u.rule_uid = o.rule_uid) UNION ALL "
     "SELECT unit_id FROM work_units u WHERE u.kind = 5 AND NOT EXISTS "
     "(SELECT 1 FROM object_work o WHERE o.unit_id = u.unit_id)"},
    {"dead letters had all their attempts, and no other, but in an outage or "
     "where something was folded in",
     "SELECT key FROM object_work WHERE (unit_id IS NULL) <> (attempts >= 8) "
     "AND NOT (unit_id IS NOT NULL AND "
     "(reason = 'STORE_UNREACHABLE' OR generation > 1))"},
    {"what was granted of an object has been there",
     "SELECT o.key FROM object_work o "
     "LEFT JOIN leases l ON l.unit_id = o.unit_id "
     "WHERE granted > generation OR (l.unit_id IS NOT NULL AND granted = 0)"},
    {"a verification under way has units, but where another will follow, and "
     "no other has",
     "SELECT rule_uid FROM verifications v JOIN rules r USING (rule_uid) "
     "WHERE (end_time_us IS NULL) <> "
     "EXISTS (SELECT 1 FROM work_units u WHERE u.rule_uid = v.rule_uid "
     "AND (u.kind = 6 OR (u.kind = 2 AND u.partition = 1))) "
     "AND NOT (end_time_us IS NULL AND r.resync <> 0)"},
    {"a verification counts what it compared",
     "SELECT rule_uid FROM verifications v WHERE compared <> equal + "
     "(SELECT coalesce(sum(objects), 0) FROM verification_differences d "
     "WHERE d.rule_uid = v.rule_uid)"},
    {"a resync that dropped its log has its verification, after its history",
     "SELECT r.rule_uid FROM rules r WHERE resync = 2 "
     "AND NOT EXISTS (SELECT 1 FROM verifications v "
     "WHERE v.rule_uid = r.rule_uid AND v.end_time_us IS NULL) "
     "AND NOT EXISTS (SELECT 1 FROM work_units u "
     "WHERE u.rule_uid = r.rule_uid "
     "AND (u.kind = 3 OR (u.kind = 2 AND u.partition = 0)))"},
    {"a resync has a floor (I7)",
     "SELECT rule_uid FROM rules "
     "WHERE (resync <> 0) <> (resync_floor_us IS NOT NULL)"},
    {"the bytes of a log are counted (I4)",
     "SELECT c.rule_uid FROM rule_counters c WHERE c.log_bytes <> coalesce("
     "(SELECT sum(s.bytes) FROM change_segments s "
     "WHERE s.rule_uid = c.rule_uid), 0)"},
    {"a log has no gaps (I4)",
     "SELECT rule_uid FROM (SELECT rule_uid, first_sequence, "
     "lag(last_sequence) OVER (PARTITION BY rule_uid, partition "
     "ORDER BY last_sequence) AS before FROM change_segments) "
     "WHERE first_sequence <> before + 1"},
    {"sequence numbers are not given again (I4)",
     "SELECT r.source FROM rules r JOIN change_segments s "
     "ON s.rule_uid = r.rule_uid WHERE s.last_sequence >= r.next_sequence"},
    {"somebody is to work on the log of an ACTIVE rule (I4)",
     "SELECT r.source FROM rules r WHERE r.state = 2 "
     "AND EXISTS (SELECT 1 FROM change_segments s "
     "WHERE s.rule_uid = r.rule_uid) AND NOT EXISTS (SELECT 1 "
     "FROM work_units u WHERE u.rule_uid = r.rule_uid AND u.kind = 4)"},
    {"a lease has the newest token of its unit (I5)",
     "SELECT l.unit_id FROM leases l JOIN work_units u "
     "ON u.unit_id = l.unit_id WHERE l.token <> u.token"},
    {"tokens are not given again (I5)",
     "SELECT u.unit_id FROM work_units u JOIN rules r "
     "ON r.rule_uid = u.rule_uid, server "
     "WHERE u.token >= (server.incarnation << 40) + r.next_token"},
    {"ids are not given again",
     "SELECT id FROM server WHERE "
     "next_rule_uid <= (SELECT coalesce(max(rule_uid), 0) FROM rules) OR "
     "next_unit_id <= (SELECT coalesce(max(unit_id), 0) FROM work_units) OR "
     "next_session_number <= "
     "(SELECT coalesce(max(session_number), 0) FROM sessions)"},
    {"no audit event is missing",
     "SELECT count(*) FROM audit_events HAVING count(*) <> "
     "coalesce(max(number), 0)"},
    {"foreign keys", "PRAGMA foreign_key_check"},
};

// Rows as lines of JSON.
const char* const kSetByCallers[] = {
    "SELECT json_array(region, area, display_name, store_root, credentials) "
    "FROM regions ORDER BY region",
    "SELECT json_array(profile) FROM region_pair_policy",
    "SELECT json_array(position, allow, source_kind, source, "
    "destination_kind, destination) FROM region_pair_entries "
    "ORDER BY position",
    "SELECT json_array(bucket, region, versioning, acceleration, owner) "
    "FROM buckets ORDER BY bucket",
    "SELECT json_array(rule_uid, source, destination, rule_id, operations, "
    "historical, transfer, kms_key, max_leases, max_bytes_per_second, "
    "state = 3) FROM rules WHERE state <> 4 ORDER BY rule_uid",
    "SELECT json_array(rule_uid, CAST(prefix AS TEXT)) FROM rule_prefixes "
    "JOIN rules USING (rule_uid) WHERE state <> 4 ORDER BY rule_uid, prefix",
    "SELECT json_array(rule_uid, label, value) FROM rule_labels "
    "JOIN rules USING (rule_uid) WHERE state <> 4 ORDER BY rule_uid, label",
    "SELECT json_array(method, request_id, request_hash) FROM requests "
    "ORDER BY method, request_id",
    "SELECT json_array(number, method, subject, before, after, request_id) "
    "FROM audit_events ORDER BY number",
};

const char* const kTheRest[] = {
    "SELECT json_array(next_rule_uid) FROM server",
    "SELECT json_array(bucket, peer, versioning) FROM pairings "
    "ORDER BY bucket",
    "SELECT json_array(rule_uid, state, source_identity, "
    "destination_identity, next_sequence, resync) FROM rules "
    "ORDER BY rule_uid",
    "SELECT json_array(rule_uid, type, message) FROM rule_conditions "
    "ORDER BY rule_uid, type, unit_id",
    "SELECT json_array(rule_uid, published, applied, collapsed, resync, "
    "failed, log_bytes, inventory_complete, historical_total, "
    "historical_done, historical_skipped, historical_bytes) "
    "FROM rule_counters ORDER BY rule_uid",
    "SELECT json_array(rule_uid, reason, changes) FROM rule_filtered "
    "ORDER BY rule_uid, reason",
    "SELECT json_array(rule_uid, first_sequence, last_sequence, "
    "oldest_event_us, bytes) FROM change_segments ORDER BY segment_id",
    "SELECT json_array(rule_uid, kind, cursor_sequence) FROM work_units "
    "ORDER BY rule_uid, kind",
    "SELECT json_array(rule_uid, CAST(key AS TEXT), unit_id IS NULL, "
    "generation, changes, historical, repair, deletion, oldest_event_us, "
    "size_bytes, attempts, reason, message, upload_id, upload_etag, "
    "parts_most) FROM object_work ORDER BY rule_uid, key",
    "SELECT json_array(rule_uid, number, cause, read_bytes, "
    "end_time_us IS NULL, compared, equal) FROM verifications "
    "ORDER BY rule_uid",
    "SELECT json_array(rule_uid, reason, objects) "
    "FROM verification_differences ORDER BY rule_uid, reason",
    "SELECT json_array(rule_uid, CAST(key AS TEXT), reason) "
    "FROM verification_samples ORDER BY rule_uid, key",
    "SELECT json_array(count(*)) FROM leases",
    "SELECT json_array(publisher, scope_kind, scope, epoch, last_number) "
    "FROM publishers ORDER BY publisher",
};

// I2 as of the time when each rule was created: its policy is the one that the
// audit log tells of last before it.
void CheckPolicies(ReadTransaction& txn, std::vector<std::string>& violations) {
  auto policy = PolicyOfProfile(kDefaultPolicyProfile);
  const auto region_of = [&](const std::string& bucket) {
    const auto row = txn.QueryOne(
        "SELECT region FROM buckets WHERE 'buckets/' || bucket = $1",
        {sqlite::Text(bucket)});
    return *region_table::Get(txn, row->Text(0));
  };
  for (const sqlite::Row& row :
       txn.Query("SELECT method, after FROM audit_events ORDER BY number")) {
    if (row.Text(0) == "crr.v1.RegionService/UpdateRegionPairPolicy") {
      policy = PolicyOfProfile(
          FromJson<v1::RegionPairPolicy>(row.Text(1)).profile());
    }
    if (row.Text(0) == "crr.v1.ReplicationService/CreateRule") {
      const auto rule = FromJson<v1::Rule>(row.Text(1));
      if (!PolicyAllows(*policy, region_of(rule.source_bucket()),
                        region_of(rule.destination_bucket()))) {
        violations.push_back(absl::StrCat("the policy refused (I2): ",
                                          rule.name()));
      }
    }
  }
}

// What a segment says it holds is in it (I4).
void CheckSegments(ReadTransaction& txn, std::vector<std::string>& violations) {
  for (const sqlite::Row& row :
       txn.Query("SELECT segment_id, last_sequence - first_sequence + 1, "
                 "changes FROM change_segments")) {
    v1::ChangeBatch batch;
    if (!batch.ParseFromString(row.Bytes(2)) ||
        batch.changes_size() != row.Int(1)) {
      violations.push_back(absl::StrCat("not as said: segment ", row.Int(0)));
    }
  }
}

}  // namespace

StoredState ReadStoredState(const std::string& path) {
  auto connection = sqlite::Connection::Open(path, {.read_only = true});
  CRR_CHECK(connection.ok());
  CRR_CHECK((*connection)->ExecuteScript("BEGIN").ok());
  ReadTransaction txn(**connection);
  StoredState state;
  for (const auto& [name, sql] : kInvariants) {
    const size_t broken = txn.Query(sql).size();
    if (broken > 0) {
      state.violations.push_back(absl::StrCat(name, ": broken by ", broken));
    }
  }
  const auto check = txn.Query("PRAGMA integrity_check");
  if (check.size() != 1 || check[0].Text(0) != "ok") {
    state.violations.push_back("the file is damaged");
  }
  CheckPolicies(txn, state.violations);
  CheckSegments(txn, state.violations);
  state.changes = txn.QueryOne("SELECT count(*) FROM audit_events")->Int(0);
  const auto add = [&](const char* sql) {
    for (const sqlite::Row& row : txn.Query(sql)) {
      absl::StrAppend(&state.all, row.Text(0), "\n");
    }
  };
  for (const char* sql : kSetByCallers) add(sql);
  state.all = WithoutTimes(state.all);
  state.set_by_callers = state.all;
  for (const char* sql : kTheRest) add(sql);
  // A statement that failed would have answered nothing.
  if (!txn.status().ok()) state.violations.push_back(txn.status().ToString());
  return state;
}

}  // namespace crr::test
