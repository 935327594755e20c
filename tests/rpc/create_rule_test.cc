#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/test_server.h"

// One row for each reason that CreateRule can answer (design §10), on both
// sides of each boundary.
namespace crr {
namespace {

using grpc::StatusCode;
using test::Call;
using test::FromJson;
using test::RefusalOf;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

// Buckets that every test here finds: hz-* in Hangzhou, sh-* in Shanghai, both
// in mainland China; sy-1 in Sydney, va-1 in Virginia. hz-a replicates to sh-b
// by rule ab, hz-c to sh-d by rule cd.
class CreateRuleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new TestServer();
    for (const char* id : {"hz-1", "hz-2", "hz-a", "hz-c"}) {
      server_->AddBucket(id, test::kHangzhou);
    }
    for (const char* id : {"sh-1", "sh-b", "sh-d"}) {
      server_->AddBucket(id, test::kShanghai);
    }
    server_->AddBucket("sy-1", test::kSydney);
    server_->AddBucket("va-1", test::kVirginia);
    server_->AddBucket("hz-versioned", test::kHangzhou, v1::Bucket::ENABLED);
    server_->AddBucket("sh-versioned", test::kShanghai, v1::Bucket::ENABLED);
    server_->AddBucket("hz-suspended", test::kHangzhou, v1::Bucket::SUSPENDED);
    server_->AddBucket("sh-suspended", test::kShanghai, v1::Bucket::SUSPENDED);
    server_->AddBucket("sh-foreign", test::kShanghai, v1::Bucket::UNVERSIONED,
                       "rival");
    // Of another owner, and wrong in every other way too.
    server_->AddBucket("hz-foreign", test::kHangzhou, v1::Bucket::ENABLED,
                       "rival");
    server_->AddBucket("sh-foreign-2", test::kShanghai, v1::Bucket::ENABLED,
                       "rival");
    server_->AddRule("hz-foreign", "sh-foreign-2");
    for (const auto& [from, to, id] :
         {std::tuple("hz-a", "sh-b", "ab"), std::tuple("hz-c", "sh-d", "cd")}) {
      ASSERT_TRUE(server_->CreateRule(test::RuleRequest(from, to, id)).ok());
    }
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  // Everything that CreateRule could change.
  static std::string Stored() {
    v1::ListRulesRequest rules_request;
    rules_request.set_parent("buckets/-");
    v1::ListRulesResponse rules;
    EXPECT_TRUE(Call(server_->rules(),
                     &v1::ReplicationService::Stub::ListRules, rules_request,
                     &rules)
                    .ok());
    v1::ListBucketsResponse buckets;
    EXPECT_TRUE(Call(server_->buckets(), &v1::BucketService::Stub::ListBuckets,
                     v1::ListBucketsRequest(), &buckets)
                    .ok());
    return rules.DebugString() + buckets.DebugString();
  }

  static TestServer* server_;
};

TestServer* CreateRuleTest::server_ = nullptr;

// `fields` after the three that are always there.
std::string RuleJson(const std::string& destination,
                     const std::string& fields = "") {
  return absl::StrCat(
      R"({"destinationBucket":"buckets/)", destination,
      R"(","operations":"ADD_DELETE_CHANGE","replicateHistorical":true)",
      fields.empty() ? "" : ",", fields, "}");
}

std::string RequestJson(const std::string& source,
                        const std::string& destination,
                        const std::string& rule_fields = "",
                        const std::string& request_fields = "") {
  return absl::StrCat(R"({"parent":"buckets/)", source, R"(","rule":)",
                      RuleJson(destination, rule_fields),
                      request_fields.empty() ? "" : ",", request_fields, "}");
}

std::string Good(const std::string& rule_fields,
                 const std::string& request_fields = "") {
  return RequestJson("hz-1", "sh-1", rule_fields, request_fields);
}

std::string Prefixes(const std::vector<std::string>& prefixes) {
  std::string json = "\"prefixes\":[";
  for (size_t i = 0; i < prefixes.size(); ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"", prefixes[i], "\"");
  }
  return json + "]";
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct RefusedCase {
  std::string what;
  std::string request;
  StatusCode code;
  // All of them, as `REASON field`; the first one first.
  std::vector<std::string> violations;
  std::string oss_code = "*";  // Of the first; * for any.
  std::string subject = "*";   // Of the first; * for any.
  std::string rule = "";       // In ErrorInfo.
  std::string partner = "";    // In ErrorInfo.
};

