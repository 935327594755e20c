#include "tests/core/test_tables.h"

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/registry.h"
#include "storage/migrator.h"
#include "storage/region_table.h"
#include "storage/server_table.h"
#include "storage/session_table.h"

namespace crr::test {

TestTables::TestTables() {
  auto connection = sqlite::Connection::Open(":memory:", {});
  CRR_CHECK(connection.ok());
  connection_ = *std::move(connection);
  CRR_CHECK(Migrate(*connection_).ok());
  Do([](Transaction& txn) {
    SeedRegistry(txn, Epoch());
    for (const auto& [id, root] :
         {std::pair(kHangzhou, "/hangzhou"), std::pair(kBeijing, "/beijing")}) {
      Region region = *region_table::Get(txn, id);
      region.store_root = root;
      region_table::Update(txn, region);
    }
  });
}

void TestTables::Script(absl::string_view sql) {
  CRR_CHECK(connection_->Query(sql).ok());
}

void TestTables::Begin() {
  Script("BEGIN IMMEDIATE");
  ++group_;
}

void TestTables::Commit() { Script("COMMIT"); }

void TestTables::InOneCommit(const std::function<void()>& bodies) {
  Begin();
  group_is_open_ = true;
  bodies();
  group_is_open_ = false;
  Commit();
}

int64_t TestTables::Number(absl::string_view sql) {
  const auto rows = connection_->Query(sql);
  CRR_CHECK(rows.ok() && rows->size() == 1);
  return rows->front().Int(0);
}

void TestTables::AddBucket(const std::string& id, const std::string& region,
                           Versioning versioning) {
  Do([&](Transaction& txn) {
    bucket_table::Insert(txn, {.id = id,
                               .region = region,
                               .versioning = versioning,
                               .acceleration = false,
                               .owner = "acme",
                               .create_time = Epoch(),
                               .update_time = Epoch()});
  });
}

NewRule TestTables::RequestFor(const RuleSetup& setup) {
  return {.source = setup.source,
          .destination = setup.destination,
          .id = "dr",
          .prefixes = setup.prefixes,
          .operations = setup.operations,
          .historical = setup.historical,
          .transfer = std::nullopt,
          .kms_replicate = false,
          .kms_key = "",
          .max_leases = setup.max_leases,
          .max_bytes_per_second = setup.max_bytes_per_second,
          .labels = {}};
}

int64_t TestTables::AddRule(const RuleSetup& setup) {
  AddBucket(setup.source, kHangzhou);
  AddBucket(setup.destination, kBeijing);
  const auto outcome = Try([&](Transaction& txn) {
    return CreateRule(txn, RequestFor(setup), {}, Epoch());
  });
  CRR_CHECK(outcome.ok());
  return outcome->view.rule.uid;
}

WorkEvents TestTables::Activate(int64_t rule_uid) {
  const Unit probe = TheUnit(rule_uid, UnitKind::kProbe);
  const int64_t session = AddSession("activation");
  const auto spec = Grant(probe.id, session);
  CRR_CHECK(spec.ok());
  const auto outcome = Apply(ProbeFinds(probe.id, spec->token));
  CRR_CHECK(outcome.ok());
  Do([&](Transaction& txn) {
    txn.Execute("DELETE FROM sessions WHERE session_number = $1",
                {sqlite::Int(session)});
  });
  return outcome->events;
}

int64_t TestTables::AddActiveRule(const RuleSetup& setup) {
  const int64_t rule_uid = AddRule(setup);
  Activate(rule_uid);
  return rule_uid;
}

WorkEvents TestTables::CutRanges(
    int64_t rule_uid, const std::vector<Checkpoint::Range>& ranges) {
  const Unit inventory = TheUnit(rule_uid, UnitKind::kInventory);
  const int64_t session = AddSession("inventory");
  const auto spec = Grant(inventory.id, session);
  CRR_CHECK(spec.ok());
  Checkpoint report =
      Walked(inventory.id, spec->token, inventory.cursor.key,
             ranges.empty() ? inventory.cursor.key : ranges.back().end);
  report.ranges = ranges;
  report.complete = true;
  const auto outcome = Apply(report);
  CRR_CHECK(outcome.ok() && outcome->lease_over);
  Do([&](Transaction& txn) {
    txn.Execute("DELETE FROM sessions WHERE session_number = $1",
                {sqlite::Int(session)});
  });
  return outcome->events;
}

int64_t TestTables::AddSession(const std::string& copier) {
  return Do([&](Transaction& txn) {
    const int64_t number = TakeSessionNumber(txn);
    session_table::Insert(
        txn, {.number = number, .copier = copier, .region = ""}, Epoch());
    return number;
  });
}

absl::StatusOr<LeaseSpec> TestTables::Grant(int64_t unit_id,
                                            int64_t session_number) {
  return Try([&](Transaction& txn) {
    return GrantUnit(txn, unit_id, session_number, Epoch());
  });
}

absl::StatusOr<CheckpointOutcome> TestTables::Apply(
    const Checkpoint& checkpoint, const std::set<std::string>& attached) {
  return Try([&](Transaction& txn) {
    return ApplyCheckpoint(txn, checkpoint, attached, Epoch());
  });
}

std::optional<Unit> TestTables::FindUnit(int64_t unit_id) {
  return Do([&](Transaction& txn) { return unit_table::Get(txn, unit_id); });
}

std::vector<Unit> TestTables::UnitsOf(int64_t rule_uid) {
  return Do(
      [&](Transaction& txn) { return unit_table::OfRule(txn, rule_uid); });
}

Unit TestTables::TheUnit(int64_t rule_uid, UnitKind kind) {
  std::optional<Unit> found;
  for (Unit& unit : UnitsOf(rule_uid)) {
    if (unit.kind != kind) continue;
    CRR_CHECK(!found.has_value());
    found = std::move(unit);
  }
  CRR_CHECK(found.has_value());
  return *found;
}

std::optional<Rule> TestTables::FindRule(int64_t rule_uid) {
  return Do([&](Transaction& txn) { return rule_table::Get(txn, rule_uid); });
}

RuleCounters TestTables::Counters(int64_t rule_uid) {
  return Do(
      [&](Transaction& txn) { return rule_table::GetCounters(txn, rule_uid); });
}

std::map<std::string, int64_t> TestTables::Filtered(int64_t rule_uid) {
  return Do(
      [&](Transaction& txn) { return rule_table::GetFiltered(txn, rule_uid); });
}

std::vector<Condition> TestTables::Conditions(int64_t rule_uid) {
  return Do([&](Transaction& txn) {
    return rule_table::GetConditions(txn, rule_uid);
  });
}

std::vector<Segment> TestTables::Log(int64_t rule_uid) {
  return Do([&](Transaction& txn) {
    return segment_table::Read(txn, rule_uid, 0, 0, int64_t{1} << 40);
  });
}

int64_t TestTables::Pending(int64_t rule_uid) {
  return LedgerOfRule(rule_uid).pending;
}

Ledger TestTables::LedgerOfRule(int64_t rule_uid) {
  return Do([&](Transaction& txn) { return LedgerOf(txn, rule_uid); });
}

Batch TestTables::BatchOf(const std::string& bucket,
                          const std::vector<std::string>& keys) {
  Batch batch{.publisher = std::nullopt,
              .scope = {PublisherScope::Kind::kBucket, bucket},
              .epoch = 0,
              .number = 1,
              .changes = {}};
  for (const std::string& key : keys) {
    batch.changes.push_back({.bucket = bucket,
                             .key = key,
                             .kind = PublishedChange::Kind::kPut,
                             .replica = false,
                             .event_time = Epoch(),
                             .encoded = absl::StrCat(key, "\n")});
  }
  return batch;
}

BatchOutcome TestTables::Publish(const std::string& bucket,
                                 const std::vector<std::string>& keys) {
  auto outcome = Try([&](Transaction& txn) {
    return AppendBatch(txn, BatchOf(bucket, keys), limits::kRuleLogBytesMax,
                       Epoch());
  });
  CRR_CHECK(outcome.ok());
  return *std::move(outcome);
}

BatchOutcome TestTables::Publish(const std::string& bucket, int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back(absl::StrCat("key-", i));
  return Publish(bucket, keys);
}

Checkpoint ProbeFinds(int64_t unit_id, int64_t token) {
  return {.unit_id = unit_id,
          .token = token,
          .complete = true,
          .probe = Checkpoint::Probe{.source = {.identity = "source-id"},
                                     .destination = {.identity = "dest-id"}}};
}

Checkpoint Applied(int64_t unit_id, int64_t token, int64_t from, int64_t to) {
  return {.unit_id = unit_id,
          .token = token,
          .from = {.sequence = from},
          .to = {.sequence = to},
          .applied = to - from};
}

Checkpoint Walked(int64_t unit_id, int64_t token, const std::string& from,
                  const std::string& to, int64_t applied) {
  return {.unit_id = unit_id,
          .token = token,
          .from = {.sequence = 0, .key = from},
          .to = {.sequence = 0, .key = to},
          .applied = applied};
}

}  // namespace crr::test
