#include "server/core/rule_validator.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/region_pair_policy.h"

namespace crr {
namespace {

std::string PrefixField(size_t i) {
  return absl::StrCat("rule.prefixes[", i, "]");
}

void CheckPrefixes(const std::vector<std::string>& prefixes,
                   std::vector<Violation>& found) {
  if (prefixes.size() > limits::kPrefixesMax) {
    found.push_back({.reason = "TOO_MANY_PREFIXES",
                     .field = "rule.prefixes",
                     .description = absl::StrCat(
                         prefixes.size(), " prefixes are given; at most ",
                         limits::kPrefixesMax, " are allowed")});
    // The number of pairs below stays bounded.
    return;
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (prefixes[i].empty() ||
        prefixes[i].size() > limits::kPrefixBytesMax ||
        !IsTextWithoutNul(prefixes[i])) {
      found.push_back({.reason = "INVALID_PREFIX",
                       .field = PrefixField(i),
                       .description = absl::StrCat(
                           "a prefix is valid UTF-8 without NUL of 1 to ",
                           limits::kPrefixBytesMax, " bytes")});
      continue;
    }
    for (size_t j = 0; j < prefixes.size(); ++j) {
      // Of two equal ones only the later is at fault.
      if (i == j || (prefixes[i] == prefixes[j] && i < j)) continue;
      if (!prefixes[j].empty() && absl::StartsWith(prefixes[i], prefixes[j])) {
        found.push_back({.reason = "OVERLAPPING_PREFIXES",
                         .field = PrefixField(i),
                         .description = absl::StrCat(
                             "it is covered by ", PrefixField(j))});
        break;
      }
    }
  }
}

// I1: whoever has a partner may pair with that one only.
void CheckPartner(const BucketFacts& bucket, absl::string_view other,
                  absl::string_view field, std::vector<Violation>& found) {
  if (!bucket.partner || *bucket.partner == other) return;
  const std::optional<Rule>& in_the_way =
      bucket.outgoing ? bucket.outgoing : bucket.incoming;
  const std::string name = NameOfBucket(bucket.bucket.id);
  const std::string partner = NameOfBucket(*bucket.partner);
  const std::string rule = in_the_way ? NameOfRule(*in_the_way) : "";
  found.push_back(
      {.reason = "BUCKET_PAIRED_ELSEWHERE",
       .field = std::string(field),
       .subject = name,
       .description = absl::StrCat(name, " is paired with ", partner, " by ",
                                   rule, "; a bucket has at most one partner"),
       .rule = rule,
       .partner = partner});
}

void CheckRegions(const NewRule& rule, const RegionPairPolicy& policy,
                  const Region& source, const Region& destination,
                  std::vector<Violation>& found) {
  const std::string from = NameOfRegion(source.id);
  const std::string to = NameOfRegion(destination.id);
  if (source.id == destination.id) {
    found.push_back({.reason = "SAME_REGION",
                     .field = "rule.destination_bucket",
                     .subject = from,
                     .description = absl::StrCat("both buckets are in ", from)});
    return;  // No pair, hence no question of policy or of the link.
  }
  if (!PolicyAllows(policy, source, destination)) {
    found.push_back(
        {.reason = "REGION_PAIR_NOT_SUPPORTED",
         .field = "rule.destination_bucket",
         .subject = to,
         .description = absl::StrCat("replication from ", from, " to ", to,
                                     " is not supported (policy ",
                                     policy.profile, ")")});
  }
  const bool accelerated = rule.transfer == Transfer::kAccelerated;
  if (rule.transfer_unknown ||
      NeedsAcceleration(source, destination) == accelerated) {
    return;
  }
  found.push_back(
      {.reason = accelerated ? "TRANSFER_ACCELERATION_NOT_APPLICABLE"
                             : "TRANSFER_ACCELERATION_REQUIRED",
       .field = "rule.transfer",
       .subject = to,
       .description = absl::StrCat(
           from, " to ", to, accelerated ? " does not cross" : " crosses",
           " the border of mainland China"),
       // OSS tells a link that was not given from one that does not fit.
       .oss_code = accelerated || rule.transfer ? "" : "MissingArgument"});
}

// I3, with Suspended refused on either side (semantics.md §2.4).
void CheckVersioning(const Bucket& source, const Bucket& destination,
                     std::vector<Violation>& found) {
  bool suspended = false;
  for (const Bucket* bucket : {&source, &destination}) {
    if (bucket->versioning != Versioning::kSuspended) continue;
    suspended = true;
    const std::string name = NameOfBucket(bucket->id);
    found.push_back(
        {.reason = "VERSIONING_SUSPENDED",
         .field = bucket == &source ? "parent" : "rule.destination_bucket",
         .subject = name,
         .description = absl::StrCat("versioning of ", name, " is suspended")});
  }
  if (!suspended && source.versioning != destination.versioning) {
    found.push_back(
        {.reason = "VERSIONING_MISMATCH",
         .field = "rule.destination_bucket",
         .subject = NameOfBucket(destination.id),
         .description =
             "one bucket keeps versions and the other does not"});
  }
}

void CheckExisting(const NewRule& rule, const BucketFacts& source,
                   std::vector<Violation>& found) {
  if (!source.outgoing) return;
  const std::string name = NameOfRule(*source.outgoing);
  const bool same_pair = source.outgoing->destination == rule.destination;
  if (!same_pair && source.outgoing->id != rule.id) return;
  found.push_back(
      {.reason = "RULE_ALREADY_EXISTS",
       .field = same_pair ? "rule.destination_bucket" : "rule_id",
       .subject = name,
       .description =
           same_pair
               ? absl::StrCat(name, " replicates this pair already")
               : absl::StrCat(name, " exists already"),
       .rule = name,
       .partner = NameOfBucket(source.outgoing->destination)});
}

}  // namespace

std::vector<Violation> CheckLimitsAndLabels(
    int64_t max_leases, int64_t max_bytes_per_second,
    const std::map<std::string, std::string>& labels) {
  std::vector<Violation> found;
  const auto out_of_range = [&](absl::string_view field, int64_t max) {
    found.push_back({.reason = "INVALID_LIMITS",
                     .field = std::string(field),
                     .description = absl::StrCat("must be 0 to ", max)});
  };
  if (max_leases < 0 || max_leases > limits::kRuleLeasesMax) {
    out_of_range("rule.limits.max_leases", limits::kRuleLeasesMax);
  }
  if (max_bytes_per_second < 0 ||
      max_bytes_per_second > limits::kRuleBytesPerSecondMax) {
    out_of_range("rule.limits.max_bytes_per_second",
                 limits::kRuleBytesPerSecondMax);
  }
  bool labels_fit = labels.size() <= limits::kLabelsMax;
  for (const auto& [key, value] : labels) {
    labels_fit = labels_fit && !key.empty() &&
                 IsTextWithoutNul(key) && IsTextWithoutNul(value) &&
                 key.size() <= limits::kLabelKeyBytesMax &&
                 value.size() <= limits::kLabelValueBytesMax;
  }
  if (!labels_fit) {
    found.push_back(
        {.reason = "INVALID_LABELS",
         .field = "rule.labels",
         .description = absl::StrCat(
             "at most ", limits::kLabelsMax, " labels with keys of 1 to ",
             limits::kLabelKeyBytesMax, " and values of at most ",
             limits::kLabelValueBytesMax, " bytes")});
  }
  return found;
}

std::vector<Violation> CheckRequest(const NewRule& rule) {
  std::vector<Violation> found;
  if (!rule.operations) {
    found.push_back({.reason = "OPERATIONS_REQUIRED",
                     .field = "rule.operations",
                     .description = "which operations to replicate must be "
                                    "said; there is no default"});
  }
  if (!rule.historical) {
    found.push_back({.reason = "HISTORICAL_REQUIRED",
                     .field = "rule.replicate_historical",
                     .description = "whether objects that exist already are "
                                    "copied must be said; there is no default"});
  }
  if (rule.source && rule.source == rule.destination) {
    found.push_back({.reason = "SAME_BUCKET",
                     .field = "rule.destination_bucket",
                     .description = "source and destination are one bucket"});
  }
  CheckPrefixes(rule.prefixes, found);
  if (rule.kms_replicate == rule.kms_key.empty()) {
    found.push_back(
        {.reason = "REQUIRED_FIELD_MISSING",
         .field = rule.kms_replicate ? "rule.sse_kms.replica_kms_key"
                                     : "rule.sse_kms.replicate",
         .description = "replicate and replica_kms_key are given together or "
                        "not at all"});
  }
  if (rule.kms_key.size() > limits::kKmsKeyBytesMax ||
      !IsTextWithoutNul(rule.kms_key)) {
    found.push_back({.reason = "INVALID_NAME",
                     .field = "rule.sse_kms.replica_kms_key",
                     .description =
                         absl::StrCat("a key has at most ",
                                      limits::kKmsKeyBytesMax,
                                      " bytes without NUL")});
  }
  for (Violation& violation : CheckLimitsAndLabels(
           rule.max_leases, rule.max_bytes_per_second, rule.labels)) {
    found.push_back(std::move(violation));
  }
  return found;
}

std::vector<Violation> CheckState(const NewRule& rule,
                                  const RuleFacts& facts) {
  std::vector<Violation> found;
  const auto missing = [&](absl::string_view id, absl::string_view field,
                           absl::string_view oss_code) {
    const std::string name = NameOfBucket(id);
    found.push_back({.reason = "BUCKET_NOT_FOUND",
                     .field = std::string(field),
                     .subject = name,
                     .description = absl::StrCat(name, " is not registered"),
                     .oss_code = std::string(oss_code)});
  };
  if (rule.source && !facts.source) missing(*rule.source, "parent", "");
  if (rule.destination && !facts.destination) {
    missing(*rule.destination, "rule.destination_bucket",
            "InvalidTargetBucket");
  }
  if (!facts.source || !facts.destination ||
      rule.source == rule.destination) {
    return found;
  }
  if (facts.source->bucket.owner != facts.destination->bucket.owner) {
    // Alone: anything more would tell of another owner's bucket.
    return {{.reason = "DIFFERENT_OWNER",
             .field = "rule.destination_bucket",
             .subject = NameOfBucket(*rule.source),
             .description = "the buckets do not belong to one owner"}};
  }
  CheckExisting(rule, *facts.source, found);
  CheckRegions(rule, facts.policy, facts.source->region,
               facts.destination->region, found);
  CheckVersioning(facts.source->bucket, facts.destination->bucket, found);
  CheckPartner(*facts.source, *rule.destination, "parent", found);
  CheckPartner(*facts.destination, *rule.source, "rule.destination_bucket",
               found);
  return found;
}

}  // namespace crr