std::vector<RefusedCase> RefusedCases() {
  constexpr StatusCode kBad = StatusCode::INVALID_ARGUMENT;
  constexpr StatusCode kState = StatusCode::FAILED_PRECONDITION;
  const std::string id63(63, 'a');
  std::vector<RefusedCase> cases = {
      // Required fields.
      {"no parent", absl::StrCat(R"({"rule":)", RuleJson("sh-1"), "}"), kBad,
       {"REQUIRED_FIELD_MISSING parent"}, "MissingArgument", ""},
      {"no rule", R"({"parent":"buckets/hz-1"})", kBad,
       {"REQUIRED_FIELD_MISSING rule",
        "REQUIRED_FIELD_MISSING rule.destination_bucket",
        "OPERATIONS_REQUIRED rule.operations",
        "HISTORICAL_REQUIRED rule.replicate_historical"}},
      {"no destination",
       R"({"parent":"buckets/hz-1","rule":{"operations":"ADD_CHANGE",
           "replicateHistorical":false}})",
       kBad, {"REQUIRED_FIELD_MISSING rule.destination_bucket"}},
      {"no operations",
       R"({"parent":"buckets/hz-1","rule":{"replicateHistorical":false,
           "destinationBucket":"buckets/sh-1"}})",
       kBad, {"OPERATIONS_REQUIRED rule.operations"}},
      {"unknown operations",
       R"({"parent":"buckets/hz-1","rule":{"replicateHistorical":false,
           "operations":9,"destinationBucket":"buckets/sh-1"}})",
       kBad, {"OPERATIONS_REQUIRED rule.operations"}},
      {"nothing said of history",
       R"({"parent":"buckets/hz-1","rule":{"operations":"ADD_CHANGE",
           "destinationBucket":"buckets/sh-1"}})",
       kBad, {"HISTORICAL_REQUIRED rule.replicate_historical"}},
      {"unknown transfer", Good(R"("transfer":7)"), kBad,
       {"INVALID_NAME rule.transfer"}},
      {"a key to replicate, but no replication",
       Good(R"("sseKms":{"replicaKmsKey":"k"})"), kBad,
       {"REQUIRED_FIELD_MISSING rule.sse_kms.replicate"}},
      {"encrypted replicas without a key",
       Good(R"("sseKms":{"replicate":true})"), kBad,
       {"REQUIRED_FIELD_MISSING rule.sse_kms.replica_kms_key"}},
      // Names.
      {"destination is no name",
       RequestJson("hz-1", "sh-1/rules/x"), kBad,
       {"INVALID_NAME rule.destination_bucket"}, "*", ""},
      {"destination of two letters", RequestJson("hz-1", "sh"), kBad,
       {"INVALID_NAME rule.destination_bucket"}},
      {"the rule names another source",
       Good(R"("sourceBucket":"buckets/hz-2")"), kBad,
       {"INVALID_NAME rule.source_bucket"}},
      {"the rule has another name",
       Good(R"("name":"buckets/hz-1/rules/x")", R"("ruleId":"y")"), kBad,
       {"INVALID_NAME rule.name"}},
      {"request id", Good("", R"("requestId":"17")"), kBad,
       {"INVALID_REQUEST_ID request_id"}},
      {"request id with a wrong digit",
       Good("", R"("requestId":"6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e8g")"), kBad,
       {"INVALID_REQUEST_ID request_id"}},
      {"request id with dashes elsewhere",
       Good("", R"("requestId":"6a1c2f5e8-b0d-4c7a-9a3e-2f4b5d6c7e80")"), kBad,
       {"INVALID_REQUEST_ID request_id"}},
      // Prefixes.
      {"empty prefix", Good(Prefixes({"a/", ""})), kBad,
       {"INVALID_PREFIX rule.prefixes[1]"}},
      {"prefix with NUL", Good(Prefixes({"a\\u0000b"})), kBad,
       {"INVALID_PREFIX rule.prefixes[0]"}},
      {"prefix of 1,024 bytes", Good(Prefixes({std::string(1024, 'x')})), kBad,
       {"INVALID_PREFIX rule.prefixes[0]"}},
      {"prefix of 512 characters and 1,024 bytes",
       Good(Prefixes({Repeat("\xc3\xa9", 512)})), kBad,
       {"INVALID_PREFIX rule.prefixes[0]"}},
      {"six prefixes", Good(Prefixes({"a", "b", "c", "d", "e", "f"})), kBad,
       {"TOO_MANY_PREFIXES rule.prefixes"}, "TooManyPrefixes"},
      {"a prefix twice", Good(Prefixes({"a/", "b/", "a/"})), kBad,
       {"OVERLAPPING_PREFIXES rule.prefixes[2]"}},
      {"the longer prefix after", Good(Prefixes({"a", "b", "ab"})), kBad,
       {"OVERLAPPING_PREFIXES rule.prefixes[2]"}},
      {"the longer prefix before", Good(Prefixes({"ab", "b", "a"})), kBad,
       {"OVERLAPPING_PREFIXES rule.prefixes[0]"}},
      {"each prefix within the next", Good(Prefixes({"abc", "ab", "a"})), kBad,
       {"OVERLAPPING_PREFIXES rule.prefixes[0]",
        "OVERLAPPING_PREFIXES rule.prefixes[1]"}},
      // Limits and labels.
      {"too many leases", Good(R"("limits":{"maxLeases":1001})"), kBad,
       {"INVALID_LIMITS rule.limits.max_leases"}},
      {"negative limits",
       Good(R"("limits":{"maxLeases":-1,"maxBytesPerSecond":"-1"})"), kBad,
       {"INVALID_LIMITS rule.limits.max_leases",
        "INVALID_LIMITS rule.limits.max_bytes_per_second"}},
      {"label without a key", Good(R"("labels":{"":"x"})"), kBad,
       {"INVALID_LABELS rule.labels"}},
      {"label value too long",
       Good(absl::StrCat(R"("labels":{"a":")", std::string(256, 'x'), "\"}")),
       kBad, {"INVALID_LABELS rule.labels"}},
      // Buckets.
      {"one bucket for both", RequestJson("hz-1", "hz-1"), kBad,
       {"SAME_BUCKET rule.destination_bucket"}, "InvalidTargetBucket"},
      {"no such source", RequestJson("nowhere", "sh-1"), StatusCode::NOT_FOUND,
       {"BUCKET_NOT_FOUND parent"}, "NoSuchBucket", "buckets/nowhere"},
      {"no such destination", RequestJson("hz-1", "nowhere"),
       StatusCode::NOT_FOUND, {"BUCKET_NOT_FOUND rule.destination_bucket"},
       "InvalidTargetBucket", "buckets/nowhere"},
      {"neither is there", RequestJson("nowhere", "neither"),
       StatusCode::NOT_FOUND,
       {"BUCKET_NOT_FOUND parent", "BUCKET_NOT_FOUND rule.destination_bucket"}},
      {"the pair has a rule already",
       RequestJson("hz-a", "sh-b", "", R"("ruleId":"other")"),
       StatusCode::ALREADY_EXISTS,
       {"RULE_ALREADY_EXISTS rule.destination_bucket"},
       "BucketReplicationAlreadyExist", "buckets/hz-a/rules/ab",
       "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"the pair has this very rule",
       RequestJson("hz-a", "sh-b", "", R"("ruleId":"ab")"),
       StatusCode::ALREADY_EXISTS,
       {"RULE_ALREADY_EXISTS rule.destination_bucket"}, "*",
       "buckets/hz-a/rules/ab", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"the id is taken",
       RequestJson("hz-a", "sh-1", "", R"("ruleId":"ab")"),
       StatusCode::ALREADY_EXISTS,
       {"RULE_ALREADY_EXISTS rule_id", "BUCKET_PAIRED_ELSEWHERE parent"}, "*",
       "buckets/hz-a/rules/ab", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      // Regions.
      {"one region", RequestJson("hz-1", "hz-2"), kState,
       {"SAME_REGION rule.destination_bucket"}, "BadReplicationLocation",
       "regions/oss-cn-hangzhou"},
      {"a pair that no seed names", RequestJson("va-1", "sy-1"), kState,
       {"REGION_PAIR_NOT_SUPPORTED rule.destination_bucket"},
       "BadReplicationLocation", "regions/oss-ap-southeast-2"},
      {"across the border without a word",
       RequestJson("hz-1", "va-1"), kState,
       {"TRANSFER_ACCELERATION_REQUIRED rule.transfer"}, "MissingArgument"},
      {"across the border over the ordinary link",
       RequestJson("hz-1", "va-1", R"("transfer":"STANDARD")"), kState,
       {"TRANSFER_ACCELERATION_REQUIRED rule.transfer"}, "InvalidArgument"},
      {"accelerated within the mainland", Good(R"("transfer":"ACCELERATED")"),
       kState, {"TRANSFER_ACCELERATION_NOT_APPLICABLE rule.transfer"},
       "InvalidArgument"},
      {"accelerated outside of the mainland",
       RequestJson("sy-1", "va-1", R"("transfer":"ACCELERATED")"), kState,
       {"TRANSFER_ACCELERATION_NOT_APPLICABLE rule.transfer"}},
      // Versioning.
      {"only the destination keeps versions",
       RequestJson("hz-1", "sh-versioned"), kState,
       {"VERSIONING_MISMATCH rule.destination_bucket"}, "InvalidBucketStatus",
       "buckets/sh-versioned"},
      {"only the source keeps versions", RequestJson("hz-versioned", "sh-1"),
       kState, {"VERSIONING_MISMATCH rule.destination_bucket"},
       "InvalidBucketStatus", "buckets/sh-1"},
      {"suspended source", RequestJson("hz-suspended", "sh-versioned"), kState,
       {"VERSIONING_SUSPENDED parent"}, "InvalidBucketStatus",
       "buckets/hz-suspended"},
      {"suspended destination", RequestJson("hz-1", "sh-suspended"), kState,
       {"VERSIONING_SUSPENDED rule.destination_bucket"}, "InvalidBucketStatus",
       "buckets/sh-suspended"},
      {"both suspended", RequestJson("hz-suspended", "sh-suspended"), kState,
       {"VERSIONING_SUSPENDED parent",
        "VERSIONING_SUSPENDED rule.destination_bucket"}},
      // One partner: the four shapes, and both at once.
      {"A has B, A to C", RequestJson("hz-a", "sh-1"), kState,
       {"BUCKET_PAIRED_ELSEWHERE parent"},
       "BucketAlreadyHasReplicationConfiguration", "buckets/hz-a",
       "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"A has B, C to B", RequestJson("hz-1", "sh-b"), kState,
       {"BUCKET_PAIRED_ELSEWHERE rule.destination_bucket"},
       "BucketAlreadyHasReplicationConfiguration", "buckets/sh-b",
       "buckets/hz-a/rules/ab", "buckets/hz-a"},
      {"A has B, B to C", RequestJson("sh-b", "hz-1"), kState,
       {"BUCKET_PAIRED_ELSEWHERE parent"},
       "BucketAlreadyHasReplicationConfiguration", "buckets/sh-b",
       "buckets/hz-a/rules/ab", "buckets/hz-a"},
      {"A has B, C to A", RequestJson("sh-1", "hz-a"), kState,
       {"BUCKET_PAIRED_ELSEWHERE rule.destination_bucket"},
       "BucketAlreadyHasReplicationConfiguration", "buckets/hz-a",
       "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"A has B, C has D, A to D", RequestJson("hz-a", "sh-d"), kState,
       {"BUCKET_PAIRED_ELSEWHERE parent",
        "BUCKET_PAIRED_ELSEWHERE rule.destination_bucket"},
       "*", "buckets/hz-a", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      // Owners.
      {"another's destination", RequestJson("hz-1", "sh-foreign"), kState,
       {"DIFFERENT_OWNER rule.destination_bucket"}, "InvalidTargetBucket"},
      {"another's source", RequestJson("sh-foreign", "hz-1"), kState,
       {"DIFFERENT_OWNER rule.destination_bucket"}},
      {"another's destination, which is wrong in every way",
       RequestJson("hz-a", "hz-foreign", R"("transfer":"ACCELERATED")"),
       kState, {"DIFFERENT_OWNER rule.destination_bucket"}},
      // Several classes at once.
      {"everything of the request",
       absl::StrCat(R"({"parent":"buckets/hz-1","ruleId":"-","requestId":"x",)",
                    R"("rule":{"destinationBucket":"buckets/hz-1",)",
                    R"("transfer":7,"labels":{"":""},)",
                    R"("sseKms":{"replicate":true},)",
                    R"("limits":{"maxLeases":-1},"prefixes":["a","a",""]}})"),
       kBad,
       {"INVALID_RULE_ID rule_id", "INVALID_NAME rule.transfer",
        "INVALID_REQUEST_ID request_id", "OPERATIONS_REQUIRED rule.operations",
        "HISTORICAL_REQUIRED rule.replicate_historical",
        "SAME_BUCKET rule.destination_bucket",
        "OVERLAPPING_PREFIXES rule.prefixes[1]",
        "INVALID_PREFIX rule.prefixes[2]",
        "REQUIRED_FIELD_MISSING rule.sse_kms.replica_kms_key",
        "INVALID_LIMITS rule.limits.max_leases", "INVALID_LABELS rule.labels"}},
      {"a bad request before a bucket that is not there",
       RequestJson("nowhere", "sh-1", Prefixes({""})), kBad,
       {"INVALID_PREFIX rule.prefixes[0]", "BUCKET_NOT_FOUND parent"}},
      {"a bad request before a state",
       RequestJson("hz-a", "sh-1", Prefixes({""})), kBad,
       {"INVALID_PREFIX rule.prefixes[0]", "BUCKET_PAIRED_ELSEWHERE parent"},
       "InvalidArgument", "", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"a rule that exists before a state",
       RequestJson("hz-a", "sh-b", R"("transfer":"ACCELERATED")"),
       StatusCode::ALREADY_EXISTS,
       {"RULE_ALREADY_EXISTS rule.destination_bucket",
        "TRANSFER_ACCELERATION_NOT_APPLICABLE rule.transfer"},
       "*", "*", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"everything of the state", RequestJson("hz-a", "hz-suspended"), kState,
       {"SAME_REGION rule.destination_bucket",
        "VERSIONING_SUSPENDED rule.destination_bucket",
        "BUCKET_PAIRED_ELSEWHERE parent"},
       "*", "*", "buckets/hz-a/rules/ab", "buckets/sh-b"},
      {"pair and link", RequestJson("va-1", "sh-1"), kState,
       {"REGION_PAIR_NOT_SUPPORTED rule.destination_bucket",
        "TRANSFER_ACCELERATION_REQUIRED rule.transfer"}},
      // What depends on a bad field is not guessed.
      {"nothing of a destination that has no name",
       RequestJson("hz-suspended", "X"), kBad,
       {"INVALID_NAME rule.destination_bucket"}},
      // Another's bucket does not hide the caller's own mistakes.
      {"another's destination, and a bad request",
       RequestJson("hz-1", "sh-foreign", Prefixes({""}), R"("ruleId":"-")"),
       kBad,
       {"INVALID_RULE_ID rule_id", "INVALID_PREFIX rule.prefixes[0]"}},
  };
  for (const char* parent :
       {"hz-1", "buckets/", "buckets/hz", "buckets/HZ-1", "buckets/-hz",
        "buckets/hz-", "buckets/hz_1", "buckets/hz-1/", "buckets/-",
        "regions/hz-1", "buckets/hz-1/rules/ab", "/buckets/hz-1"}) {
    cases.push_back({absl::StrCat("parent ", parent),
                     absl::StrCat(R"({"parent":")", parent, R"(","rule":)",
                                  RuleJson("sh-1"), "}"),
                     kBad, {"INVALID_NAME parent"}, "*", ""});
  }
  for (const std::string& rule_id :
       {std::string("A"), std::string("-"), std::string("-a"),
        std::string("a-"), std::string("a_b"), std::string("a/b"),
        std::string("\xc3\xa9"), id63 + "a"}) {
    cases.push_back(
        {absl::StrCat("rule id ", rule_id),
         Good("", absl::StrCat(R"("ruleId":")", rule_id, "\"")), kBad,
         {"INVALID_RULE_ID rule_id"}});
  }
  return cases;
}

