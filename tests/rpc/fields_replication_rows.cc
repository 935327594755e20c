#include "absl/strings/str_cat.h"
#include "tests/rpc/fields_rows.h"

namespace crr::test {
namespace {

void Append(std::vector<BadField>& all, std::vector<BadField> more) {
  all.insert(all.end(), more.begin(), more.end());
}

// What CreateRule and UpdateRule take alike.
std::vector<BadField> LimitAndLabelRows(const std::string& rpc) {
  std::string too_many;
  for (int i = 0; i < 33; ++i) {
    absl::StrAppend(&too_many, i == 0 ? "" : ",", "{ key: \"k", i, "\" }");
  }
  std::vector<BadField> rows;
  for (const char* value : {"-1", "1001", "2147483647", "-2147483648"}) {
    rows.push_back({rpc, {absl::StrCat("rule.limits.max_leases: ", value)},
                    {"INVALID_LIMITS rule.limits.max_leases"}});
  }
  for (const char* value : {"-1", "1000000000001", "9223372036854775807",
                            "-9223372036854775808"}) {
    rows.push_back(
        {rpc, {absl::StrCat("rule.limits.max_bytes_per_second: ", value)},
         {"INVALID_LIMITS rule.limits.max_bytes_per_second"}});
  }
  for (const std::string& labels :
       {std::string(R"({ key: "" value: "x" })"),
        std::string(R"({ key: "a\000b" value: "x" })"),
        std::string(R"({ key: "a" value: "x\000" })"),
        absl::StrCat("{ key: ", Long(64), " }"),
        absl::StrCat(R"({ key: "a" value: )", Long(256), " }"), too_many}) {
    rows.push_back({rpc, {absl::StrCat("rule.labels: [", labels, "]")},
                    {"INVALID_LABELS rule.labels"}});
  }
  rows.push_back({rpc,
                  {"rule.limits: { max_leases: -1 max_bytes_per_second: -1 }",
                   R"(rule.labels: [{ key: "" }])"},
                  {"INVALID_LIMITS rule.limits.max_leases",
                   "INVALID_LIMITS rule.limits.max_bytes_per_second",
                   "INVALID_LABELS rule.labels"}});
  return rows;
}

// Much of CreateRule is in create_rule_test.cc, with the state of buckets and
// regions; here is each field of its request by itself.
std::vector<BadField> CreateRows() {
  constexpr char kRpc[] = "CreateRule";
  std::vector<BadField> rows = {
      {kRpc, {"-rule"},
       {"REQUIRED_FIELD_MISSING rule",
        "REQUIRED_FIELD_MISSING rule.destination_bucket",
        "OPERATIONS_REQUIRED rule.operations",
        "HISTORICAL_REQUIRED rule.replicate_historical"}},
      {kRpc, {R"(rule_id: "dr")", R"(rule.name: "buckets/free/rules/other")"},
       {"INVALID_NAME rule.name"}},
      {kRpc, {R"(rule.name: "new")"}, {"INVALID_NAME rule.name"}},
      // An id that is to be generated is none that a name could say.
      {kRpc, {"-rule_id", R"(rule.name: "buckets/free/rules/new")"},
       {"INVALID_NAME rule.name"}},
      {kRpc, {R"(rule.source_bucket: "buckets/photos")"},
       {"INVALID_NAME rule.source_bucket"}},
      {kRpc, {R"(rule.source_bucket: "free")"},
       {"INVALID_NAME rule.source_bucket"}},
      {kRpc, {"-rule.operations"}, {"OPERATIONS_REQUIRED rule.operations"}},
      {kRpc, {"rule.operations: 3"}, {"OPERATIONS_REQUIRED rule.operations"}},
      {kRpc, {"rule.operations: -1"}, {"OPERATIONS_REQUIRED rule.operations"}},
      {kRpc, {"-rule.replicate_historical"},
       {"HISTORICAL_REQUIRED rule.replicate_historical"}},
      {kRpc, {"rule.transfer: 3"}, {"INVALID_NAME rule.transfer"}},
      {kRpc, {"rule.transfer: -1"}, {"INVALID_NAME rule.transfer"}},
      // Whether a link that is none fits the pair is not guessed.
      {kRpc,
       {"rule.transfer: 3", R"(rule.destination_bucket: "buckets/far-free")"},
       {"INVALID_NAME rule.transfer"}},
      {kRpc, {"rule.transfer: ACCELERATED"},
       {"TRANSFER_ACCELERATION_NOT_APPLICABLE rule.transfer"}},
      {kRpc, {R"(rule.prefixes: ["a", "b", "c", "d", "e", "f"])"},
       {"TOO_MANY_PREFIXES rule.prefixes"}},
      {kRpc, {R"(rule.prefixes: ["a/", ""])"},
       {"INVALID_PREFIX rule.prefixes[1]"}},
      {kRpc, {absl::StrCat("rule.prefixes: [", Long(1024), "]")},
       {"INVALID_PREFIX rule.prefixes[0]"}},
      {kRpc, {R"(rule.prefixes: ["a\000b", "a\000c"])"},
       {"INVALID_PREFIX rule.prefixes[0]", "INVALID_PREFIX rule.prefixes[1]"}},
      {kRpc, {R"(rule.prefixes: ["a", "ab"])"},
       {"OVERLAPPING_PREFIXES rule.prefixes[1]"}},
      {kRpc, {"rule.sse_kms: { replicate: true }"},
       {"REQUIRED_FIELD_MISSING rule.sse_kms.replica_kms_key"}},
      {kRpc,
       {R"(rule.sse_kms.replica_kms_key: "key")", "-rule.sse_kms.replicate"},
       {"REQUIRED_FIELD_MISSING rule.sse_kms.replicate"}},
      {kRpc,
       {absl::StrCat("rule.sse_kms: { replicate: true replica_kms_key: ",
                     Long(257), " }")},
       {"INVALID_NAME rule.sse_kms.replica_kms_key"}},
      {kRpc,
       {R"(rule.sse_kms: { replicate: true replica_kms_key: "k\000" })"},
       {"INVALID_NAME rule.sse_kms.replica_kms_key"}},
      {kRpc,
       {absl::StrCat("rule.sse_kms: { replica_kms_key: ", Long(257), " }")},
       {"REQUIRED_FIELD_MISSING rule.sse_kms.replicate",
        "INVALID_NAME rule.sse_kms.replica_kms_key"}},
      {kRpc, {R"(rule.destination_bucket: "buckets/free")"},
       {"SAME_BUCKET rule.destination_bucket"}},
      {kRpc, {R"(rule.destination_bucket: "buckets/photos-dr")"},
       {"BUCKET_PAIRED_ELSEWHERE rule.destination_bucket"}},
      {kRpc,
       {R"(parent: "buckets/photos")", R"(rule_id: "dr")",
        R"(rule.destination_bucket: "buckets/photos-dr")"},
       {"RULE_ALREADY_EXISTS rule.destination_bucket"}},
      {kRpc, {"validate_only: true", "rule.operations: 3"},
       {"OPERATIONS_REQUIRED rule.operations"}},
  };
  for (const std::string& id :
       {std::string(R"("New")"), std::string(R"("-new")"),
        std::string(R"("new-")"), std::string(R"("n\000")"),
        std::string(R"("a/b")"), Long(64), Long(100'000)}) {
    rows.push_back(
        {kRpc, {"rule_id: " + id}, {"INVALID_RULE_ID rule_id"}});
  }
  Append(rows, NameRows(kRpc, "parent", "buckets/", "BUCKET_NOT_FOUND"));
  Append(rows, NameRows(kRpc, "rule.destination_bucket", "buckets/",
                        "BUCKET_NOT_FOUND"));
  Append(rows, RequestIdRows(kRpc));
  Append(rows, LimitAndLabelRows(kRpc));
  return rows;
}

std::vector<BadField> UpdateRows() {
  constexpr char kRpc[] = "UpdateRule";
  std::vector<BadField> rows = {
      {kRpc, {"-rule"},
       {"REQUIRED_FIELD_MISSING rule.name", "REQUIRED_FIELD_MISSING rule"}},
      {kRpc, {"-rule.limits"}, {"REQUIRED_FIELD_MISSING rule"}},
      {kRpc, {R"(rule.etag: "old")"}, {"ETAG_MISMATCH rule.etag"}},
      // What is immutable, with another value.
      {kRpc, {R"(rule.destination_bucket: "buckets/free-dr")"},
       {"IMMUTABLE_FIELD rule.destination_bucket"}},
      {kRpc, {R"(rule.prefixes: ["b/"])"}, {"IMMUTABLE_FIELD rule.prefixes"}},
      {kRpc, {"rule.operations: ADD_CHANGE"},
       {"IMMUTABLE_FIELD rule.operations"}},
      {kRpc, {"rule.operations: 3"}, {"IMMUTABLE_FIELD rule.operations"}},
      {kRpc, {"rule.replicate_historical: true"},
       {"IMMUTABLE_FIELD rule.replicate_historical"}},
      {kRpc, {"rule.transfer: ACCELERATED"}, {"IMMUTABLE_FIELD rule.transfer"}},
      {kRpc, {"rule.transfer: 3"}, {"IMMUTABLE_FIELD rule.transfer"}},
      {kRpc, {R"(rule.sse_kms: { replicate: true replica_kms_key: "key" })"},
       {"IMMUTABLE_FIELD rule.sse_kms"}},
      {kRpc,
       {R"(rule.prefixes: ["b/"])", "rule.transfer: ACCELERATED",
        R"(update_mask.paths: "*")"},
       {"IMMUTABLE_FIELD rule.prefixes", "IMMUTABLE_FIELD rule.transfer"}},
      // The mask.
      {kRpc, {R"(update_mask.paths: ["prefixes", "sse_kms.replicate"])"},
       {"IMMUTABLE_FIELD rule.prefixes", "IMMUTABLE_FIELD rule.sse_kms"}},
      {kRpc, {R"(update_mask.paths: ["state", "conditions"])"},
       {"IMMUTABLE_FIELD rule.conditions", "IMMUTABLE_FIELD rule.state"}},
      {kRpc, {R"(update_mask.paths: "limits.max_objects")"},
       {"INVALID_UPDATE_MASK update_mask"}},
      {kRpc, {R"(update_mask.paths: "labels.team")"},
       {"INVALID_UPDATE_MASK update_mask"}},
      {kRpc, {R"(update_mask.paths: ["*", "*", "labels"])"},
       {"INVALID_UPDATE_MASK update_mask"}},
      {kRpc, {R"(update_mask.paths: "")"}, {"INVALID_UPDATE_MASK update_mask"}},
      // The state, and everything that can still be decided.
      {kRpc, {R"(rule.name: "buckets/closing/rules/dr")"},
       {"RULE_STATE rule.name"}},
      {kRpc,
       {R"(rule.name: "buckets/closing/rules/dr")",
        "rule.limits.max_leases: -1"},
       {"INVALID_LIMITS rule.limits.max_leases", "RULE_STATE rule.name"}},
      {kRpc,
       {R"(rule.name: "buckets/photos/rules/nothing")",
        "rule.limits.max_leases: -1",
        R"(update_mask.paths: ["limits", "labels.team", "transfer"])"},
       {"INVALID_UPDATE_MASK update_mask", "IMMUTABLE_FIELD rule.transfer",
        "INVALID_LIMITS rule.limits.max_leases", "RULE_NOT_FOUND rule.name"}},
      {kRpc,
       {"rule.limits.max_leases: -1", "rule.transfer: ACCELERATED",
        R"(rule.etag: "old")"},
       {"INVALID_LIMITS rule.limits.max_leases",
        "IMMUTABLE_FIELD rule.transfer", "ETAG_MISMATCH rule.etag"}},
  };
  Append(rows, NameRows(kRpc, "rule.name", "buckets/photos/rules/",
                        "RULE_NOT_FOUND"));
  Append(rows, LimitAndLabelRows(kRpc));
  return rows;
}

std::vector<BadField> ListRows() {
  constexpr char kRpc[] = "ListRules";
  std::vector<BadField> rows = {
      {kRpc,
       {R"(parent: "x")", R"(filter: "x")", "page_size: -1",
        R"(page_token: "x")"},
       {"INVALID_PAGE_SIZE page_size", "INVALID_PAGE_TOKEN page_token",
        "INVALID_FILTER filter", "INVALID_NAME parent"}},
      {kRpc, {R"(parent: "buckets/nowhere")", "page_size: -1"},
       {"INVALID_PAGE_SIZE page_size", "BUCKET_NOT_FOUND parent"}},
  };
  for (const std::string& filter :
       {std::string(R"("state")"), std::string(R"("state = NONE")"),
        std::string(R"("state = 2")"), std::string(R"("name = \"x\"")"),
        std::string(R"("state = ACTIVE OR state = PAUSED")"),
        std::string(R"("state = ACTIVE AND state = PAUSED")"),
        std::string(R"("state = \000")"),
        std::string(R"("source_bucket = photos")"), Long(1025),
        Long(100'000)}) {
    rows.push_back({kRpc, {"filter: " + filter}, {"INVALID_FILTER filter"}});
  }
  Append(rows, NameRows(kRpc, "parent", "buckets/", "BUCKET_NOT_FOUND"));
  Append(rows, PageRows(kRpc));
  return rows;
}

std::vector<BadField> WaitRows() {
  constexpr char kRpc[] = "WaitForSync";
  std::vector<BadField> rows = {
      {kRpc, {"-time"}, {"REQUIRED_FIELD_MISSING time"}},
      {kRpc, {"-time", "-name"},
       {"REQUIRED_FIELD_MISSING name", "REQUIRED_FIELD_MISSING time"}},
      {kRpc, {"-time", R"(name: "buckets/photos/rules/nothing")"},
       {"REQUIRED_FIELD_MISSING time", "RULE_NOT_FOUND name"}},
      // Nobody speaks for this rule's source.
      {kRpc, {R"(name: "buckets/quiet/rules/dr")"}, {"NO_WATERMARK name"}},
  };
  for (const char* time :
       {// A minute ahead is forgiven (the world's clock), not more.
        "seconds: 1800000060 nanos: 1", "seconds: 253402300799",
        "seconds: 253402300800", "seconds: 9223372036854775807",
        // Before the year 1, and no part of a second.
        "seconds: -62135596801", "seconds: -9223372036854775808",
        "seconds: 1000 nanos: -1", "seconds: 1000 nanos: 1000000000"}) {
    rows.push_back({kRpc, {absl::StrCat("time: { ", time, " }")},
                    {"INVALID_TIME time"}});
  }
  return rows;
}

// What ListFailedObjects, RetryFailedObjects and SkipFailedObjects take alike.
std::vector<BadField> SelectionRows(const std::string& rpc) {
  std::string too_many;
  for (int i = 0; i < 1001; ++i) {
    absl::StrAppend(&too_many, i == 0 ? "" : ",", "\"k", i, "\"");
  }
  std::vector<BadField> rows = {
      {rpc, {absl::StrCat("selection: { keys: [", too_many, "] }")},
       {"INVALID_KEY selection.keys"}},
      {rpc, {R"(selection: { keys: ["a", "", "b\000"] })"},
       {"INVALID_KEY selection.keys[1]", "INVALID_KEY selection.keys[2]"}},
      {rpc, {absl::StrCat("selection: { keys: [", Long(1025), "] }")},
       {"INVALID_KEY selection.keys[0]"}},
      {rpc, {absl::StrCat("selection: { prefix: ", Long(1025), " }")},
       {"INVALID_KEY selection.prefix"}},
      {rpc, {R"(selection: { prefix: "a\000" })"},
       {"INVALID_KEY selection.prefix"}},
      {rpc,
       {absl::StrCat("selection: { reason: \"", std::string(64, 'A'), "\" }")},
       {"INVALID_NAME selection.reason"}},
      // All that is wrong, the state of the rule included.
      {rpc,
       {R"(selection: { keys: "" prefix: "\000" reason: "-"
                        min_age: { nanos: -1 } all: true })"},
       {"INVALID_KEY selection.keys[0]", "INVALID_KEY selection.prefix",
        "INVALID_NAME selection.reason", "INVALID_TIME selection.min_age",
        "INVALID_FILTER selection.all"}},
  };
  for (const char* reason : {"no_access", "NO ACCESS", "NO-ACCESS", "A\\000"}) {
    rows.push_back(
        {rpc, {absl::StrCat("selection: { reason: \"", reason, "\" }")},
         {"INVALID_NAME selection.reason"}});
  }
  for (const char* age :
       {"seconds: -1", "nanos: -1", "seconds: 1 nanos: -1",
        "nanos: 1000000000", "seconds: 315576000001",
        "seconds: 9223372036854775807", "seconds: -9223372036854775808"}) {
    rows.push_back(
        {rpc, {absl::StrCat("selection: { min_age: { ", age, " } }")},
         {"INVALID_TIME selection.min_age"}});
  }
  for (const char* other :
       {R"(keys: "a")", R"(prefix: "a")", R"(reason: "A")", "min_age: { }"}) {
    rows.push_back({rpc, {absl::StrCat("selection: { all: true ", other, " }")},
                    {"INVALID_FILTER selection.all"}});
  }
  return rows;
}

std::vector<BadField> FailedObjectRows() {
  constexpr char kList[] = "ListFailedObjects";
  std::vector<BadField> rows = {
      {kList, {"state: 3"}, {"INVALID_NAME state"}},
      {kList, {"state: -1"}, {"INVALID_NAME state"}},
      {kList,
       {R"(parent: "buckets/photos/rules/nothing")", "state: 3",
        "page_size: -1", R"(page_token: "x")",
        R"(selection: { prefix: "\000" })"},
       {"INVALID_PAGE_SIZE page_size", "INVALID_PAGE_TOKEN page_token",
        "INVALID_KEY selection.prefix", "INVALID_NAME state",
        "RULE_NOT_FOUND parent"}},
  };
  Append(rows, NameRows(kList, "parent", "buckets/photos/rules/",
                        "RULE_NOT_FOUND"));
  Append(rows, PageRows(kList));
  Append(rows, SelectionRows(kList));
  for (const char* rpc : {"RetryFailedObjects", "SkipFailedObjects"}) {
    Append(rows, SelectionRows(rpc));
    for (const char* nothing :
         {"-selection", "selection: { }", "selection: { all: false }",
          R"(selection: { prefix: "" reason: "" })"}) {
      rows.push_back(
          {rpc, {nothing}, {"REQUIRED_FIELD_MISSING selection"}});
    }
    rows.push_back(
        {rpc,
         {R"(name: "buckets/closing/rules/dr")",
          R"(selection: { reason: "-" })"},
         {"INVALID_NAME selection.reason", "RULE_STATE name"}});
    rows.push_back({rpc,
                    {"-selection", R"(name: "buckets/photos/rules/nothing")"},
                    {"REQUIRED_FIELD_MISSING selection",
                     "RULE_NOT_FOUND name"}});
    rows.push_back({rpc, {"-selection", "-name"},
                    {"REQUIRED_FIELD_MISSING name",
                     "REQUIRED_FIELD_MISSING selection"}});
    rows.push_back({rpc, {R"(name: "buckets/closing/rules/dr")"},
                    {"RULE_STATE name"}});
  }
  return rows;
}

}  // namespace

std::vector<BadField> ReplicationRows() {
  std::vector<BadField> rows;
  Append(rows, CreateRows());
  Append(rows, UpdateRows());
  Append(rows, ListRows());
  Append(rows, WaitRows());
  Append(rows, FailedObjectRows());
  for (const char* rpc :
       {"GetRule", "DeleteRule", "PauseRule", "ResumeRule", "GetRuleProgress",
        "WatchRuleProgress", "WaitForSync", "VerifyRule",
        "RetryFailedObjects", "SkipFailedObjects"}) {
    Append(rows, NameRows(rpc, "name", "buckets/photos/rules/",
                          "RULE_NOT_FOUND"));
    // Both halves of the name.
    rows.push_back({rpc, {R"(name: "buckets/X/rules/dr")"},
                    {"INVALID_NAME name"}});
    rows.push_back({rpc, {R"(name: "buckets/nowhere/rules/dr")"},
                    {"RULE_NOT_FOUND name"}});
  }
  for (const char* rpc : {"DeleteRule", "PauseRule", "ResumeRule"}) {
    rows.push_back({rpc, {R"(etag: "old")"}, {"ETAG_MISMATCH etag"}});
    rows.push_back({rpc, {"etag: " + Long(100'000)}, {"ETAG_MISMATCH etag"}});
  }
  for (const char* rpc : {"PauseRule", "ResumeRule", "VerifyRule"}) {
    for (const char* rule : {"closing", "starting"}) {
      rows.push_back({rpc,
                      {absl::StrCat("name: \"buckets/", rule, "/rules/dr\"")},
                      {"RULE_STATE name"}});
    }
  }
  return rows;
}

}  // namespace crr::test
