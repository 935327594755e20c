#ifndef CRR_SERVER_CORE_RULE_VALIDATOR_H_
#define CRR_SERVER_CORE_RULE_VALIDATOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/core/refusal.h"
#include "storage/bucket_table.h"
#include "storage/region_table.h"
#include "storage/rule_table.h"

namespace crr {

// A rule as a caller asks for it. What could not even be parsed is absent, and
// its violation was found already.
struct NewRule {
  std::optional<std::string> source;       // Bucket id.
  std::optional<std::string> destination;  // Bucket id.
  std::string id;                          // Valid; never empty.
  std::vector<std::string> prefixes;
  std::optional<Operations> operations;
  std::optional<bool> historical;
  std::optional<Transfer> transfer;
  // The link was given and is none: whether it fits the pair is not guessed.
  bool transfer_unknown = false;
  bool kms_replicate = false;
  std::string kms_key;
  int64_t max_leases = 0;
  int64_t max_bytes_per_second = 0;
  std::map<std::string, std::string> labels;
};

// What the database says of a bucket that a new rule names.
struct BucketFacts {
  Bucket bucket;
  Region region;
  std::optional<std::string> partner;  // The bucket that it is paired with.
  // Rules that this bucket is the source of, or the destination of.
  std::optional<Rule> outgoing;
  std::optional<Rule> incoming;
};

struct RuleFacts {
  RegionPairPolicy policy;
  std::optional<BucketFacts> source;
  std::optional<BucketFacts> destination;
};

// What is wrong with the request whatever the state: I2's and semantics.md
// §5's rows that need no database.
std::vector<Violation> CheckRequest(const NewRule& rule);

// What is wrong with limits and labels; part of CheckRequest.
std::vector<Violation> CheckLimitsAndLabels(
    int64_t max_leases, int64_t max_bytes_per_second,
    const std::map<std::string, std::string>& labels);

// What stands against it in the present state: I1, I2, I3 and the owners.
// Facts that are missing because a field is bad are not guessed.
std::vector<Violation> CheckState(const NewRule& rule, const RuleFacts& facts);

}  // namespace crr

#endif  // CRR_SERVER_CORE_RULE_VALIDATOR_H_