TEST_F(CreateRuleTest, EachReasonComesWithItsWholeForm) {
  const std::string before = Stored();
  for (const RefusedCase& c : RefusedCases()) {
    SCOPED_TRACE(c.what);
    const auto request = FromJson<v1::CreateRuleRequest>(c.request);
    const auto refusal = RefusalOf(server_->CreateRule(request));
    EXPECT_EQ(refusal.code, c.code) << refusal;
    EXPECT_THAT(refusal.flaws, IsEmpty()) << refusal;
    EXPECT_THAT(refusal.ReasonsAndFields(),
                UnorderedElementsAreArray(c.violations))
        << refusal;
    if (refusal.violations.empty()) continue;
    if (c.oss_code != "*") {
      EXPECT_EQ(refusal.violations[0].oss_code(), c.oss_code) << refusal;
    }
    if (c.subject != "*") {
      EXPECT_EQ(refusal.violations[0].subject(), c.subject) << refusal;
    }
    const auto metadata = [&](const std::string& key) {
      const auto found = refusal.metadata.find(key);
      return found == refusal.metadata.end() ? "" : found->second;
    };
    EXPECT_EQ(metadata("rule"), c.rule) << refusal;
    EXPECT_EQ(metadata("partner"), c.partner) << refusal;
    // validate_only is the same check.
    auto only = request;
    only.set_validate_only(true);
    EXPECT_EQ(RefusalOf(server_->CreateRule(only)).ReasonsAndFields(),
              refusal.ReasonsAndFields());
    EXPECT_EQ(Stored(), before);
  }
}

