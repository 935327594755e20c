#include "server/core/conditions.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "server/core/names.h"
#include "server/core/region_pair_policy.h"
#include "storage/bucket_table.h"
#include "storage/object_work_table.h"
#include "storage/region_table.h"

namespace crr {
namespace {

std::string RemedyOf(absl::string_view type) {
  if (type == "OBJECT_FAILING") {
    return "mend what the message names; the object goes on by itself, see "
           "ListFailedObjects";
  }
  if (type == "LANE_FAILING") {
    return "see that copiers can reach both stores; the work is retried";
  }
  if (type == "PUBLISHER_DETACHED") {
    return "start the publisher: history begins once it is attached";
  }
  return "mend what the message names; the probe is repeated";
}

std::optional<Region> RegionOf(ReadTransaction& txn, absl::string_view bucket) {
  const auto found = bucket_table::Get(txn, bucket);
  if (!found) return std::nullopt;
  return region_table::Get(txn, found->region);
}

// Objects that will not be tried again, or that are too many to be kept apart.
void AddFailedObjects(ReadTransaction& txn, const Rule& rule,
                      std::vector<ShownCondition>& conditions) {
  const object_work_table::DeadLetters dead =
      object_work_table::Dead(txn, rule.uid);
  if (dead.count > 0) {
    conditions.push_back(
        {.type = "OBJECTS_FAILED",
         .message = absl::StrCat(dead.count, " objects had their last attempt"),
         .remedy = "see ListFailedObjects; mend the cause, then "
                   "RetryFailedObjects, or SkipFailedObjects",
         .since = dead.since});
  }
  if (object_work_table::Count(txn, rule.uid) >= limits::kFailedObjectsMax) {
    conditions.push_back(
        {.type = "TOO_MANY_FAILED_OBJECTS",
         .message = absl::StrCat(
             limits::kFailedObjectsMax,
             " objects are kept apart; the rule's lanes wait"),
         .remedy = "see ListFailedObjects, and mend their common cause",
         .since = object_work_table::Newest(txn, rule.uid)});
  }
}

}  // namespace

std::vector<ShownCondition> WhatKeepsFromStarting(ReadTransaction& txn,
                                                  const Rule& rule) {
  std::vector<ShownCondition> conditions;
  for (const std::string* bucket : {&rule.source, &rule.destination}) {
    const auto region = RegionOf(txn, *bucket);
    if (!region || region->store_root) continue;
    const std::string name = NameOfRegion(region->id);
    conditions.push_back({.type = "STORE_NOT_SET",
                          .message = absl::StrCat(name, " has no store"),
                          .remedy = "set it with UpdateRegion",
                          .since = rule.create_time});
  }
  const auto source = bucket_table::Get(txn, rule.source);
  if (source && source->versioning == Versioning::kEnabled) {
    conditions.push_back(
        {.type = "VERSIONED_COPY_NOT_AVAILABLE",
         .message = "this version of crr does not copy buckets with versioning",
         .remedy = "changes are logged; delete the rule if it must not wait",
         .since = rule.create_time});
  }
  const auto reverse = rule_table::GetBySource(txn, rule.destination);
  // A rule that is only being checked has no uid; it would be the newer one.
  if (reverse && (rule.uid == 0 || reverse->uid < rule.uid)) {
    conditions.push_back(
        {.type = "MUTUAL_COPY_NOT_AVAILABLE",
         .message = absl::StrCat(
             "this version of crr replicates a pair in one direction at a "
             "time; ",
             NameOfRule(*reverse), " was first"),
         .remedy = "delete the other rule to turn the direction around",
         .since = rule.create_time});
  }
  return conditions;
}

std::vector<ShownCondition> ConditionsOf(ReadTransaction& txn,
                                         const Rule& rule) {
  std::vector<ShownCondition> conditions;
  if (rule.state == RuleState::kStarting) {
    conditions = WhatKeepsFromStarting(txn, rule);
  }
  for (const Condition& reported : rule_table::GetConditions(txn, rule.uid)) {
    conditions.push_back({.type = reported.type,
                          .message = reported.message,
                          .remedy = RemedyOf(reported.type),
                          .since = reported.since});
  }
  AddFailedObjects(txn, rule, conditions);
  if (rule.resync != Resync::kNone) {
    conditions.push_back(
        {.type = "RESYNC_NEEDED",
         .message = absl::StrCat(
             rule.restored ? "the database was restored from a backup"
                           : "more changes came than the rule's log may hold",
             rule.resync == Resync::kNeeded
                 ? "; what is logged is being dropped"
                 : "; once history is complete, the buckets are compared "
                   "whole"),
         .remedy = rule.restored
                       ? "wait for the verification"
                       : "add copiers, or mend what keeps them from copying",
         .since = rule.resync_since});
  }
  const auto source = RegionOf(txn, rule.source);
  const auto destination = RegionOf(txn, rule.destination);
  if (source && destination) {
    const RegionPairPolicy policy = region_table::GetPolicy(txn);
    if (!PolicyAllows(policy, *source, *destination)) {
      conditions.push_back(
          {.type = "POLICY_REFUSES",
           .message = absl::StrCat("today's region-pair policy (",
                                   policy.profile, ") would refuse this rule"),
           .remedy = "none is needed: the rule goes on",
           .since = policy.update_time});
    }
  }
  return conditions;
}

}  // namespace crr