TEST_F(CreateRuleTest, WhatIsJustWithinTheBoundsIsGood) {
  const std::string before = Stored();
  std::string labels = "\"labels\":{";
  for (int i = 0; i < 32; ++i) {
    absl::StrAppend(&labels, i == 0 ? "" : ",", "\"", std::string(61, 'k'),
                    10 + i, "\":\"", std::string(255, 'v'), "\"");
  }
  labels += "}";
  for (const std::string& json :
       {Good(""), Good("", R"("ruleId":"a")"),
        Good("", absl::StrCat(R"("ruleId":")", std::string(63, 'a'), "\"")),
        Good("", R"("ruleId":"0-a--9")"),
        Good("", R"("requestId":"6A1C2F5E-8b0d-4c7a-9a3e-2f4b5d6c7e80")"),
        Good(Prefixes({std::string(1023, 'x')})),
        Good(Prefixes({Repeat("\xc3\xa9", 511)})),
        Good(Prefixes({"a", "b", "c", "d", "e"})),
        Good(Prefixes({"a/", "ab", "aa/"})), Good(Prefixes({"/", " ", "%"})),
        Good(R"("sourceBucket":"buckets/hz-1")"),
        Good(R"("name":"buckets/hz-1/rules/x")", R"("ruleId":"x")"),
        Good(R"("transfer":"STANDARD")"), Good(labels),
        Good(R"("limits":{"maxLeases":1000,
                          "maxBytesPerSecond":"1000000000000"})"),
        Good(R"("sseKms":{"replicate":true,"replicaKmsKey":"k"})"),
        RequestJson("hz-versioned", "sh-versioned"),
        RequestJson("hz-1", "va-1", R"("transfer":"ACCELERATED")"),
        RequestJson("sy-1", "va-1"),
        // The reverse of a pair.
        RequestJson("sh-b", "hz-a"), RequestJson("sh-b", "hz-a", "",
                                                 R"("ruleId":"ab")")}) {
    auto request = FromJson<v1::CreateRuleRequest>(json);
    request.set_validate_only(true);
    const auto status = server_->CreateRule(request);
    EXPECT_TRUE(status.ok()) << json << "\n" << RefusalOf(status);
  }
  EXPECT_EQ(Stored(), before);
}

TEST_F(CreateRuleTest, NothingIsToldOfAnothersBucket) {
  for (const char* destination : {"sh-foreign", "hz-foreign"}) {
    const grpc::Status status = server_->CreateRule(
        FromJson<v1::CreateRuleRequest>(RequestJson("hz-1", destination)));
    const auto refusal = RefusalOf(status);
    EXPECT_THAT(refusal.Reasons(), ElementsAre("DIFFERENT_OWNER"));
    for (const char* secret : {"foreign", "rival", "sh-foreign-2", "shanghai",
                               "version", "paired"}) {
      EXPECT_THAT(status.error_details(), Not(HasSubstr(secret)));
      EXPECT_THAT(status.error_message(), Not(HasSubstr(secret)));
    }
  }
  // Two that differ in everything but the owner are refused alike.
  const auto shown = [&](const char* destination) {
    const auto refusal = RefusalOf(server_->CreateRule(
        FromJson<v1::CreateRuleRequest>(RequestJson("hz-1", destination))));
    return std::pair(::testing::PrintToString(refusal), refusal.metadata);
  };
  EXPECT_EQ(shown("sh-foreign"), shown("hz-foreign"));
}

TEST(CreateRuleGoodTest, TheAnswerIsTheStoredRule) {
  TestServer server;
  server.AddBucket("photos", test::kHangzhou);
  server.AddBucket("photos-dr", test::kVirginia);
  v1::Rule rule;
  ASSERT_TRUE(
      server
          .CreateRule(FromJson<v1::CreateRuleRequest>(R"({
              "parent":"buckets/photos","ruleId":"dr",
              "rule":{"destinationBucket":"buckets/photos-dr",
                      "prefixes":["a/","b/"],"operations":"ADD_CHANGE",
                      "replicateHistorical":false,"transfer":"ACCELERATED",
                      "sseKms":{"replicate":true,"replicaKmsKey":"key"},
                      "limits":{"maxLeases":3,"maxBytesPerSecond":"1000"},
                      "labels":{"team":"storage"},
                      "state":"CLOSING","etag":"mine",
                      "createTime":"2001-01-01T00:00:00Z"}})"),
                      &rule)
          .ok());
  EXPECT_EQ(server.GetRule(rule.name()).DebugString(), rule.DebugString());
  EXPECT_EQ(rule.name(), "buckets/photos/rules/dr");
  EXPECT_EQ(rule.source_bucket(), "buckets/photos");
  EXPECT_EQ(rule.destination_bucket(), "buckets/photos-dr");
  EXPECT_THAT(rule.prefixes(), ElementsAre("a/", "b/"));
  EXPECT_EQ(rule.operations(), v1::Rule::ADD_CHANGE);
  EXPECT_TRUE(rule.has_replicate_historical());
  EXPECT_FALSE(rule.replicate_historical());
  EXPECT_EQ(rule.transfer(), v1::Rule::ACCELERATED);
  EXPECT_EQ(rule.sse_kms().replica_kms_key(), "key");
  EXPECT_EQ(rule.limits().max_leases(), 3);
  EXPECT_EQ(rule.limits().max_bytes_per_second(), 1000);
  EXPECT_EQ(rule.labels().at("team"), "storage");
  // What only the server says.
  EXPECT_EQ(rule.state(), v1::Rule::STARTING);
  EXPECT_NE(rule.etag(), "mine");
  EXPECT_EQ(rule.create_time().seconds(),
            absl::ToUnixSeconds(server.clock().WallNow()));
  // An accelerated rule switches acceleration on at its destination only.
  const auto acceleration = [&](const std::string& name) {
    v1::GetBucketRequest request;
    request.set_name(name);
    v1::Bucket bucket;
    EXPECT_TRUE(Call(server.buckets(), &v1::BucketService::Stub::GetBucket,
                     request, &bucket)
                    .ok());
    return bucket.transfer_acceleration();
  };
  EXPECT_TRUE(acceleration("buckets/photos-dr"));
  EXPECT_FALSE(acceleration("buckets/photos"));
}

TEST(CreateRuleGoodTest, DefaultsAreFilledIn) {
  TestServer server;
  for (const char* id : {"aaa", "bbb"}) {
    server.AddBucket(id, test::kHangzhou);
    server.AddBucket(absl::StrCat(id, "-dr"), test::kShanghai);
    auto request = test::RuleRequest(id, absl::StrCat(id, "-dr"), "");
    v1::Rule rule;
    ASSERT_TRUE(server.CreateRule(request, &rule).ok());
    EXPECT_EQ(rule.transfer(), v1::Rule::STANDARD);
    EXPECT_THAT(rule.name(), ::testing::MatchesRegex(
                                 absl::StrCat("buckets/", id,
                                              "/rules/[a-z0-9-]+[a-z0-9]")));
    EXPECT_EQ(server.GetRule(rule.name()).name(), rule.name());
  }
}

}  // namespace
}  // namespace crr
